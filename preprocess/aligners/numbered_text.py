"""Parallel text as arrays of numbers on disk, made for counting which words meet in a sentence pair.

Python objects exist for each distinct word and for the line that is read, not for each word of the text.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from fairseq_xalign.data.words import WORD_KINDS
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines
from fairseq_xalign.outputs import refusals
from preprocess.parallel import map_in_order

Item = TypeVar("Item")
TOKENS = 1 << 20
"""Words held before they are written."""
SORTED = 1 << 21
"""Pairs of words sorted at once (32 MB)."""
BITS = 63
"""What a signed number of 64 bits holds."""
CHUNK = 1 << 16
"""Pairs of words in one step of the arithmetic: what a processor keeps close by."""
LONGEST = 1 << 20
"""Pairs of words in a sentence pair: one that has more (1,000 words on both sides) is left out."""
SIDES = "source", "target"


class Numbers(dict[str, int]):
    """Words numbered from 0 as they are first asked for."""

    def __missing__(self, word: str) -> int:
        self[word] = number = len(self)
        return number


def number_words(folder: str, job: tuple[str, str, str]) -> int:
    """Write the words of a text as numbers, the most frequent word first, ties as they first occur; return how many
    distinct words it has.

    Words are numbered in lower case. ``{side}.tokens`` has the numbers (int32), ``{side}.lengths`` the number of words
    of each line (int32).

    Args:
        folder: where to write.
        job: the text, what a word is (a key of ``WORD_KINDS``), the side's name.
    """
    text, words, side = job
    split, numbers = WORD_KINDS[words].findall, Numbers()
    tokens, lengths = array("i"), array("i")
    place = Path(folder)
    with (
        refusals(folder),
        open(place / f"{side}.tokens", "wb") as stream,
        open(place / f"{side}.lengths", "wb") as counts,
    ):
        for _, line in read_lines(text):
            before = len(tokens)
            tokens.extend([numbers[word.lower()] for word in split(line)])
            lengths.append(len(tokens) - before)
            if len(tokens) >= TOKENS:
                tokens.tofile(stream)
                lengths.tofile(counts)
                tokens, lengths = array("i"), array("i")
        tokens.tofile(stream)
        lengths.tofile(counts)
        stream.close()
        _by_frequency(place / f"{side}.tokens", len(numbers))
    return len(numbers)


def _by_frequency(path: Path, words: int) -> None:
    """Renumber words: frequent ones together, so that what is looked up often lies close together in memory."""
    tokens = mapped(path, np.int32, "r+")
    parts = [slice(begin, begin + TOKENS) for begin in range(0, len(tokens), TOKENS)]
    counts = np.zeros(words, np.int64)
    for part in parts:
        counts += np.bincount(tokens[part], minlength=words)
    ranks = np.empty(words, np.int32)
    ranks[np.argsort(-counts, kind="stable")] = np.arange(words, dtype=np.int32)
    for part in parts:
        tokens[part] = ranks[tokens[part]]


def mapped(path: Path, dtype: type, mode: str = "r") -> np.ndarray:
    """The numbers of a file, memory-mapped; an empty file, which cannot be mapped, is an empty array."""
    if not path.stat().st_size:
        return np.zeros(0, dtype)
    return np.memmap(path, dtype, mode)  # type: ignore[call-overload]


@dataclass(frozen=True)
class Chunk:
    """Sentence pairs of equal lengths.

    Attributes:
        first, last: their places in the order of lengths.
        source, target: words of each.
        begin: place of their first pair of words.
    """

    first: int
    last: int
    source: int
    target: int
    begin: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """[B, m, n]."""
        return self.last - self.first, self.target, self.source

    @property
    def end(self) -> int:
        """The place after their last pair of words."""
        b, m, n = self.shape
        return self.begin + b * m * n


class NumberedText:
    """Two texts as numbers, and the number of every pair of words that meet in a sentence pair.

    Attributes:
        words: distinct words of each side.
        lengths: [sentence pairs] of each side.
        starts: [sentence pairs + 1] of each side, where each sentence begins among its words.
        tokens: of each side.
        order: the sentence pairs that are used, by their lengths.
        chunks: these in steps.
        too_long: how many were left out as too long.
    """

    def __init__(self, folder: str | Path, words: tuple[int, int]) -> None:
        self.folder, self.words = Path(folder), words
        self.tokens = [mapped(self.folder / f"{side}.tokens", np.int32) for side in SIDES]
        self.lengths = [np.asarray(mapped(self.folder / f"{side}.lengths", np.int32)) for side in SIDES]
        self.starts = [np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]) for lengths in self.lengths]
        cells = self.lengths[0].astype(np.int64) * self.lengths[1]
        kept = np.flatnonzero((cells > 0) & (cells <= LONGEST))
        self.too_long = int((cells > LONGEST).sum())
        self.order = kept[np.lexsort((self.lengths[1][kept], self.lengths[0][kept]))]
        self.chunks = list(self._cut())

    def _cut(self) -> Iterator[Chunk]:
        source, target = (lengths[self.order] for lengths in self.lengths)
        edges = np.flatnonzero((np.diff(source) != 0) | (np.diff(target) != 0)) + 1
        begin = 0
        for first, last in itertools.pairwise([0, *edges.tolist(), len(self.order)] if len(self.order) else []):
            m, n = int(target[first]), int(source[first])
            step = max(1, CHUNK // (m * n))
            for here in range(first, last, step):
                chunk = Chunk(here, min(last, here + step), n, m, begin)
                begin = chunk.end
                yield chunk

    def words_of(self, side: int, chunk: Chunk) -> np.ndarray:
        """[B, words] int64, the words of one side."""
        size = (chunk.source, chunk.target)[side]
        begins = self.starts[side][self.order[chunk.first : chunk.last]]
        return self.tokens[side][begins[:, None] + np.arange(size)].astype(np.int64)

    @property
    def cells(self) -> int:
        """How many pairs of words meet, each as often as it does."""
        return self.chunks[-1].end if self.chunks else 0

    def ids_of(self, chunk: Chunk) -> np.ndarray:
        """[B, m, n] int64, the number of each pair of words."""
        return self._ids[chunk.begin : chunk.end].astype(np.int64).reshape(chunk.shape)

    def open_pairs(self) -> NumberedText:
        """Map what :meth:`number_pairs` has written."""
        self._ids = mapped(self.folder / "ids", np.int32)
        self.pairs = [mapped(self.folder / f"pairs.{side}", np.int32) for side in SIDES]
        return self

    def number_pairs(self, threads: int) -> None:
        """Number the distinct pairs of words, sorted by source and target word, and write the number of each cell.

        Blocks of cells are sorted one by one. Memory holds the distinct pairs, some three times while their lists are
        merged; the cells are on disk, 4 bytes each.
        """
        shift = max(1, self.words[1] - 1).bit_length()
        blocks = list(self._blocks())
        distinct = np.zeros(0, np.int64)
        waiting: list[np.ndarray] = []
        sizes = []
        with (
            ThreadPoolExecutor(threads) as pool,
            open(self.folder / "ids", "wb") as ids,
            open(self.folder / "distinct", "wb") as keys,
        ):
            for group in _groups(blocks, threads):
                for found, places in pool.map(partial(self._sorted, shift), group):
                    ids.write(places.data)
                    keys.write(found.data)
                    sizes.append(len(found))
                    waiting.append(found)
                if sum(map(len, waiting)) >= max(len(distinct), SORTED):
                    distinct, waiting = _merged([distinct, *waiting]), []
        distinct = _merged([distinct, *waiting])
        if len(distinct) > np.iinfo(np.int32).max:
            raise UserError(
                f"{len(distinct)} distinct pairs of words meet in a sentence pair", remedy="Link fewer lines at a time"
            )
        self._renumber(blocks, sizes, distinct, threads)
        for side, numbers in zip(SIDES, (distinct >> shift, distinct & ((1 << shift) - 1))):
            (self.folder / f"pairs.{side}").write_bytes(numbers.astype(np.int32).data)

    def _blocks(self) -> Iterator[list[Chunk]]:
        """Chunks that are sorted together."""
        block: list[Chunk] = []
        for chunk in self.chunks:
            block.append(chunk)
            if chunk.end - block[0].begin >= SORTED:
                yield block
                block = []
        if block:
            yield block

    def _sorted(self, shift: int, block: list[Chunk]) -> tuple[np.ndarray, np.ndarray]:
        """The distinct pairs of words of a block (source word shifted, target word), and the place of each cell's."""
        keys = np.concatenate(
            [
                ((self.words_of(0, chunk) << shift)[:, None, :] | self.words_of(1, chunk)[:, :, None]).ravel()
                for chunk in block
            ]
        )
        bits = len(keys).bit_length()
        if bits + shift + self.words[0].bit_length() <= BITS:  # sorting numbers is several times as fast as argsort
            keys = (keys << bits) | np.arange(len(keys))
            keys.sort()
            order = keys & ((1 << bits) - 1)
            keys >>= bits
        else:
            order = np.argsort(keys, kind="stable")
            keys = keys[order]
        first = _firsts(keys)
        places = np.empty(len(keys), np.int32)
        places[order] = np.cumsum(first, dtype=np.int32) - 1
        return keys[first], places

    def _renumber(self, blocks: list[list[Chunk]], sizes: list[int], distinct: np.ndarray, threads: int) -> None:
        """Replace places in the list of each block by those in the list of all."""
        ids = mapped(self.folder / "ids", np.int32, "r+")
        keys = mapped(self.folder / "distinct", np.int64)
        ends = np.cumsum(sizes, dtype=np.int64)

        def renumber(number: int) -> None:
            part = slice(blocks[number][0].begin, blocks[number][-1].end)
            found = keys[ends[number] - sizes[number] : ends[number]]
            ids[part] = np.searchsorted(distinct, found).astype(np.int32)[ids[part]]

        with ThreadPoolExecutor(threads) as pool:
            for group in _groups(range(len(blocks)), threads):
                list(pool.map(renumber, group))
        (self.folder / "distinct").unlink()


def _firsts(keys: np.ndarray) -> np.ndarray:
    """[n] bool, where in sorted numbers a new one begins."""
    first = np.ones(len(keys), bool)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    return first


def _merged(lists: list[np.ndarray]) -> np.ndarray:
    """The distinct numbers of sorted lists, sorted."""
    keys = np.concatenate(lists)
    keys.sort()
    return keys[_firsts(keys)]


def _groups(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """``size`` items at a time."""
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


def number_text(texts: tuple[str, str], words: str, folder: str, processes: int) -> NumberedText:
    """Write both texts, and their pairs of words, as numbers to a folder; see :class:`NumberedText`."""
    jobs = [(text, words, side) for text, side in zip(texts, SIDES)]
    readers = processes if all(Path(text).is_file() for text in texts) else 1  # a pipe is read by this process alone
    with closing(map_in_order(partial(str, folder), number_words, jobs, readers)) as results:
        source, target = results
    numbered = NumberedText(folder, (source, target))
    numbered.number_pairs(processes)
    return numbered.open_pairs()
