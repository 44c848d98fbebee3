"""Encode text with a subword folder and write it into a data folder.

Monolingual text has one sentence per line. Bitext is two files whose lines are translations of each other. Dictionaries
are those that `xalign-preprocess dictionary` writes. Links are the word links of a bitext, as `xalign-preprocess links`
writes them; they are kept as links between the pieces of words. The data folder is created if it does not exist.
Otherwise the streams are added to it, or replace those of the same name, provided that its vocabulary is the same.

If the command fails or is interrupted, the folder stays as it was. Empty lines, and pairs with an empty side, are
dropped and counted. Text is refused if too much of it becomes <unk>, because it probably needs another vocabulary.

A large corpus can be binarized in n parts, on n machines: the same command on each, with --shard 1/n to --shard n/n
and an --output of its own. `xalign-preprocess merge` joins the parts into the folder that a single run would have made.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_xalign.cli import progress, say
from fairseq_xalign.constants import SPLITS
from fairseq_xalign.data.dictionary import Dictionary, read_header
from fairseq_xalign.data.lengths import LengthCounter
from fairseq_xalign.data.links import LINK_TYPE
from fairseq_xalign.data.manifest import stream_languages, stream_title
from fairseq_xalign.data.mmap import Writer, dtype_for
from fairseq_xalign.data.words import WORD_KINDS
from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.inputs import open_input, regular
from fairseq_xalign.options import (
    at_least,
    language_code,
    language_pair,
    named_files,
    pair_name,
    pair_splits,
    share,
    spelling_notes,
    two_files,
)
from preprocess.binarize_report import counts, report_line, stream_report
from preprocess.encoding import CHUNK_BYTES, WORDS_REMEMBERED, ChunkEncoder, cut, encode_chunk, equal_lines
from preprocess.link_files import LinkReport, ask_links
from preprocess.parallel import available_cores, map_in_order
from preprocess.parts import Part, dictionary_name, fingerprint, links_name, text_entry, text_names
from preprocess.piece_links import LINK_PIECES, LinkSettings
from preprocess.staging import FolderUpdate

MAX_UNKNOWN = 0.05
"""The largest share of <unk> among the pieces of a text."""
WORST_SHOWN = 10

EXAMPLE = """examples:
  xalign-preprocess binarize --subword SUB --split train --output DATA \\
    --mono en=news.en --mono de=news.de --bitext en-de=europarl.en,europarl.de
  xalign-preprocess binarize --subword SUB --output DATA --bitext en-de=europarl.en,europarl.de --links en-de=links
  xalign-preprocess binarize --subword SUB --bitext en-de=europarl.en,europarl.de --shard 1/2 --output PART1"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--subword", required=True, metavar="DIR", help="Subword folder to encode with; a data folder works too."
    )
    parser.add_argument(
        "--mono",
        action="append",
        metavar="LANG=FILE",
        help="Text in one language, one sentence per line. Repeat it for more languages.",
    )
    parser.add_argument(
        "--bitext",
        action="append",
        metavar="XX-YY=FILE,FILE",
        help="Parallel text of two languages, line by line. Repeat it for more pairs. Codes with hyphens are separated "
        "by a colon, as in zh-TW:pt-BR=FILE,FILE, unless the languages are known already.",
    )
    parser.add_argument(
        "--dictionary",
        action="append",
        metavar="XX-YY=FILE",
        help="Dictionary made by `xalign-preprocess dictionary` with this subword folder. Repeat it for more pairs.",
    )
    parser.add_argument(
        "--links",
        action="append",
        metavar="XX-YY=FILE",
        help="Word links of the --bitext of the same name: Pharaoh lines (0-0 1-2), one per pair, counted from 0. "
        "Repeat it for more pairs.",
    )
    parser.add_argument(
        "--link-pieces",
        choices=LINK_PIECES,
        default="all",
        help="Which pieces of two linked words are linked: all with all, only the first or the last of each, or those "
        "with the same number, in-order (default: %(default)s).",
    )
    parser.add_argument(
        "--link-words",
        choices=WORD_KINDS,
        help="What the links count as words: split, what `xalign-preprocess links` does with running text, or space, "
        "what spaces and tabs separate (default: what that command noted beside the links, else split).",
    )
    parser.add_argument("--split", choices=SPLITS, default="train", help="What the text is for (default: %(default)s).")
    parser.add_argument("--output", required=True, metavar="DATA", help="Data folder to create or to add to.")
    parser.add_argument(
        "--workers",
        type=int,
        default=available_cores(),
        metavar="N",
        help="Number of processes that encode (default: the available cores, here %(default)s).",
    )
    parser.add_argument(
        "--max-unknown",
        type=float,
        default=MAX_UNKNOWN,
        metavar="SHARE",
        help="Refuse text if more than this share of its pieces is <unk> (default: %(default)s).",
    )
    parser.add_argument(
        "--max-length",
        type=int,
        metavar="N",
        help="Drop sentences of more than N ids, </s> included (default: keep all).",
    )
    parser.add_argument(
        "--shard",
        metavar="I/N",
        help="Binarize the I-th of N parts of every text, for `xalign-preprocess merge` (default: all of it).",
    )
    parser.add_argument("--json", action="store_true", help="Print the report as JSON on stdout.")


