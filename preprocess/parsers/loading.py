"""The parser that ``--parser`` names."""

from __future__ import annotations

from pathlib import Path

from fairseq_xalign.errors import UserError
from preprocess.parsers.interface import Parser

STANZA = "stanza"
"""``--parser stanza``, or ``stanza:fr`` for the models of another language than English; else a folder of spaCy."""


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
