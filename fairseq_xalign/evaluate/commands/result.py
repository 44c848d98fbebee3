"""Gather a run's scores into result.json, which compare and plot read.

The folder holds what other commands printed with --json: source.json (`score` of a model fine-tuned
on the source language, tested on source and target: ZS), and, where there are, target.json (`score` of one
fine-tuned on the target: SUP), alignment.json (`align`) and retrieval.json (`retrieve`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fairseq_xalign import cli
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.report.results import RESULT_FILE, Result, write
from fairseq_xalign.files import read_json
from fairseq_xalign.labelled.registry import TASKS

EXAMPLE = """example:
  xalign-evaluate score --task pos --predictions pred.jsonl --json > run1/source.json
  xalign-evaluate result run1 --objective align_mlm --source en --target de --task pos --seed 1
  xalign-evaluate compare run1 run2"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="RUN", help="folder with the JSON files; result.json goes there")
    parser.add_argument(
        "--objective", required=True, help="what the encoder was pre-trained with, for instance align_mlm"
    )
    parser.add_argument("--source", required=True, metavar="XX", help="language with labels")
    parser.add_argument("--target", required=True, metavar="YY", help="language without")
    parser.add_argument("--transform", default="natural", help="how the target was derived (default: natural)")
    parser.add_argument("--task", required=True, choices=sorted(TASKS), help="what was learned")
    parser.add_argument("--seed", type=int, default=1, help="of pre-training (default: 1)")
    parser.add_argument(
        "--setting",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="record a setting of the run; may be repeated. compare reads benchmark, dictionary_share, overlap, alpha "
        "and parallel_share (shares from 0 to 1), and keeps runs apart that differ in one of them",
    )
    parser.add_argument("--dictionary", help="which dictionary pre-training had, for instance '25 %% frequent'")


def language_scores(file: Path, language: str) -> dict[str, float]:
    """The figures of one language in a file written by ``score --json``."""
    found = read_json(file).get("scores", {})
    if language not in found:
        raise UserError(f"no scores of {language!r}", file, remedy=f"It has {', '.join(found) or 'none'}")
    return {name: float(value) for name, value in found[language].items()}


def parse_settings(items: Iterable[str]) -> dict[str, Any]:
    """Settings from ``NAME=VALUE``: a value is JSON (0.25, true, {...}), or else a text."""
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


def run(args: argparse.Namespace) -> int:
    folder: Path = args.folder
    if not (folder / "source.json").exists():
        raise UserError("no source.json in it", folder, remedy="Write it with `xalign-evaluate score --json`")
    scores = {
        name: language_scores(folder / "source.json", lang)
        for name, lang in (("source", args.source), ("zs", args.target))
    }
    if (folder / "target.json").exists():
        scores["sup"] = language_scores(folder / "target.json", args.target)
    alignment, retrieval = folder / "alignment.json", folder / "retrieval.json"
    signatures = read_json(folder / "source.json")["signatures"]
    result = Result(
        objective=args.objective,
        pair=f"{args.source}-{args.target}",
        transform=args.transform,
        task=args.task,
        seed=args.seed,
        scores=scores,
        dictionary=args.dictionary,
        alignment=read_json(alignment)["alignment"] if alignment.exists() else {},
        retrieval=read_json(retrieval)["mean"] if retrieval.exists() else None,
        signature=signatures.get(args.target, signatures),
        settings=parse_settings(args.setting),
    )
    write(folder, result)
    cli.say(f"wrote {folder / RESULT_FILE}")
    return 0
