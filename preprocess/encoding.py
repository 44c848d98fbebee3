"""Text files cut into chunks, and the chunks encoded: the part of ``binarize`` that runs in worker processes."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_xalign.constants import EOS, UNK
from fairseq_xalign.data.folder import load_tokenizer
from fairseq_xalign.data.mmap import dtype_for
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import decoded_lines, read_lines
from fairseq_xalign.inputs import is_compressed, is_copied, open_input
from preprocess.piece_links import EncodedLinks, LinkSettings, encode_links

CHUNK_BYTES = 1 << 20
"""A chunk ends with the line that reaches this many bytes (of both sides together)."""
MOST_SIDES = 2
"""Texts that are parallel; a further file has their links."""
USUAL_LINKS = LinkSettings()
WORDS_REMEMBERED = 50_000
"""Words whose unknown parts are remembered, and unknown parts counted at a time."""


@dataclass(frozen=True)
class Chunk:
    """Lines ``first_line`` and on (from 1) of one file, or of parallel files: two, and perhaps their links.

    Attributes:
        paths: the files, by the names that the user gave them.
        parts: for each file the byte range of the lines, or (of a compressed file, which has no places to go to) their
            bytes.
    """

    paths: tuple[str, ...]
    parts: tuple[tuple[int, int] | bytes, ...]
    first_line: int
    lines: int


@dataclass
class Encoded:
    """A chunk's sentences; every list has one entry per side (one for monolingual text, two for bitext)."""

    lines: int
    flat: list[np.ndarray]
    """Ids end to end, each sentence ended by ``</s>``, [T]."""
    lengths: list[np.ndarray]
    """Ids of each sentence, [B]."""
    unknown: list[int]
    worst: list[Counter[str]]
    """The characters, or words, that became ``<unk>``, and how often."""
    dropped: dict[str, int] = field(default_factory=dict)
    links: EncodedLinks | None = None


def count_lines(path: str | Path) -> int:
    """Lines as :func:`read_lines` counts them."""
    lines, last = 0, b"\n"
    with open_input(path) as stream:
        while block := stream.read(CHUNK_BYTES):
            lines += block.count(b"\n")
            last = block[-1:]
    return lines + (last != b"\n")


def cut(paths: Sequence[str], chunk_bytes: int, lines: Sequence[int] | None = None) -> Iterator[Chunk]:
    """Cut files of equally many lines into chunks of equally many lines; each file is read once.

    Args:
        lines: from which line (counted from 0) to which (excluded); None takes all.
    """
    begin, end = lines or (0, None)
    with ExitStack() as stack:
        streams = [stack.enter_context(open_input(path)) for path in paths]
        # Workers get the bytes of these: positions in a compressed file are not those in its text, and a pipe can be
        # read only once.
        kept = [is_compressed(path) or is_copied(path) for path in paths]
        places = [sum(map(len, islice(stream, begin))) for stream in streams]
        first = begin + 1
        for rows in _groups(streams, chunk_bytes):
            if end is not None:
                rows = rows[: end + 1 - first]
            if not rows:
                return
            parts: list[tuple[int, int] | bytes] = []
            for side, raws in enumerate(zip(*rows) if len(paths) > 1 else [rows]):
                size = sum(map(len, raws))
                parts.append(b"".join(raws) if kept[side] else (places[side], places[side] + size))
                places[side] += size
            yield Chunk(tuple(paths), tuple(parts), first, len(rows))
            first += len(rows)


def _groups(streams: Sequence[io.BufferedReader], size: int) -> Iterator[list[Any]]:
    """Lines (of several files: tuples of lines), as many together as reach ``size`` bytes."""
    if len(streams) == 1:
        while lines := streams[0].readlines(size):
            yield lines
        return
    rows: list[tuple[bytes, ...]] = []
    room = size
    for row in zip(*streams):
        rows.append(row)
        for raw in row:
            room -= len(raw)
        if room <= 0:
            yield rows
            rows, room = [], size
    if rows:
        yield rows


def chunk_texts(chunk: Chunk, side: int) -> list[str]:
    """The lines of one of a chunk's files; an error names their place in the file."""
    path, part = chunk.paths[side], chunk.parts[side]
    if isinstance(part, bytes):
        lines = decoded_lines(io.BytesIO(part), path, beginning=chunk.first_line == 1)
    else:
        lines = read_lines(path, *part)
    try:
        return [text for _, text in lines]
    except UserError as error:
        line = None if error.line is None else error.line + chunk.first_line - 1
        raise UserError(error.what, error.where, line, error.remedy) from error


