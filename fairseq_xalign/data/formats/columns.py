"""Tokens and tags in columns: named entities in IOB2, a token and its tag per line, an empty line after each sentence.

Columns are separated by a tab, or by spaces. Universal NER's files are read too: the token's number, the token, its
tag, and columns about the annotators. Comments (``# text = ...``) and CoNLL's ``-DOCSTART-`` lines are not tokens: they
are counted and left out. Any character but white space of ASCII is a token, U+00A0 too (PAN-X has such tokens).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from fairseq_xalign.data.formats.blank import SPACES, is_blank
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines

OUTSIDE = "O"
IOB2_TAG = re.compile(r"O|[BI]-.+")
COMMENT = re.compile(r"# (?!(O|[BI]-\S+)\s*$)[^\t]*$")
"""A comment, unless it is the token ``#`` and its tag."""
DOCUMENT = "-DOCSTART-"
LAYOUT = "Write two columns separated by a tab: token, tag. Of a file with more columns, cut -f chooses two"


@dataclass
class Sentence:
    """A sentence: its tokens and IOB2 tags.

    Attributes:
        line: the line of the first token.
        number: its place in the file, from 1.
        lines: the line of each token; empty in a sentence that was not read from a file.
        comments, documents: how many comments and ``-DOCSTART-`` lines before or in it were left out.
    """

    line: int
    number: int
    tokens: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list, compare=False)
    comments: int = field(default=0, compare=False)
    documents: int = field(default=0, compare=False)


def read(path: str | Path) -> Iterator[Sentence]:
    """Yield the sentences of a file.

    Raises:
        UserError: with file and line, for a line that is not a token and a tag, and for a tag that is not IOB2.
    """
    sentence = Sentence(0, 1)
    for line, text in read_lines(path):
        if is_blank(text):
            if sentence.tokens:
                yield sentence
                sentence = Sentence(0, sentence.number + 1)
        elif COMMENT.match(text):
            sentence.comments += 1
        elif re.split("[\t ]", text, maxsplit=1)[0] == DOCUMENT:
            sentence.documents += 1
        else:
            token, tag = _token_and_tag(text, len(sentence.tokens) + 1, path, line)
            sentence.line = sentence.line or line
            sentence.tokens.append(token)
            sentence.tags.append(tag)
            sentence.lines.append(line)
    if sentence.tokens:
        yield sentence


def write(stream: IO[str], sentence: Sentence) -> None:
    """Write one sentence in two columns, and the empty line after it."""
    for token, tag in zip(sentence.tokens, sentence.tags):
        stream.write(f"{token}\t{tag}\n")
    stream.write("\n")


def check_tag(tag: str, path: str | Path, line: int, what: str = "") -> None:
    """Refuse a tag that is neither ``O``, ``B-TYPE`` nor ``I-TYPE``; ``what`` says which of a line's tags it is."""
    if not IOB2_TAG.fullmatch(tag):
        raise UserError(
            f"tag {tag!r}{what} is not an IOB2 tag",
            path,
            line,
            "Named-entity tags are O, B-TYPE and I-TYPE; for parts of speech use --task pos",
        )


def _token_and_tag(text: str, place: int, path: str | Path, line: int) -> tuple[str, str]:
    """The token and the tag of a line; ``place`` is the number that Universal NER's first column would have."""
    columns = text.split("\t") if "\t" in text else re.split(" +", text.strip(" "))
    if len(columns) > 2 and "\t" in text and columns[0] == str(place):
        columns = columns[1:3]
    if len(columns) != 2 or is_blank(columns[0]):
        raise UserError(f"not a token and a tag: {len(columns)} columns", path, line, LAYOUT)
    token, tag = columns[0], columns[1].strip(SPACES)
    check_tag(tag, path, line)
    return token, tag
