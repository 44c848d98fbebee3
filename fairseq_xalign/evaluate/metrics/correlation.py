"""Rank correlation and summaries over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def ranks(values: Sequence[float]) -> np.ndarray:
    """Ranks from 1; equal values share the mean of their ranks. float64 [n]."""
    array = np.asarray(values, dtype=np.float64)
    _, inverse, counts = np.unique(array, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    return (last - (counts - 1) / 2)[inverse]


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rank correlation; NaN if one side does not vary or there are fewer than two points.

    ALIGN-MLM's 0.727 (appendix E) is the correlation of alignment with ZS - SUP. With SUP - ZS, which its
    tables print, the sign is negative.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} values against {len(second)}")
    if len(first) < 2:
        return math.nan
    a, b = ranks(first), ranks(second)
    a, b = a - a.mean(), b - b.mean()
    norm = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / norm if norm else math.nan


def spearman_p(correlation: float, points: int) -> float:
    """Return the two-tailed p value of a rank correlation over so many points; NaN below three points.

    As is usual, t = r sqrt((n - 2) / (1 - r^2)) is referred to Student's distribution with n - 2 degrees of freedom.
    Below about ten points this is an approximation.
    """
    if points < 3 or math.isnan(correlation):
        return math.nan
    if abs(correlation) >= 1:
        return 0.0
    freedom = points - 2
    return student_tails(correlation * math.sqrt(freedom / (1 - correlation**2)), freedom)


def student_tails(t: float, freedom: int) -> float:
    """Return the probability that Student's t with so many degrees of freedom is as far from 0 as ``t``.

    The finite series of Abramowitz and Stegun 1964, 26.7.3 and 26.7.4.
    """
    angle = math.atan(abs(t) / math.sqrt(freedom))
    cosine_squared = math.cos(angle) ** 2
    odd = freedom % 2
    term, total = 1.0, 0.0
    for i in range(freedom // 2):
        total += term
        term *= cosine_squared * ((2 * i + 2) / (2 * i + 3) if odd else (2 * i + 1) / (2 * i + 2))
    if odd:
        inside = 2 / math.pi * (angle + math.sin(angle) * math.cos(angle) * total)
    else:
        inside = math.sin(angle) * total
    return max(0.0, 1 - inside)


def mean_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n - 1); no deviation for a single value."""
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, None
    return mean, math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
