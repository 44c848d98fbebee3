"""Check a data folder: its manifest, its checksums, every id, every pair of lines, and its dictionaries.

Each problem is reported with its file and a remedy; the exit status is 1 if there is any. --write-manifest adopts a
folder made by fairseq-preprocess with --dataset-impl mmap and the dict.txt of a subword folder: the folder is checked,
and if there are no problems, its manifest.json is written. First copy subword.json and the model file of the subword
folder into it, so that the data folder has a tokenizer. If you do so later, run --write-manifest again.

Translation with --task mnmt needs a <2xx> token per language, which such a folder does not have. Where it has a
tokenizer, --write-manifest adds these tokens for all languages of its bitext after all other ids, none of which
changes: --language-tokens names other languages, or none.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_xalign.cli import progress, say
from fairseq_xalign.constants import DICT_FILE, EOS, MANIFEST_FILE, SUBWORD_FILE, UNK
from fairseq_xalign.data.dictionary import Dictionary
from fairseq_xalign.data.fairseq_folder import FAIRSEQ_NAMES, fairseq_dict, fairseq_manifest
from fairseq_xalign.data.folder import load_tokenizer
from fairseq_xalign.data.lengths import count_lengths
from fairseq_xalign.data.links import link_problems
from fairseq_xalign.data.manifest import (
    links_prefix,
    read_manifest,
    size_problems,
    stream_languages,
    stream_prefixes,
    stream_title,
)
from fairseq_xalign.data.mmap import MappedTokens, bin_and_idx
from fairseq_xalign.errors import UserError, counted, no_folder
from fairseq_xalign.files import sha256, write_json
from fairseq_xalign.options import language_list, pair_name
from fairseq_xalign.tokenizer.growth import with_language_tokens
from fairseq_xalign.tokenizer.vocabulary import read_dict, symbols_sha256

ITEMS = 50_000
"""Items looked at together: bounds memory."""

EXAMPLE = f"""examples:
  xalign-preprocess check DATA
  xalign-preprocess check --write-manifest FAIRSEQ_DATA
  xalign-preprocess check --write-manifest --language-tokens en,de,fr FAIRSEQ_DATA

names of fairseq-preprocess that are recognised: {FAIRSEQ_NAMES}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("data", metavar="DATA", help="Data folder to check.")
    parser.add_argument("--write-manifest", action="store_true", help="Adopt a folder made by fairseq-preprocess.")
    parser.add_argument(
        "--language-tokens",
        metavar="XX,YY",
        help="Languages that get a <2xx> token with --write-manifest, separated by commas, or none (default: all "
        "languages of the folder's bitext).",
    )
    parser.add_argument("--json", action="store_true", help="Print the result as JSON on stdout.")


@dataclass(frozen=True)
class Report:
    """What a check found: the problems, the streams of the folder, and whether a manifest was written."""

    problems: list[UserError]
    streams: list[str]
    written: bool = False


def run(args: argparse.Namespace) -> int:
    """Check the folder; return 1 if anything is wrong with it."""
    path = Path(args.data)
    tokens = None if args.language_tokens is None else _token_list(args.language_tokens)
    report = check(path, write_manifest=args.write_manifest, language_tokens=tokens)
    problems = report.problems
    for problem in problems:
        say(f"problem: {problem}")
    found_problems = counted(len(problems), "problem") if problems else "no problem"
    written = f"; {MANIFEST_FILE} written" if report.written else ""
    say(f"{path}: {counted(len(report.streams), 'stream')}, {found_problems}{written}")
    if args.json:
        found = [{"what": p.what, "where": str(p.where or path), "line": p.line, "remedy": p.remedy} for p in problems]
        result = {
            "data": str(path),
            "ok": not problems,
            "written": report.written,
            "streams": report.streams,
            "problems": found,
        }
        json.dump(result, sys.stdout, indent=2, ensure_ascii=False)
        print()
    return 1 if problems else 0


