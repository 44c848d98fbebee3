"""Compare runs side by side: SUP, ZS, SUP - ZS, alignment and retrieval by objective, or BLEU and chrF by direction.

RUN is a folder with a result.json, or a folder with several of them below it. Runs that differ only in their seed
become one row, mean ± sample standard deviation over seeds. SUP is fine-tuned and tested on the target language, ZS is
fine-tuned on the source language and tested on the target language; SUP - ZS is the transfer gap, and smaller is
better. CSV and JSON keep every digit; JSON also has the scores of each seed.

--paper adds the figures printed in ALIGN-MLM, but only to runs of the same objective, transformation, benchmark,
metric, dictionary share, overlap, alpha and share of parallel text.

Folders that `bleu --output` wrote become a table of their own: one row per direction, one column per model, and
averages over the directions that all models have. --paper mmte adds MMTE's Table 1 to the directions that it prints.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate import papers
from fairseq_xalign.evaluate.metrics.correlation import mean_deviation
from fairseq_xalign.evaluate.report import translation_tables
from fairseq_xalign.evaluate.report.results import RESULT_FILE, Result, read_runs
from fairseq_xalign.evaluate.report.rows import COLUMNS, PAPER_COLUMNS, Row, group_over_seeds
from fairseq_xalign.evaluate.report.tables import FORMATS, NOTHING, WRITERS, csv_text, deliver, json_text, number
from fairseq_xalign.evaluate.report.translation_tables import PAPER_TABLE, translation_runs
from fairseq_xalign.evaluate.report.translations import TRANSLATION_FILE, Translations

EXAMPLE = """example:
  xalign-evaluate compare runs/
  xalign-evaluate compare runs/ --paper align_mlm --format markdown --output table.md
  xalign-evaluate compare scores/mnmt scores/bilingual --paper mmte"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate compare``."""
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="Folder with a result.json or a bleu.json, or with several below it."
    )
    parser.add_argument(
        "--paper",
        metavar="TABLE",
        help="Add the figures that a paper prints for the same setting: align_mlm, or one of its tables, "
        "align_mlm.1 to align_mlm.8; mmte for translations.",
    )
    parser.add_argument(
        "--metric",
        help="Score to show (default: chunk_f1 for ner, otherwise accuracy; with --paper the paper's: chunk_f1 for pos "
        "too).",
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="Output format (default: %(default)s).")
    parser.add_argument("--output", metavar="FILE", help="File to write to (default: standard output).")


def run(args: argparse.Namespace) -> None:
    """Print the comparison, or write it."""
    deliver(compare(args.runs, args.paper, args.metric, args.format), args.output)


def compare(runs: Sequence[str | Path], paper: str | None = None, metric: str | None = None, form: str = "text") -> str:
    """A table of runs, grouped over their seeds.

    Args:
        runs: folders with a result.json or a bleu.json, or with several below them.
        paper: ``align_mlm``, or one of its tables, whose figures are set beside the same cells; or ``mmte``.
        metric: score to show (default: by task; with ``paper`` the paper's).
        form: one of ``tables.FORMATS``.

    Raises:
        UserError: no result in a folder, an unknown table or metric, or the same run twice.
    """
    tables = papers.comparable(paper) if paper else []
    translations = translation_runs(runs)
    labelled = [run for run in runs if not _only_translations(run)]
    if translations and not labelled:
        return _translations(translations, tables, form)
    results, every = read_runs(labelled), tables
    tables = [table for table in tables if table != PAPER_TABLE]
    rows = group_over_seeds(results, metric, tables)
    if form == "csv":
        if translations:
            raise UserError(
                "scores of labels and of translations do not fit into one CSV",
                remedy="Compare them one after the other",
            )
        return csv_text([row.record(bool(tables)) for row in rows])
    if form == "json":
        records = [row.record(bool(tables)) | {"by_seed": row.values} for row in rows]
        signatures = {result.path: result.signature for result in results}
        whole = {"rows": records, "paper": tables, "signatures": signatures}
        return json_text(whole | ({"translations": _records(translations, every)} if translations else {}))
    text = _readable(rows, results, tables, form)
    return f"{text}\n{_translations(translations, every, form)}" if translations else text


