"""Fingerprints of texts: equal for texts that differ in case, digits, punctuation or subword boundaries only.

A text that a batch holds twice is no negative example of itself, and neither is one that only spells it differently.
Ids alone do not tell this ("Hello" and "hello" may have no piece in common), so the letters of all pieces of a text
are hashed as one string, by a polynomial whose value does not depend on where the pieces are cut (Karp and Rabin,
"Efficient randomized pattern-matching algorithms", 1987), for all texts of a batch at once.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fairseq_xalign.objectives.batch import PackedBatch
from fairseq_xalign.objectives.random import mix

BASE = 0x5851F42D4C957F2D
"""What the polynomial is evaluated at: odd, so that no power of it is 0 modulo 2^64."""
IDS = 0x14057B7EF767814F
"""Added to fingerprints of texts without letters, which are made of ids."""
BYTE_PIECE = re.compile(r"<0x[0-9A-F]{2}>")
BYTE_SPACE = "\u0120"
"""How byte-level vocabularies write a space; every other character of theirs stands for a byte."""
KEPT_CATEGORIES = ("L", "M", "Co")
"""Letters, their marks, and the symbols of transliterated text."""


def letters(symbol: str, byte_level: bool = False) -> str:
    """The letters of a piece in lower case, without the marks of word boundaries, digits and punctuation."""
    if BYTE_PIECE.fullmatch(symbol):
        return chr(0x10FE00 + int(symbol[3:5], 16))  # a character that no text has, for each byte
    if byte_level:
        return "".join(c for c in symbol.casefold() if c.isalpha() or ord(c) > 127).replace(BYTE_SPACE.casefold(), "")
    folded = unicodedata.normalize("NFKC", symbol).casefold()
    return "".join(c for c in folded if unicodedata.category(c).startswith(KEPT_CATEGORIES))


@dataclass(frozen=True)
class Fingerprints:
    """Fingerprints of the sequences of a batch.

    Attributes:
        values: the polynomial over the letters of each piece, int64 [V].
        lengths: how many letters each piece has, int64 [V]; specials have none.
    """

    values: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, tokenizer: Any) -> Fingerprints:
        """Those of a tokenizer's pieces (``tokenizer.tokenizer.Tokenizer``)."""
        symbols = tokenizer.symbols()
        pieces = {*tokenizer.natural_ids, *tokenizer.derived_ids}
        byte_level = any(symbols[i].startswith(BYTE_SPACE) for i in tokenizer.natural_ids)
        found = [letters(symbol, byte_level) if i in pieces else "" for i, symbol in enumerate(symbols)]
        lengths = torch.tensor([len(text) for text in found], dtype=torch.int64)
        characters = torch.tensor([ord(c) for text in found for c in text], dtype=torch.int64)
        rows = torch.arange(len(found)).repeat_interleave(lengths)
        within = torch.arange(len(characters)) - (lengths.cumsum(0) - lengths)[rows]
        powers = _powers(int(lengths.max()) if len(lengths) else 0)
        values = torch.zeros(len(found), dtype=torch.int64).index_add(0, rows, mix(characters) * powers[within])
        return cls(values, lengths)

    def __call__(self, batch: PackedBatch) -> Tensor:
        """A fingerprint of each sequence, int64 [B] on the CPU; of texts without letters, one of their ids."""
        known = batch.on_host()
        assert known.tokens is not None
        tokens, starts = torch.from_numpy(known.tokens), torch.from_numpy(known.starts).long()
        sizes = starts[1:] - starts[:-1]
        lengths = self.lengths[tokens]  # [T]
        ends = _sums_up_to(lengths)
        total = ends[starts[1:]] - ends[starts[:-1]]  # [B]: letters of each sequence
        before = ends[:-1] - ends[starts[:-1]].repeat_interleave(sizes)  # [T]: letters of the sequence ahead of a token
        powers = _powers(max(int(total.max()), batch.longest) if len(total) else 0)
        sums = _sums_up_to(self.values[tokens] * powers[before])
        marks = mix(sums[starts[1:]] - sums[starts[:-1]] + total)
        for row in (total == 0).nonzero()[:, 0].tolist():  # rare
            ids = tokens[starts[row] : starts[row + 1]]
            marks[row] = mix((mix(ids) * powers[: len(ids)]).sum() + IDS)
        return marks


def _sums_up_to(values: Tensor) -> Tensor:
    """0, then the sum of the first 1, 2, ..., T values modulo 2^64, int64 [T + 1]."""
    return torch.cat([torch.zeros(1, dtype=torch.int64), values.cumsum(0)])


def pair_marks(first: Tensor, second: Tensor) -> Tensor:
    """A fingerprint of each pair of texts, int64 of their common shape, whatever the order of a pair."""
    return mix(mix(first) + mix(second))


@dataclass(frozen=True)
class KnownPairs:
    """Pairs of translations: the fingerprints of a corpus' pairs, ascending, int64 (``data.known_pairs``).

    ``differing`` says of either side whether it has two different texts.
    """

    marks: np.ndarray
    differing: tuple[bool, bool] = (True, True)

    def __len__(self) -> int:
        return len(self.marks)

    def has(self, first: Tensor, second: Tensor) -> np.ndarray:
        """Whether texts with these fingerprints [N] are known to translate each other, bool [N]."""
        if not len(self.marks):
            return np.zeros(len(first), dtype=bool)
        wanted = pair_marks(first, second).numpy()
        at = np.searchsorted(self.marks, wanted)
        return (at < len(self.marks)) & (self.marks[np.minimum(at, len(self.marks) - 1)] == wanted)


def _powers(largest: int) -> Tensor:
    """BASE ** 0, ..., BASE ** largest modulo 2^64, int64 [largest + 1]."""
    powers = torch.ones(1, dtype=torch.int64)
    while len(powers) <= largest:  # B^(n + i) = B^n B^i
        powers = torch.cat([powers, powers * (powers[-1] * BASE)])
    return powers[: largest + 1]
