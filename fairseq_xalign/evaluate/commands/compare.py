"""Compare runs: SUP, ZS, SUP - ZS, alignment and retrieval of each objective, side by side.

RUN is a folder with a result.json, or a folder with several of them below it. Runs that differ only in their seed
become one row, mean ± sample standard deviation over seeds. SUP is fine-tuned and tested on the target language, ZS is
fine-tuned on the source language and tested on the target language; SUP - ZS is the transfer gap, and smaller is
better. CSV and JSON keep every digit; JSON also has the scores of each seed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.evaluate import papers
from fairseq_xalign.evaluate.metrics.correlation import mean_deviation
from fairseq_xalign.evaluate.report.results import Result, read_runs
from fairseq_xalign.evaluate.report.tables import FORMATS, NOTHING, WRITERS, csv_text, deliver, json_text, number

EXAMPLE = """example:
  xalign-evaluate compare runs/
  xalign-evaluate compare runs/ --paper align_mlm --format markdown --output table.md"""

OBJECTIVE_ORDER = ("mlm", "tlm", "xlm", "dict_mlm", "align_mlm")
DEFAULT_METRIC = {"pos": "accuracy", "ner": "chunk_f1", "classification": "accuracy"}
PAPER_METRIC = {"pos": "chunk_f1", "ner": "chunk_f1", "classification": "accuracy"}
"""ALIGN-MLM's part-of-speech figures are seqeval's chunk F1, not accuracy."""

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

    ``printed`` holds the paper's figures for the same cell.
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

    @property
    def panel(self) -> tuple[str, str, str]:
        """Rows with the same panel belong in one table (or one panel of a plot)."""
        return self.task, self.pair, self.transform

    def record(self, with_paper: bool) -> dict[str, Any]:
        """Return the row as flat data with every digit."""
        record: dict[str, Any] = {
            "task": self.task,
            "metric": self.metric,
            "pair": self.pair,
            "transform": self.transform,
            "objective": self.objective,
            "dictionary": self.dictionary,
            "seeds": " ".join(map(str, self.seeds)),
        }
        for name in COLUMNS:
            values = self.values.get(name)
            mean, deviation = mean_deviation(values) if values else (None, None)
            record |= {name: mean, f"{name}_deviation": deviation, f"{name}_n": len(values or ())}
        if with_paper:
            record |= {f"paper_{name}": self.printed.get(name) for name in PAPER_COLUMNS}
        return record


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate compare``."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="Folder with a result.json, or with several below it.")
    parser.add_argument(
        "--paper",
        metavar="TABLE",
        help="beside them the printed figures where the same cell exists: align_mlm, align_mlm.3 or align_mlm.8",
    )
    parser.add_argument(
        "--metric",
        help="which score (default: chunk_f1 for ner, else accuracy; with --paper the paper's: chunk_f1 for pos too)",
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="Output format (default: %(default)s).")
    parser.add_argument("--output", metavar="FILE", help="File to write to (default: standard output).")


def run(args: argparse.Namespace) -> None:
    """Read, group, print."""
    tables = papers.comparable(args.paper) if args.paper else []
    results = read_runs(args.runs)
    rows = rows_of(results, args.metric, tables)
    if args.format == "csv":
        text = csv_text([row.record(bool(tables)) for row in rows])
    elif args.format == "json":
        records = [row.record(bool(tables)) | {"by_seed": row.values} for row in rows]
        signatures = {result.path: result.signature for result in results}
        text = json_text({"rows": records, "paper": tables, "signatures": signatures})
    else:
        text = _readable(rows, results, tables, args.format)
    deliver(text, args.output)


def order_of(objective: str) -> tuple[int, str]:
    """Return a sorting key: the objectives in the papers' order, then the others by name."""
    known = OBJECTIVE_ORDER.index(objective) if objective in OBJECTIVE_ORDER else len(OBJECTIVE_ORDER)
    return known, objective


def rows_of(results: Sequence[Result], metric: str | None = None, tables: Sequence[str] = ()) -> list[Row]:
    """Runs grouped over their seeds, by task, pair, transformation, then objective and dictionary."""
    defaults = PAPER_METRIC if tables else DEFAULT_METRIC
    groups: dict[tuple[Any, ...], list[Result]] = {}
    for result in results:
        key = (result.task, result.pair, result.transform, order_of(result.objective), result.dictionary or "")
        groups.setdefault(key, []).append(result)
    rows = []
    for key in sorted(groups):
        group = sorted(groups[key], key=lambda result: result.seed)
        first = group[0]
        name = metric or defaults[first.task]
        for result in group:
            known = sorted({m for by_metric in result.scores.values() for m in by_metric})
            if name not in known:
                error = unknown_name("metric of this run", name, known)
                raise UserError(error.what, result.path, remedy=error.remedy)
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
        # A paper's figure stands only beside the score that it is a figure of.
        like = name == PAPER_METRIC[first.task]
        printed = papers.printed(list(tables), first.objective, first.transform, first.task) if tables else {}
        printed = printed if like else {k: v for k, v in printed.items() if k == "alignment"}
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
                printed,
            )
        )
    return rows


def _cell(values: list[float] | None) -> str:
    if not values:
        return NOTHING
    mean, deviation = mean_deviation(values)
    return number(mean) + (f" ± {number(deviation)}" if deviation is not None else "")


def _readable(rows: Sequence[Row], results: Sequence[Result], tables: Sequence[str], form: str) -> str:
    """Return text, Markdown or LaTeX: one table per panel, without empty columns."""
    parts = []
    for panel in dict.fromkeys(row.panel for row in rows):
        chosen = [row for row in rows if row.panel == panel]
        columns = [name for name in COLUMNS if any(row.values.get(name) for row in chosen)]
        extra = [name for name in PAPER_COLUMNS if any(name in row.printed for row in chosen)]
        dictionary = any(row.dictionary for row in chosen)
        header = ["objective", *(["dictionary"] if dictionary else []), "seeds"]
        left = len(header) - 1
        body = [
            [
                row.objective,
                *([row.dictionary or NOTHING] if dictionary else []),
                str(len(row.seeds)),
                *(_cell(row.values.get(name)) for name in columns),
                *(number(row.printed.get(name)) for name in extra),
            ]
            for row in chosen
        ]
        header += [COLUMNS[name] for name in columns] + [PAPER_COLUMNS[name] for name in extra]
        task, pair, transform = panel
        parts.append(f"{task}, {pair}, {transform} ({chosen[0].metric}, %)\n")
        parts.append(WRITERS[form](header, body, left=left))
    parts.append(_notes(results, tables))
    text = "\n".join(part for part in parts if part)
    # Outside a tabular LaTeX takes prose as a comment, so that the output can be input as it is.
    return text if form != "latex" else _commented(text)


def _notes(results: Sequence[Result], tables: Sequence[str]) -> str:
    """Return each signature once, and the source of the printed figures."""
    setting = "8 layers, 500k steps, a 25 % dictionary drawn at random; POS scored by chunk F1"
    lines = [f"paper: {', '.join(tables)} as printed ({setting})"] if tables else []
    lines += dict.fromkeys(
        text
        for result in results
        for text in (result.signature.values() if isinstance(result.signature, dict) else [result.signature])
        if text
    )
    return "\n".join(lines) + "\n" if lines else ""


def _commented(text: str) -> str:
    inside, lines = False, []
    for line in text.splitlines():
        inside = inside or line.startswith("\\begin")
        lines.append(line if inside or not line else f"% {line}")
        inside = inside and not line.startswith("\\end")
    return "\n".join(lines) + "\n"
