"""Word alignment against links made by people: precision, recall and alignment error rate.

Och and Ney 2003, "A Systematic Comparison of Various Statistical Alignment Models", section 5: with sure links S,
possible links P (S among them) and found links A, precision = |A and P| / |A|, recall = |A and S| / |S|, and the error
rate is 1 - (|A and S| + |A and P|) / (|A| + |S|).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairseq_xalign.evaluate.metrics import significance
from fairseq_xalign.evaluate.metrics.labels import Metric, ratio

Links = frozenset[tuple[int, int]] | set[tuple[int, int]]
"""(place in the source, place in the target)."""


@dataclass(frozen=True)
class GoldLinks:
    """A sentence pair's links: the sure ones, and all that are possible, the sure ones among them."""

    sure: Links
    possible: Links


class LinkMetric(Metric):
    """A metric of (gold links, found links) of sentence pairs."""

    per = "link"

    def statistics(self, pairs: Sequence[tuple[GoldLinks, Links]]) -> np.ndarray:
        """|A and S|, |A and P|, |A| and |S| of each sentence pair, int64 [I, 4]."""
        rows = [
            (len(found & gold.sure), len(found & gold.possible), len(found), len(gold.sure)) for gold, found in pairs
        ]
        return np.array(rows, dtype=np.int64).reshape(-1, 4)


class LinkPrecision(LinkMetric):
    """Share in per cent of the found links that are possible."""

    name = "precision"

    def score(self, totals: np.ndarray) -> np.ndarray:
        """Precision in per cent."""
        return 100 * ratio(totals[..., 1], totals[..., 2])


class LinkRecall(LinkMetric):
    """Share in per cent of the sure links that were found."""

    name = "recall"

    def score(self, totals: np.ndarray) -> np.ndarray:
        """Recall in per cent."""
        return 100 * ratio(totals[..., 0], totals[..., 3])


class LinkErrorRate(LinkMetric):
    """Alignment error rate in per cent; 0 is best."""

    name = "aer"

    def score(self, totals: np.ndarray) -> np.ndarray:
        """Error rate in per cent; 0 where nothing was to be found and nothing was."""
        wanted = totals[..., 2] + totals[..., 3]
        return 100 * np.where(wanted > 0, 1 - ratio(totals[..., 0] + totals[..., 1], wanted), 0.0)


METRICS: tuple[LinkMetric, ...] = (LinkErrorRate(), LinkPrecision(), LinkRecall())


def link_scores(
    pairs: Sequence[tuple[GoldLinks, Links]], samples: int = significance.SAMPLES, **settings: Any
) -> dict[str, Any]:
    """Every figure of found links, whoever found them.

    Args:
        pairs: the gold and the found links of each sentence pair.
        samples: bootstrap resamples; 0 for no intervals.
        settings: how the links were found; those that are not None go into the signature.

    Returns:
        ``scores`` {aer, precision, recall, f1: per cent}, ``intervals`` {name: [low, high]} (95 %), ``links`` {found,
        sure, possible}, ``pairs`` and ``signature``.
    """
    counts = METRICS[0].statistics(pairs)
    totals = counts.sum(axis=0)
    scores = {metric.name: float(metric.score(totals)) for metric in METRICS}
    # Of precision and recall, as aligners report it; with sure links alone it is 100 minus the error rate.
    precision, recall = scores["precision"], scores["recall"]
    scores["f1"] = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    intervals = {}
    if samples:
        for metric in METRICS:
            bounds = significance.bootstrap(metric.score, counts, samples)
            intervals[metric.name] = [bounds.low, bounds.high]
    possible = sum(len(gold.possible) for gold, _ in pairs)
    return {
        "scores": scores,
        "intervals": intervals,
        "links": {"found": int(totals[2]), "sure": int(totals[3]), "possible": possible},
        "pairs": len(pairs),
        "signature": METRICS[0].signature(
            len(pairs), **settings, bootstrap=samples or None, seed=significance.SEED if samples else None
        ),
    }
