"""Runs as rows of a table: grouped over their seeds, the paper's figures for the same cell beside them.

SUP is fine-tuned and tested on the target, ZS fine-tuned on the source and tested on the target; SUP - ZS is the
transfer gap, smaller is better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.evaluate import papers
from fairseq_xalign.evaluate.metrics.correlation import mean_deviation
from fairseq_xalign.evaluate.report.results import VARIED, Result
from fairseq_xalign.labelled.registry import TASKS

OBJECTIVE_ORDER = ("mlm", "tlm", "xlm", "dict_mlm", "align_mlm")

COLUMNS = {
    "source": "source",
    "sup": "SUP",
    "zs": "ZS",
    "delta": "SUP - ZS",
    "alignment": "alignment",
    "heldout": "held-out",
    "retrieval": "retrieval",
}
PAPER_COLUMNS = {"sup": "paper SUP", "zs": "paper ZS", "delta": "paper SUP - ZS", "alignment": "paper alignment"}


@dataclass(frozen=True)
class Row:
    """One objective under one setting: for each of ``COLUMNS`` the values of its seeds.

    ``settings`` are those of ``results.VARIED`` that the runs record, ``parallel_seen`` what XLM's training saw of its
    parallel text (shares of sentences and tokens), ``printed`` the paper's figures for the same cell, ``absent`` the
    seeds that have no scores, each with the reason.
    """

    task: str
    metric: str
    pair: str
    transform: str
    objective: str
    dictionary: str | None
    seeds: list[int]
    values: dict[str, list[float]]
    printed: dict[str, float]
    settings: dict[str, Any] = field(default_factory=dict)
    parallel_seen: dict[str, float] = field(default_factory=dict)
    absent: dict[int, str] = field(default_factory=dict)

    @property
    def panel(self) -> tuple[str, str, str]:
        """Task, pair and transformation; rows with the same panel belong in one table or one panel of a plot."""
        return self.task, self.pair, self.transform

    def record(self, with_paper: bool) -> dict[str, Any]:
        """The row as flat data, every digit kept."""
        record: dict[str, Any] = {
            "task": self.task,
            "metric": self.metric,
            "pair": self.pair,
            "transform": self.transform,
            "objective": self.objective,
            "dictionary": self.dictionary,
            "seeds": " ".join(map(str, self.seeds)),
            "seeds_without_scores": " ".join(map(str, self.absent)),
            **{name: self.settings.get(name) for name in VARIED},
            **{f"parallel_seen_{name}": self.parallel_seen.get(name) for name in ("sentences", "tokens")},
        }
        for name in COLUMNS:
            values = self.values.get(name)
            mean, deviation = mean_deviation(values) if values else (None, None)
            record |= {name: mean, f"{name}_deviation": deviation, f"{name}_n": len(values or ())}
        if with_paper:
            record |= {f"paper_{name}": self.printed.get(name) for name in PAPER_COLUMNS}
        return record


def order_of(objective: str) -> tuple[int, str]:
    """Sorting key: the papers' order first, other objectives after it by name."""
    known = OBJECTIVE_ORDER.index(objective) if objective in OBJECTIVE_ORDER else len(OBJECTIVE_ORDER)
    return known, objective


def default_metric(task: str, paper: bool = False) -> str:
    """The name of the metric that a task's rows show: the task's first one, or the one that papers print."""
    if paper and task in papers.PAPER_METRIC:
        return papers.PAPER_METRIC[task]
    return TASKS[task].metrics([])[0].name


NO_RESULT = "no result"
"""Why a seed that was asked for has no scores, where no run says more."""


def absent_seeds(group: Sequence[Result], expected: Sequence[int] = ()) -> dict[int, str]:
    """The seeds that failed, or were expected and have no run in ``group``, each with the reason."""
    found = {result.seed for result in group}
    absent = {result.seed: result.failed for result in group if result.failed}
    return dict(sorted((absent | {seed: NO_RESULT for seed in expected if seed not in found}).items()))


def metric_of(run: Result, metric: str | None, paper: bool = False) -> str:
    """The metric to show of a run that has scores; UserError where the run has no score of it."""
    name = metric or default_metric(run.task, paper)
    known = sorted({m for by_metric in run.scores.values() for m in by_metric})
    if name not in known:
        error = unknown_name("metric of this run", name, known)
        raise UserError(error.what, run.path, remedy=error.remedy)
    return name


def group_over_seeds(
    results: Sequence[Result], metric: str | None = None, tables: Sequence[str] = (), seeds: Sequence[int] = ()
) -> list[Row]:
    """One row for all runs that differ by their seed alone, ordered by task, pair, transformation, then objective.

    Args:
        metric: the score to show (default: by task; with tables the paper's).
        tables: tables of a paper, as ``align_mlm.3``, whose figures are set beside the rows.
        seeds: those that every row should have; what is missing is counted in ``Row.absent``.

    Raises:
        UserError: a run has no score of this metric.
    """
    groups: dict[tuple[Any, ...], list[Result]] = {}
    for result in results:
        key = (
            result.task,
            result.pair,
            result.transform,
            order_of(result.objective),
            result.dictionary or "",
            result.variant,
        )
        groups.setdefault(key, []).append(result)
    rows = []
    for key in sorted(groups):
        group = sorted(groups[key], key=lambda result: result.seed)
        first = group[0]
        absent = absent_seeds(group, seeds)
        name = metric or default_metric(first.task, bool(tables))
        group = [result for result in group if not result.failed]
        for result in group:
            metric_of(result, name)
        columns = {
            "source": [r.score("source", name) for r in group],
            "sup": [r.score("sup", name) for r in group],
            "zs": [r.score("zs", name) for r in group],
            "delta": [r.delta(name) for r in group],
            "alignment": [r.alignment.get("all") for r in group],
            "heldout": [r.alignment.get("heldout") for r in group],
            "retrieval": [r.retrieval for r in group],
        }
        values = {column: [v for v in found if v is not None] for column, found in columns.items()}
        rows.append(
            Row(
                first.task,
                name,
                first.pair,
                first.transform,
                first.objective,
                first.dictionary,
                [r.seed for r in group],
                {column: found for column, found in values.items() if found},
                _printed(first, name, tables) if tables else {},
                {name: first.settings[name] for name in VARIED if name in first.settings},
                first.settings.get("parallel_seen") or {},
                absent,
            )
        )
    return rows


def _printed(run: Result, metric: str, tables: Sequence[str]) -> dict[str, float]:
    """The paper's figures for the very cell of a run: its objective, transformation, settings, benchmark and metric.

    The alignment score is of word embeddings and depends on no benchmark.
    """
    settings = papers.run_settings(run.objective, run.settings, run.dictionary)
    found = papers.printed(tables, run.objective, run.transform, run.task, settings)
    benchmark = run.settings.get("benchmark")
    like = metric == papers.PAPER_METRIC.get(run.task) and papers.same_benchmark(run.task, benchmark)
    return found if like else {name: value for name, value in found.items() if name == "alignment"}