def check(path: str | Path, *, write_manifest: bool = False, language_tokens: Sequence[str] | None = None) -> Report:
    """Check a data folder.

    Args:
        path: the folder.
        write_manifest: adopt a folder made by fairseq-preprocess, if nothing is wrong with it.
        language_tokens: languages that get a ``<2xx>`` token when the folder is adopted (default: those of its bitext).

    Raises:
        UserError: there is no such folder, or tokens are asked for without ``write_manifest``. What is wrong inside is
            reported, not raised.
    """
    path = Path(path)
    if language_tokens is not None and not write_manifest:
        raise UserError("--language-tokens changes the folder", path, remedy="Add --write-manifest")
    if not path.is_dir():
        raise no_folder(path, "Make it with `xalign-preprocess binarize --output`", "no such data folder")
    streams: list[dict[str, Any]] = []
    problems: list[UserError] = []
    written = placed = False
    try:
        if write_manifest:
            if not (path / MANIFEST_FILE).exists() and not (path / DICT_FILE).exists():  # a tokenizer needs this name
                shutil.copyfile(fairseq_dict(path), path / DICT_FILE)
                placed = True
            manifest = _adopted(path, tokens_only=bool(language_tokens))
        elif (path / MANIFEST_FILE).exists():
            manifest = read_manifest(path)
        else:
            manifest = fairseq_manifest(path)
            remedy = f"If fairseq-preprocess made this folder: xalign-preprocess check --write-manifest {path}"
            problems.append(UserError(f"there is no {MANIFEST_FILE}", path, remedy=remedy))
        streams = manifest["streams"]
        problems += find_problems(path, manifest)
        if write_manifest and not problems:
            _write_with_tokens(path, manifest, language_tokens)
            written = True
    except UserError as error:
        problems.append(error)
    finally:
        if placed and not written:
            (path / DICT_FILE).unlink(missing_ok=True)
    return Report(problems, [stream_title(stream) for stream in streams], written)


def find_problems(path: Path, manifest: dict[str, Any]) -> Iterator[UserError]:
    """Everything that is wrong with a folder, against its manifest; memory does not grow with the folder."""
    wrong_sizes = list(size_problems(path, manifest))
    yield from wrong_sizes
    cut = {Path(str(problem.where)) for problem in wrong_sizes}
    yield from _vocabulary_problems(path, manifest)
    for stream in progress(manifest["streams"], "check", len(manifest["streams"])):
        if not cut & {path / name for name in stream["files"]}:
            yield from _stream_problems(path, manifest, stream)


def _vocabulary_problems(path: Path, manifest: dict[str, Any]) -> Iterator[UserError]:
    try:
        file = fairseq_dict(path)
        symbols = read_dict(file)
    except UserError as error:
        yield error
        return
    about = manifest["vocabulary"]
    if len(symbols) != about["size"]:
        yield UserError(
            f"has {len(symbols)} ids, but {MANIFEST_FILE} says {about['size']}",
            file,
            remedy="Copy dict.txt again from the subword folder that the data folder was made with",
        )
    elif symbols_sha256(symbols) != about["sha256"]:
        yield UserError(f"has other symbols than {MANIFEST_FILE} was written for", file, remedy="Copy it again")
    if manifest.get("tokenizer") is None:
        return
    try:
        tokenizer = load_tokenizer(path)
    except UserError as error:
        yield error
        return
    if tokenizer.sha256 != manifest["tokenizer"]["sha256"]:
        yield UserError(
            f"is another tokenizer than the one {MANIFEST_FILE} names",
            path / SUBWORD_FILE,
            remedy="Copy the subword folder that the data folder was made with into it again",
        )
    yield from _disagreement(file, symbols, tokenizer.symbols())


def _disagreement(file: Path, symbols: list[str], expected: list[str]) -> Iterator[UserError]:
    """The first place where ``dict.txt`` and the tokenizer differ."""
    for number, (ours, theirs) in enumerate(zip(symbols, expected)):
        if ours != theirs:
            what = f"id {number} is {ours!r}, but the tokenizer says {theirs!r}"
            yield UserError(what, file, number - 3, "Use dict.txt and tokenizer of the same subword folder")
            return
    if len(symbols) != len(expected):
        what = f"has {len(symbols)} ids, but the tokenizer has {len(expected)}"
        yield UserError(what, file, remedy="Use dict.txt and tokenizer of the same subword folder")


