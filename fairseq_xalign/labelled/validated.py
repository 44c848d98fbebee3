"""Scores of whole rows in validation: F1 of entities, F1 and exact match of answers, where a task names them.

A batch of validation holds all the sequences of a row, so that a sentence or question that makes several of them is
scored as ``xalign-evaluate score`` scores it. Statistics of batches are summed, over workers too, and each score is
computed from the sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fairseq_xalign.evaluate.metrics.labels import Metric
from fairseq_xalign.labelled.kind import Example, Item, Kind, Row, Task

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Asked:
    """The rows of a batch of validation.

    Attributes:
        examples: the sequences of the batch, in order.
        rows: for each row its language, the row, and how many of the examples, one after the other, are its own.
    """

    examples: list[Example]
    rows: list[tuple[str, Row, int]]


@dataclass(frozen=True)
class Validated:
    """What validation scores besides the accuracy of units.

    Attributes:
        metrics: those of the task; none where accuracy says all.
        labels: names, in the order of the head's outputs.
        languages: those that are validated on.
    """

    kind: Kind
    task: Task | None
    labels: Sequence[str]
    languages: Sequence[str]

    @property
    def metrics(self) -> list[Metric]:
        return list(self.task.validated()) if self.task is not None else []

    def statistics(self, scores: Tensor, asked: Asked) -> dict[str, float]:
        """The sums over the rows of a batch, by the names that :meth:`scores` reads; the same names for any batch."""
        assert self.task is not None
        answers = iter(self.kind.answers(scores, asked.examples, self.labels))
        pairs: dict[str, list[tuple[object, object]]] = {language: [] for language in self.languages}
        for language, row, count in asked.rows:
            prediction = self.kind.prediction([next(answers) for _ in range(count)])
            line = self.kind.line(row, prediction)
            item = Item(str(row.get("id", "")), language, line["gold"], line["prediction"])
            pairs.setdefault(language, []).append(self.kind.checked_item(item, self.task).pair)
        found = {}
        for metric in self.metrics:
            for language in self.languages:
                for place, total in enumerate(_totals(metric, pairs[language])):
                    found[_key(metric, language, place)] = float(total)
        return found

    def sum_names(self) -> set[str]:
        """The names of :meth:`statistics`."""
        return {
            _key(metric, language, place)
            for metric in self.metrics
            for language in self.languages
            for place in range(len(_totals(metric, [])))
        }

    def scores(self, sums: Mapping[str, float]) -> dict[str, float]:
        """The scores of everything and, if there are several languages, of each: ``f1``, ``f1_de``, ..., in per cent.

        Args:
            sums: of what :meth:`statistics` returned for each batch.
        """
        found = {}
        for metric in self.metrics:
            size = len(_totals(metric, []))
            totals = np.array(
                [[sums.get(_key(metric, language, k), 0.0) for k in range(size)] for language in self.languages]
            )
            found[metric.name] = float(metric.score(totals.sum(axis=0)))
            if len(self.languages) > 1:
                each = zip(self.languages, metric.score(totals), strict=True)
                found |= {f"{metric.name}_{language}": float(score) for language, score in each}
        return found

    def names(self) -> list[str]:
        """The names of :meth:`scores`."""
        return list(self.scores({})) if self.metrics else []


def _totals(metric: Metric, pairs: Sequence[tuple[object, object]]) -> np.ndarray:
    return metric.statistics(pairs).sum(axis=0)


def _key(metric: Metric, language: str, place: int) -> str:
    return f"sum_{metric.name}_{language}_{place}"
