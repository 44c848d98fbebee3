"""What the papers print: every reported result, by paper and table."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from fairseq_xalign.errors import unknown_name
from fairseq_xalign.evaluate.report.tables import NOTHING

PAPERS = {
    "align_mlm": "ALIGN-MLM: Word Embedding Alignment is Crucial for Multilingual Pre-training (Tang et al. 2022)",
    "mmte": "Evaluating the Cross-Lingual Effectiveness of Massively Multilingual Neural Machine Translation "
    "(Siddhant et al. 2020)",
    "ppa": "Multilingual BERT Post-Pretraining Alignment (Pan et al. 2021)",
    "tpp": "Improved Multilingual Language Model Pretraining for Social Media Text via Translation Pair Prediction "
    "(Mishra and Haghighi 2021)",
    "weam": "Bilingual Alignment Pre-Training for Zero-Shot Cross-Lingual Transfer (Yang et al. 2021)",
}

MODELS = {"mlm": "MLM", "xlm": "XLM", "dict_mlm": "DICT-MLM", "align_mlm": "ALIGN-MLM"}
"""Our objectives and their names in ALIGN-MLM's tables."""
TASK_NAMES = {
    "pos": ("POS", "F1"),
    "ner": ("NER", "F1"),
    "classification": ("XNLI", "accuracy"),
    "pairs": ("XNLI", "accuracy"),
}
PAPER_METRIC = {"pos": "chunk_f1", "ner": "chunk_f1", "classification": "accuracy", "pairs": "accuracy"}
"""The metrics of ALIGN-MLM's figures: its part-of-speech figures are seqeval's chunk F1, not accuracy."""
BENCHMARKS = {"pos": ("ud", "udpos"), "ner": ("wikiann", "panx"), "classification": ("xnli",), "pairs": ("xnli",)}
"""The labelled corpora that a printed figure may stand beside; ``ud`` covers ``ud-english-ewt``."""
TAKEN_FOR_GRANTED = ("pos", "ner")
"""Tasks of a run that does not record its benchmark; a classification may be of anything."""
COMPARABLE = (*(f"align_mlm.{number}" for number in (3, 6, 7, 1, 2, 4, 5, 8)), "mmte.1")
"""The tables that ``compare --paper`` can set beside runs; where two print one cell, the first stands. MMTE's is of
translations."""
DEFAULTS = {"dictionary_share": 0.25, "overlap": 0.0, "alpha": 10.0, "parallel_share": 0.25}
"""The paper's default setup: sections 4 and 5, Appendix G.3 and G.5."""
READS = {
    "mlm": ("overlap",),
    "xlm": ("overlap", "parallel_share"),
    "dict_mlm": ("overlap", "dictionary_share"),
    "align_mlm": ("overlap", "dictionary_share", "alpha"),
}
"""The settings that matter to an objective. ALIGN-MLM's rows of Table 1 have no parallel text, as all its runs."""
IN_PRINT = {"parallel": "parallel_share", "dictionary": "dictionary_share", "vocabulary overlap": "overlap"}
"""What a table varies, as its conditions name it, and our names."""


@dataclass(frozen=True)
class Cell:
    """One printed figure: ``value`` is its text, empty for a dash; ``kind`` is score, average, delta or data."""

    paper: str
    table: str
    task: str
    metric: str
    condition: str
    language: str
    model: str
    value: str
    kind: str

    @property
    def number(self) -> float | None:
        """The value as a number, or None for a dash or another text."""
        try:
            return float(self.value)
        except ValueError:
            return None


@cache
def load(paper: str) -> tuple[Cell, ...]:
    """All printed cells of a paper, in the order of its tables' rows."""
    if paper not in PAPERS:
        raise unknown_name("paper", paper, list(PAPERS))
    text = (resources.files(__package__) / f"{paper}.csv").read_text(encoding="utf-8")
    return tuple(Cell(**row) for row in csv.DictReader(text.splitlines()))


def table_names(paper: str) -> list[str]:
    """The names of a paper's tables, as the command takes them: ``align_mlm.3``, ``align_mlm.app-i``."""
    numbers = {_slug(cell.table) for cell in load(paper)}
    return [f"{paper}.{n}" for n in sorted(numbers, key=lambda n: (not n.isdigit(), int(n) if n.isdigit() else 0, n))]


