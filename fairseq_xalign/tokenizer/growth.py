"""Vocabularies that grow by ``<2xx>`` tokens after all other ids, so that whatever was made with them stays valid."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fairseq_xalign.constants import LANGUAGE_TOKEN
from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.tokenizer import Tokenizer


def with_language_tokens(tokenizer: Tokenizer, languages: Iterable[str]) -> Tokenizer:
    """Return a tokenizer with ``<2xx>`` tokens of further languages after all other ids, none of which changes.

    Args:
        tokenizer: the tokenizer to extend; it stays as it is.
        languages: languages; those that have a token already are passed over.

    Raises:
        UserError: a piece of the vocabulary has the name of such a token.
    """
    tokens = [LANGUAGE_TOKEN.format(name) for name in dict.fromkeys(languages)]
    new = [token for token in tokens if token not in tokenizer.language_tokens]
    taken = next((token for token in new if tokenizer.id(token) is not None), None)
    if taken is not None:
        raise UserError(
            f"the vocabulary has a piece {taken!r} already (id {tokenizer.id(taken)})",
            remedy="Use another code for the language, or another vocabulary",
        )
    foreign = tokenizer.foreign_ids
    layout = tokenizer.description() | {
        "language_tokens": [*tokenizer.language_tokens, *new],
        "foreign_ids": None if foreign is None else [*foreign, *([None] * len(new))],
    }
    return Tokenizer(tokenizer.kind, tokenizer.model_bytes, layout)


def extends(grown: Tokenizer, original: Tokenizer) -> bool:
    """Whether ``grown`` is ``original``, or ``original`` with further ``<2xx>`` tokens: no id of it has changed."""
    count = len(original.language_tokens)
    return grown.sha256 == original.sha256 or (
        len(grown) > len(original)
        and grown.language_tokens[:count] == original.language_tokens
        and grown.symbols()[: len(original)] == original.symbols()
        and _encodes_as(grown) == _encodes_as(original)
    )


def _encodes_as(tokenizer: Tokenizer) -> tuple[Any, ...]:
    """What decides, besides the symbols, which ids a text has."""
    kept = None if tokenizer.derived is None else tokenizer.derived["kept"]
    return tokenizer.kind, tokenizer.model_bytes, kept, bool(tokenizer.options.get("lowercase", False))