def _only_translations(run: str | Path) -> bool:
    """Whether a run has scores of translations and no result of a labelled task."""
    path = Path(run)
    if path.is_file():
        return path.name == TRANSLATION_FILE
    return any(path.rglob(TRANSLATION_FILE)) and not any(path.rglob(RESULT_FILE))


def _records(translations: Sequence[Translations], tables: Sequence[str]) -> list[dict[str, Any]]:
    return translation_tables.records(translations, PAPER_TABLE in tables)


def _translations(translations: Sequence[Translations], tables: Sequence[str], form: str) -> str:
    """The table of translations alone, in one of ``tables.FORMATS``."""
    if form == "csv":
        return csv_text(_records(translations, tables))
    if form == "json":
        return json_text({"translations": _records(translations, tables), "paper": list(tables)})
    text = translation_tables.comparison(translations, PAPER_TABLE in tables, form)
    return text if form != "latex" else _commented(text)


def _setting(row: Row, rows: Sequence[Row]) -> str:
    """What a row's ablation varies: settings that are not the paper's default, or differ from another row's."""
    parts = []
    for name, words in (("overlap", "overlap"), ("alpha", "alpha"), ("parallel_share", "parallel text")):
        value = row.settings.get(name)
        others = {other.settings.get(name) for other in rows if other.objective == row.objective}
        if value is not None and (len(others) > 1 or float(value) != papers.DEFAULTS[name]):
            parts.append(f"{words} {value:g}" if name == "alpha" else f"{words} {100 * value:g} %")
    return ", ".join(parts)


def _cell(values: list[float] | None) -> str:
    if not values:
        return NOTHING
    mean, deviation = mean_deviation(values)
    return number(mean) + (f" ± {number(deviation)}" if deviation is not None else "")


def _readable(rows: Sequence[Row], results: Sequence[Result], tables: Sequence[str], form: str) -> str:
    """Text, Markdown or LaTeX: one table per panel, without empty columns."""
    parts = []
    for panel in dict.fromkeys(row.panel for row in rows):
        chosen = [row for row in rows if row.panel == panel]
        columns = [name for name in COLUMNS if any(row.values.get(name) for row in chosen)]
        extra = [name for name in PAPER_COLUMNS if any(name in row.printed for row in chosen)]
        dictionary = any(row.dictionary for row in chosen)
        settings = [_setting(row, chosen) for row in chosen]
        varied = ["setting"] if any(settings) else []
        header = ["objective", *(["dictionary"] if dictionary else []), *varied, "seeds"]
        left = len(header) - 1
        body = [
            [
                row.objective,
                *([row.dictionary or NOTHING] if dictionary else []),
                *([setting or NOTHING] if varied else []),
                str(len(row.seeds)),
                *(_cell(row.values.get(name)) for name in columns),
                *(number(row.printed.get(name)) for name in extra),
            ]
            for row, setting in zip(chosen, settings)
        ]
        header += [COLUMNS[name] for name in columns] + [PAPER_COLUMNS[name] for name in extra]
        task, pair, transform = panel
        parts.append(f"{task}, {pair}, {transform} ({chosen[0].metric}, %)\n")
        parts.append(WRITERS[form](header, body, left=left))
    parts.append(_notes(rows, results, tables))
    text = "\n".join(part for part in parts if part)
    # Outside a tabular LaTeX takes prose as a comment, so that the output can be input as it is.
    return text if form != "latex" else _commented(text)


def _notes(rows: Sequence[Row], results: Sequence[Result], tables: Sequence[str]) -> str:
    """Where the printed figures are from, what was seen of parallel text, and the signatures, each once."""
    setting = "8 layers, 500k steps, a dictionary drawn at random; POS scored by chunk F1"
    lines = [f"paper: {', '.join(tables)} as printed ({setting})"] if tables else []
    if tables and not any(row.printed for row in rows):
        lines.append("these tables print no figure for the task, metric and setting of any run")
    lines += dict.fromkeys(
        f"{row.objective}, {row.pair}: the parallel text seen in training was "
        f"{100 * row.parallel_seen['sentences']:.1f} "
        f"% of the sentences, {100 * row.parallel_seen['tokens']:.1f} % of all tokens"
        for row in rows
        if row.parallel_seen
    )
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