def run(args: argparse.Namespace) -> int:
    """Binarize what the command line names."""
    report = binarize(
        args.output,
        args.subword,
        mono=named_files(args.mono, "--mono"),
        bitext=[
            (pair, two_files(both, f"--bitext {pair}=", "--bitext XX-YY=FILE,FILE"))
            for pair, both in named_files(args.bitext, "--bitext")
        ],
        dictionaries=named_files(args.dictionary, "--dictionary"),
        links=named_files(args.links, "--links"),
        link_pieces=args.link_pieces,
        link_words=args.link_words,
        split=args.split,
        workers=args.workers,
        max_unknown=args.max_unknown,
        max_length=args.max_length,
        shard=args.shard,
    )
    if args.json:
        json.dump(report, sys.stdout, indent=2)
        print()
    return 0


def binarize(
    output: str | Path,
    subword: str | Path,
    *,
    mono: Iterable[tuple[str, str]] = (),
    bitext: Iterable[tuple[str, tuple[str, str]]] = (),
    dictionaries: Iterable[tuple[str, str]] = (),
    links: Iterable[tuple[str, str]] = (),
    link_pieces: str = "all",
    link_words: str | None = None,
    split: str = "train",
    workers: int | None = None,
    max_unknown: float = MAX_UNKNOWN,
    max_length: int | None = None,
    shard: str | None = None,
) -> dict[str, Any]:
    """Encode texts into a data folder, which is made or added to, and return the report.

    Args:
        mono: (language, file) of each text.
        bitext: (pair, source file and target file); a pair is named as in :func:`options.language_pair`.
        dictionaries: (pair, file).
        links: (pair, file) of word links, of pairs in ``bitext``.
        link_pieces, link_words: see the options of the command.
        workers: how many processes encode; None takes the available cores.
        max_unknown, max_length, shard: see the options of the command.

    Raises:
        UserError: an option out of range, a text that cannot be read or of which too much is unknown, a folder that
            is something else. Nothing is written then.
    """
    workers = available_cores() if workers is None else workers
    at_least(1, workers=workers)
    share(whole=True, max_unknown=max_unknown)
    at_least(2, max_length=max_length)  # a sentence has an id and </s>
    for option, value, choices in (("--split", split, SPLITS), ("--link-pieces", link_pieces, tuple(LINK_PIECES))):
        if value not in choices:
            raise unknown_name(option, value, choices)
    part = None if shard is None else Part.parse(shard)
    update, mono = FolderUpdate(output, subword, part), list(mono)
    known = _known_languages(update, [language for language, _ in mono])
    streams = [*_asked_text(mono, list(bitext), split, known), *_asked_dictionaries(dictionaries, known)]
    for pair, file in links:
        ask_links(streams, language_pair(pair, "--links", known), file, link_pieces, link_words)
    if not streams:
        raise UserError("nothing to binarize", remedy="Give --mono, --bitext or --dictionary")
    named = dict.fromkeys(name for stream in streams for name in stream_languages(stream))
    for note in spelling_notes(named, known):
        say(note)
    if part is not None:
        for stream in streams:
            _limit_to_part(stream, part, max_length)
    make = partial(ChunkEncoder, str(subword), max_length)
    with update:
        report, refused = [], []
        for stream in streams:
            began = time.perf_counter()
            if stream["kind"] == "dictionary":
                _place_dictionary(stream, update)
            else:
                refused += _write_text(stream, update, make, workers, max_unknown)
            report.append(stream_report(stream, time.perf_counter() - began))
            if update.replaced(stream):
                say(f"{stream_title(stream)} replaces the one in {output}")
            update.add(stream)
            say(report_line(report[-1]))
        if refused:
            raise UserError(
                "; ".join(refused),
                remedy=f"At most {max_unknown:.1%} may be: use a subword folder made for these languages and "
                "scripts, or raise --max-unknown. Nothing was written",
            )
        manifest = update.commit()
    count = len(manifest["streams"])
    say(f"{output}: {count} stream{'s' * (count != 1)}, languages {', '.join(manifest['languages'])}")
    return {"output": str(output), "languages": manifest["languages"], "streams": report}


