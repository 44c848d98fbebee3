"""Wikidata: the label and the description of each item in two languages (TPP, Mishra and Haghighi 2021, section 3.1).

Reads the JSON dump (``latest-all.json.gz`` or ``.bz2``) as a stream: an array with one item per line. A text is the
label, a space and the description. As in TPP's released code, an item counts whose two texts differ; here it must
have label and description in both languages. Decompression is the slow part of it, and nothing is kept in memory.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

from fairseq_xalign import cli
from fairseq_xalign.errors import UserError
from fairseq_xalign.inputs import open_input
from preprocess.pairs.interface import Wanted
from preprocess.parallel import map_in_order

CHUNK = 1 << 22
"""Bytes of items that a process parses at once."""
Chunk = list[tuple[int, bytes]]
Languages = tuple[str, str]
Found = tuple[list[tuple[Languages, str, str]], Counter[str]]
NO_TEXT = "item without label and description in both languages"


def read(files: list[str], wanted: Wanted) -> Iterator[tuple[str, str]]:
    """Yield the texts of every item that has two different ones.

    Raises:
        UserError: a line that is no item.
    """
    languages = ((wanted.source, wanted.target),)
    for path in files:
        for _, source, target in read_pairs(path, languages, wanted.workers, wanted.counts):
            yield source, target


def read_pairs(
    path: str, languages: tuple[Languages, ...], workers: int, counts: Counter[str]
) -> Iterator[tuple[Languages, str, str]]:
    """Yield (languages, text, text) for several pairs of languages, in one pass over the dump."""
    work = partial(parse, languages=languages, path=path)
    for pairs, more in map_in_order(_nothing, work, _chunks(path, languages, counts), workers):
        counts.update(more)
        yield from pairs


def _nothing() -> None:
    """Workers need no state."""


def _chunks(path: str, languages: tuple[Languages, ...], counts: Counter[str]) -> Iterator[Chunk]:
    """Lines that may have both languages; most items have only one of them, and parsing takes time."""
    names = [tuple(json.dumps(language).encode() + b":" for language in pair) for pair in languages]
    lines: Chunk = []
    size = 0
    item, opened = b"", False
    with open_input(path) as stream:
        for number, line in enumerate(stream, start=1):
            item = (line.removeprefix(BOM_UTF8) if number == 1 else line).strip().removesuffix(b",")
            if item in (b"[", b"]", b""):
                opened = opened or item == b"["
                continue
            possible = any(first in item and second in item for first, second in names)
            if not possible and item.startswith(b"{") and item.endswith(b"}"):
                counts[NO_TEXT] += len(languages)
                continue
            lines.append((number, item))
            size += len(item)
            if size >= CHUNK:
                yield lines
                lines, size = [], 0
    if lines:
        yield lines
    if opened and item != b"]":
        cli.say(f"{path}: its list is not closed by a line with ]: items after its last line may be missing")


def parse(_: None, lines: Chunk, languages: tuple[Languages, ...], path: str) -> Found:
    """The pairs of some lines, and what was left out."""
    pairs, counts = [], Counter[str]()
    named = {language for pair in languages for language in pair}
    for number, line in lines:
        try:
            item = json.loads(line)
            texts = {language: _text(item, language) for language in named}
        except (ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
            raise UserError(
                f"not an item of a JSON dump of Wikidata: {error}", path, number,
                remedy="Name a dump of https://dumps.wikimedia.org/wikidatawiki/entities/; of a download that was cut "
                "off, download the rest",
            ) from error  # fmt: skip
        for pair in languages:
            source, target = texts[pair[0]], texts[pair[1]]
            if source is None or target is None:
                counts[NO_TEXT] += 1
            elif source == target:
                counts["the same text in both languages"] += 1
            else:
                pairs.append((pair, source, target))
    return pairs, counts


def _text(item: dict[str, Any], language: str) -> str | None:
    """Label and description of an item, or None. An empty part is ``[]`` in the dump, not ``{}``."""
    parts = [(item.get(name) or {}).get(language) for name in ("labels", "descriptions")]
    return " ".join(part["value"] for part in parts if part is not None) if None not in parts else None
