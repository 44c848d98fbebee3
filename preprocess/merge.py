"""Join the parts of a corpus that `xalign-preprocess binarize --shard` has made into one data folder.

The folder is the one that `binarize` would have made at once, byte by byte, manifest included. The parts may be named
in any order; all of them must be there, each once, and of the same text, vocabulary and --max-length. Their files are
compared with their checksums on the way. The parts stay as they are.

If the command is interrupted, the streams that are complete are kept in a hidden folder beside DATA, and the same
command goes on with the rest.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_xalign.cli import progress, say
from fairseq_xalign.constants import MANIFEST_FILE
from fairseq_xalign.data.lengths import LengthCounter
from fairseq_xalign.data.links import LINK_TYPE
from fairseq_xalign.data.manifest import (
    check_shard,
    links_prefix,
    read_manifest,
    size_problems,
    stream_prefixes,
    stream_title,
)
from fairseq_xalign.data.mmap import MappedTokens, Writer, dtype_for
from fairseq_xalign.errors import UserError, no_folder
from fairseq_xalign.files import sha256
from preprocess.parts import OWN_KEYS, Part, WrittenLinks, dictionary_name, links_name, text_entry, text_names
from preprocess.staging import FolderUpdate

ITEMS = 1 << 16
"""Sentences copied at a time."""
EXAMPLE = """examples:
  xalign-preprocess binarize --subword SUB --mono en=news.en --shard 1/2 --output PART1
  xalign-preprocess binarize --subword SUB --mono en=news.en --shard 2/2 --output PART2
  xalign-preprocess merge PART1 PART2 --output DATA"""
SAME_TEXT = ("of", "sha256", "max_length")
"""Fields of a stream's ``part`` that all parts share."""
LINKS_MADE = ("pieces", "words", "file")
"""Fields of a stream's ``links`` that all parts share."""
DAMAGED = "Copy the part again, or binarize it again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("shards", nargs="+", metavar="SHARD", help="Data folders made with --shard, in any order.")
    parser.add_argument("--output", required=True, metavar="DATA", help="Data folder to make.")
    parser.add_argument("--json", action="store_true", help="Print the report as JSON on stdout.")


def run(args: argparse.Namespace) -> int:
    """Join the folders that the command line names."""
    report = merge(args.shards, args.output)
    if args.json:
        json.dump(report, sys.stdout, indent=2)
        print()
    return 0


def merge(shards: Sequence[str | Path], output: str | Path) -> dict[str, Any]:
    """Join parts of a corpus into a new data folder, and return the report.

    Args:
        shards: all parts, in any order.
        output: the folder to make.

    Raises:
        UserError: a part that is missing, there twice, damaged or of something else; the output exists.
    """
    folder = Path(output)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError("exists already", folder, remedy="Name another --output, or remove it")
    parts = _in_order([(Path(shard), _manifest(Path(shard))) for shard in shards])
    _check_vocabularies(parts)
    streams = _check_streams(parts)
    made_of = hashlib.sha256(json.dumps([manifest for _, manifest in parts]).encode()).hexdigest()
    with FolderUpdate(output, parts[0][0], resume=made_of) as update:
        done = {stream_title(stream) for stream in update.streams}
        if done:
            say(f"{', '.join(sorted(done))}: merged before the interruption")
        for entries in streams:
            title = stream_title(entries[0])
            if title in done:
                continue
            sources = [(path, entry) for (path, _), entry in zip(parts, entries)]
            join = _join_dictionaries if entries[0]["kind"] == "dictionary" else _join_texts
            update.add(join(sources, update))
            size = update.streams[-1].get("sentences", update.streams[-1].get("entries"))
            say(f"{title}: {size:,} {'entries' if entries[0]['kind'] == 'dictionary' else 'sentences'}")
        manifest = update.commit()
    count = len(manifest["streams"])
    say(f"{output}: {count} stream{'s' * (count != 1)} of {len(parts)} parts")
    return {
        "output": str(output),
        "parts": [str(path) for path, _ in parts],
        "streams": [{k: v for k, v in stream.items() if k != "lengths"} for stream in manifest["streams"]],
    }


