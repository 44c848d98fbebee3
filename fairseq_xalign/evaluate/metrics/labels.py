"""Scores from per-item statistics: accuracy, chunk F1, classification F1.

A metric turns each item (a sentence, a document) into a few counts, and sums of counts into a score
in per cent. Confidence intervals, paired tests and tables by language resample, split or add the counts and
need to know nothing else about the metric.

Letters: I items, K counts per item.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from fairseq_xalign.version import __version__

Pair = tuple[Any, Any]
"""Gold and predicted: two tag sequences, or two labels."""


def signature(name: str, **fields: object) -> str:
    """Say how a figure was computed, in one line: ``accuracy|per:token|n:20|v:0.1.0``."""
    return "|".join(
        [name, *(f"{key}:{value}" for key, value in fields.items() if value is not None), f"v:{__version__}"]
    )


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return ``part / whole``, and 0 where the whole is 0 (as seqeval and scikit-learn do)."""
    whole = np.asarray(whole, dtype=np.float64)
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole != 0)


def f1(true_positive: np.ndarray, predicted: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """Return F1 = 2 tp / (predicted + gold), and 0 if there is nothing predicted and nothing to find."""
    return ratio(2 * np.asarray(true_positive), np.asarray(predicted) + np.asarray(gold))


class Metric(ABC):
    """Counts per item, and a score from their sum."""

    name: str
    per: str
    """What the score is normalised by: its unit of counting."""

    @abstractmethod
    def statistics(self, pairs: Sequence[Pair]) -> np.ndarray:
        """Counts of each (gold, predicted) pair, int64 [I, K]."""

    @abstractmethod
    def score(self, totals: np.ndarray) -> np.ndarray:
        """Scores in per cent, float64 [...], of summed counts [..., K]."""

    def fields(self) -> dict[str, object]:
        """Further fields of the signature."""
        return {}

    def corpus(self, pairs: Sequence[Pair]) -> float:
        """The score of all pairs together, in per cent."""
        return float(self.score(self.statistics(pairs).sum(axis=0)))

    def signature(self, items: int, **fields: object) -> str:
        """The signature of a score over ``items`` items; ``fields`` (split, language, seed) come before the version."""
        return signature(self.name, per=self.per, **self.fields(), n=items, **fields)


class TokenAccuracy(Metric):
    """Share of tokens whose tag is right; a token without a prediction (after truncation) is wrong.

    Micro F1 over tokens is the same number (MMTE's "F1" of part-of-speech tags).
    """

    name, per = "accuracy", "token"

    def statistics(self, pairs: Sequence[Pair]) -> np.ndarray:
        """Right tokens and all gold tokens of each sentence, int64 [I, 2]."""
        rows = [(sum(g == p for g, p in zip(gold, predicted)), len(gold)) for gold, predicted in pairs]
        return np.array(rows, dtype=np.int64).reshape(-1, 2)

    def score(self, totals: np.ndarray) -> np.ndarray:
        """Accuracy in per cent."""
        return 100 * ratio(totals[..., 0], totals[..., 1])


class Accuracy(TokenAccuracy):
    """Share of items whose label is right, which is also micro F1 of single-label classification."""

    per = "item"

    def statistics(self, pairs: Sequence[Pair]) -> np.ndarray:
        """1 where the label is right, and 1, of each item, int64 [I, 2]."""
        return np.array([(gold == predicted, 1) for gold, predicted in pairs], dtype=np.int64).reshape(-1, 2)


class ClassF1(Metric):
    """F1 of single-label classification, averaged over labels (macro) or over items (micro).

    The macro average is over the labels that occur in gold or predictions, as in scikit-learn. Papers print
    both averages under the name F1, so the signature says which one it is. A missing prediction is a wrong one: its
    gold label is not found (macro), and it is one of the predictions (micro), so that micro F1 is the accuracy.
    """

    per = "label"
    name = "f1"

    def __init__(self, labels: Sequence[str], average: str = "macro") -> None:
        self.labels, self.average = list(labels), average
        self.name = f"{average}_f1"
        self._index = {label: i for i, label in enumerate(self.labels)}

    def fields(self) -> dict[str, object]:
        """The average, and the number of labels."""
        return {"average": self.average, "labels": len(self.labels)}

    def statistics(self, pairs: Sequence[Pair]) -> np.ndarray:
        """Right, predicted and gold items per label, int64 [I, 3 * labels]."""
        counts = np.zeros((len(pairs), 3, len(self.labels)), dtype=np.int64)
        for row, (gold, predicted) in enumerate(pairs):
            counts[row, 2, self._index[gold]] = 1
            if predicted in self._index:
                counts[row, 1, self._index[predicted]] = 1
                counts[row, 0, self._index[gold]] = gold == predicted
        return counts.reshape(len(pairs), -1)

    def score(self, totals: np.ndarray) -> np.ndarray:
        """F1 in per cent."""
        right, predicted, gold = np.moveaxis(totals.reshape(*totals.shape[:-1], 3, -1), -2, 0)
        if self.average == "micro":
            items = gold.sum(-1)  # every item has one prediction, although it may be missing or no label
            return 100 * f1(right.sum(-1), items, items)
        present = (predicted + gold) > 0
        return 100 * ratio((f1(right, predicted, gold) * present).sum(-1), present.sum(-1))
