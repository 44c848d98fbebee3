"""Encode text with a subword folder and write it into a data folder.

Monolingual text is one sentence a line. Bitext is two files whose lines are translations of each other. Dictionaries
are those that `xalign-preprocess dictionary` writes. The data folder is made if it does not exist; otherwise the
streams are added to it (or take the place of those of the same name), provided that its vocabulary is the same.

Whatever happens, the folder is the old one or the new one, never a mixture. Empty lines, and pairs with an empty side,
are dropped and counted. Text of which too much becomes <unk> is refused: it was made for another vocabulary.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

from fairseq_xalign.cli import progress, say
from fairseq_xalign.constants import SPLITS
from fairseq_xalign.data.dictionary import Dictionary
from fairseq_xalign.data.manifest import LANGUAGE_NAME, stream_languages, stream_title
from fairseq_xalign.data.mmap import Writer, dtype_for
from fairseq_xalign.errors import UserError
from fairseq_xalign.inputs import open_input, regular
from fairseq_xalign.options import named_files
from preprocess.encoding import CHUNK_BYTES, WORDS_REMEMBERED, ChunkEncoder, count_lines, cut, encode_chunk
from preprocess.parallel import available_cores, map_in_order
from preprocess.staging import FolderUpdate

MAX_UNKNOWN = 0.05
"""The largest share of <unk> among the pieces of a text."""
WORST_SHOWN = 10

EXAMPLE = """example:
  xalign-preprocess binarize --subword SUB --split train --output DATA \\
    --mono en=news.en --mono de=news.de --bitext en-de=europarl.en,europarl.de"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--subword", required=True, metavar="DIR", help="subword folder (a data folder is one too)")
    parser.add_argument(
        "--mono", action="append", metavar="LANG=FILE", help="text, a sentence a line; repeat for more languages"
    )
    parser.add_argument(
        "--bitext",
        action="append",
        metavar="XX-YY=FILE,FILE",
        help="parallel text of XX and of YY; repeat for more pairs",
    )
    parser.add_argument(
        "--dictionary",
        action="append",
        metavar="XX-YY=FILE",
        help="dictionary made with this subword folder; repeatable",
    )
    parser.add_argument("--split", choices=SPLITS, default="train", help="what the text is for (default: %(default)s)")
    parser.add_argument("--output", required=True, metavar="DATA", help="data folder to make or to add to")
    parser.add_argument(
        "--workers",
        type=int,
        default=available_cores(),
        metavar="N",
        help="processes that encode (default: %(default)s)",
    )
    parser.add_argument(
        "--max-unknown",
        type=float,
        default=MAX_UNKNOWN,
        metavar="SHARE",
        help="refuse text of which a larger share of the pieces is <unk> (default: %(default)s)",
    )
    parser.add_argument(
        "--max-length", type=int, metavar="N", help="drop sentences of more ids, </s> included (default: keep all)"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON on stdout")


def run(args: argparse.Namespace) -> int:
    """Binarize what the command line names."""
    if args.workers < 1:
        raise UserError(f"--workers {args.workers}", remedy="Give at least 1")
    if not 0 <= args.max_unknown <= 1:
        raise UserError(f"--max-unknown {args.max_unknown} is not a share", remedy="Give a number from 0 to 1")
    if args.max_length is not None and args.max_length < 2:
        raise UserError(f"--max-length {args.max_length} leaves no sentence", remedy="Give at least 2")
    streams = [*_asked_text(args), *_asked_dictionaries(args)]
    if not streams:
        raise UserError("nothing to binarize", remedy="Give --mono, --bitext or --dictionary")
    with FolderUpdate(args.output, args.subword) as update:
        report, refused = [], []
        for stream in streams:
            began = time.perf_counter()
            if stream["kind"] == "dictionary":
                _place_dictionary(stream, update)
            else:
                refused += _write_text(stream, update, args)
            report.append(_report(stream, time.perf_counter() - began))
            if update.replaced(stream):
                say(f"{stream_title(stream)} takes the place of the one in {args.output}")
            update.add(stream)
            say(_report_line(report[-1]))
        if refused:
            raise UserError(
                "; ".join(refused),
                remedy=f"At most {args.max_unknown:.1%} may be: use a subword folder made for these languages and "
                "scripts, or raise --max-unknown. Nothing was written",
            )
        manifest = update.commit()
    say(f"{args.output}: {len(manifest['streams'])} streams, languages {', '.join(manifest['languages'])}")
    if args.json:
        json.dump({"output": args.output, "languages": manifest["languages"], "streams": report}, sys.stdout, indent=2)
        print()
    return 0


def _asked_text(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The streams of --mono and --bitext, with what is known before they are read; nothing is written yet."""
    seen: set[str] = set()
    for language, file in named_files(args.mono, "--mono"):
        stream = {"kind": "mono", "language": language, "split": args.split}
        yield _new(stream, [file], seen)
    for pair, files in named_files(args.bitext, "--bitext"):
        sides = files.split(",")
        if len(sides) != 2:
            raise UserError(f"--bitext {pair}={files} does not name two files", remedy="Write XX-YY=FILE,FILE")
        stream = {"kind": "bitext", **_pair(pair, "--bitext"), "split": args.split}
        stream = _new(stream, sides, seen)
        lines = [count_lines(side) for side in sides]
        if lines[0] != lines[1]:
            raise UserError(
                f"{sides[0]} has {lines[0]} lines, {sides[1]} has {lines[1]}",
                remedy="Line i of the one must translate line i of the other",
            )
        yield stream


def _asked_dictionaries(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for pair, file in named_files(args.dictionary, "--dictionary"):
        yield _new({"kind": "dictionary", **_pair(pair, "--dictionary")}, [file], seen)


def _pair(name: str, option: str) -> dict[str, str]:
    source, hyphen, target = name.partition("-")
    if not hyphen or not target or source == target:
        raise UserError(f"{option} {name!r} is not a pair of two languages", remedy="Write XX-YY")
    return {"source_language": source, "target_language": target}


def _new(stream: dict[str, Any], files: list[str], seen: set[str]) -> dict[str, Any]:
    """Judge a stream's names and files; it begins with its source."""
    for language in stream_languages(stream):
        if not LANGUAGE_NAME.fullmatch(language):
            raise UserError(
                f"{language!r} cannot be the name of a language",
                remedy="Use letters, digits and _, a letter first (zh_Hans): a hyphen separates a pair's languages",
            )
    title = stream_title(stream)
    if title in seen:
        raise UserError(f"{title} is given twice", remedy="Put its files together into one")
    seen.add(title)
    for file in files:
        open_input(file).close()
    return stream | {"source": {"files": files, "bytes": [regular(file).stat().st_size for file in files]}}


def _write_text(stream: dict[str, Any], update: FolderUpdate, args: argparse.Namespace) -> list[str]:
    """Encode a stream into the staging folder and complete its entry; the complaints about its share of ``<unk>``."""
    languages = stream_languages(stream)
    base = f"{stream['kind']}/{stream['split']}.{'-'.join(languages)}"
    names = [base] if len(languages) == 1 else [f"{base}.{language}" for language in languages]
    files = stream["source"]["files"]
    dtype = dtype_for(len(update.tokenizer))
    lines, unknown, dropped = 0, [0] * len(names), Counter(empty=0)
    worst: list[Counter[str]] = [Counter() for _ in names]
    chunks = map_in_order(
        partial(ChunkEncoder, args.subword, args.max_length), encode_chunk, cut(files, CHUNK_BYTES), args.workers
    )
    total = math.ceil(sum(stream["source"]["bytes"]) / CHUNK_BYTES)
    with ExitStack() as stack:
        writers = [stack.enter_context(Writer(update.staging / name, dtype)) for name in names]
        stack.enter_context(closing(chunks))  # ends the workers if writing fails
        for chunk in progress(chunks, stream_title(stream), total):
            lines += chunk.lines
            dropped.update(chunk.dropped)
            for side, writer in enumerate(writers):
                writer.write_many(chunk.flat[side], chunk.lengths[side])
                unknown[side] += chunk.unknown[side]
                worst[side].update(chunk.worst[side])
                if len(worst[side]) > 2 * WORDS_REMEMBERED:  # memory must not grow with the text
                    worst[side] = Counter(dict(worst[side].most_common(WORDS_REMEMBERED)))
    if not writers[0].items:
        raise UserError(
            f"no sentence of {stream_title(stream)} is left: {lines} lines, dropped {_counts(dropped)}",
            " and ".join(files),
            remedy="Give text with words in it" + (", or a larger --max-length" if args.max_length else ""),
        )
    tokens, longest = [w.tokens for w in writers], [w.longest for w in writers]
    mono = stream["kind"] == "mono"
    stream |= {"sentences": writers[0].items, "tokens": tokens[0] if mono else tokens}
    stream |= {"longest": longest[0] if mono else longest, "unknown": unknown[0] if mono else unknown}
    stream["files"] = {f"{n}{part}": w.files[part] for n, w in zip(names, writers) for part in (".bin", ".idx")}
    source = stream.pop("source")
    stream["source"] = ({"file": files[0], "bytes": source["bytes"][0]} if mono else source) | {"lines": lines}
    stream["dropped"] = dict(dropped)
    return [
        f"{_share(u, w):.1%} of {language} in {stream_title(stream)} ({file}) is unknown, most often "
        + ", ".join(f"{part} ({times})" for part, times in bad.most_common(WORST_SHOWN))
        for u, w, bad, language, file in zip(unknown, writers, worst, languages, files)
        if _share(u, w) > args.max_unknown
    ]


def _share(unknown: int, writer: Writer) -> float:
    """``<unk>`` among a stream's pieces (``</s>`` is not a piece)."""
    return unknown / max(1, writer.tokens - writer.items)


def _place_dictionary(stream: dict[str, Any], update: FolderUpdate) -> None:
    """Judge a dictionary and copy it into the staging folder."""
    source = Path(stream.pop("source")["files"][0])
    dictionary = Dictionary.load(source, update.tokenizer)
    languages = stream_languages(stream)
    if (dictionary.source_language, dictionary.target_language) != languages:
        raise UserError(
            f"is of {dictionary.source_language}-{dictionary.target_language}, not of {'-'.join(languages)}",
            source,
            1,
            f"Give it as --dictionary {dictionary.source_language}-{dictionary.target_language}={source}",
        )
    name = f"dictionary/{'-'.join(languages)}.tsv"
    target = update.staging / name
    with update.disk_errors():
        target.parent.mkdir(exist_ok=True)
        raw = source.read_bytes()
        target.write_bytes(raw)
    stream["entries"] = len(dictionary)
    stream["dropped"] = {"duplicate": dictionary.duplicates} if dictionary.duplicates else {}
    stream["files"] = {name: {"size": len(raw), "sha256": dictionary.sha256}}
    stream["source"] = {"file": str(source)}


def _report(stream: dict[str, Any], seconds: float) -> dict[str, Any]:
    """A stream's entry with the figures a person looks for."""
    if stream["kind"] == "dictionary":
        return dict(stream)
    tokens, unknown = ([v] if isinstance(v, int) else v for v in (stream["tokens"], stream["unknown"]))
    sentences = stream["sentences"]
    return stream | {
        "tokens_per_sentence": [n / sentences for n in tokens],
        "unknown_share": [u / max(1, n - sentences) for u, n in zip(unknown, tokens)],
        "seconds": seconds,
        "sentences_per_second": sentences * len(tokens) / seconds,
    }


def _report_line(about: dict[str, Any]) -> str:
    if about["kind"] == "dictionary":
        return f"{stream_title(about)}: {about['entries']:,} entries, dropped {_counts(about['dropped'])}"
    tokens = about["tokens"] if isinstance(about["tokens"], list) else [about["tokens"]]
    return (
        f"{stream_title(about)}: {about['sentences']:,} {'sentences' if len(tokens) == 1 else 'pairs'}, "
        f"{' + '.join(f'{n:,}' for n in tokens)} tokens "
        f"({' + '.join(f'{n:.1f}' for n in about['tokens_per_sentence'])} a sentence), "
        f"{' + '.join(f'{share:.2%}' for share in about['unknown_share'])} unknown, "
        f"dropped {_counts(about['dropped'])}; {about['sentences_per_second']:,.0f} sentences/s"
    )


def _counts(dropped: dict[str, int] | Counter[str]) -> str:
    return ", ".join(f"{n:,} {why}" for why, n in dropped.items() if n) or "none"