def equal_lines(paths: Sequence[str]) -> int:
    """How many lines two parallel files have; UserError where they differ."""
    source, target = map(count_lines, paths)
    if source != target:
        raise UserError(
            f"{paths[0]} has {source} lines, but {paths[1]} has {target}",
            remedy="Line i of one file must be the translation of line i of the other",
        )
    return source


class ChunkEncoder:
    """Encodes chunks with the tokenizer of a folder; each worker has one.

    Args:
        folder: subword folder.
        max_length: drop what is longer, in ids with ``</s>``; None keeps all.
        links: how the links of chunks with three files are read.
    """

    def __init__(self, folder: str | Path, max_length: int | None = None, links: LinkSettings = USUAL_LINKS) -> None:
        self.tokenizer = load_tokenizer(folder)
        self.max_length, self.links = max_length, links
        self.dtype = dtype_for(len(self.tokenizer))
        self._unknown_parts = lru_cache(WORDS_REMEMBERED)(self._find_unknown_parts)

    def encode(self, chunk: Chunk) -> Encoded:
        """Encode a chunk; sentences (pairs) that are empty or too long are dropped and counted.

        Raises:
            UserError: with the file and its absolute line, for text that is not valid and for text the tokenizer
                fails on.
        """
        files = [chunk_texts(chunk, side) for side in range(len(chunk.paths))]
        sides = files[:MOST_SIDES]
        kept = [i for i, texts in enumerate(zip(*sides)) if all(text and not text.isspace() for text in texts)]
        ids = [self._encode_side(chunk, side, texts, kept) for side, texts in enumerate(sides)]
        dropped = Counter(empty=chunk.lines - len(kept))
        good = []
        for place, sentence in enumerate(zip(*ids)):
            if not all(sentence):
                dropped["empty"] += 1  # nothing was left after the tokenizer's normalisation
            elif self.max_length is not None and max(map(len, sentence)) + 1 > self.max_length:
                dropped["long"] += 1
            else:
                good.append(place)
        result = Encoded(chunk.lines, [], [], [], [], {why: n for why, n in dropped.items() if n})
        for side in range(len(sides)):
            self._add(result, [ids[side][place] for place in good], [sides[side][kept[place]] for place in good])
        if len(files) > MOST_SIDES:
            result.links = encode_links(
                self.tokenizer, self.links, (sides[0], sides[1]), files[MOST_SIDES], [kept[place] for place in good],
                chunk.paths[MOST_SIDES], chunk.first_line,
            )  # fmt: skip
        return result

    def _add(self, result: Encoded, sentences: list[list[int]], texts: list[str]) -> None:
        """Append a side: its sentences ended by ``</s>``, and what of their text is unknown."""
        lengths = np.fromiter((len(s) + 1 for s in sentences), dtype=np.int32, count=len(sentences))
        ended = chain.from_iterable(chain(s, (EOS,)) for s in sentences)
        flat = np.fromiter(ended, dtype=np.int64, count=int(lengths.sum())).astype(self.dtype)
        unknown = int((flat == UNK).sum())
        worst: Counter[str] = Counter()
        if unknown:
            for sentence, text in zip(sentences, texts):
                if UNK in sentence:
                    worst.update(chain.from_iterable(map(self._unknown_parts, text.split())))
        result.flat.append(flat)
        result.lengths.append(lengths)
        result.unknown.append(unknown)
        result.worst.append(worst)

    def _encode_side(self, chunk: Chunk, side: int, texts: list[str], kept: list[int]) -> list[list[int]]:
        """Ids of the lines ``kept`` (numbers within the chunk, from 0)."""
        encode = self.tokenizer.encode
        ids = []
        for number in kept:
            try:
                ids.append(encode(texts[number]))
            except Exception as error:
                what = f"the tokenizer fails on this line: {type(error).__name__}: {error}"
                line = chunk.first_line + number
                raise UserError(what, chunk.paths[side], line, "Remove the line, or report it") from error
        return ids

    def _find_unknown_parts(self, word: str) -> tuple[str, ...]:
        """The characters of a word that are unknown by themselves; the word, if only together they are."""
        if UNK not in self.tokenizer.encode_words([word])[0]:
            return ()
        return tuple(c for c in word if UNK in self.tokenizer.encode_words([c])[0]) or (word,)


def encode_chunk(encoder: ChunkEncoder, chunk: Chunk) -> Encoded:
    """:meth:`ChunkEncoder.encode` as a function, for worker processes."""
    return encoder.encode(chunk)
