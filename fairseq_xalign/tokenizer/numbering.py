"""Which id is what: the order of a vocabulary, and the ids that a published model has for the same symbols.

Our ids are the specials, the pieces, the transliterated copies of the pieces, the ``<2xx>`` tokens, and the symbols of
a published model that text never gives (``docs/design.md``, "Vocabulary"); tokens that were added later come last.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fairseq_xalign.constants import FIRST_PIECE, LANGUAGE_TOKEN, SPECIAL_SYMBOLS
from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.transliteration import reserved_symbol


class Numbering:
    """The ids of a vocabulary.

    Args:
        model: the subword model (``tokenizer/models.py``), whose ids are *foreign* ids.
        layout: what ``subword.json`` says: ``pieces``, ``languages``, ``language_tokens``, ``foreign_ids``,
            ``excluded`` and ``derived``.
        where: the file, for messages.

    Raises:
        UserError: layout and model do not agree.
    """

    def __init__(self, model: Any, layout: dict[str, Any], where: str | None = None) -> None:
        self.model = model
        self.pieces: int = layout["pieces"]
        self.languages: list[str] = list(layout["languages"])
        self.language_tokens: list[str] = list(layout["language_tokens"])
        self.derived: dict[str, Any] | None = layout["derived"]
        n, end = self.pieces, FIRST_PIECE + self.pieces
        self.natural_ids = range(FIRST_PIECE, end)
        self.derived_ids = range(end, end + n) if self.derived else range(0)
        excluded, first_token = list(layout["excluded"]), end + len(self.derived_ids)
        # Tokens that were added to a finished vocabulary follow the excluded symbols: no other id may move.
        early = excluded[0] - first_token if excluded else len(self.language_tokens)
        early = min(max(early, 0), len(self.language_tokens))
        self.excluded_ids = range(first_token + early, first_token + early + len(excluded))
        added = len(self.language_tokens) - early
        self._size = self.excluded_ids.stop + added
        self.language_ids = [*range(first_token, first_token + early), *range(self.excluded_ids.stop, self._size)]
        self._tokens = frozenset(self.language_ids)
        foreign = layout["foreign_ids"]
        self.foreign_ids: list[int | None] | None = None if foreign is None else list(foreign)
        self._check(layout, where)
        self._to_foreign = self._rows()
        self._from_foreign = {f: i for i, f in enumerate(self._to_foreign) if f is not None}
        self._symbols: list[str] | None = None
        self._numbers: dict[str, int] | None = None

    def __len__(self) -> int:
        return self._size

    def piece(self, number: int) -> str:
        """Return the symbol of an id."""
        return self.symbols()[number]

    def id(self, piece: str) -> int | None:
        """Return the id of a symbol, or None; a reserved symbol has its row in the derived half."""
        if self._numbers is None:
            self._numbers = {symbol: number for number, symbol in enumerate(self.symbols())}
        return self._numbers.get(piece)

    def symbols(self) -> list[str]:
        """Return all V symbols, index = id; ``dict.txt`` lists them from id 4."""
        if self._symbols is None:
            symbols: list[str] = list(SPECIAL_SYMBOLS)
            taken = {*symbols, *self.language_tokens}
            for number in (*self.natural_ids, *self.excluded_ids):
                foreign = self._to_foreign[number]
                assert foreign is not None
                symbol = self.model.piece(foreign)
                if "\n" in symbol or "\r" in symbol:  # would end a line of dict.txt
                    symbol = symbol.encode("unicode_escape").decode()
                while symbol in taken:
                    symbol = f"{symbol}#{foreign}"
                taken.add(symbol)
                symbols.append(symbol)
            copies = [reserved_symbol(i) for i in range(len(self.derived_ids))]
            end, early = self.natural_ids.stop, self.excluded_ids.start - self.natural_ids.stop - len(copies)
            tokens = self.language_tokens
            self._symbols = [*symbols[:end], *copies, *tokens[:early], *symbols[end:], *tokens[early:]]
        return self._symbols

    def language_id(self, language: str) -> int | None:
        """Return the id of ``<2language>``, or None if the vocabulary does not have it."""
        token = LANGUAGE_TOKEN.format(language)
        return self.language_ids[self.language_tokens.index(token)] if token in self.language_tokens else None

    def language_token(self, language: str) -> int:
        """Return the id of ``<2language>``; UserError if the vocabulary does not have it, naming those that it has."""
        number = self.language_id(language)
        if number is None:
            token = LANGUAGE_TOKEN.format(language)
            raise UserError(
                f"the vocabulary has no {token}, the token that asks for a translation into {language!r} (it has "
                f"{', '.join(self.language_tokens) or 'none'})",
                remedy=f"Choose a language that it has, or add one: `xalign-preprocess subword --language-tokens "
                f"{language},...` makes a vocabulary with such tokens, and `xalign-preprocess check --write-manifest "
                "DATA` adds them to a folder made by fairseq-preprocess",
            )
        return number

    def to_foreign(self, ids: Iterable[int]) -> list[int | None]:
        """Return the ids in the published model, its specials too; None for what is only ours (copies, ``<2xx>``)."""
        return [self._to_foreign[i] for i in ids]

    def from_foreign(self, ids: Iterable[int]) -> list[int]:
        """Return our ids for ids of the published model.

        Raises:
            KeyError: for an id that the model does not have.
        """
        return [self._from_foreign[i] for i in ids]

    def _check(self, layout: dict[str, Any], where: str | None) -> None:
        """Layout and model must agree: a damaged folder is found here, not by an index error in training."""
        problem = None
        if list(layout["excluded"]) != list(self.excluded_ids):
            problem = "the excluded ids are not where they should be"
        elif self.foreign_ids is None and self.model.specials() != {i: i for i in range(FIRST_PIECE)}:
            problem = "the model does not have our special symbols as ids 0 to 4, and no foreign ids are listed"
        elif self.foreign_ids is None and self.pieces != self.model.size - FIRST_PIECE:
            problem = f"{self.pieces} pieces are listed, but the model has {self.model.size - FIRST_PIECE}"
        elif self.foreign_ids is not None and len(self.foreign_ids) != len(self) - FIRST_PIECE:
            problem = f"{len(self.foreign_ids)} foreign ids are listed for {len(self) - FIRST_PIECE} ids"
        elif self.foreign_ids is not None and not {*self.foreign_ids} - {None} <= {*self.model.known()}:
            problem = "a foreign id is not in the model"
        elif self.foreign_ids is not None and None in self.foreign_ids[: self.pieces]:
            problem = "a piece has no foreign id"
        elif self.derived and not all(0 <= i < self.pieces for i in self.derived["kept"]):
            problem = "a kept piece is out of range"
        if problem:
            raise UserError(f"damaged subword description: {problem}", where, remedy="Make the folder again")

    def _rows(self) -> list[int | None]:
        """Foreign id by our id, [V]."""
        specials = self.model.specials()
        rows: list[int | None] = [specials.get(i) for i in range(FIRST_PIECE)]
        if self.foreign_ids is not None:
            return rows + self.foreign_ids
        return [*rows, *self.natural_ids, *([None] * (len(self) - self.natural_ids.stop))]
