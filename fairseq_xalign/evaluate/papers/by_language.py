"""What the papers print by language: models in rows, languages in columns, and averages over languages.

A printed row stands in a table of runs only if the task, the metric and the way of fine-tuning are the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fairseq_xalign.errors import unknown_name
from fairseq_xalign.evaluate import papers
from fairseq_xalign.evaluate.papers import PAPERS, Cell, cells, table_names

ZERO_SHOT, IN_LANGUAGE = "zero-shot", "in-language"
"""How a model was fine-tuned: on the source language alone, or on each language that it is tested on."""


@dataclass(frozen=True)
class PrintedTask:
    """What a paper calls a task, and what we call the same.

    Attributes:
        task: the task of our runs, or None for any, where the benchmark says enough.
        benchmarks: the first part of the names that a run may record for its labelled corpus.
        metrics: by the printed name, our metrics of the same definition.
        training: how the models were fine-tuned, where the printed condition does not say so.
        recorded: whether a run must record its corpus, because the task is measured on others as well.
    """

    task: str | None
    benchmarks: tuple[str, ...]
    metrics: Mapping[str, tuple[str, ...]]
    training: str | None = None
    recorded: bool = False


ACCURACY = {"accuracy": ("accuracy",)}
TREEBANKS = ("ud", "udpos", "pud")
TOKENS = {"F1 (dev)": ("accuracy",), "F1": ("accuracy",)}
"""MMTE's F1 of tags is micro-averaged over tokens, which is their accuracy."""
ANSWERS = {"F1": ("f1",), "EM": ("exact_match",)}
POSTS = ("sentiment", "tweets", "semeval", "semeval2017", "suzuki2019", "abdulla2013", "sail2015")
"""TPP trains on SemEval-2017 and tests in Japanese, Arabic and Hindi on the last three (Appendix B)."""
TASKS: dict[tuple[str, str], PrintedTask] = {
    ("ppa", "XNLI"): PrintedTask(None, ("xnli",), ACCURACY),
    ("ppa", "MLQA"): PrintedTask("qa", ("mlqa",), ANSWERS, recorded=True),
    ("weam", "XNLI"): PrintedTask(None, ("xnli",), ACCURACY),
    ("weam", "MLQA"): PrintedTask("qa", ("mlqa",), ANSWERS, recorded=True),
    ("tpp", "NER"): PrintedTask("ner", ("tweets", "ssea"), dict.fromkeys(("F1", "micro F1"), ("chunk_f1",))),
    ("tpp", "Sentiment"): PrintedTask(None, POSTS, dict.fromkeys(("F1", "macro F1"), ("macro_f1",))),
    ("tpp", "UD POS"): PrintedTask("pos", TREEBANKS, ACCURACY),
    ("mmte", "XNLI"): PrintedTask(None, ("xnli",), ACCURACY),
    ("mmte", "MLDoc"): PrintedTask(None, ("mldoc",), ACCURACY),
    ("mmte", "Intent classification"): PrintedTask(None, ("schuster", "facebook", "mtod"), ACCURACY),
    ("mmte", "UD POS"): PrintedTask("pos", TREEBANKS, TOKENS),
    ("mmte", "NER"): PrintedTask("ner", ("conll", "conll2002", "conll2003"), {"span F1 (test)": ("chunk_f1",)}),
    ("mmte", "UD POS (feature-based)"): PrintedTask("pos", TREEBANKS, TOKENS, "feature-based"),
    ("mmte", "UD POS (few-shot, 10 examples)"): PrintedTask("pos", TREEBANKS, TOKENS),
    ("mmte", "UD POS (one model, 48 languages)"): PrintedTask("pos", TREEBANKS, TOKENS),
}
NOTES = {
    "weam.1": "WEAM prints averages in Table 1 that do not follow from its own scores: AVG(zero-shot) is the mean of "
    "es, de, zh and AVG(all), and AVG(all) of the EM of mBERT+WEAM would be 51.9",
    "tpp.2": "TPP's ONE is, for each task and language, the best of the corpora of Table 3; its tweets are not public",
}
"""What a reader must know to compare with a table."""
CHANGE = " delta%"
"""How the metric of a relative change ends."""
AVERAGES = {"avg": "all", "AVG(all)": "all", "AVG(zero-shot)": "zero-shot"}


