"""Compare runs side by side: SUP, ZS, SUP - ZS, alignment and retrieval by objective, or BLEU and chrF by direction.

RUN is a folder with a result.json, or a folder with several of them below it. Runs that differ only in their seed
become one row, mean ± sample standard deviation over seeds. SUP is fine-tuned and tested on the target language, ZS is
fine-tuned on the source language and tested on the target language; SUP - ZS is the transfer gap, and smaller is
better. CSV and JSON keep every digit; JSON also has the scores of each seed.

--by language prints the tables of the other papers: a row for each model, a column for each language, averages over all
languages and over the targets, for models fine-tuned on the source and, where there are such scores, on each
language, and the difference. Where there is one model per language, the score of the source language is the mean over
the models. --against MODEL adds relative changes, and differences with p values of a paired bootstrap test, to every
table with a row of it. --paper adds rows printed in weam, tpp, ppa or mmte, marked [printed], of the same task, metric,
corpus and fine-tuning.

A seed that failed (`result --failed`), is missing (--seeds), or has no score in some language is counted in the column
"seeds" and named below the table. So is a folder without a result.json, as mlm/seed4 beside mlm/seed3, if its path
differs from that of a run in the seed alone.

Otherwise --paper adds the figures printed in ALIGN-MLM, but only to runs of the same objective, transformation,
benchmark, metric, dictionary share, overlap, alpha and share of parallel text.

Folders that `bleu --output` wrote become a table of their own: one row per direction, one column per model, and
averages over the directions that all models have. --paper mmte adds MMTE's Table 1 to the directions that it prints.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairseq_xalign import cli
from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.evaluate import papers
from fairseq_xalign.evaluate.metrics import significance
from fairseq_xalign.evaluate.papers import by_language
from fairseq_xalign.evaluate.report import language_tables, languages, translation_tables
from fairseq_xalign.evaluate.report.pair_tables import commented, correlations, pair_tables
from fairseq_xalign.evaluate.report.paired import PairedTests
from fairseq_xalign.evaluate.report.results import RESULT_FILE, files_of_runs
from fairseq_xalign.evaluate.report.rows import group_over_seeds
from fairseq_xalign.evaluate.report.tables import FORMATS, csv_text, deliver, json_text
from fairseq_xalign.evaluate.report.translation_tables import PAPER_TABLE, translation_runs
from fairseq_xalign.evaluate.report.translations import TRANSLATION_FILE, Translations
from fairseq_xalign.evaluate.report.unfinished import read_every_run
from fairseq_xalign.options import name_list
from fairseq_xalign.outputs import refuse_to_replace

EXAMPLE = """examples:
  xalign-evaluate compare runs/
  xalign-evaluate compare runs/ --paper align_mlm --format markdown --output table.md
  xalign-evaluate compare runs/ --by language --against mlm --paper weam.2
  xalign-evaluate compare scores/mnmt scores/bilingual --paper mmte"""
BY = ("pair", "language")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate compare``."""
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="Folder with a result.json or a bleu.json, or with several below it."
    )
    parser.add_argument(
        "--paper",
        metavar="TABLE",
        help="Add the figures that a paper prints for the same setting: align_mlm, or one of its tables, "
        "align_mlm.1 to align_mlm.8; mmte for translations; with --by language weam, tpp, ppa, mmte or one "
        "of their tables.",
    )
    parser.add_argument(
        "--by",
        choices=BY,
        default="pair",
        help="Columns of the tables: figures of one language pair, or languages (default: %(default)s).",
    )
    parser.add_argument(
        "--against", metavar="MODEL", help="With --by language: objective that the other models are compared with."
    )
    parser.add_argument(
        "--not-averaged",
        metavar="NAME,NAME",
        help="With --by language: targets that averages are not over, such as a second test set of a language. Those "
        "of the source language, as en-PUD beside en, never are.",
    )
    parser.add_argument(
        "--seeds", metavar="N,N", help="Seeds that every row should have; those without a result are counted."
    )
    parser.add_argument(
        "--bootstrap",
        type=int,
        default=significance.SAMPLES,
        metavar="N",
        help=f"Resamples of the test of --against, at least {significance.LEAST_SAMPLES}; 0 for no p values "
        "(default: %(default)s).",
    )
    parser.add_argument(
        "--metric",
        help="Score to show (default: chunk_f1 for ner, f1 for qa, otherwise accuracy; with --paper what the paper "
        "prints of each task: chunk_f1 for pos in align_mlm, macro_f1 for sentiment in tpp).",
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="Output format (default: %(default)s).")
    parser.add_argument("--output", metavar="FILE", help="File to write to (default: standard output).")


