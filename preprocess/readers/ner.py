"""Named entities in IOB2: a token and its tag a line, an empty line after each sentence.

Columns are divided by a tab (or one space). Universal NER's files, with the token's number before
and annotator columns after, are read too and written as two columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from fairseq_xalign.errors import UserError
from preprocess.readers.source import lines
from preprocess.readers.words import Change, Counts, Passage

SENTENCE_BY_SENTENCE = False
OUTSIDE = "O"
COMMENT = re.compile(r"# (?!(O|[BI]-\S+)$)[^\t]*$")
"""A comment, unless it is the token ``#`` and its tag."""


@dataclass
class Sentence:
    """Tokens and IOB2 tags; ``line`` is that of the first token, ``number`` counts from 1."""

    line: int
    number: int
    tokens: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)


def read(path: str | Path) -> Iterator[Sentence]:
    """Yield the sentences of a file, plain or ``.xz``."""
    sentence = Sentence(0, 1)
    for line, text in lines(path):
        if not text.strip():
            if sentence.tokens:
                yield sentence
                sentence = Sentence(0, sentence.number + 1)
            continue
        if COMMENT.match(text):
            continue
        token, tag = _columns(text, path, line)
        sentence.line = sentence.line or line
        sentence.tokens.append(token)
        sentence.tags.append(tag)
    if sentence.tokens:
        yield sentence


def _columns(text: str, path: str | Path, line: int) -> tuple[str, str]:
    columns = text.split("\t") if "\t" in text else text.split(" ")
    if len(columns) > 2 and columns[0].isdecimal():
        columns = columns[1:3]
    if len(columns) != 2 or not columns[0].strip():
        raise UserError("not a token and a tag", path, line, "Two columns divided by a tab: token, tag")
    token, tag = columns
    if tag != OUTSIDE and not (tag[:2] in ("B-", "I-") and tag[2:]):
        raise UserError(f"{tag!r} is not an IOB2 tag", path, line, "Tags are O, B-TYPE and I-TYPE")
    return token, tag


def spans(tags: list[str]) -> tuple[list[int], list[str], int]:
    """Number the entities of IOB2 tags.

    Returns:
        for each token the number of its entity (-1 outside); the entities' types; how many tags
        were ``I-`` without a beginning: these begin one, as the lenient CoNLL scorer reads them.
    """
    numbers: list[int] = []
    types: list[str] = []
    repaired = 0
    previous = OUTSIDE
    for tag in tags:
        if tag == OUTSIDE:
            numbers.append(-1)
        else:
            continues = tag[0] == "I" and previous != OUTSIDE and previous[2:] == tag[2:]
            if not continues:
                repaired += tag[0] == "I"
                types.append(tag[2:])
            numbers.append(len(types) - 1)
        previous = tag
    return numbers, types, repaired


def iob2(numbers: list[int], types: list[str]) -> list[str]:
    """The tags of numbered entities: the first token of each run is ``B-``, the others ``I-``."""
    tags = []
    previous = -1
    for number in numbers:
        tags.append(OUTSIDE if number < 0 else ("I-" if number == previous else "B-") + types[number])
        previous = number
    return tags


def derive(example: Sentence, change: Change, counts: Counts) -> Sentence:
    """The sentence in its new order; ``B I I`` read backwards (``I I B``) becomes ``B I I`` again."""
    numbers, types, repaired = spans(example.tags)
    counts["words"] += len(example.tokens)
    counts["entities"] += len(types)
    counts["I- tags without beginning repaired"] += repaired
    arrangement = change.arrange(Passage(example.tokens, (example.number,), attached=False, spans=numbers))
    moved = iob2([numbers[old] for old in arrangement.order], types)
    return Sentence(example.line, example.number, arrangement.words, moved)


def write(stream: IO[str], example: Sentence) -> None:
    """Write one sentence and the empty line after it."""
    for token, tag in zip(example.tokens, example.tags):
        stream.write(f"{token}\t{tag}\n")
    stream.write("\n")
