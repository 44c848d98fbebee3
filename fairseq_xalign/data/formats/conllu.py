"""CoNLL-U treebanks (universaldependencies.org/format): words, tags and heads, read strictly.

A malformed line is an error with file and line. Ranges of multiword tokens (``1-2``) and empty nodes (``8.1``) are not
words: they are read, counted and left out, as taggers and XTREME do.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from fairseq_xalign.data.formats.blank import is_blank
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines

ID, FORM, LEMMA, UPOS, XPOS, FEATS, HEAD, DEPREL, DEPS, MISC = range(10)
COLUMNS = 10
RANGE = re.compile(r"[0-9]+-[0-9]+")
EMPTY_NODE = re.compile(r"[0-9]+\.[0-9]+")
SENTENCE_ID = re.compile(r"#\s*sent_id\s*=\s*(.+)")
OPEN_CLASS_TAGS = ("ADJ", "ADV", "INTJ", "NOUN", "PROPN", "VERB")
CLOSED_CLASS_TAGS = ("ADP", "AUX", "CCONJ", "DET", "NUM", "PART", "PRON", "SCONJ")
OTHER_TAGS = ("PUNCT", "SYM", "X")
UPOS_TAGS = frozenset((*OPEN_CLASS_TAGS, *CLOSED_CLASS_TAGS, *OTHER_TAGS))
"""The 17 universal tags, as universaldependencies.org/u/pos groups them."""
NO_TAG = "_"
MISSING_TAG = "X"
"""The tag of a word whose UPOS is ``_``, as XTREME's loader has it."""
UNTAGGED = f"words without tag, taken for {MISSING_TAG}"
"""Under this name such words are counted."""
OLDER_TAGS = {".": "PUNCT", "CONJ": "CCONJ", "PRT": "PART"}
"""Tags of the older universal set (Petrov et al. 2012) that UD names otherwise; its other nine are UD's."""
PART = r"(?P<part>(-[a-z0-9]+)*)"
"""What the name of a release's file has behind its split where there are several files of one (``train-c``,
``train-a-1``), as a regular expression."""
ORDER = "Number the words of each sentence 1, 2, 3, ..., and end it with an empty line"
HEADS = "A head is the id of a word of the sentence, 0 for its root, or _ for none"


@dataclass
class Sentence:
    """A sentence: its comments and the ten columns of each of its words.

    Attributes:
        line: the line of its first word.
        number: its place in the file, from 1.
        ranges, empty_nodes: how many rows of these kinds were left out.
        lines: the line of each word; empty in a sentence that was not read from a file.
    """

    line: int
    number: int
    comments: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    ranges: int = 0
    empty_nodes: int = 0
    lines: list[int] = field(default_factory=list, compare=False)

    def column(self, index: int) -> list[str]:
        """One column of all words."""
        return [row[index] for row in self.rows]

    @property
    def name(self) -> str:
        """Its ``sent_id``, or its number where it has none."""
        found = (SENTENCE_ID.match(comment) for comment in self.comments)
        return next((match[1].strip() for match in found if match), str(self.number))


def read(path: str | Path) -> Iterator[Sentence]:
    """Yield the sentences of a file.

    Raises:
        UserError: with file and line, for a row without ten columns, an empty form, ids that do
            not count 1, 2, 3..., a head that is no word of the sentence.
    """
    number = 1
    sentence = Sentence(0, number)
    for line, text in read_lines(path):
        if is_blank(text):
            if sentence.rows:
                _check_heads(sentence, path)
                yield sentence
                number += 1
            sentence = Sentence(0, number)
        elif text.startswith("#"):
            sentence.comments.append(text)
        else:
            _add_row(sentence, text, path, line)
    if sentence.rows:
        _check_heads(sentence, path)
        yield sentence


def tags(sentence: Sentence, path: str | Path, counts: Counter[str] | None = None) -> list[str]:
    """The UPOS tags of a sentence's words: ``_`` is ``X``, counted in ``counts`` under :data:`UNTAGGED`.

    Raises:
        UserError: for a tag that is none of UD's 17, with the line of its word.
    """
    found = sentence.column(UPOS)
    for tag, line in zip(found, sentence.lines):
        if tag not in UPOS_TAGS and tag != NO_TAG:
            raise unknown_tag(tag, path, line)
    if counts is not None:
        counts[UNTAGGED] += found.count(NO_TAG)
    return [MISSING_TAG if tag == NO_TAG else tag for tag in found]


def unknown_tag(tag: str, path: str | Path, line: int) -> UserError:
    """The error for a tag that UD does not have: what UD calls it, or which tags there are."""
    known = OLDER_TAGS.get(tag, tag.upper())
    remedy = (
        f"UD calls it {known}: rename it"
        if known in UPOS_TAGS
        else f"Map it to one of UD's: {', '.join(sorted(UPOS_TAGS))}, or _ for none"
    )
    return UserError(f"unknown UPOS tag {tag!r}", path, line, remedy)


def write(stream: IO[str], sentence: Sentence) -> None:
    """Write one sentence and the empty line after it."""
    for comment in sentence.comments:
        stream.write(comment + "\n")
    for row in sentence.rows:
        stream.write("\t".join(row) + "\n")
    stream.write("\n")


def _add_row(sentence: Sentence, text: str, path: str | Path, line: int) -> None:
    row = text.split("\t")
    if len(row) != COLUMNS:
        raise UserError(
            f"{len(row)} columns instead of {COLUMNS}", path, line, "CoNLL-U rows have ten columns separated by tabs"
        )
    if RANGE.fullmatch(row[ID]):
        sentence.ranges += 1
    elif EMPTY_NODE.fullmatch(row[ID]):
        sentence.empty_nodes += 1
    elif row[ID] != str(len(sentence.rows) + 1):
        raise UserError(f"word id {row[ID]!r} instead of {len(sentence.rows) + 1}", path, line, ORDER)
    elif is_blank(row[FORM]):
        raise UserError(
            "a word without a form", path, line, "The second column holds the word, or _ where it is unknown"
        )
    else:
        sentence.line = sentence.line or line
        sentence.rows.append(row)
        sentence.lines.append(line)
        if row[HEAD] != "_" and not row[HEAD].isdecimal():
            raise UserError(f"head {row[HEAD]!r} is not a number", path, line, HEADS)


def _check_heads(sentence: Sentence, path: str | Path) -> None:
    for row, line in zip(sentence.rows, sentence.lines):
        if row[HEAD] != "_" and int(row[HEAD]) > len(sentence.rows):
            raise UserError(
                f"word {row[ID]} has head {row[HEAD]} in a sentence of {len(sentence.rows)} words", path, line, HEADS
            )
