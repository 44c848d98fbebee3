"""Random numbers that depend on a name and not on when they are drawn: a counter-based generator.

A draw is ``hash(key, counter)``: the same in any process, worker, batch or device, so that a resumed run, or one on
another number of workers, sees the same masks. The hash is SplitMix64's finaliser (Steele, Lea, Flood, "Fast splittable
pseudorandom number generators", OOPSLA 2014, section 5), here on torch's int64 with wrapping arithmetic, for whole
tensors at once.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

GOLDEN = 0x9E3779B97F4A7C15 - 2**64
MULTIPLIER_1 = 0xBF58476D1CE4E5B9 - 2**64
MULTIPLIER_2 = 0x94D049BB133111EB - 2**64


def _shift_right(x: Tensor, bits: int) -> Tensor:
    """Logical shift: torch's ``>>`` on int64 copies the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def mix(x: Tensor) -> Tensor:
    """Scramble each int64 of ``x`` into another, one to one."""
    x = x + GOLDEN
    x = (x ^ _shift_right(x, 30)) * MULTIPLIER_1
    x = (x ^ _shift_right(x, 27)) * MULTIPLIER_2
    return x ^ _shift_right(x, 31)


def name_key(*parts: str | int) -> int:
    """Return a 64-bit key (signed) for a name made of strings and numbers, the same on every machine."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


def combine(key: int | Tensor, counter: Tensor) -> Tensor:
    """Return the key of draw ``counter`` under ``key``, int64 of their common shape."""
    key = key if isinstance(key, Tensor) else torch.tensor(key, dtype=torch.int64, device=counter.device)
    return mix(mix(key) ^ counter * GOLDEN)


def uniform(key: int | Tensor, counter: Tensor) -> Tensor:
    """Draw uniform numbers in [0, 1) with 53 random bits, float64 of the common shape."""
    return _shift_right(combine(key, counter), 11).double() * 2.0**-53


def integers(key: int | Tensor, counter: Tensor, bound: int | Tensor) -> Tensor:
    """Draw uniform integers in [0, bound), int64; the bias is below bound / 2**53."""
    return (uniform(key, counter) * bound).long()


def permutation_sample(size: int, count: int, key: int) -> Tensor:
    """Draw ``count`` different numbers below ``size``, int64 [count], as a function of ``key`` alone."""
    return combine(key, torch.arange(size)).argsort(stable=True)[:count]
