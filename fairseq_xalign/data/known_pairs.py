"""The fingerprints of all pairs of a training text, which no negative example may be: 8 bytes on disk for each pair."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from fairseq_xalign.constants import BOS
from fairseq_xalign.data.collate import as_batch
from fairseq_xalign.data.mmap import MappedTokens
from fairseq_xalign.data.streams import copy_ranges
from fairseq_xalign.objectives.fingerprint import Fingerprints, KnownPairs, pair_marks

CHUNK = 1 << 15
"""Pairs whose fingerprints are computed at once."""
BUCKETS = 64
"""Files that fingerprints are dealt into by their first bits: memory holds one of them at a time."""


def known_pairs(bitexts: Iterable[tuple[MappedTokens, MappedTokens]], fingerprints: Fingerprints) -> KnownPairs:
    """Read bitexts once, and remember their pairs; both orders of a pair are the same.

    They are sorted in temporary files and mapped from there; the files are gone with the process, however it ends.
    """
    with tempfile.TemporaryDirectory(prefix="xalign-pairs-") as name:
        folder = Path(name)
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context((folder / str(bucket)).open("wb")) for bucket in range(BUCKETS)]
            found = (_Texts(), _Texts())
            for sides in bitexts:
                for begin in range(0, len(sides[0]), CHUNK):
                    units = np.arange(begin, min(begin + CHUNK, len(sides[0])))
                    texts = [_marks(side, units, fingerprints) for side in sides]
                    for seen, of_side in zip(found, texts):
                        seen.add(of_side)
                    marks = np.unique(pair_marks(*texts).numpy())
                    ends = np.searchsorted(_bucket(marks), np.arange(BUCKETS), side="right")
                    for file, part in zip(files, np.split(marks, ends[:-1])):
                        part.tofile(file)
        result = folder / "sorted"
        with result.open("wb") as file:
            for bucket in range(BUCKETS):
                np.unique(np.fromfile(folder / str(bucket), dtype=np.int64)).tofile(file)
        if not result.stat().st_size:
            return KnownPairs(np.zeros(0, dtype=np.int64), (False, False))
        return KnownPairs(np.memmap(result, dtype=np.int64, mode="r"), (found[0].differ, found[1].differ))


class _Texts:
    """Whether the texts of one side differ."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.differ = False

    def add(self, marks: torch.Tensor) -> None:
        if self.first is None:
            self.first = int(marks[0])
        self.differ = self.differ or bool((marks != self.first).any())


def _bucket(marks: np.ndarray) -> np.ndarray:
    """The number of each fingerprint's file; files in turn hold larger and larger fingerprints."""
    return (marks >> 58) + BUCKETS // 2


def _marks(side: MappedTokens, units: np.ndarray, fingerprints: Fingerprints) -> torch.Tensor:
    """Fingerprints of some sentences, laid out as batches have them: ``<s> x </s>``."""
    sizes = side.sizes[units].astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(1 + sizes)])
    tokens = np.full(starts[-1], BOS, dtype=np.int64)
    copy_ranges(side.tokens, side.starts[units], sizes, tokens, starts[:-1] + 1)
    nothing = np.zeros(0, dtype=np.int64)
    return fingerprints(as_batch(tokens, starts, nothing, nothing))
