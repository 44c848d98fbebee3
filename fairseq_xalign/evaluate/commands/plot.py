"""Plot runs: transfer, alignment, BLEU or learning curves; or the sizes of a corpus.

transfer draws one panel per task, pair and transformation, with bars for SUP and ZS, their values, and the standard
deviation if there are several seeds. alignment draws one panel per task, with one point per row of compare, and
Spearman's rank correlation of alignment and SUP - ZS. It is negative if better alignment goes with a smaller gap;
ALIGN-MLM prints the same correlation with the opposite sign.

bleu draws the BLEU of each direction from the folders that bleu --output wrote, one colour per model. corpus-sizes
draws the training pairs of each direction of a data folder on a logarithmic scale, the largest first, as MMTE does in
Figure 1. curves draws losses and validation scores by update, from logs of fairseq-train (train.log). The file is a PNG
or an SVG, depending on its suffix.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from fairseq_xalign.data.corpus_sizes import corpus_sizes as sizes_of
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.report.curves import curves
from fairseq_xalign.evaluate.report.plots import ENDINGS, KINDS, save
from fairseq_xalign.evaluate.report.results import read_runs
from fairseq_xalign.evaluate.report.rows import group_over_seeds
from fairseq_xalign.evaluate.report.training_log import LOG_NAME, log_files, names_of, read_log
from fairseq_xalign.evaluate.report.translation_plots import bleu, corpus_sizes
from fairseq_xalign.evaluate.report.translation_tables import translation_runs

EXAMPLE = """example:
  xalign-evaluate plot transfer runs/ --output transfer.png
  xalign-evaluate plot alignment runs/ --output alignment.svg
  xalign-evaluate plot bleu scores/mnmt scores/bilingual --output bleu.png
  xalign-evaluate plot curves runs/ --output curves.png
  xalign-evaluate plot corpus-sizes DATA --output sizes.png"""

ALL_KINDS = (*sorted(KINDS), "bleu", "corpus-sizes", "curves")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate plot``."""
    parser.add_argument("kind", choices=ALL_KINDS, metavar="KIND", help=f"What to plot: {', '.join(ALL_KINDS)}.")
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="Folder with a result.json (for bleu, a bleu.json; for curves, a train.log), or with several below it; "
        "for corpus-sizes, a data folder.",
    )
    parser.add_argument("--output", required=True, metavar="FILE", help="PNG or SVG file to write.")
    parser.add_argument("--metric", help="Score to plot (default: chunk_f1 for ner, accuracy for other tasks).")


def run(args: argparse.Namespace) -> None:
    """Read, draw, write."""
    plot(args.kind, args.runs, args.output, args.metric)


def plot(kind: str, runs: Sequence[str | Path], output: str | Path, metric: str | None = None) -> None:
    """Draw runs to a file.

    Args:
        kind: one of ``ALL_KINDS``.
        runs: folders with a result.json (for ``bleu``, a bleu.json), or with several below them; for ``corpus-sizes``
            one data folder.
        output: a .png or .svg file.
        metric: score to draw (default: by task).

    Raises:
        UserError: another ending, no result, or nothing to draw.
    """
    output = Path(output)
    if output.suffix.lower() not in ENDINGS:
        what = f"ending {output.suffix!r} is not one of {', '.join(ENDINGS)}"
        raise UserError(what, output, remedy=f"Name it {output.with_suffix(ENDINGS[0]).name}")
    if kind in KINDS:
        save(KINDS[kind](group_over_seeds(read_runs(runs), metric)), output)
        return
    if metric is not None:
        raise UserError(f"--metric does not go with {kind}", remedy="Leave it out")
    if kind == "curves":
        paths = log_files(runs)
        if not paths:
            raise UserError(
                f"no {LOG_NAME} in it", runs[0], remedy="Keep what fairseq-train prints in a file of this name"
            )
        save(curves([read_log(path, name) for path, name in zip(paths, names_of(paths))]), output)
        return
    if kind == "bleu":
        save(bleu(translation_runs(runs)), output)
        return
    if len(runs) != 1:
        raise UserError(f"corpus-sizes takes one data folder, not {len(runs)}", remedy="Draw one figure for each")
    save(corpus_sizes(sizes_of(runs[0]), Path(runs[0]).resolve().name), output)