def _known_languages(update: FolderUpdate, named: Iterable[str]) -> set[str]:
    """The languages between which the name of a pair may be split: those named, in the folder, or of the vocabulary."""
    tokenizer = update.tokenizer
    tokens = [token.removeprefix("<2").removesuffix(">") for token in tokenizer.language_tokens]
    return {*named, *(update.old or {}).get("languages", ()), *tokenizer.languages, *tokens}


def _asked_text(
    mono: list[tuple[str, str]], bitext: list[tuple[str, tuple[str, str]]], split: str, known: set[str]
) -> Iterator[dict[str, Any]]:
    """The streams of --mono and --bitext, with what is known before they are read; nothing is written yet."""
    seen: set[str] = set()
    for language, file in mono:
        stream = {"kind": "mono", "language": language_code(language, "--mono"), "split": split}
        yield _new(stream, [file], seen)
    for pair, sides in bitext:
        stream = {"kind": "bitext", **_pair(language_pair(pair, "--bitext", known)), "split": split}
        stream = _new(stream, list(sides), seen)
        equal_lines(sides)
        yield stream


def _asked_dictionaries(dictionaries: Iterable[tuple[str, str]], known: set[str]) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for pair, file in dictionaries:
        header = read_header(file)
        own = (header["source"], header["target"])
        # The file says its languages: a name that can be read as theirs is theirs.
        found = own if own in pair_splits(pair) else language_pair(pair, "--dictionary", known)
        yield _new({"kind": "dictionary", **_pair(found)}, [file], seen)


def _pair(languages: tuple[str, str]) -> dict[str, str]:
    return dict(zip(("source_language", "target_language"), languages))


def _new(stream: dict[str, Any], files: list[str], seen: set[str]) -> dict[str, Any]:
    """Check that a stream is new and its files can be opened; it begins with its source."""
    title = stream_title(stream)
    if title in seen:
        raise UserError(f"{title} is given twice", remedy="Put its files together into one")
    seen.add(title)
    for file in files:
        open_input(file).close()
    return stream | {"source": {"files": files, "bytes": [regular(file).stat().st_size for file in files]}}


def _limit_to_part(stream: dict[str, Any], part: Part, max_length: int | None) -> None:
    """Note which lines of a text are binarized, and what tells whether other parts are of the same text."""
    if stream["kind"] == "dictionary":  # small: every part has all of it
        return
    files = [*stream["source"]["files"], *([stream["links"]["file"]] if "links" in stream else [])]
    (total, first), *others = map(fingerprint, files)
    sums = [first, *(digest for _, digest in others)]
    stream["part"] = {"lines": list(part.lines(total)), "of": total, "sha256": sums, "max_length": max_length}


