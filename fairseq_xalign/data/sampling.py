"""Which sentence comes next: temperature sampling and permutations that are computed, not stored.

A draw is arithmetic: the whole state of the sampler is one counter per stream, whatever the size of the corpus.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.random import mix

FEISTEL_ROUNDS = 6


def temperature_probabilities(sizes: Sequence[float], temperature: float) -> np.ndarray:
    """Return p_l proportional to (n_l / sum n)^(1/T), float64 [number of sizes]: MMTE, section 2.2.

    T = 1 samples in proportion to size, T = infinity uniformly. Sizes of 0 are never drawn.

    Raises:
        UserError: for a temperature that is not positive, or when all sizes are 0.
    """
    if not temperature > 0:
        raise UserError(f"the sampling temperature must be above 0, not {temperature}")
    counts = np.asarray(sizes, dtype=np.float64)
    if counts.sum() <= 0:
        raise UserError("there is nothing to sample from: every size is 0", remedy="Give a text with sentences in it")
    weights = np.where(counts > 0, np.power(counts / counts.sum(), 1.0 / temperature), 0.0)
    if (
        not weights.sum() > 0
    ):  # a temperature near 0: every power is too small for a float, ratios to the largest are not
        weights = np.where(counts > 0, np.power(counts / counts.max(), 1.0 / temperature), 0.0)
    return weights / weights.sum()


def permute(indices: Tensor, size: int, key: int) -> Tensor:
    """Return where a keyed permutation of ``range(size)`` sends ``indices``; int64, same shape.

    The permutation is format-preserving: a balanced Feistel network over the next even power of two, applied again
    until the result lies inside the range (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002).
    It takes no memory, whatever the size, and at worst about four passes of the network per index on average.
    """
    if size <= 1:
        return torch.zeros_like(indices)
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    round_keys = mix(torch.arange(FEISTEL_ROUNDS, dtype=torch.int64) + key)
    result = indices.clone()
    pending = torch.ones_like(indices, dtype=torch.bool)
    while bool(pending.any()):
        left, right = result[pending] >> half, result[pending] & mask
        for round_key in round_keys:
            left, right = right, left ^ (mix(right ^ round_key) & mask)
        result[pending] = (left << half) | right
        pending = result >= size
    return result


class Quotas:
    """How many sequences each stream gives to each window; remainders are carried over.

    After w windows of W draws, stream s has given ``w * W * p_s`` sequences to within one: counts are not random, so
    that mixtures are exact in the short run too. The state of each stream is one integer (drawn so far) and one float
    (owed so far).
    """

    def __init__(self, probabilities: np.ndarray, window: int) -> None:
        self.probabilities, self.window = probabilities, window

    def next(self, owed: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The counts of the next window, int64 [streams], and the new ``owed``, float64."""
        owed = owed + self.window * self.probabilities
        due = owed - drawn
        counts = np.maximum(np.floor(due), 0).astype(np.int64)
        missing = self.window - int(counts.sum())
        if missing > 0:
            # Largest remainders first; a stable sort makes ties the same everywhere.
            order = np.argsort(-(due - counts), kind="stable")
            order = order[self.probabilities[order] > 0]
            counts[order[:missing]] += 1
        return counts, owed