def run(args: argparse.Namespace) -> None:
    """Print the comparison, or write it."""
    text = compare(
        args.runs,
        args.paper,
        args.metric,
        args.format,
        by=args.by,
        against=args.against,
        not_averaged=name_list(args.not_averaged) if args.not_averaged else (),
        seeds=_seeds(args.seeds) if args.seeds else (),
        bootstrap=args.bootstrap,
    )
    refuse_to_replace(files_of_runs(args.runs), [args.output])
    deliver(text, args.output)


def _seeds(text: str) -> list[int]:
    try:
        return [int(part) for part in name_list(text)]
    except ValueError:
        raise UserError(f"--seeds {text!r} are not whole numbers", remedy="Write --seeds 1,2,3") from None


def compare(
    runs: Sequence[str | Path],
    paper: str | None = None,
    metric: str | None = None,
    form: str = "text",
    *,
    by: str = "pair",
    against: str | None = None,
    not_averaged: Sequence[str] = (),
    seeds: Sequence[int] = (),
    bootstrap: int = significance.SAMPLES,
) -> str:
    """A table of runs, grouped over their seeds.

    Args:
        runs: folders with a result.json or a bleu.json, or with several below them.
        paper: ``align_mlm``, or one of its tables, whose figures are set beside the same cells; or ``mmte``; with
            ``by="language"`` a paper or table whose rows are added.
        metric: score to show (default: by task; with ``paper`` the paper's).
        form: one of ``tables.FORMATS``.
        by: ``pair`` or ``language``: what the columns are.
        against: with ``by="language"``, the objective that the other models are compared with.
        not_averaged: with ``by="language"``, targets that averages are not over.
        seeds: those that every row should have.
        bootstrap: resamples of the paired test; 0 for no p values.

    Raises:
        UserError: no result in a folder, an unknown table or metric, or the same run twice.
    """
    if by not in BY:
        raise unknown_name("kind of table", by, BY)
    significance.check_samples(bootstrap)
    if by == "language":
        printed = by_language.comparable(paper) if paper else []
        return _by_language(runs, printed, metric, form, against, not_averaged, seeds, bootstrap)
    if against is not None:
        raise UserError("--against compares models by language", remedy="Add --by language")
    if not_averaged:
        raise UserError("--not-averaged is about averages over languages", remedy="Add --by language")
    tables = _pair_tables(paper) if paper else []
    translations = translation_runs(runs)
    labelled = [run for run in runs if not _only_translations(run)]
    if translations and not labelled:
        return _translations(translations, tables, form)
    results, every = read_every_run(labelled)[0], tables
    tables = [table for table in tables if table != PAPER_TABLE]
    rows = group_over_seeds(results, metric, tables, seeds)
    if form == "csv":
        if translations:
            raise UserError(
                "scores of labels and of translations do not fit into one CSV",
                remedy="Compare them one after the other",
            )
        return csv_text([row.record(bool(tables)) for row in rows])
    if form == "json":
        records = [row.record(bool(tables)) | {"by_seed": row.values, "absent": row.absent} for row in rows]
        signatures = {result.path: result.signature for result in results}
        whole = {"rows": records, "paper": tables, "correlations": correlations(rows), "signatures": signatures}
        return json_text(whole | ({"translations": _records(translations, every)} if translations else {}))
    text = pair_tables(rows, results, tables, form)
    return f"{text}\n{_translations(translations, every, form)}" if translations else text


def _pair_tables(paper: str) -> list[str]:
    try:
        return papers.comparable(paper)
    except UserError as error:
        try:
            by_language.comparable(paper)
        except UserError:
            raise error from None
        raise UserError(error.what, remedy=f"{error.remedy}; or add --by language for {paper}") from None


def _by_language(
    runs: Sequence[str | Path],
    tables: Sequence[str],
    metric: str | None,
    form: str,
    against: str | None,
    not_averaged: Sequence[str],
    seeds: Sequence[int],
    bootstrap: int,
) -> str:
    """The tables by language, in one of ``tables.FORMATS``."""
    results, _ = read_every_run(runs)
    tests = PairedTests(bootstrap) if bootstrap else None
    found = languages.language_tables(results, metric, tables, seeds, against, tests, not_averaged)
    if form == "csv":
        for line in language_tables.uncompared(found):  # a table of figures alone has no place for it
            cli.say(line)
        return csv_text(language_tables.records(found))
    if form == "json":
        signatures = {result.path: result.signature for result in results}
        notes = language_tables.notes(found, results, tables, list(tests.untested) if tests else [])
        return json_text(
            {"cells": language_tables.records(found), "paper": list(tables), "notes": notes, "signatures": signatures}
        )
    return language_tables.readable(found, results, tables, form, list(tests.untested) if tests else [])


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
    return text if form != "latex" else commented(text)