def _write_text(
    stream: dict[str, Any], update: FolderUpdate, make: Callable[..., ChunkEncoder], workers: int, max_unknown: float
) -> list[str]:
    """Encode a stream into the staging folder and complete its entry; return the complaints about its ``<unk>``."""
    languages, names, part = stream_languages(stream), text_names(stream), stream.pop("part", None)
    source = stream.pop("source")
    files, of_bytes, about_links = source["files"], source["bytes"], stream.pop("links", None)
    read = [*files, about_links["file"]] if about_links else files
    if about_links:
        make = partial(make, links=LinkSettings(about_links["pieces"], about_links["words"]))
    dtype = dtype_for(len(update.tokenizer))
    lines, unknown, dropped, counter = 0, [0] * len(names), Counter(empty=0), LengthCounter(len(names))
    worst: list[Counter[str]] = [Counter() for _ in names]
    chunks = map_in_order(make, encode_chunk, cut(read, CHUNK_BYTES, part and part["lines"]), workers)
    share_of_text = (part["lines"][1] - part["lines"][0]) / max(1, part["of"]) if part else 1
    total = math.ceil(sum(of_bytes) * share_of_text / CHUNK_BYTES)
    with ExitStack() as stack:
        writers = [stack.enter_context(Writer(update.staging / name, dtype)) for name in names]
        links = None
        if about_links:
            links = LinkReport(stack.enter_context(Writer(update.staging / links_name(stream), LINK_TYPE)), about_links)
        stack.enter_context(closing(chunks))  # ends the workers if writing fails
        for chunk in progress(chunks, stream_title(stream), total):
            lines += chunk.lines
            dropped.update(chunk.dropped)
            counter.add(np.stack(chunk.lengths, axis=1))
            if links and chunk.links:
                links.add(chunk.links)
            for side, writer in enumerate(writers):
                writer.write_many(chunk.flat[side], chunk.lengths[side])
                unknown[side] += chunk.unknown[side]
                worst[side].update(chunk.worst[side])
                if len(worst[side]) > 2 * WORDS_REMEMBERED:  # memory must not grow with the text
                    worst[side] = Counter(dict(worst[side].most_common(WORDS_REMEMBERED)))
    if not writers[0].items and not part:
        raise UserError(
            f"no sentence of {stream_title(stream)} is left: {lines} lines, dropped {counts(dropped)}",
            " and ".join(files),
            remedy="Give text with words in it" + (", or a larger --max-length" if dropped["long"] else ""),
        )
    of_lines = {"lines": part["of"] if part else lines}
    about = ({"file": files[0], "bytes": of_bytes[0]} if stream["kind"] == "mono" else source) | of_lines
    if links:
        links.check(whole=not part)
    stream |= text_entry(stream, writers, unknown, about, dropped, counter, links)
    if part:
        stream["part"] = part
    return [
        f"{_share(u, w):.1%} of {language} in {stream_title(stream)} ({file}) is unknown, most often "
        + ", ".join(f"{piece} ({times})" for piece, times in bad.most_common(WORST_SHOWN))
        for u, w, bad, language, file in zip(unknown, writers, worst, languages, files)
        if _share(u, w) > max_unknown
    ]


def _share(unknown: int, writer: Writer) -> float:
    """``<unk>`` among a stream's pieces (``</s>`` is not a piece)."""
    return unknown / max(1, writer.tokens - writer.items)


def _place_dictionary(stream: dict[str, Any], update: FolderUpdate) -> None:
    """Check a dictionary and copy it into the staging folder."""
    source = Path(stream.pop("source")["files"][0])
    dictionary = Dictionary.load(source, update.tokenizer)
    languages = stream_languages(stream)
    own = (dictionary.source_language, dictionary.target_language)
    if own != languages:
        raise UserError(
            f"is of {' and '.join(own)}, not of {' and '.join(languages)}",
            source,
            1,
            f"Give it as --dictionary {pair_name(own)}={source}",
        )
    name = dictionary_name(stream)
    target = update.staging / name
    with update.disk_errors():
        target.parent.mkdir(exist_ok=True)
        with open_input(source) as opened:
            raw = opened.read()
        target.write_bytes(raw)
    stream["entries"] = len(dictionary)
    stream["dropped"] = {"duplicate": dictionary.duplicates} if dictionary.duplicates else {}
    stream["files"] = {name: {"size": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}}
    stream["source"] = {"file": str(source)}
