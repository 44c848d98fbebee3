"""Compare word links with links made by people: alignment error rate, precision, recall and F1.

The links of any aligner in Pharaoh's format, `0-0 1-2`, one line per sentence pair, as `xalign-preprocess links` writes
them. Gold links may be sure (1-2) or only possible (1p2): precision counts both, recall the sure ones, and the error
rate is that of Och and Ney (2003). Links count the words of gold alignments as they stand, separated by spaces: make
them with `xalign-preprocess links --words space`. `xalign-evaluate align --gold` measures an encoder's own links.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.linking import links_table, read_found_links, read_linked_text
from fairseq_xalign.evaluate.metrics.link_errors import link_scores
from fairseq_xalign.evaluate.report.tables import json_text
from fairseq_xalign.options import files_between_commas, named_files

EXAMPLE = """examples:
  xalign-evaluate links --links links.ja-en --gold jaen.gold --one-based
  xalign-evaluate links --links links.ja-en --gold jaen.gold --one-based --bitext ja-en=jaen.src-tgt --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate links``."""
    parser.add_argument("--links", required=True, metavar="FILE", help="Links to measure, counted from 0.")
    parser.add_argument(
        "--gold", required=True, metavar="FILE", help="Links made by people, a line for each pair: 0-0 1-2, or 1p2."
    )
    parser.add_argument("--one-based", action="store_true", help="The gold links count words from 1.")
    parser.add_argument(
        "--bitext",
        metavar="XX-YY=FILE[,FILE]",
        help="Check that all links lie within these sentence pairs, words separated by spaces and tabs: a file of "
        "`source ||| target` lines, or two files.",
    )
    parser.add_argument("--json", action="store_true", help="Print JSON.")


def run(args: argparse.Namespace) -> None:
    """Measure and print."""
    files = files_between_commas(named_files([args.bitext], "--bitext")[0][1]) if args.bitext else None
    report = links(args.links, args.gold, one_based=args.one_based, bitext=files)
    print(json_text(report) if args.json else links_table(report), end="")


def links(
    found: str | Path, gold: str | Path, *, one_based: bool = False, bitext: Sequence[str | Path] | None = None
) -> dict[str, Any]:
    """How the links of a file agree with links made by people, as ``--json`` prints it.

    Args:
        found: Pharaoh lines.
        gold: Pharaoh lines; ``1p2`` is a link that is possible but not sure.
        one_based: whether the gold links count words from 1.
        bitext: a file of ``source ||| target`` lines, or the files of the two sides, to check the links with.

    Returns: see ``evaluate/metrics/link_errors.py``.
    """
    if bitext is not None and not 1 <= len(bitext) <= 2:
        raise UserError(f"--bitext names {len(bitext)} files", remedy="Write --bitext XX-YY=FILE or XX-YY=FILE,FILE")
    text = read_linked_text(bitext, gold, one_based) if bitext else None
    return link_scores(read_found_links(found, gold, one_based, text))
