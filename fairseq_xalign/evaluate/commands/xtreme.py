"""Write predictions as a submission to the XTREME benchmark.

Each call writes the folder of one task below --output, with one file per language: test-de.tsv for tags, labels and
retrieval, test-de.json for answers. XTREME's evaluate.py and its leaderboard read the folder. It needs predictions for
every language of the task and every example of the test set, in its order; what is missing is reported. Labels get
XTREME's names (of PAWS-X, 1 for paraphrase and 0 for different).
"""

from __future__ import annotations

import argparse

from fairseq_xalign import cli
from fairseq_xalign.errors import counted
from fairseq_xalign.evaluate.xtreme import TASKS, write_submission

EXAMPLE = """examples:
  xalign-evaluate predict --checkpoint runs/ner --data PANX --output panx.jsonl
  xalign-evaluate xtreme --task panx --predictions panx.jsonl --output SUBMISSION
  xalign-evaluate xtreme --task tatoeba --predictions tatoeba.jsonl --output SUBMISSION"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate xtreme``."""
    parser.add_argument("--task", required=True, choices=TASKS, help="XTREME's name of the task.")
    parser.add_argument(
        "--predictions",
        required=True,
        metavar="FILE",
        help="JSON lines written by predict, or for tatoeba by retrieve --predictions.",
    )
    parser.add_argument(
        "--output",
        required=True,
        metavar="SUBMISSION",
        help="Folder of the submission; the task's own folder in it is replaced, those of other tasks stay.",
    )


def run(args: argparse.Namespace) -> None:
    """Write the files and say what they hold."""
    written = write_submission(args.task, args.predictions, args.output)
    for language, items in written.items.items():
        print(f"{args.task} {language}: {counted(items, 'example')}")
    if written.missing:
        cli.say(f"{written.missing:,} without a prediction, which count as wrong")
    if written.unknown:
        tags = ", ".join(sorted(written.unknown))
        cli.say(f"{written.unknown.total():,} tags that {args.task} does not have, which count as wrong: {tags}")
    if written.of_other_size:
        cli.say(
            f"{' '.join(written.of_other_size)}: XTREME's test set has {TASKS[args.task].size:,} examples per "
            "language, and its evaluate.py refuses other numbers"
        )
    if written.absent:
        cli.say(f"no predictions for {' '.join(written.absent)}: XTREME's evaluate.py needs every language of the task")
