"""Gather a run's scores into result.json, which compare and plot read.

The folder contains what other commands printed with --json: source.json (`score`, for a model that was fine-tuned on
the source language and tested on source and target: ZS) and, if they exist, target.json (`score`, for a model
fine-tuned on the target language: SUP), alignment.json (`align`) and retrieval.json (`retrieve`). The task, languages
and test set that each file names must agree with the options.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fairseq_xalign import cli
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.report.gather import gather
from fairseq_xalign.evaluate.report.results import RESULT_FILE, Result, write
from fairseq_xalign.labelled.registry import TASKS

EXAMPLE = """example:
  xalign-evaluate score --task pos --predictions pred.jsonl --json > run1/source.json
  xalign-evaluate result run1 --objective align_mlm --source en --target de --task pos --seed 1
  xalign-evaluate compare run1 run2"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate result``."""
    parser.add_argument("folder", type=Path, metavar="RUN", help="Folder with the JSON files; result.json goes there.")
    parser.add_argument(
        "--objective", required=True, help="What the encoder was pre-trained with, for instance align_mlm."
    )
    parser.add_argument("--source", required=True, metavar="XX", help="Language with labels.")
    parser.add_argument("--target", required=True, metavar="YY", help="Language without labels.")
    parser.add_argument(
        "--transform", default="natural", help="How the target language was derived (default: %(default)s)."
    )
    parser.add_argument("--task", required=True, choices=sorted(TASKS), help="What the labels are.")
    parser.add_argument("--seed", type=int, default=1, help="Seed of pre-training (default: %(default)s).")
    parser.add_argument(
        "--setting",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="Record a setting of the run. Repeat it for more settings. compare reads benchmark, dictionary_share, "
        "overlap, alpha and parallel_share (shares from 0 to 1), and keeps runs apart that differ in one of them.",
    )
    parser.add_argument("--dictionary", help="Dictionary used in pre-training, for instance '25 %% frequent'.")


def parse_settings(items: Iterable[str]) -> dict[str, Any]:
    """Settings from ``NAME=VALUE``: a value is JSON (0.25, true, {...}), or otherwise a text."""
    settings: dict[str, Any] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not name or not equals:
            raise UserError(f"--setting {item!r} is not NAME=VALUE", remedy="Write --setting alpha=10")
        try:
            settings[name] = json.loads(value)
        except json.JSONDecodeError:
            settings[name] = value
    return settings


def run(args: argparse.Namespace) -> None:
    """Gather and write."""
    result(
        args.folder,
        objective=args.objective,
        source=args.source,
        target=args.target,
        task=args.task,
        transform=args.transform,
        seed=args.seed,
        dictionary=args.dictionary,
        settings=parse_settings(args.setting),
    )
    cli.say(f"wrote {args.folder / RESULT_FILE}")


def result(
    folder: str | Path,
    *,
    objective: str,
    source: str,
    target: str,
    task: str,
    transform: str = "natural",
    seed: int = 1,
    dictionary: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Result:
    """Write ``result.json`` into a run's folder from the JSON files there, and return it.

    Args:
        folder: has source.json, and may have target.json, alignment.json and retrieval.json.
        objective: what the encoder was pre-trained with.
        source, target: the languages with and without labels.
        task: pos, ner or classification.
        transform: how the target was derived.
        seed: of pre-training.
        dictionary: which dictionary pre-training had.
        settings: of the run; kept in the result.

    Raises:
        UserError: for a missing or damaged file, and for one of another task, language or test set.
    """
    found = gather(Path(folder), source, target, task)
    gathered = Result(
        objective=objective,
        pair=f"{source}-{target}",
        transform=transform,
        task=task,
        seed=seed,
        scores=found.scores,
        dictionary=dictionary,
        alignment=found.alignment,
        retrieval=found.retrieval,
        signature=found.signature,
        settings=dict(settings or {}),
    )
    write(folder, gathered)
    return gathered