def _manifest(path: Path) -> dict[str, Any]:
    """The manifest of a part, whose files are there."""
    if not path.is_dir():
        raise no_folder(path, "Name the --output of `xalign-preprocess binarize --shard`")
    manifest = read_manifest(path)
    if not manifest.get("shard"):
        raise UserError(
            "is a whole corpus, not a part of one",
            path,
            remedy="Name folders made with `binarize --shard`; several whole folders are read as one as DATA/a:DATA/b",
        )
    check_shard(manifest, path / MANIFEST_FILE)
    for problem in size_problems(path, manifest):
        raise problem
    return manifest


def _in_order(found: list[tuple[Path, dict[str, Any]]]) -> list[tuple[Path, dict[str, Any]]]:
    """The parts by number: all of one whole, each once."""
    first, whole = found[0][0], Part(**found[0][1]["shard"]).of
    by_number: dict[int, tuple[Path, dict[str, Any]]] = {}
    for path, manifest in found:
        part = Part(**manifest["shard"])
        if part.of != whole:
            raise UserError(
                f"is {part.title}, but {first} is one of {whole}", path, remedy="Name the parts of one corpus"
            )
        if part.number in by_number:
            raise UserError(
                f"is {part.title}, and so is {by_number[part.number][0]}", path, remedy="Name every part once"
            )
        by_number[part.number] = path, manifest
    missing = [str(number) for number in range(1, whole + 1) if number not in by_number]
    if missing:
        raise UserError(
            f"{'parts' if len(missing) > 1 else 'part'} {', '.join(missing)} of {whole} missing",
            remedy=f"Name all of them; `binarize --shard {missing[0]}/{whole}` makes part {missing[0]}",
        )
    return [by_number[number] for number in sorted(by_number)]


def _check_vocabularies(parts: list[tuple[Path, dict[str, Any]]]) -> None:
    first, other = parts[0][0], parts[0][1]
    for path, manifest in parts:
        if (manifest["vocabulary"], manifest["tokenizer"]) != (other["vocabulary"], other["tokenizer"]):
            raise UserError(
                f"was made with another vocabulary ({manifest['vocabulary']['size']} symbols, tokenizer "
                f"{manifest['tokenizer']['sha256'][:12]}) than {first} ({other['vocabulary']['size']} symbols, "
                f"tokenizer {other['tokenizer']['sha256'][:12]})",
                path,
                remedy="Binarize all parts with the same subword folder",
            )


