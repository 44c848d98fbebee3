"""Dependency parsing with Stanza (Qi et al. 2020), as in ALIGN-MLM; models are downloaded when first used."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from fairseq_xalign.errors import UserError
from preprocess.parsers.interface import Rows, Unparsed, row

PROCESSORS = "tokenize,mwt,pos,lemma,depparse"
BATCH = 256
"""Passages that are parsed together."""


class StanzaParser:
    """Stanza's pipeline of a language.

    A token of several words (``don't``) is given back as one, with the tag and the head of its topmost word: the words
    of a passage stay as they are written.

    Args:
        language: such as ``en``.

    Raises:
        UserError: if the package is missing or its models cannot be downloaded.
    """

    def __init__(self, language: str = "en") -> None:
        try:
            import stanza
        except ImportError as error:
            raise UserError(
                "Stanza is not installed",
                remedy="Install it with pip install stanza, or train a parser with xalign-preprocess parser",
            ) from error
        self.name = f"stanza {stanza.__version__}: {language}"
        self._stanza = stanza
        self._language = language
        self._pipelines: dict[bool, Any] = {}

    def _pipeline(self, attached: bool) -> Any:
        if attached not in self._pipelines:
            try:
                self._pipelines[attached] = self._stanza.Pipeline(
                    self._language,
                    processors=PROCESSORS if attached else PROCESSORS.replace("mwt,", ""),
                    tokenize_pretokenized=not attached,
                    verbose=False,
                )
            except Exception as error:  # whatever the network or the hub raises
                raise UserError(
                    f"Stanza's models for {self._language!r} cannot be loaded: {error}",
                    remedy="Download them where there is a network (stanza.download), or train a parser with "
                    "xalign-preprocess parser",
                ) from error
        return self._pipelines[attached]

    def parse(self, passages: Iterable[Unparsed]) -> Iterator[list[Rows]]:
        """Yield the sentences of each passage."""
        for attached, group in itertools.groupby(passages, key=lambda passage: passage.attached):
            for batch in _batches(group):
                pipeline = self._pipeline(attached)
                if attached:
                    for document in pipeline.bulk_process([" ".join(passage.words) for passage in batch]):
                        yield [token_rows(sentence, document.text) for sentence in document.sentences]
                else:
                    sentences = pipeline([passage.words for passage in batch]).sentences
                    if len(sentences) != len(batch):
                        raise UserError(
                            f"{self.name} gave {len(sentences)} sentence{'s' * (len(sentences) != 1)} for {len(batch)} "
                            "passages whose words are given",
                            remedy="Train a parser with xalign-preprocess parser",
                        )
                    for sentence in sentences:
                        yield [token_rows(sentence)]


def token_rows(sentence: Any, text: str = "") -> Rows:
    """A sentence of Stanza, a row for each token.

    Args:
        sentence: of a document of Stanza.
        text: of the whole document, where it is seen after which tokens no space follows; empty for words that were
            given as tokens.
    """
    tokens = sentence.tokens
    token_of = {word.id: number for number, token in enumerate(tokens, 1) for word in token.words}
    rows = []
    for number, token in enumerate(tokens, 1):
        inside = {word.id for word in token.words}
        top = next(word for word in token.words if word.head not in inside)
        head = token_of[top.head] if top.head else 0
        attached = bool(text[token.end_char : token.end_char + 1].strip()) if text else False
        rows.append(row(number, token.text, top.upos, head, top.deprel, attached))
    return rows


def _batches(passages: Iterable[Unparsed]) -> Iterator[list[Unparsed]]:
    iterator = iter(passages)
    while batch := list(itertools.islice(iterator, BATCH)):
        yield batch