def _stream_problems(path: Path, manifest: dict[str, Any], stream: dict[str, Any]) -> Iterator[UserError]:
    title = stream_title(stream)
    again = f"Binarize {title} again, or copy the file again if it was copied"
    for name, about in stream["files"].items():
        if about["sha256"] is not None and sha256(path / name) != about["sha256"]:
            yield UserError(
                f"its checksum is not the one in {MANIFEST_FILE}: it was changed", path / name, remedy=again
            )
    try:
        if stream["kind"] == "dictionary":
            yield from _dictionary_problems(path, manifest, stream)
            return
        sides = tuple(MappedTokens(path / prefix) for prefix in stream_prefixes(stream))
        lengths = [len(mapped) for mapped in sides]
        for side, (prefix, mapped) in enumerate(zip(stream_prefixes(stream), sides)):
            yield from _item_problems(mapped, manifest["vocabulary"]["size"], again)
            for key, found in measure(mapped).items():
                said = stream.get(key)
                said = said[side] if isinstance(said, list) else said
                if said is not None and said != found:
                    what = f"{key} are {found}, but {MANIFEST_FILE} says {said}"
                    yield UserError(what, bin_and_idx(path / prefix)[1], remedy=again)
        if len(set(lengths)) > 1:
            what = f"{title} has {' and '.join(map(str, lengths))} sentences, which cannot be translations line by line"
            yield UserError(what, path, remedy=f"Binarize {title} again")
            return
        if linked := links_prefix(stream):
            yield from link_problems(MappedTokens(path / linked), (sides[0], sides[1]), title, again)
        if "lengths" in stream and stream["lengths"] != encoded_lengths(sides):
            what = f"{MANIFEST_FILE} has other counts of the lengths of {title} than its files"
            yield UserError(what, path / MANIFEST_FILE, remedy=again)
    except UserError as error:
        yield error


def _dictionary_problems(path: Path, manifest: dict[str, Any], stream: dict[str, Any]) -> Iterator[UserError]:
    file = path / next(iter(stream["files"]))
    if manifest.get("tokenizer") is None:
        yield UserError("cannot be read without a tokenizer", file, remedy=f"Copy {SUBWORD_FILE} and the model here")
        return
    dictionary = Dictionary.load(file, load_tokenizer(path))
    again = f"Binarize with --dictionary {pair_name(stream_languages(stream))}=FILE again"
    if (dictionary.source_language, dictionary.target_language) != stream_languages(stream):
        yield UserError(f"is of other languages than {stream_title(stream)}", file, 1, again)
    # The first version counted repeated pairs too.
    if stream["entries"] not in (len(dictionary), len(dictionary) + dictionary.duplicates):
        yield UserError(
            f"has {len(dictionary)} entries, but {MANIFEST_FILE} says {stream['entries']}", file, remedy=again
        )


def _blocks(mapped: MappedTokens) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """(number of the first item, starts, sizes, ids) of some items at a time; the ids are those the sizes say."""
    place = 0
    for first in range(0, len(mapped), ITEMS):
        sizes = mapped.sizes[first : first + ITEMS].astype(np.int64)
        yield first, mapped.starts[first : first + ITEMS], sizes, mapped.tokens[place : place + int(sizes.sum())]
        place += int(sizes.sum())


def measure(mapped: MappedTokens) -> dict[str, int]:
    """What the manifest says of a side: sentences, tokens, longest, unknown."""
    return {
        "sentences": len(mapped),
        "tokens": len(mapped.tokens),
        "longest": max((int(sizes.max(initial=0)) for _, _, sizes, _ in _blocks(mapped)), default=0),
        "unknown": sum(int((ids == UNK).sum()) for _, _, _, ids in _blocks(mapped)),
    }


def encoded_lengths(sides: tuple[MappedTokens, ...]) -> str | None:
    """What the manifest says of the lengths of a text or a pair of texts."""
    counts = count_lengths(sides)
    return counts.encode() if counts else None


