"""Texts with hidden pieces: as ids, and as text again with a piece filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fairseq_xalign.constants import MASK, MASK_SYMBOL
from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.framing import Frame
from fairseq_xalign.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class Filled:
    """What a hidden piece could be.

    Attributes:
        piece: as the vocabulary writes it.
        text: the whole text with this piece filled in; where several are hidden, the others stay ``<mask>``.
        probability: of this piece among all symbols of the vocabulary.
    """

    piece: str
    text: str
    probability: float


@dataclass(frozen=True)
class MaskedTexts:
    """Reads and writes texts with hidden pieces.

    Attributes:
        limit: longest input in pieces, ``frame`` included.
    """

    tokenizer: Tokenizer
    frame: Frame
    limit: int

    def row(self, text: str, mask: str, name: str) -> list[int]:
        """The ids of a text in which ``mask`` stands for a hidden piece.

        Raises:
            UserError: it has none, or is too long: what is cut off could be the mask.
        """
        if not mask or mask not in text:
            raise UserError(f"{name} has no {mask or 'mask'}", remedy=f"Write {mask or MASK_SYMBOL} for a hidden piece")
        ids: list[int] = []
        for part in text.split(mask):
            ids += [*self.tokenizer.encode(part), MASK]
        ids.pop()  # there is one mask less than parts
        room = self.limit - self.frame.extra
        if len(ids) > room:
            raise UserError(f"{name} has {len(ids)} pieces, more than {room}", remedy="Shorten it around the mask")
        return self.frame.around(ids)

    def filled(
        self, row: Sequence[int], tokens: Sequence[int], probabilities: Sequence[float], hole: int
    ) -> list[Filled]:
        """The candidates ``tokens`` for the place ``hole`` of a row."""
        texts = [self._text([*row[:hole], token, *row[hole + 1 :]]) for token in tokens]
        pieces = map(self.tokenizer.piece, tokens)
        return [Filled(*found) for found in zip(pieces, texts, probabilities)]

    def _text(self, row: Sequence[int]) -> str:
        parts: list[list[int]] = [[]]
        for i in row[self.frame.before : len(row) - len(self.frame.end)]:
            if i == MASK:
                parts.append([])
            else:
                parts[-1].append(i)
        return f" {MASK_SYMBOL} ".join(map(self.tokenizer.decode, parts)).strip()


def holes(row: Sequence[int]) -> list[int]:
    """The places of a row's hidden pieces."""
    return [place for place, token in enumerate(row) if token == MASK]
