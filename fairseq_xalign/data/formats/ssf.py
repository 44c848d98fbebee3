"""Named entities in the Shakti Standard Format (SSF), as the shared task of IJCNLP 2008 has them (SSEA-2008).

The task on South and South East Asian languages (Hindi, Bengali, Oriya, Telugu, Urdu) marks entities as brackets, which
may stand within each other (here with spaces for tabs)::

    <Sentence id="209">
    0  ((  SSF
    6  ((  NP  <ne=NEP>
    6.1  ((  NP  <ne=NED>
    6.1.1  شہنشاہ
        ))
    6.2  ((  NP  <ne=NEP>
    6.2.1  اکبر
        ))
        ))
    7  نے
        ))
    </Sentence>

One tag per token has no place for entities within entities: the outermost one is kept, the others are counted.
Brackets are followed, and addresses (``6.1.1``) are not: in the original files some of them are wrong.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from fairseq_xalign.data.formats.blank import SPACES, is_blank
from fairseq_xalign.data.formats.columns import OUTSIDE, Sentence
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines

MARKUP = re.compile(r"\s*</?(?P<name>[A-Za-z]+)[^\t]*>\s*")
"""A line of its own, such as ``<Sentence id="209">``; a token has its address first."""
FIRST = re.compile(r"\s*(<(Story|Sentence|document)\b[^\t]*>|0\t\(\(\tSSF\b.*)\s*")
ADDRESS = re.compile(r"[0-9]+(\.[0-9]+)*")
TYPE = re.compile(r"NE[A-Z]+")
"""An entity's type: NEP for persons, NEL for locations, ...; the files have ``<ne=/NEO=>`` and the like, too."""
OPEN, CLOSE, SENTENCE = "((", "))", "Sentence"
LAYOUT = "A line of SSF is an address, a tab and a token, or an address, a tab and (( to begin a chunk, or )) to end it"


def is_ssf(path: str | Path) -> bool:
    """Whether a file begins as one in SSF does."""
    first = next((text for _, text in read_lines(path) if not is_blank(text)), "")
    return FIRST.fullmatch(first) is not None


class _Brackets:
    """The chunks that are open at a place of a sentence."""

    def __init__(self, counts: Counter[str]) -> None:
        self.counts = counts
        self.open: list[str] = []  # the type of each open chunk; an empty text for one that is no entity
        self.tag = OUTSIDE  # of the next token

    def begin(self, kind: str) -> None:
        if kind and any(self.open):
            self.counts["entities within entities left out"] += 1
        elif kind:
            self.tag = f"B-{kind}"
        self.open.append(kind)

    def end(self) -> None:
        if not self.open:
            self.counts["closing brackets without an opening one skipped"] += 1
            return
        self.open.pop()
        if not any(self.open):
            self.tag = OUTSIDE

    def next_tag(self) -> str:
        """The tag of the next token."""
        tag = self.tag
        if tag != OUTSIDE:
            self.tag = f"I-{tag[2:]}"
        return tag


def read(path: str | Path, counts: Counter[str]) -> Iterator[Sentence]:
    """Yield the sentences of a file with IOB2 tags; what is left out or repaired goes into ``counts``.

    Raises:
        UserError: with file and line, for a line that is none of the format's.
    """
    number = 0
    sentence, brackets = Sentence(0, 1), _Brackets(counts)
    for line, text in read_lines(path):
        fields = text.split("\t")
        markup = MARKUP.fullmatch(text)
        if markup and markup["name"] == SENTENCE:
            number += bool(sentence.tokens)
            yield from _finished(sentence, brackets)
            sentence, brackets = Sentence(0, number + 1), _Brackets(counts)
        elif is_blank(text) or markup:
            continue
        elif text.strip(SPACES) == CLOSE:
            brackets.end()
        elif len(fields) < 2 or not ADDRESS.fullmatch(fields[0].strip(SPACES)) or is_blank(fields[1]):
            raise UserError(f"not a line of SSF: {text.strip(SPACES)[:40]!r}", path, line, LAYOUT)
        elif fields[1].strip(SPACES) == OPEN:
            brackets.begin(_entity(fields[3:], counts))
        else:
            sentence.line = sentence.line or line
            sentence.tokens.append(fields[1].strip(SPACES))
            sentence.tags.append(brackets.next_tag())
            sentence.lines.append(line)
    yield from _finished(sentence, brackets)


def _entity(attributes: list[str], counts: Counter[str]) -> str:
    """The type of a chunk; an empty text where it is no entity."""
    said = "\t".join(attributes)
    found = TYPE.search(said)
    if found is None and "ne=" in said:
        counts["entities without a type left out"] += 1
    return found[0] if found else ""


def _finished(sentence: Sentence, brackets: _Brackets) -> Iterator[Sentence]:
    """The sentence, if it has tokens."""
    if any(brackets.open):
        brackets.counts["entities closed by the end of their sentence"] += 1
    if sentence.tokens:
        yield sentence
