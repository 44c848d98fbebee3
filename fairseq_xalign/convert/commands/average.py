"""Average the weights of several checkpoints of one training run.

The mean of the last checkpoints of a training run usually translates better than the last one alone (Vaswani et al.
2017, section 6.1, average the last 5 of the base model and the last 20 of the big one). Sums are taken in double
precision. Everything else is that of the checkpoint with the most updates.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from fairseq_xalign import cli
from fairseq_xalign.convert.checkpoints import OUT_HELP, output_file, write_checkpoint
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.checkpoint import find_checkpoint, read_checkpoint
from fairseq_xalign.options import at_least
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

EXAMPLE = """examples:
  xalign-convert average runs/mnmt/checkpoint8.pt runs/mnmt/checkpoint9.pt average.pt
  xalign-convert average --last 5 runs/mnmt average.pt"""
SAME = ("encoder", "decoder", "target_token", "languages", "directions", "input", "task", "labels")
"""Fields of ``task_state`` that decide what the weights mean."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-convert average``."""
    parser.add_argument("checkpoints", nargs="+", metavar="CKPT", help="Checkpoints to average; with --last, a folder.")
    parser.add_argument("output", metavar="OUT", help=OUT_HELP)
    parser.add_argument(
        "--last", type=int, metavar="N", help="Average the N checkpoints of the folder CKPT that have the most updates."
    )


def run(args: argparse.Namespace) -> None:
    """Average, and say what."""
    chosen = args.checkpoints
    if args.last is not None:
        if len(chosen) != 1:
            raise UserError(f"--last takes one folder, not {len(chosen)}", remedy="Write --last N DIR OUT")
        chosen = last_checkpoints(chosen[0], args.last)
    output = average(chosen, args.output)
    cli.say(f"{output}: the mean of {', '.join(map(str, chosen))}")


def last_checkpoints(folder: str | Path, count: int) -> list[Path]:
    """The ``count`` checkpoints of a folder with the most updates, oldest first; copies of one are counted once.

    Raises:
        UserError: not a folder, or fewer checkpoints.
    """
    at_least(1, last=count)
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError("--last takes a folder of checkpoints", folder, remedy="Name the --save-dir of the training")
    by_updates: dict[int, Path] = {}
    for file in sorted(folder.glob("checkpoint*.pt")):
        by_updates.setdefault(_updates(read_checkpoint(file, mapped=True)), file)
    if len(by_updates) < count:
        raise UserError(
            f"has {len(by_updates)} checkpoints of different updates, not {count}",
            folder,
            remedy="Train with --save-interval-updates and --keep-interval-updates, or average fewer",
        )
    return [by_updates[updates] for updates in sorted(by_updates)[-count:]]


def _updates(state: Mapping[str, Any]) -> int:
    return int((state.get("optimizer_history") or [{}])[-1].get("num_updates") or 0)


def average(checkpoints: Sequence[str | Path], output: str | Path) -> Path:
    """Write the mean of checkpoints, and return its file.

    Args:
        checkpoints: ``.pt`` files or folders, each once.
        output: a ``.pt`` file, or a folder without a checkpoint.

    Raises:
        UserError: fewer than two, one twice, or checkpoints that are not of one training: other weights, shapes,
            vocabulary, languages or task.
    """
    paths = [find_checkpoint(path) for path in checkpoints]
    file = output_file(output, paths)
    if len(paths) < 2:
        raise UserError("one checkpoint alone has no average", remedy="Name several, or --last N DIR")
    twice = next((p for i, p in enumerate(paths) if any(p.samefile(other) for other in paths[:i])), None)
    if twice is not None:
        raise UserError("named twice", twice, remedy="Name each checkpoint once")
    sums: dict[str, Tensor] = {}
    first: dict[str, Any] | None = None
    newest: dict[str, Any] = {}
    for path in cli.progress(paths, "average", len(paths)):
        state = read_checkpoint(path, mapped=True)
        if first is None:
            first = state
        else:
            _check_same(first, state, paths[0], path)
        if not newest or _updates(state) > _updates(newest):
            newest = state
        for name, value in state["model"].items():
            if value.is_floating_point():
                sums[name] = sums[name] + value.double() if name in sums else value.double()
    means = {name: (total / len(paths)).to(newest["model"][name].dtype) for name, total in sums.items()}
    weights = {name: means.get(name, value).clone() for name, value in newest["model"].items()}
    write_checkpoint(file, {**newest, "model": weights}, command="average", sources=[str(path) for path in paths])
    return file


def _check_same(first: Mapping[str, Any], other: Mapping[str, Any], first_path: Path, path: Path) -> None:
    remedy = "Average checkpoints of one training"
    ours, theirs = first["task_state"], other["task_state"]
    for name in SAME:
        if ours.get(name) != theirs.get(name):
            raise UserError(f"differs from {first_path} in {name!r}", path, remedy=remedy)
    if Tokenizer.from_state(ours["tokenizer"]).sha256 != Tokenizer.from_state(theirs["tokenizer"]).sha256:
        raise UserError(f"has another vocabulary than {first_path}", path, remedy=remedy)
    mine, its = first["model"], other["model"]
    odd = next(iter(mine.keys() ^ its.keys()), None)
    if odd is not None:
        raise UserError(f"{odd} is in one of it and {first_path} only", path, remedy=remedy)
    for name, value in mine.items():
        if value.shape != its[name].shape:
            raise UserError(
                f"{name} has shape {tuple(its[name].shape)}, but {tuple(value.shape)} in {first_path}",
                path,
                remedy=remedy,
            )