def _check_streams(parts: list[tuple[Path, dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """For each stream its entries in all parts, which must be of the same text."""
    first = parts[0][0]
    by_title = [{stream_title(stream): stream for stream in manifest["streams"]} for _, manifest in parts]
    for (path, _), streams in zip(parts, by_title):
        for title in [*by_title[0].keys() - streams.keys(), *streams.keys() - by_title[0].keys()]:
            here, there = (path, first) if title in streams else (first, path)
            raise UserError(f"has {title}, which {there} has not", here, remedy="Binarize the same in every part")
        for title, stream in streams.items():
            _check_same(title, (first, by_title[0][title]), (path, stream))
    return [[streams[title] for streams in by_title] for title in by_title[0]]


def _check_same(title: str, first: tuple[Path, dict[str, Any]], other: tuple[Path, dict[str, Any]]) -> None:
    """Refuse entries of one stream that were not made of the same text in the same way."""
    if other[1]["kind"] == "dictionary":
        sums = [[about["sha256"] for about in stream["files"].values()] for _, stream in (first, other)]
        if sums[0] != sums[1]:
            raise UserError(
                f"{title} is not that of {first[0]}", other[0], remedy="Binarize all parts with the same dictionary"
            )
        return
    mine, theirs = first[1]["part"], other[1]["part"]
    if mine["max_length"] != theirs["max_length"]:
        raise UserError(
            f"{title} was made with --max-length {theirs['max_length']}, but {mine['max_length']} in {first[0]}",
            other[0],
            remedy="Binarize all parts with the same options",
        )
    made = [
        {key: value for key, value in (stream.get("links") or {}).items() if key in LINKS_MADE[:2]}
        for _, stream in (first, other)
    ]
    if made[0] != made[1]:
        raise UserError(
            f"{title} was made with other links than in {first[0]}: {made[1] or 'none'} instead of {made[0] or 'none'}",
            other[0],
            remedy="Binarize all parts with the same options",
        )
    if any(mine[name] != theirs[name] for name in SAME_TEXT):
        raise UserError(
            f"{title} is a part of another text ({theirs['of']} lines, sha256 {theirs['sha256'][0][:12]}) than in "
            f"{first[0]} ({mine['of']} lines, sha256 {mine['sha256'][0][:12]})",
            other[0],
            remedy="Binarize all parts from the same files",
        )


def _join_texts(sources: list[tuple[Path, dict[str, Any]]], update: FolderUpdate) -> dict[str, Any]:
    """Write the text of all parts into the staging folder, and return its entry."""
    first = sources[0][1]
    stream = {key: first[key] for key in OWN_KEYS if key in first}
    names, dtype = text_names(stream), dtype_for(len(update.tokenizer))
    sides, links = len(names), None
    dropped, counter, unknown = Counter(empty=0), LengthCounter(len(names)), np.zeros(len(names), dtype=np.int64)
    with ExitStack() as stack:
        writers = [stack.enter_context(Writer(update.staging / name, dtype)) for name in names]
        if links_prefix(first):
            writer = stack.enter_context(Writer(update.staging / links_name(stream), LINK_TYPE))
            links = WrittenLinks(writer, {key: first["links"][key] for key in LINKS_MADE})
        total = sum(-(-entry["sentences"] // ITEMS) for _, entry in sources)
        for sizes, ids in progress(_blocks(sources), stream_title(stream), total):
            counter.add(np.stack(sizes[:sides], axis=1))
            for writer, flat, lengths in zip(writers, ids, sizes):
                writer.write_many(flat, lengths)
            if links:
                links.write(ids[sides], sizes[sides])
    if not writers[0].items:
        raise UserError(
            f"no sentence of {stream_title(stream)} is in any part", remedy="Binarize text with words in it"
        )
    for _, entry in sources:
        dropped.update(entry["dropped"])
        if links:
            links.dropped.update(entry["links"]["dropped"])
        unknown += np.asarray(entry["unknown"])
    return text_entry(stream, writers, unknown.tolist(), first["source"], dropped, counter, links)


def _blocks(sources: list[tuple[Path, dict[str, Any]]]) -> Iterator[tuple[list[np.ndarray], list[np.ndarray]]]:
    """Lengths and ids of some sentences of all sides (and of their links), one part after the other.

    Raises:
        UserError: a file whose checksum is not the one in its manifest.
    """
    for path, entry in sources:
        prefixes = [*stream_prefixes(entry), *filter(None, [links_prefix(entry)])]
        for prefix in prefixes:
            _check_sum(path, entry, f"{prefix}.idx", sha256(path / f"{prefix}.idx"))
        sides, digests = [MappedTokens(path / prefix) for prefix in prefixes], [hashlib.sha256() for _ in prefixes]
        for begin in range(0, entry["sentences"], ITEMS):
            sizes = [side.sizes[begin : begin + ITEMS] for side in sides]
            starts = [int(side.starts[begin]) for side in sides]
            ids = [
                side.tokens[start : start + int(lengths.sum(dtype=np.int64))]
                for side, start, lengths in zip(sides, starts, sizes)
            ]
            for digest, flat in zip(digests, ids):
                digest.update(np.ascontiguousarray(flat).data)
            yield sizes, ids
        for prefix, digest in zip(prefixes, digests):
            _check_sum(path, entry, f"{prefix}.bin", digest.hexdigest())


def _check_sum(path: Path, entry: dict[str, Any], name: str, found: str) -> None:
    if entry["files"][name]["sha256"] != found:
        raise UserError(
            f"was changed or damaged: its checksum is not the one in {MANIFEST_FILE}", path / name, remedy=DAMAGED
        )


def _join_dictionaries(sources: list[tuple[Path, dict[str, Any]]], update: FolderUpdate) -> dict[str, Any]:
    """Copy a dictionary, which all parts have, into the staging folder, and return its entry."""
    path, entry = sources[0]
    ((there, about),) = entry["files"].items()
    name = dictionary_name(entry)
    raw = (path / there).read_bytes()
    _check_sum(path, entry, there, hashlib.sha256(raw).hexdigest())
    with update.disk_errors():
        (update.staging / name).parent.mkdir(exist_ok=True)
        (update.staging / name).write_bytes(raw)
    return entry | {"files": {name: about}}
