"""What the papers print: every reported result, by paper and table."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

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
TASK_NAMES = {"pos": ("POS", "F1"), "ner": ("NER", "F1"), "classification": ("XNLI", "accuracy")}
COMPARABLE = ("align_mlm.3", "align_mlm.8")
"""The tables that ``compare --paper`` can set beside runs."""


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


def printed(tables: list[str], objective: str, transform: str, task: str) -> dict[str, float]:
    """ALIGN-MLM's printed figures for one cell: ``sup``, ``zs``, ``delta``, ``alignment``, those that exist.

    Where Tables 3 and 8 both print a gap, Table 3's stands (they differ in the sign of XLM's 0.2 under Trans,
    and Table 3's follows from its own SUP and ZS).
    """
    found: dict[str, float] = {}
    task_name, metric = TASK_NAMES[task]
    wanted = {
        (task_name, f"SUP {metric}"): "sup",
        (task_name, f"ZS {metric}"): "zs",
        (task_name, "delta"): "delta",
        ("embedding", "alignment %"): "alignment",
    }
    for cell in (cell for name in tables for cell in cells(name)):
        key = wanted.get((cell.task, cell.metric))
        if key and cell.model == MODELS.get(objective) and cell.condition == condition_of(transform):
            number = cell.number
            if number is not None:
                found.setdefault(key, number)
    return found


def comparable(name: str) -> list[str]:
    """The tables that ``--paper NAME`` means: one that can stand beside runs, or all of a paper's."""
    found = [table for table in COMPARABLE if table == name or table.partition(".")[0] == name]
    if not found:
        raise unknown_name("table to compare with", name, ["align_mlm", *COMPARABLE])
    return found


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
