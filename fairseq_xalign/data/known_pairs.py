"""The fingerprints of all pairs of a training text, which no negative example may be: 8 bytes for each pair."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from fairseq_xalign.constants import BOS
from fairseq_xalign.data.collate import as_batch
from fairseq_xalign.data.mmap import MappedTokens
from fairseq_xalign.data.streams import copy_ranges
from fairseq_xalign.objectives.fingerprint import Fingerprints, KnownPairs, pair_marks

CHUNK = 1 << 15
"""Pairs whose fingerprints are computed at once."""


def known_pairs(bitexts: Iterable[tuple[MappedTokens, MappedTokens]], fingerprints: Fingerprints) -> KnownPairs:
    """Read bitexts once, and remember their pairs; both orders of a pair are the same."""
    found = [np.zeros(0, dtype=np.int64)]
    for sides in bitexts:
        for begin in range(0, len(sides[0]), CHUNK):
            units = np.arange(begin, min(begin + CHUNK, len(sides[0])))
            found.append(np.unique(pair_marks(*(_marks(side, units, fingerprints) for side in sides)).numpy()))
    return KnownPairs(np.unique(np.concatenate(found)))


def _marks(side: MappedTokens, units: np.ndarray, fingerprints: Fingerprints) -> torch.Tensor:
    """Fingerprints of some sentences, laid out as batches have them: ``<s> x </s>``."""
    sizes = side.sizes[units].astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(1 + sizes)])
    tokens = np.full(starts[-1], BOS, dtype=np.int64)
    copy_ranges(side.tokens, side.starts[units], sizes, tokens, starts[:-1] + 1)
    nothing = np.zeros(0, dtype=np.int64)
    return fingerprints(as_batch(tokens, starts, nothing, nothing))
