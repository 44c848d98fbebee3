"""Score predictions: part-of-speech tags, named entities, labels of texts or pairs, or answers.

Predictions are the JSON lines that `predict` writes, which include the gold labels. With --gold, they may also be
CoNLL-U (pos), tokens and tags as `xalign-preprocess benchmark` reads them (ner), one label per line (classification,
pairs), the columns of the set itself (pairs), or one JSON object from ids to answers with SQuAD's file as --gold (qa).
Every score is in per cent and comes with a bootstrap interval over items and a signature that says how it was computed.
Part-of-speech tags get two scores that cannot be compared with each other: accuracy, and the chunk F1 of seqeval
(XTREME, ALIGN-MLM). Entities also get the F1 of each type.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fairseq_xalign import cli
from fairseq_xalign.errors import UserError, counted
from fairseq_xalign.evaluate.metrics import significance
from fairseq_xalign.evaluate.report.scores import Rival, score_report, scores_text
from fairseq_xalign.evaluate.report.tables import json_text
from fairseq_xalign.labelled.predictions import read_items, set_of
from fairseq_xalign.labelled.registry import TASKS
from fairseq_xalign.options import at_least

EXAMPLE = """examples:
  xalign-evaluate score --task pos --predictions hi.jsonl
  xalign-evaluate score --task ner --predictions guess.tsv --gold gold.tsv --language de --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate score``."""
    parser.add_argument("--task", required=True, choices=TASKS, help="What the labels are.")
    parser.add_argument(
        "--predictions",
        required=True,
        metavar="FILE",
        help="JSON lines written by predict, or with --gold another format.",
    )
    parser.add_argument(
        "--gold", metavar="FILE", help="File with the gold labels, if the predictions do not include them."
    )
    parser.add_argument(
        "--language",
        metavar="XX",
        help="Score only this language (default: every language that occurs). For files that name no "
        "language, the language that they are in; without it, that of answers is taken from the name of their gold "
        "file, such as test.de.json.",
    )
    parser.add_argument("--split", help="Name of the split, for the signature.")
    parser.add_argument(
        "--against",
        metavar="FILE",
        help="Another system's predictions for the same items, for a paired bootstrap test.",
    )
    parser.add_argument(
        "--bootstrap",
        type=int,
        default=significance.SAMPLES,
        metavar="N",
        help=f"Number of bootstrap resamples, at least {significance.LEAST_SAMPLES}; 0 for no intervals "
        "(default: %(default)s).",
    )
    parser.add_argument(
        "--seed", type=int, default=significance.SEED, help="Seed of the resampling (default: %(default)s)."
    )
    parser.add_argument("--json", action="store_true", help="Print JSON.")


def run(args: argparse.Namespace) -> None:
    """Score and print."""
    report = score(
        args.task,
        args.predictions,
        gold=args.gold,
        language=args.language,
        split=args.split,
        against=args.against,
        bootstrap=args.bootstrap,
        seed=args.seed,
    )
    missing = sum(counts["missing"] for counts in report["counts"].values())
    if missing:
        cli.say(f"{counted(missing, 'token or item', 'tokens or items')} without a prediction, counted as wrong")
    print(json_text(report) if args.json else scores_text(report), end="")


def score(
    task: str,
    predictions: str | Path,
    *,
    gold: str | Path | None = None,
    language: str | None = None,
    split: str | None = None,
    against: str | Path | None = None,
    bootstrap: int = significance.SAMPLES,
    seed: int = significance.SEED,
) -> dict[str, Any]:
    """The scores of a file of predictions, as ``--json`` prints them.

    Args:
        task: pos, ner or classification.
        predictions: predict's JSON lines, or the task's own format.
        gold: the gold labels, if the predictions do not carry them.
        language: score only this one.
        split: name of the split, for the signature.
        against: another system's predictions of the same items.
        bootstrap: number of resamples; 0 for no intervals.
        seed: of the resampling.

    Returns:
        ``predictions`` (the file's name), ``set`` (the published set, where the lines name one), and what
        ``evaluate/report/scores.py`` describes.

    Raises:
        UserError: for files that cannot be read, do not fit each other, or hold labels of another task.
    """
    at_least(0, seed=seed)
    significance.check_samples(bootstrap)
    if against and not bootstrap:
        raise UserError("--against needs resamples, and --bootstrap is 0", remedy="Leave --bootstrap out")
    items = read_items(task, predictions, gold, language)
    rival = Rival(read_items(task, against, gold, language), str(against)) if against else None
    made_of = set_of(task, predictions)
    about = {"predictions": str(predictions), **({"set": made_of} if made_of else {})}
    return about | score_report(task, items, split, bootstrap, seed, rival)
