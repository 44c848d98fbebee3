"""How many sentences, or pairs of sentences, there are of each length: counted when text is binarized.

A corpus of billions of pairs has some ten thousand different pairs of lengths at most. Hence what does not fit into a
sequence is counted from the manifest, in the same time for any amount of text, and not by reading all lengths. For
pairs the lengths of both sides are counted together, so that any limit on either side or on their sum can be applied
afterwards, exactly.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass

import numpy as np

from fairseq_xalign.data.mmap import MappedTokens

MOST_CELLS = 1 << 18
"""Text with more different lengths (pairs of lengths) than this gets no counts: the manifest must stay small."""
SIDE_BITS = 32
"""A length is an int32 in fairseq's index."""
CHUNK = 1 << 20
"""Sentences whose lengths are looked at together where a whole text is counted."""


@dataclass(frozen=True)
class LengthCounts:
    """Different lengths and how often each occurs.

    Attributes:
        lengths: tokens of each side, ``</s>`` included, different rows in ascending order, int64 [n, sides].
        counts: how many sentences or pairs have them, int64 [n].
    """

    lengths: np.ndarray
    counts: np.ndarray

    def swapped(self) -> LengthCounts:
        """Return the counts of the opposite direction: the last side first."""
        return LengthCounts(self.lengths[:, ::-1], self.counts)

    def __add__(self, other: LengthCounts) -> LengthCounts:
        counter = LengthCounter(self.lengths.shape[1])
        counter.add(self.lengths, self.counts)
        counter.add(other.lengths, other.counts)
        return counter.merged()

    def encode(self) -> str:
        """Return text for the manifest: columns of little-endian int64 (sides, then counts), by zlib and base64."""
        columns = np.concatenate([self.lengths, self.counts[:, None]], axis=1).T.astype("<i8")
        # Differences compress to a few bits: rows are sorted, and frequent lengths lie side by side.
        differences = np.diff(columns, axis=1, prepend=np.zeros((len(columns), 1), dtype="<i8")).astype("<i8")
        return base64.b64encode(zlib.compress(differences.tobytes(), 9)).decode("ascii")

    @classmethod
    def decode(cls, text: str, sides: int) -> LengthCounts:
        """Read what :meth:`encode` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            values = np.frombuffer(zlib.decompress(base64.b64decode(text, validate=True)), dtype="<i8")
        except (binascii.Error, zlib.error) as error:
            raise ValueError(f"no counts of lengths: {error}") from error
        columns = np.cumsum(values.reshape(sides + 1, -1), axis=1, dtype=np.int64)
        return cls(np.ascontiguousarray(columns[:-1].T), columns[-1])


class LengthCounter:
    """Counts lengths piece by piece; memory grows with the number of different lengths only."""

    def __init__(self, sides: int) -> None:
        assert sides in (1, 2), "the lengths of both sides share the bits of one number"
        self.sides = sides
        self._keys = self._counts = np.zeros(0, dtype=np.int64)
        self._too_many = False

    def add(self, lengths: np.ndarray, counts: np.ndarray | None = None) -> None:
        """Count some more; lengths [B, sides], and how often each of them occurs (once)."""
        if self._too_many or not len(lengths):
            return
        wide = lengths.astype(np.int64)
        keys = wide[:, 0] if self.sides == 1 else wide[:, 0] << SIDE_BITS | wide[:, 1]
        if counts is None:
            keys, counts = np.unique(keys, return_counts=True)
        self._keys, place = np.unique(np.concatenate([self._keys, keys]), return_inverse=True)
        summed = np.zeros(len(self._keys), dtype=np.int64)
        np.add.at(summed, place, np.concatenate([self._counts, counts]))
        self._counts = summed
        if len(self._keys) > MOST_CELLS:
            self._too_many = True
            self._keys = self._counts = self._keys[:0]

    def merged(self) -> LengthCounts:
        """Return what was counted, however much it is."""
        sides = [self._keys] if self.sides == 1 else [self._keys >> SIDE_BITS, self._keys & (1 << SIDE_BITS) - 1]
        return LengthCounts(np.stack(sides, axis=1), self._counts)

    def result(self) -> LengthCounts | None:
        """Return what was counted; None where there are more than ``MOST_CELLS`` different lengths."""
        return None if self._too_many else self.merged()


def count_lengths(sides: tuple[MappedTokens, ...]) -> LengthCounts | None:
    """Count the lengths of a text, or of a pair of texts, by reading all of them piece by piece."""
    counter = LengthCounter(len(sides))
    for begin in range(0, len(sides[0]), CHUNK):
        counter.add(np.stack([side.sizes[begin : begin + CHUNK] for side in sides], axis=1))
    return counter.result()
