"""What a parser is: the contract of the parsers here, and the rows that they give."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from fairseq_xalign.data.formats.conllu import COLUMNS, DEPREL, FORM, HEAD, ID, MISC, UPOS

NO_SPACE = "SpaceAfter=No"
Rows = list[list[str]]
"""A sentence in the columns of CoNLL-U, as :class:`fairseq_xalign.data.formats.conllu.Sentence` has them."""


@dataclass(frozen=True)
class Unparsed:
    """A passage to parse.

    Attributes:
        words: its words, as white space separates them.
        attached: whether punctuation may be part of a word, as in running text; if not, the words are the tokens.
    """

    words: list[str]
    attached: bool


class Parser(Protocol):
    """What :mod:`preprocess.derive.parses` asks of a parser."""

    name: str
    """Name and version, for the record."""

    def parse(self, passages: Iterable[Unparsed]) -> Iterator[list[Rows]]:
        """Yield the sentences of each passage, in the order of the passages."""


def row(number: int, form: str, upos: str, head: int, deprel: str, attached: bool) -> list[str]:
    """A row of CoNLL-U; ``head`` counts from 1 and is 0 for the root, ``attached`` says that no space follows."""
    columns = ["_"] * COLUMNS
    columns[ID], columns[FORM], columns[UPOS] = str(number), form, upos or "_"
    columns[HEAD], columns[DEPREL] = str(head), deprel or "_"
    columns[MISC] = NO_SPACE if attached else "_"
    return columns
