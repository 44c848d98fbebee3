"""fairseq's other commands with our tasks: those that work find what they need, the others name what to use instead."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairseq_xalign.compat.generation_options import check_generation_options
from fairseq_xalign.compat.patching import workaround, wrap
from fairseq_xalign.errors import UserError

INSTEAD = {
    "eval_lm": "Use `fairseq-validate DATA --path CKPT` for the loss and perplexity of a split, or `xalign-evaluate`",
    "generate": "An encoder generates no text. Use `xalign-evaluate predict` for tags and labels",
    "interactive": "An encoder generates no text. Use `xalign-evaluate predict` for tags and labels",
}
"""The commands that cannot work with an encoder, by the name of their module; ``eval_lm`` has no task of ours."""


@workaround
def check_generation() -> None:
    """Check ``fairseq-generate`` too, which runs its main function without ``call_main``."""
    main = sys.modules.get("__main__")
    scripts = [main] if str(getattr(main, "__file__", "") or "").endswith("fairseq_cli/generate.py") else []
    for module in [*scripts, *filter(None, [sys.modules.get("fairseq_cli.generate")])]:
        wrap(module, "main", _make_main)


def _make_main(original: Callable[..., Any]) -> Callable[..., Any]:
    def main(cfg: Any) -> Any:
        if isinstance(cfg, argparse.Namespace):
            from fairseq.dataclass.utils import convert_namespace_to_omegaconf

            cfg = convert_namespace_to_omegaconf(cfg)
        check_command(cfg, original, {})
        return original(cfg)

    return main


def check_command(cfg: Any, main: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """Refuse a command that a task of ours does not support, and let the others find what they need.

    Reasons: where no model predicts the next token, ``fairseq-eval-lm``, ``-generate`` and ``-interactive`` end in
    tracebacks. The commands that work set up the task as it was for training, and would start from whatever is in the
    ``--save-dir`` of the training, which may have been moved, or in the folder ``checkpoints`` that lies about.

    Args:
        cfg: fairseq's whole configuration (changed where a path names a folder, and where checkpoints are named).
        main: the command's main function.
        arguments: what else the command passes to it (``override_args`` is changed).
    """
    command = Path(getattr(getattr(main, "__code__", None), "co_filename", "")).stem
    task = _our_task(cfg)
    if task and command in getattr(task, "fairseq_commands", ()):
        _prepare_translation(cfg, task, command)
    elif command in INSTEAD:
        _refuse(cfg, command, task)
    elif command == "validate":
        _prepare_validation(cfg, task, arguments)


def _prepare_translation(cfg: Any, task: type[Any], command: str) -> None:
    """Let the task know the checkpoint that it will translate with, and refuse one that cannot."""
    from fairseq.utils import split_paths

    from fairseq_xalign.models.checkpoint import find_checkpoint, read_checkpoint

    check_generation_options(cfg, command)
    if command == "generate":
        task.choose_scorer(cfg)
    if not cfg.common_eval.path:
        raise UserError(f"fairseq-{command} needs a checkpoint", remedy="Add --path CKPT")
    found = [str(find_checkpoint(path).resolve()) for path in split_paths(cfg.common_eval.path)]
    for path in found:
        if "decoder" not in read_checkpoint(path, mapped=True)["task_state"]:
            raise UserError(f"fairseq-{command} does not work with this checkpoint", path, remedy=INSTEAD[command])
    cfg.common_eval.path = os.pathsep.join(found)
    cfg.task.restore_file, cfg.task.finetune_from_model, cfg.task.continue_once = found[0], None, None


def _refuse(cfg: Any, command: str, task: type[Any] | None) -> None:
    """Refuse a command that works neither with a task of ours nor with a checkpoint of ours."""
    from fairseq_xalign.models.checkpoint import read_checkpoint

    named = cfg.common_eval.path
    checkpoint = _our_checkpoint(named)
    if not (checkpoint or task):
        return
    translates = checkpoint and "decoder" in read_checkpoint(checkpoint, mapped=True)["task_state"]
    if translates and command != "eval_lm":
        remedy = "Add --task mnmt --source-lang XX --target-lang YY"
    else:
        remedy = INSTEAD[command]
    said = f"--task {_name(cfg)}" if task and translates else _name(cfg) if task else "this checkpoint"
    raise UserError(f"fairseq-{command.replace('_', '-')} does not work with {said}", named, remedy=remedy)


def _prepare_validation(cfg: Any, task: type[Any] | None, arguments: dict[str, Any]) -> None:
    """Let ``fairseq-validate`` read the checkpoint that is named, wherever the training's folder is."""
    named = cfg.common_eval.path
    checkpoint = _our_checkpoint(named)
    if task and not checkpoint:
        from fairseq_xalign.models.checkpoint import read_checkpoint

        if not named:
            raise UserError("fairseq-validate needs a checkpoint", remedy="Add --path CKPT")
        read_checkpoint(named, mapped=True)
    overrides = arguments.get("override_args")
    if checkpoint and overrides is not None:
        cfg.common_eval.path = overrides.path = overrides.restore_file = checkpoint
        overrides.finetune_from_model = overrides.continue_once = None
        if cfg.dataset.max_tokens is None and cfg.dataset.batch_size is None:
            raise UserError("a batch needs a limit", remedy="Give --max-tokens or --batch-size")


def _our_task(cfg: Any) -> type[Any] | None:
    """The class of the task that the command line names, if it is one of ours."""
    from fairseq.tasks import TASK_REGISTRY

    kind = TASK_REGISTRY.get(_name(cfg))
    return kind if kind is not None and kind.__module__.startswith("fairseq_xalign.") else None


def _name(cfg: Any) -> str:
    return f"{getattr(cfg.task, '_name', None) or getattr(cfg.task, 'task', '')}"


def _our_checkpoint(path: str | None) -> str | None:
    """The absolute path of a checkpoint of ours, or None."""
    from fairseq_xalign.models.checkpoint import find_checkpoint, read_checkpoint

    if not path:
        return None
    try:
        read_checkpoint(path, mapped=True)
    except UserError:
        return None  # not ours: fairseq opens it, and says what is wrong with it
    return str(find_checkpoint(path).resolve())