def _item_problems(mapped: MappedTokens, vocabulary: int, remedy: str) -> Iterator[UserError]:
    """The first item of each kind of fault."""
    bin_path, idx_path = bin_and_idx(mapped.prefix)
    place = 0
    seen: set[str] = set()
    for first, starts, sizes, ids in _blocks(mapped):
        expected = place + np.cumsum(sizes) - sizes
        place += int(sizes.sum())
        if (sizes < 0).any() or (starts != expected).any() or place > len(mapped.tokens):
            at = first + int(np.argmax((starts != expected) | (sizes < 0)))
            yield UserError(f"item {at} does not begin where the one before it ends", idx_path, remedy=remedy)
            return
        foreign = (ids >= vocabulary) | (ids < 0)
        if foreign.any() and "id" not in seen:
            seen.add("id")
            where = int(np.argmax(foreign))
            at = first + int(np.searchsorted(expected - expected[0], where, side="right")) - 1
            what = f"item {at} has id {ids[where]}, but the vocabulary ends at {vocabulary - 1}"
            yield UserError(
                what, bin_path, remedy="It was binarized with another vocabulary: binarize it with this one"
            )
        # An empty item has no end at all.
        last = mapped.tokens[np.maximum(expected + sizes - 1, 0)] if len(mapped.tokens) else np.zeros(len(sizes))
        endless = (sizes == 0) | (last != EOS)
        if endless.any() and "end" not in seen:
            seen.add("end")
            what = f"item {first + int(np.argmax(endless))} does not end with </s>"
            yield UserError(what, bin_path, remedy=remedy)


def _token_list(text: str) -> list[str]:
    """The value of ``--language-tokens``."""
    return [] if text.strip() == "none" else language_list(text, "--language-tokens")


def _write_with_tokens(path: Path, manifest: dict[str, Any], languages: Sequence[str] | None) -> None:
    """Write the manifest of a sound folder, after the ``<2xx>`` tokens that its vocabulary does not have yet.

    Subword folder and manifest are left as they were if anything fails.
    """
    chosen = languages
    if chosen is None:
        pairs = [stream_languages(s) for s in manifest["streams"] if s["kind"] == "bitext"]
        chosen = list(dict.fromkeys(name for pair in pairs for name in pair))
    if manifest.get("tokenizer") is None:
        if languages:
            raise UserError(
                "--language-tokens: this folder has no tokenizer to add them to",
                path / SUBWORD_FILE,
                remedy="Copy subword.json and the model file of the subword folder into it",
            )
        write_json(path / MANIFEST_FILE, manifest)
        return
    before = load_tokenizer(path)
    grown = with_language_tokens(before, chosen)
    if len(grown) == len(before):
        write_json(path / MANIFEST_FILE, manifest)
        return
    manifest["vocabulary"] = {"size": len(grown), "sha256": symbols_sha256(grown.symbols())}
    manifest["tokenizer"] = {"sha256": grown.sha256}
    try:
        grown.save_into(path)
        write_json(path / MANIFEST_FILE, manifest)
    except BaseException:
        before.save_into(path)
        raise
    added = " ".join(grown.symbols()[len(before) :])
    say(f"{path}: {added} added to the vocabulary, ids {len(before)} to {len(grown) - 1}; all other ids stay")


def _adopted(path: Path, tokens_only: bool = False) -> dict[str, Any]:
    """The manifest to write for a folder of fairseq-preprocess, or one of ours that has found a tokenizer.

    Args:
        tokens_only: whether a folder that has everything may get ``<2xx>`` tokens.
    """
    if (path / MANIFEST_FILE).exists():
        manifest = read_manifest(path)
        if manifest.get("tokenizer") is not None:
            if tokens_only:
                return manifest
            raise UserError(f"has a {MANIFEST_FILE} already", path, remedy="To check it, leave out --write-manifest")
    else:
        manifest = fairseq_manifest(path)
        for stream in progress(manifest["streams"], "checksums", len(manifest["streams"])):
            for name, about in stream["files"].items():
                about["sha256"] = sha256(path / name)
            sides = tuple(MappedTokens(path / prefix) for prefix in stream_prefixes(stream))
            if lengths := encoded_lengths(sides):
                stream["lengths"] = lengths
            unknown = [measure(side)["unknown"] for side in sides]
            stream["unknown"] = unknown if stream["kind"] == "bitext" else unknown[0]
            stream["source"] = {"made_by": "fairseq-preprocess"}
    if (path / SUBWORD_FILE).exists():
        manifest["tokenizer"] = {"sha256": load_tokenizer(path).sha256}
    else:
        say(
            f"{path} has no {SUBWORD_FILE}: it has no tokenizer and no <2xx> tokens until that and the model file are "
            "copied into it"
        )
    return manifest
