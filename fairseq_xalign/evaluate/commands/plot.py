"""Plot runs: transfer (SUP and ZS by objective) or alignment (alignment against SUP - ZS).

transfer draws one panel per task, pair and transformation, with bars for SUP and ZS, their values, and the standard
deviation if there are several seeds. alignment draws one panel per task, with one point per row of compare, and
Spearman's rank correlation of alignment and SUP - ZS. It is negative if better alignment goes with a smaller gap;
ALIGN-MLM prints the same correlation with the opposite sign. The file is a PNG or an SVG, depending on its suffix.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.report.plots import ENDINGS, KINDS, save
from fairseq_xalign.evaluate.report.results import read_runs
from fairseq_xalign.evaluate.report.rows import group_over_seeds

EXAMPLE = """example:
  xalign-evaluate plot transfer runs/ --output transfer.png
  xalign-evaluate plot alignment runs/ --output alignment.svg"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate plot``."""
    parser.add_argument("kind", choices=sorted(KINDS), metavar="KIND", help="What to plot: transfer or alignment.")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="Folder with a result.json, or with several below it.")
    parser.add_argument("--output", required=True, metavar="FILE", help="PNG or SVG file to write.")
    parser.add_argument("--metric", help="Score to plot (default: chunk_f1 for ner, accuracy for other tasks).")


def run(args: argparse.Namespace) -> None:
    """Read, draw, write."""
    plot(args.kind, args.runs, args.output, args.metric)


def plot(kind: str, runs: Sequence[str | Path], output: str | Path, metric: str | None = None) -> None:
    """Draw runs to a file.

    Args:
        kind: ``transfer`` or ``alignment``.
        runs: folders with a result.json, or with several below them.
        output: a .png or .svg file.
        metric: score to draw (default: by task).

    Raises:
        UserError: another ending, no result, or nothing to draw.
    """
    output = Path(output)
    if output.suffix.lower() not in ENDINGS:
        what = f"ending {output.suffix!r} is not one of {', '.join(ENDINGS)}"
        raise UserError(what, output, remedy=f"Name it {output.with_suffix(ENDINGS[0]).name}")
    save(KINDS[kind](group_over_seeds(read_runs(runs), metric)), output)
