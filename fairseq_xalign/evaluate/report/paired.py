"""Paired tests between rows of a table, from the predictions that their runs record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics import significance
from fairseq_xalign.evaluate.metrics.labels import Pair
from fairseq_xalign.evaluate.report.language_rows import LanguageRow, LanguageTable
from fairseq_xalign.evaluate.report.results import Result
from fairseq_xalign.labelled.kind import Item
from fairseq_xalign.labelled.predictions import read_items
from fairseq_xalign.labelled.registry import TASKS
from fairseq_xalign.options import language_pair

PREDICTIONS = "predictions"
"""The setting of a result that names its files of predictions: {source, zs, sup: path}."""


def predictions_of(run: Result, condition: str) -> Path | None:
    """The file of predictions that a run records for source, zs or sup; None where it records none."""
    recorded = run.settings.get(PREDICTIONS)
    name = recorded.get(condition) if isinstance(recorded, dict) else None
    return Path(run.path).parent / name if isinstance(name, str) else None


def _pairs_in_order(names: Iterable[str], items: Sequence[Item]) -> list[Pair]:
    """The gold label and prediction of each item, in the order of ``names``, their ids."""
    pairs = {item.id: item.pair for item in items}
    return [pairs[name] for name in names]


class PairedTests:
    """p values of differences between rows of :mod:`~fairseq_xalign.evaluate.report.languages`.

    Attributes:
        untested: why pairs of rows have no p value, each reason once.
    """

    def __init__(self, samples: int = significance.SAMPLES, seed: int = significance.SEED) -> None:
        self.samples, self.seed = samples, seed
        self.untested: dict[str, None] = {}
        self._read: dict[tuple[str, Path], list[Item]] = {}

    def __call__(self, table: LanguageTable, row: LanguageRow, base: LanguageRow, language: str) -> float | None:
        """The two-sided p value of paired bootstrap over the items of a language, scores averaged over the seeds.

        Returns: None, with a reason in ``untested``, where predictions are not recorded or not there.

        Raises:
            UserError: the two rows' predictions are of different items or gold labels.
        """
        sides = []
        for side in (row, base):
            files = self._files(table, side, language)
            if not files:
                return None
            sides.append([self._items(table.task, file, language) for file in files])
        first = {item.id: item for item in sides[0][0]}
        for items in (items for side in sides for items in side):
            if len(items) != len(first) or any(i.id not in first or first[i.id].gold != i.gold for i in items):
                raise UserError(
                    f"the predictions of {row.name} and {base.name} in {language!r} are of different items",
                    remedy="Score both models on one test set, or leave --against out",
                )
        pairs = [[_pairs_in_order(first, items) for items in side] for side in sides]
        metrics = TASKS[table.task].metrics([pair for side in pairs for items in side for pair in items])
        metric = next(metric for metric in metrics if metric.name == table.metric)
        ours, theirs = ([metric.statistics(items) for items in side] for side in pairs)
        return significance.paired_bootstrap_of_seeds(metric.score, ours, theirs, self.samples, self.seed).p

    def _files(self, table: LanguageTable, row: LanguageRow, language: str) -> list[Path]:
        """The predictions of a row's seeds in a language; [] where one is missing."""
        supervised = table.training.endswith("in-language")
        files: dict[Path, None] = {}
        for run in row.runs:
            condition = "source" if language == table.source else "sup" if supervised else "zs"
            if run.failed or (language != table.source and language_pair(run.pair, "pair")[1] != language):
                continue
            if run.score(condition, table.metric) is None:
                continue
            file = predictions_of(run, condition)
            if file is None:
                return self._without(f"{row.name} records no predictions (`result` does so since version 0.3.0)")
            if not file.exists():
                return self._without(f"{file} is no longer there")
            files[file.resolve()] = None
        return list(files)

    def _without(self, reason: str) -> list[Path]:
        self.untested[reason] = None
        return []

    def _items(self, task: str, file: Path, language: str) -> Sequence[Item]:
        key = (task, file)
        if key not in self._read:
            self._read[key] = read_items(task, file)
        items = [item for item in self._read[key] if item.language == language]
        if not items:
            raise UserError(f"has no predictions in {language!r}", file, remedy="Predict and score this language again")
        return items
