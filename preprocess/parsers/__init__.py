"""Dependency parsers for running text: Stanza, as in ALIGN-MLM (Tang et al. 2022), or a spaCy pipeline trained here.

Both packages are optional. A parser takes passages of words and gives each back as the sentences that it found, in the
ten columns of CoNLL-U: tags and relations are those of Universal Dependencies, and ``SpaceAfter=No`` marks a token that
the next one is attached to, so that the words of the passage can be put together again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fairseq_xalign.data.formats.conllu import COLUMNS, DEPREL, FORM, HEAD, ID, MISC, UPOS
from fairseq_xalign.errors import UserError

NO_SPACE = "SpaceAfter=No"
STANZA = "stanza"
"""``--parser stanza``, or ``stanza:fr`` for the models of another language than English; else a folder of spaCy."""
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


def load_parser(name: str) -> Parser:
    """The parser that ``--parser`` names: ``stanza``, ``stanza:LANGUAGE`` or a folder of spaCy.

    Raises:
        UserError: if the package or the model is missing.
    """
    if name == STANZA or name.startswith(f"{STANZA}:"):
        from preprocess.parsers.stanza_parser import StanzaParser

        return StanzaParser(name.partition(":")[2] or "en")
    if not Path(name).is_dir():
        raise UserError(
            "no such parser",
            name,
            remedy="Name a folder that xalign-preprocess parser has written, or stanza, whose models are downloaded",
        )
    from preprocess.parsers.spacy_parser import SpacyParser

    return SpacyParser(name)
