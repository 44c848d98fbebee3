"""Gather a run's scores into result.json, which compare and plot read.

The folder contains what other commands printed with --json: source.json (`score`, for a model that was fine-tuned on
the source language and tested on source and target: ZS) and, if they exist, target.json (`score`, for a model
fine-tuned on the target language: SUP), alignment.json (`align`) and retrieval.json (`retrieve`; of several pairs, the
one with these languages is taken). The task, languages and test set that each file names must agree with the options.

A model that was tested on several languages has several targets: --target de,es writes de/result.json and
es/result.json below the folder, and reads target.de.json, alignment.de.json and so on where they exist, or else the
part of target.json and retrieval.json that is about the target. --failed REASON records that a seed has no scores, so
that tables can say so.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fairseq_xalign import cli
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.report.gather import Gathered, gather
from fairseq_xalign.evaluate.report.paired import PREDICTIONS
from fairseq_xalign.evaluate.report.results import RESULT_FILE, Result, check_setting, write
from fairseq_xalign.labelled.registry import TASKS
from fairseq_xalign.options import language_code, name_list, pair_name

BENCHMARK = "benchmark"
"""The setting that says which corpus the labels are of."""
EXAMPLE = """examples:
  xalign-evaluate score --task pos --predictions pred.jsonl --json > run1/source.json
  xalign-evaluate result run1 --objective align_mlm --source en --target de --task pos --seed 1
  xalign-evaluate result run2 --objective xlm --source en --target de,es,zh --task pos --seed 1
  xalign-evaluate result run3 --objective mlm --source en --target de --task pos --seed 2 --failed "out of memory"
  xalign-evaluate compare run1 run2 run3"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate result``."""
    parser.add_argument("folder", type=Path, metavar="RUN", help="Folder with the JSON files; result.json goes there.")
    parser.add_argument(
        "--objective", required=True, help="What the encoder was pre-trained with, for instance align_mlm."
    )
    parser.add_argument("--source", required=True, metavar="XX", help="Language with labels.")
    parser.add_argument("--target", required=True, metavar="YY,ZZ", help="Language, or languages, without labels.")
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
        help="Record a setting of the run. Repeat it for more settings. compare reads benchmark, training "
        "(translate-train, few-shot, joint, feature-based), dictionary_share, overlap, alpha and parallel_share "
        "(shares from 0 to 1), and keeps runs apart that differ in one of them. By default the benchmark is the "
        "published set that `benchmark` made the labelled folder of.",
    )
    parser.add_argument("--dictionary", help="Dictionary used in pre-training, for instance '25 %% frequent'.")
    parser.add_argument(
        "--failed", metavar="REASON", help="Record that this seed failed, and why, instead of its scores."
    )


def parse_settings(items: Iterable[str]) -> dict[str, Any]:
    """Settings from ``NAME=VALUE``: a value is JSON (0.25, true, {...}), or otherwise a text.

    Raises:
        UserError: for another form, a share that is not from 0 to 1, and a number that is not finite.
    """
    settings: dict[str, Any] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not name or not equals:
            raise UserError(f"--setting {item!r} is not NAME=VALUE", remedy="Write --setting alpha=10")
        try:
            settings[name] = json.loads(value)
        except json.JSONDecodeError:
            settings[name] = value
        check_setting(name, settings[name])
    return settings


def run(args: argparse.Namespace) -> None:
    """Gather and write."""
    written = result(
        args.folder,
        objective=args.objective,
        source=args.source,
        target=args.target,
        task=args.task,
        transform=args.transform,
        seed=args.seed,
        dictionary=args.dictionary,
        settings=parse_settings(args.setting),
        failed=args.failed,
    )
    for one in written if isinstance(written, list) else [written]:
        cli.say(f"wrote {one.path}")


def result(
    folder: str | Path,
    *,
    objective: str,
    source: str,
    target: str | Sequence[str],
    task: str,
    transform: str = "natural",
    seed: int = 1,
    dictionary: str | None = None,
    settings: Mapping[str, Any] | None = None,
    failed: str | None = None,
) -> Result | list[Result]:
    """Write ``result.json`` into a run's folder from the JSON files there, and return it.

    Args:
        folder: has source.json, and may have target.json, alignment.json and retrieval.json.
        objective: what the encoder was pre-trained with.
        source: the language with labels.
        target: the language without labels; several (a list, or with commas) get a folder and a result each.
        task: the name of a task, see ``labelled/registry.py``.
        transform: how the target was derived.
        seed: of pre-training.
        dictionary: which dictionary pre-training had.
        settings: of the run; kept in the result.
        failed: why the seed has no scores; no file is read then.

    Returns: the result; a list of them for several targets.

    Raises:
        UserError: for a missing or damaged file, and for one of another task, language or test set.
    """
    folder = Path(folder)
    if not objective.strip():
        raise UserError("--objective is empty", remedy="Name what the encoder was pre-trained with")
    if not transform.strip():
        raise UserError("--transform is empty", remedy="Name how the target was derived, or leave it out")
    targets = name_list(target) if isinstance(target, str) else list(target)
    if not targets or len(set(targets)) != len(targets) or source in targets:
        raise UserError(
            f"--target {','.join(targets)} with --source {source}: the languages must differ",
            remedy="Name each language without labels once",
        )
    if failed is not None and not failed.strip():
        raise UserError("--failed without a reason", remedy="Say why, for instance --failed 'out of memory'")
    for option, language in (("--source", source), *(("--target", name) for name in targets)):
        language_code(language, option)
    several = len(targets) > 1
    made = []
    for name in targets:
        place = folder / name if several else folder
        found = Gathered.nothing() if failed else gather(folder, source, name, task, several)
        kept = {**({BENCHMARK: found.set} if found.set else {}), **(settings or {})}
        if found.predictions:
            kept[PREDICTIONS] = {key: os.path.relpath(file, place) for key, file in found.predictions.items()}
        gathered = Result(
            objective=objective,
            pair=pair_name((source, name)),
            transform=transform,
            task=task,
            seed=seed,
            scores=found.scores,
            dictionary=dictionary,
            alignment=found.alignment,
            retrieval=found.retrieval,
            signature=found.signature,
            settings=kept,
            failed=failed or "",
            path=str(place / RESULT_FILE),
        )
        made.append((place, gathered))
    for place, gathered in made:
        place.mkdir(parents=True, exist_ok=True)
        write(place, gathered)
    results = [gathered for _, gathered in made]
    return results if several else results[0]
