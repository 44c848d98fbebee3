"""Which sentence comes next: temperature sampling and permutations that are computed, not stored.

A draw is arithmetic: the whole state of the sampler is one counter per stream, whatever the size of the corpus.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.random import mix

FEISTEL_ROUNDS = 6
Shares = np.ndarray | Callable[[int], np.ndarray]
"""The probability of each stream, float64 [streams]: the same in all windows, or a function of a window's number."""


def shares_in(shares: Shares, window: int) -> np.ndarray:
    """Return the probability of each stream in window number ``window``, float64 [streams]."""
    return shares(window) if callable(shares) else shares


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


@dataclass(frozen=True)
class TemperatureSchedule:
    """A sampling temperature that changes with the number of draws so far.

    Attributes:
        temperatures, draws: the temperature at some numbers of draws, which ascend. Between two of them it changes
            linearly; before the first and after the last it is constant.
    """

    temperatures: tuple[float, ...]
    draws: tuple[int, ...]

    @classmethod
    def parse(cls, text: str, option: str) -> TemperatureSchedule:
        """Read ``T:N,...``: temperature T after N draws.

        Raises:
            UserError: a temperature that is not above 0, a number of draws that is not a whole number, or numbers
                that do not ascend.
        """
        temperatures, draws = [], []
        for item in filter(None, (part.strip() for part in text.split(","))):
            temperature, _, number = item.partition(":")
            try:
                temperatures.append(float(temperature))
                draws.append(int(number))
            except ValueError:
                temperatures.append(-1.0)
                draws.append(-1)
            if not 0 < temperatures[-1] < float("inf") or draws[-1] < 0:
                raise UserError(
                    f"{option}: {item!r} is not a temperature above 0 and a number of draws",
                    remedy=f"Write {option} 1:0,5:1000000 to go from T = 1 to T = 5 over the first million draws",
                )
        if not draws or any(later <= earlier for earlier, later in zip(draws, draws[1:])):
            raise UserError(
                f"{option} {text!r}: the numbers of draws must ascend",
                remedy=f"Write, for example, {option} 1:0,5:1000000",
            )
        return cls(tuple(temperatures), tuple(draws))

    def at(self, draws: int) -> float:
        """Return the temperature after so many draws."""
        return float(np.interp(draws, self.draws, self.temperatures))


def permute(indices: Tensor, size: int | Tensor, key: int | Tensor) -> Tensor:
    """Return where a keyed permutation of ``range(size)`` sends ``indices``; int64, same shape.

    The permutation is format-preserving: a balanced Feistel network over the next even power of two, applied again
    until the result lies inside the range (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002).
    It takes no memory, whatever the size, and at worst about four passes of the network per index on average.

    Args:
        indices: int64 [n].
        size, key: of the permutation, or of each index's own, int64 [n].
    """
    sizes, keys = (torch.as_tensor(x, dtype=torch.int64).expand_as(indices) for x in (size, key))
    different, which = sizes.unique(return_inverse=True)
    halves = [max(1, ((n - 1).bit_length() + 1) // 2) for n in different.tolist()]
    half = torch.tensor(halves, dtype=torch.int64)[which]
    round_keys = mix(torch.arange(FEISTEL_ROUNDS, dtype=torch.int64)[:, None] + keys)  # [rounds, n]
    result = torch.where(sizes > 1, indices, 0)
    pending = torch.nonzero(sizes > 1).flatten()
    while len(pending):
        shift = half[pending]
        mask = (1 << shift) - 1
        left, right = result[pending] >> shift, result[pending] & mask
        for round_key in round_keys[:, pending]:
            left, right = right, left ^ (mix(right ^ round_key) & mask)
        found = (left << shift) | right
        result[pending] = found
        pending = pending[found >= sizes[pending]]
    return result


class Quotas:
    """How many sequences each stream gives to each window; remainders are carried over.

    After w windows of W draws, stream s has given the sum of ``W * p_s`` over these windows to within one: counts are
    not random, so that mixtures are exact in the short run too. The state of each stream is one integer (drawn so far)
    and one float (owed so far).
    """

    def __init__(self, probabilities: Shares, window: int) -> None:
        self.probabilities, self.window = probabilities, window

    def next(self, owed: np.ndarray, drawn: np.ndarray, number: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """The counts of window ``number``, int64 [streams], and the new ``owed``, float64."""
        probabilities = shares_in(self.probabilities, number)
        owed = owed + self.window * probabilities
        due = owed - drawn
        counts = np.maximum(np.floor(due), 0).astype(np.int64)
        missing = self.window - int(counts.sum())
        if missing > 0:
            # Largest remainders first; a stable sort makes ties the same everywhere.
            order = np.argsort(-(due - counts), kind="stable")
            order = order[probabilities[order] > 0]
            counts[order[:missing]] += 1
        return counts, owed
