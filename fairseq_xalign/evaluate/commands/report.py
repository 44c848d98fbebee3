"""Write one HTML page about runs: tables, figures, settings and versions.

RUN is a folder with results (result.json, bleu.json) and training logs (train.log), or with several of them below it.
The page has the tables of `compare`, by pair and by language, the figures of `plot`, learning curves, the settings of
each run and the versions of the packages. It holds everything itself and opens in any browser without a network.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from fairseq_xalign import cli
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.report.page import page
from fairseq_xalign.evaluate.report.results import RESULT_FILE
from fairseq_xalign.evaluate.report.training_log import LOG_NAME, log_files, names_of, read_log
from fairseq_xalign.evaluate.report.translation_tables import translation_runs
from fairseq_xalign.evaluate.report.translations import TRANSLATION_FILE
from fairseq_xalign.evaluate.report.unfinished import read_every_run
from fairseq_xalign.files import atomic_file
from fairseq_xalign.outputs import is_special

EXAMPLE = """example:
  xalign-evaluate report runs/ --output report.html"""
PAGE = "index.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate report``."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="Folder of a run, or with several below it.")
    parser.add_argument(
        "--output",
        required=True,
        metavar="FILE.html",
        help=f"Page to write; a name without the ending .html is a folder, whose {PAGE} it becomes.",
    )
    parser.add_argument("--title", help="Title of the page (default: the names of the runs).")
    parser.add_argument("--metric", help="Score to show (default: by task).")


def run(args: argparse.Namespace) -> None:
    """Write the page."""
    cli.say(f"wrote {report(args.runs, args.output, title=args.title, metric=args.metric)}")


def report(
    runs: Sequence[str | Path], output: str | Path, *, title: str | None = None, metric: str | None = None
) -> Path:
    """Write a page about runs, whole or not at all.

    Args:
        runs: folders of runs, or with several below them.
        output: a file that ends in .html, or a folder.
        title: of the page.
        metric: score to show (default: by task).

    Returns: the file written.

    Raises:
        UserError: nothing to report in the folders, or a file that cannot be read.
    """
    folders = [Path(run) for run in runs]
    for folder in folders:
        if not folder.exists():
            raise UserError("no such file or folder", folder, remedy="Name the folder of a run")
    with_results = [folder for folder in folders if folder.is_file() or any(folder.rglob(RESULT_FILE))]
    with_results = [folder for folder in with_results if folder.name != TRANSLATION_FILE]
    results, unfinished = read_every_run(with_results) if with_results else ([], [])
    translations = translation_runs(folders)
    paths = log_files(folder for folder in folders if folder.is_dir())
    logs = [read_log(path, name) for path, name in zip(paths, names_of(paths))]
    if not (results or translations or logs):
        raise UserError(
            f"no {RESULT_FILE}, {TRANSLATION_FILE} or {LOG_NAME} in it", folders[0], remedy="Give the folder of a run"
        )
    named = title or ", ".join(folder.resolve().name for folder in folders)
    text = page(named, results, translations, logs, unfinished, metric)
    file = Path(output)
    if file.suffix.lower() not in (".html", ".htm") and not is_special(file):
        if file.exists() and not file.is_dir():
            raise UserError("is a file whose name does not end in .html", file, remedy="Name a .html file or a folder")
        file.mkdir(parents=True, exist_ok=True)
        file = file / PAGE
    with atomic_file(file) as stream:
        stream.write(text)
    return file