@dataclass
class PrintedRow:
    """A model's row in a printed table.

    Attributes:
        figures: {language: score}.
        averages: {``all``, ``zero-shot``: mean as printed}, those that are.
        changes: {language: printed relative change in per cent}.
    """

    table: str
    model: str
    training: str
    figures: dict[str, float] = field(default_factory=dict)
    averages: dict[str, float] = field(default_factory=dict)
    changes: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The model and where it is printed, which marks the row as not measured here."""
        paper, _, number = self.table.partition(".")
        shown = papers.load(paper)[0].paper
        return f"[printed] {self.model} ({shown} Table {number})"


def comparable(name: str) -> list[str]:
    """The tables by language that ``--paper NAME`` means: one, or all of a paper's."""
    known = [table for paper in PAPERS for table in table_names(paper) if any(map(_task_of, cells(table)))]
    found = [table for table in known if table == name or table.partition(".")[0] == name]
    if not found:
        raise unknown_name("table by language", name, [*dict.fromkeys(t.partition(".")[0] for t in known), *known])
    return found


def printed_rows(
    tables: Sequence[str], task: str, metric: str, benchmark: str | None, training: str
) -> list[PrintedRow]:
    """The rows of ``tables`` that may stand beside runs of this task, metric, corpus and way of fine-tuning."""
    rows: dict[tuple[str, str], PrintedRow] = {}
    for table, cell, metrics, number in _cells_beside(tables, task, benchmark, (training,)):
        if metric not in metrics:
            continue
        row = rows.setdefault((table, cell.model), PrintedRow(table, cell.model, training))
        if cell.metric.endswith(CHANGE):
            row.changes[cell.language] = number
        elif cell.kind == "score":
            row.figures[cell.language] = number
        elif cell.language in AVERAGES:
            row.averages[AVERAGES[cell.language]] = number
    return list(rows.values())


def printed_metrics(tables: Sequence[str], task: str, benchmark: str | None, trainings: Collection[str]) -> list[str]:
    """Our names of the metrics of the rows that may stand beside runs of this task and corpus, in the papers' order.

    Args:
        trainings: any of these ways of fine-tuning.
    """
    found = (metrics for _, _, metrics, _ in _cells_beside(tables, task, benchmark, trainings))
    return list(dict.fromkeys(metric for metrics in found for metric in metrics))


def _cells_beside(
    tables: Sequence[str], task: str, benchmark: str | None, trainings: Collection[str]
) -> Iterator[tuple[str, Cell, tuple[str, ...], float]]:
    """(table, cell, our names of its metric, its number) of each figure of this task, corpus and way of fine-tuning."""
    for table in tables:
        for cell in cells(table):
            known = _task_of(cell)
            if known is None or cell.number is None or _training_of(cell, known) not in trainings:
                continue
            metrics = known.metrics.get(cell.metric.removesuffix(CHANGE), ())
            if metrics and _same_corpus(known, task, benchmark):
                yield table, cell, metrics, cell.number


def average(row: PrintedRow, languages: Collection[str], source: str, which: str) -> float | None:
    """The average of a printed row over ``languages``: as printed where it is over these very ones, else their mean.

    Args:
        which: ``all``, or ``zero-shot`` for all but ``source``.

    Returns: None where the row has not all of them.
    """
    if set(row.figures) == set(languages) and which in row.averages:
        return row.averages[which]
    chosen = [language for language in languages if which == "all" or language != source]
    if not chosen or any(language not in row.figures for language in chosen):
        return None
    return sum(row.figures[language] for language in chosen) / len(chosen)


def _task_of(cell: Cell) -> PrintedTask | None:
    paper = next(name for name in PAPERS if papers.load(name)[0].paper == cell.paper)
    return TASKS.get((paper, cell.task)) if cell.kind != "data" else None


def _training_of(cell: Cell, known: PrintedTask) -> str:
    """``zero-shot en->hi`` is zero-shot; in-language and feature-based alike are not."""
    condition = cell.condition.partition(" ")[0]
    if known.training and condition == ZERO_SHOT:
        return known.training
    return f"{known.training}, {condition}" if known.training else condition


def _same_corpus(known: PrintedTask, task: str, benchmark: str | None) -> bool:
    if known.task not in (None, task):
        return False
    if benchmark is None:
        return known.task is not None and not known.recorded
    return re.split(r"[^a-z0-9]", benchmark.lower())[0] in known.benchmarks
