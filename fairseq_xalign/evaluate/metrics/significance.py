"""Confidence intervals and paired tests by bootstrap, for any metric with per-item counts.

Koehn, "Statistical Significance Tests for Machine Translation Evaluation", EMNLP 2004. Items are
drawn with replacement: the intervals describe how scores vary with the test set. How they vary with the
training seed is another matter, which ``compare`` reports from several runs.

Letters: I items, K counts per item, R resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fairseq_xalign.errors import UserError

SAMPLES = 1000
LEAST_SAMPLES = 100
"""Fewer resamples have no 2.5 % at each end: an interval of them may not contain its own score."""
SEED = 12345
CONFIDENCE = 0.95
BLOCK = 4_000_000
"""Random indices drawn at a time, which bounds memory for any number of items."""

Score = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Interval:
    """A score in per cent and the bounds of its confidence interval."""

    score: float
    low: float
    high: float


@dataclass(frozen=True)
class PairedTest:
    """Difference of two systems on the same items, its interval, and the two-sided p value."""

    difference: float
    low: float
    high: float
    p: float


def check_samples(samples: int) -> None:
    """Refuse a number of resamples that is too small for an interval or a p value; 0 means none of them.

    Raises:
        UserError: naming ``--bootstrap``.
    """
    if samples != 0 and samples < LEAST_SAMPLES:
        raise UserError(
            f"--bootstrap {samples} is too small for an interval or a p value",
            remedy=f"Choose {LEAST_SAMPLES} or more, or 0 for none",
        )


def resampled_totals(statistics: np.ndarray, samples: int, seed: int) -> np.ndarray:
    """Summed counts of ``samples`` resamples, float64 [R, K], of per-item counts [I, K].

    Equal (I, samples, seed) give equal resamples, which is what pairs two systems.
    """
    items = len(statistics)
    generator = np.random.default_rng(seed)
    values = statistics.astype(np.float64)
    totals = np.empty((samples, statistics.shape[1]))
    rows = max(1, BLOCK // items)
    for start in range(0, samples, rows):
        count = min(rows, samples - start)
        draws = generator.integers(items, size=(count, items))
        # How often each item was drawn, [count, I], then one product for all counts.
        offsets = draws + items * np.arange(count)[:, None]
        times = np.bincount(offsets.ravel(), minlength=count * items).reshape(count, items)
        totals[start : start + count] = times @ values
    return totals


def _bounds(values: np.ndarray, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def bootstrap(
    score: Score, statistics: np.ndarray, samples: int = SAMPLES, seed: int = SEED, confidence: float = CONFIDENCE
) -> Interval:
    """Percentile bootstrap interval of ``score`` over items with counts ``statistics`` [I, K]."""
    if not len(statistics):
        raise ValueError("no items to resample")
    values = score(resampled_totals(statistics, samples, seed))
    return Interval(float(score(statistics.sum(axis=0))), *_bounds(values, confidence))


def paired_bootstrap(
    score: Score,
    first: np.ndarray,
    second: np.ndarray,
    samples: int = SAMPLES,
    seed: int = SEED,
    confidence: float = CONFIDENCE,
) -> PairedTest:
    """Test the null hypothesis that two systems score the same on the items behind [I, K] and [I, K].

    The p value is the share of resamples whose difference lies as far from the mean resampled
    difference as the observed one lies from 0 (add-one smoothed, two-sided).
    """
    return paired_bootstrap_of_seeds(score, [first], [second], samples, seed, confidence)


def paired_bootstrap_of_seeds(
    score: Score,
    first: Sequence[np.ndarray],
    second: Sequence[np.ndarray],
    samples: int = SAMPLES,
    seed: int = SEED,
    confidence: float = CONFIDENCE,
) -> PairedTest:
    """:func:`paired_bootstrap` of the mean scores of two systems that were trained with several seeds each.

    Args:
        first, second: the counts of each seed's predictions, [I, K] each; the numbers of seeds may differ. Every
            resample draws the same items for all of them.
    """
    shapes = {counts.shape for counts in (*first, *second)}
    if len(shapes) != 1:
        raise ValueError(f"paired systems need the same items: {' against '.join(map(str, sorted(shapes)))}")
    if not len(first[0]):
        raise ValueError("no items to resample")

    def mean_scores(totals: Sequence[np.ndarray]) -> np.ndarray:
        return np.mean([score(total) for total in totals], axis=0)

    observed = float(mean_scores([c.sum(axis=0) for c in first]) - mean_scores([c.sum(axis=0) for c in second]))
    resampled = [[resampled_totals(counts, samples, seed) for counts in side] for side in (first, second)]
    differences = mean_scores(resampled[0]) - mean_scores(resampled[1])
    # Counts are whole numbers but scores are not: allow for rounding in the last bits of a division.
    extreme = np.abs(differences - differences.mean()) >= abs(observed) - 1e-9
    return PairedTest(observed, *_bounds(differences, confidence), p=(1 + int(extreme.sum())) / (samples + 1))