def _slug(table: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", table.lower()).strip("-")


def cells(name: str) -> list[Cell]:
    """The cells of a paper (``align_mlm``) or of one of its tables (``align_mlm.3``)."""
    paper, dot, table = name.partition(".")
    if not dot:
        return list(load(paper))
    if name not in table_names(paper):
        raise unknown_name("table", name, table_names(paper))
    return [cell for cell in load(paper) if _slug(cell.table) == table]


def condition_of(transform: str) -> str:
    """A transformation in the papers' spelling: ``trans,inv``, ``Trans∘Inv`` and ``inv+trans`` are ``Trans+Inv``."""
    parts = {part.lower() for part in re.split(r"[^A-Za-z]+", transform) if part}
    order = [name for name in ("trans", "inv", "syn") if name in parts]
    return "+".join(name.capitalize() for name in order) if parts and parts <= set(order) else transform


def cell_settings(condition: str) -> tuple[str, dict[str, float]]:
    """A condition's transformation, and the settings that it names: ``Trans+Inv; dictionary 50%``.

    >>> cell_settings("Trans+Inv; dictionary 50%")
    ('Trans+Inv', {'dictionary_share': 0.5})
    """
    transform, *varied = condition.split("; ")
    settings = {}
    for text in varied:
        name, _, value = text.rpartition(" ")
        settings[IN_PRINT[name]] = float(value.removesuffix("%")) / 100
    return transform, settings


def run_settings(objective: str, settings: Mapping[str, Any], dictionary: str | None = None) -> dict[str, float]:
    """The settings of a run that matter to its objective; the paper's default for one that it does not record.

    Args:
        dictionary: the run's words for its dictionary; ``25 % frequent`` gives the share that settings do not record.
    """
    found = re.match(r"([\d.]+) ?%", dictionary or "")
    known = {"dictionary_share": float(found[1]) / 100} if found else {}
    known |= {name: float(settings[name]) for name in DEFAULTS if isinstance(settings.get(name), int | float)}
    return {name: known.get(name, DEFAULTS[name]) for name in READS.get(objective, ())}


def same_benchmark(task: str, benchmark: str | None) -> bool:
    """Whether a run on ``benchmark`` is a run of the task that the paper prints under this name."""
    if benchmark is None:
        return task in TAKEN_FOR_GRANTED
    return re.split(r"[^a-z0-9]", benchmark.lower())[0] in BENCHMARKS.get(task, ())


def printed(
    tables: Sequence[str], objective: str, transform: str, task: str, settings: Mapping[str, float] | None = None
) -> dict[str, float]:
    """ALIGN-MLM's printed figures for one cell: ``sup``, ``zs``, ``delta``, ``alignment``, those that exist.

    Where two tables print one figure, the first of ``tables`` stands: Table 3 before 8, which differ in the sign of
    XLM's 0.2 under Trans (Table 3's follows from its own SUP and ZS).

    Args:
        task: pos, ner or classification (XNLI).
        settings: what :func:`run_settings` gives (default: the paper's default setup).
    """
    found: dict[str, float] = {}
    if task not in TASK_NAMES or objective not in MODELS:
        return found
    task_name, metric = TASK_NAMES[task]
    wanted = {
        (task_name, f"SUP {metric}"): "sup",
        (task_name, f"ZS {metric}"): "zs",
        (task_name, "delta"): "delta",
        ("embedding", "alignment %"): "alignment",
    }
    defaults = {name: DEFAULTS[name] for name in READS[objective]}
    ours = defaults | dict(settings or {})
    for cell in (cell for name in tables for cell in cells(name)):
        key = wanted.get((cell.task, cell.metric))
        if not key or cell.model != MODELS[objective]:
            continue
        where, varied = cell_settings(cell.condition)
        theirs = defaults | {name: value for name, value in varied.items() if name in defaults}
        if where == condition_of(transform) and theirs == ours and cell.number is not None:
            found.setdefault(key, cell.number)
    return found


def comparable(name: str) -> list[str]:
    """The tables that ``--paper NAME`` means: one that can stand beside runs, or all of a paper's."""
    found = [table for table in COMPARABLE if table == name or table.partition(".")[0] == name]
    if not found:
        raise unknown_name("table to compare with", name, ["align_mlm", "mmte", *sorted(COMPARABLE)])
    return found


def parts_of(chosen: list[Cell]) -> list[list[Cell]]:
    """A table whole, or, where most cells of :func:`pivot` would be empty, by task and condition."""
    _, rows = pivot(chosen)
    shown = [cell for row in rows for cell in row[2:]]
    if 2 * shown.count(NOTHING) <= len(shown):
        return [chosen]
    names = dict.fromkeys((cell.task, cell.condition) for cell in chosen)
    return [[cell for cell in chosen if (cell.task, cell.condition) == name] for name in names]


def pivot(chosen: list[Cell]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of a table: a row for each condition and model, a column for each task, metric, language."""
    headers = list(dict.fromkeys((cell.task, cell.metric, cell.language) for cell in chosen))
    # What all columns share says nothing: only what differs is in their names (at least the metric).
    varying = [i for i in range(3) if len({header[i] for header in headers}) > 1] or [1]
    values = {(cell.condition, cell.model, cell.task, cell.metric, cell.language): cell.value for cell in chosen}
    names = [" ".join(header[i] for i in varying if header[i]) or header[1] for header in headers]
    rows = [
        [condition, model, *(values.get((condition, model, *header), "") or NOTHING for header in headers)]
        for condition, model in dict.fromkeys((cell.condition, cell.model) for cell in chosen)
    ]
    return ["condition", "model", *names], rows
