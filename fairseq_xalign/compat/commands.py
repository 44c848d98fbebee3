"""fairseq's other commands with our tasks: ``fairseq-validate`` works, the others name the command to use instead."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairseq_xalign.compat.patching import workaround, wrap
from fairseq_xalign.errors import UserError

INSTEAD = {
    "eval_lm": "Use `fairseq-validate DATA --path CKPT` for the loss and perplexity of a split, or `xalign-evaluate`",
    "generate": "An encoder generates no text. Use `xalign-evaluate predict` for tags and labels",
    "interactive": "An encoder generates no text. Use `xalign-evaluate predict` for tags and labels",
}
"""The commands that cannot work with an encoder, by the name of their module."""


@workaround
def check_generation() -> None:
    """Check ``fairseq-generate`` too, which runs its main function without ``call_main``."""
    main = sys.modules.get("__main__")
    scripts = [main] if str(getattr(main, "__file__", "") or "").endswith("fairseq_cli/generate.py") else []
    for module in [*scripts, *filter(None, [sys.modules.get("fairseq_cli.generate")])]:
        wrap(module, "_main", _make_main)


def _make_main(original: Callable[..., Any]) -> Callable[..., Any]:
    def main(cfg: Any, output_file: Any) -> Any:
        check_command(cfg, original, {})
        return original(cfg, output_file)

    return main


def check_command(cfg: Any, main: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """Refuse a command that our tasks do not support, and let ``fairseq-validate`` find what it needs.

    Reasons: ``fairseq-eval-lm``, ``-generate`` and ``-interactive`` end in tracebacks, as no model of ours predicts the
    next token. ``fairseq-validate`` sets up the task as it was for training, and would start from whatever is in the
    ``--save-dir`` of the training, which may have been moved.

    Args:
        cfg: fairseq's whole configuration (``common_eval.path`` is changed where it names a folder).
        main: the command's main function.
        arguments: what else the command passes to it (``override_args`` is changed).
    """
    command = Path(getattr(getattr(main, "__code__", None), "co_filename", "")).stem
    if command not in ("validate", *INSTEAD):
        return
    named = cfg.common_eval.path
    checkpoint = _our_checkpoint(named)
    task = _our_task(cfg)
    if command in INSTEAD and (checkpoint or (task and command not in getattr(task, "fairseq_commands", ()))):
        raise UserError(
            f"fairseq-{command.replace('_', '-')} does not work with {_name(cfg) if task else 'this checkpoint'}",
            named,
            remedy=INSTEAD[command],
        )
    if command != "validate":
        return
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
