"""Settings that fairseq accepts and then crashes on: each is refused in one line that names what works."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairseq_xalign.compat.patching import workaround, wrap
from fairseq_xalign.errors import UserError
from fairseq_xalign.options import at_least

REFUSALS = (AssertionError, TypeError, ValueError, ZeroDivisionError)
"""What optimizers and schedules raise for settings that they cannot work with."""


def check_precision(cfg: Any) -> None:
    """Refuse fairseq's reduced precision on CPU, naming the option that works.

    Reason: ``--fp16`` and ``--bf16`` crash there in the first update, far from their cause, and
    ``--amp`` is ignored in silence.

    Args:
        cfg: fairseq's whole configuration (``cfg.common`` is read).
    """
    import torch

    common = cfg.common
    if torch.cuda.is_available() and not common.cpu:
        return
    for option in ("fp16", "bf16", "amp"):
        if getattr(common, option, False):
            raise UserError(
                f"--{option} does not work on a CPU", remedy="Use --autocast bf16 instead (or a GPU, without --cpu)"
            )


def check_batch_size(cfg: Any) -> None:
    """Refuse a training without a limit of its batches.

    Reason: fairseq asserts that there is one, which ends in a traceback.

    Args:
        cfg: fairseq's whole configuration (``cfg.dataset`` is read).
    """
    if cfg.dataset.max_tokens is None and cfg.dataset.batch_size is None:
        raise UserError("a batch needs a limit", remedy="Give --max-tokens or --batch-size")


def check_intervals(cfg: Any) -> None:
    """Refuse intervals of 0, which stand for "never" in other settings.

    Reason: fairseq divides by them, at the first update or after hours at the end of the first epoch.

    Args:
        cfg: fairseq's whole configuration.
    """
    at_least(
        1,
        log_interval=cfg.common.log_interval,
        save_interval=cfg.checkpoint.save_interval,
        validate_interval=cfg.dataset.validate_interval,
    )


def keep_bf16_on_the_gpu(cfg: Any) -> None:
    """Let ``--bf16`` train on a GPU.

    Reason: fairseq mistakes ``--bf16`` for a TPU (``parse_args_and_arch`` sets ``tpu`` whenever it sees ``bf16``), and
    ends with "NoneType has no attribute xla_device" where torch_xla is not installed. Where it is, nothing changes.

    Args:
        cfg: fairseq's whole configuration (``tpu`` is changed where it stands).

    Raises:
        UserError: ``--tpu`` without torch_xla.
    """
    from fairseq import utils

    if not cfg.common.tpu or utils.xm is not None:
        return
    if not cfg.common.bf16:
        raise UserError("--tpu needs torch_xla, which is not installed", remedy="Leave it out to train on a GPU or CPU")
    cfg.common.tpu = cfg.distributed_training.tpu = False


@workaround
def explain_optimizers() -> None:
    """Name the options behind what an optimizer or a schedule cannot work with.

    Reason: fairseq passes on what they raise, as ``Invalid learning rate: -1.0`` or ``cannot unpack non-iterable float
    object`` for ``--adam-betas 0.9``, at the end of a traceback.
    """
    module = sys.modules.get("fairseq.trainer")
    if module is not None:
        wrap(module.Trainer, "_build_optimizer", _make_build_optimizer)


def _make_build_optimizer(original: Callable[..., Any]) -> Callable[..., Any]:
    def build_optimizer(self: Any) -> Any:
        try:
            return original(self)
        except REFUSALS as error:
            names = [f"--{kind.replace('_', '-')} {self.cfg[kind]._name}" for kind in ("optimizer", "lr_scheduler")]
            what = f"{' or '.join(names)} does not work with its settings: {error}"
            raise UserError(what, remedy=f"Correct them; fairseq-train {' '.join(names)} --help lists them") from error

    return build_optimizer


CHECKPOINT_OPTIONS = ("restore_file", "finetune_from_model", "continue_once")


def resolve_checkpoint_folders(cfg: Any) -> None:
    """Replace each folder that an option names by the checkpoint it stands for: the best, else the last.

    Reason: fairseq finds no *file* of that name, and trains from random weights without a word. A folder without a
    checkpoint stays as it is: the task refuses it if it would be read.

    Args:
        cfg: fairseq's whole configuration (``cfg.checkpoint`` is changed).
    """
    from fairseq_xalign.models.checkpoint import checkpoint_in

    for name in CHECKPOINT_OPTIONS:
        named = getattr(cfg.checkpoint, name, None)
        found = checkpoint_in(named) if named and Path(named).is_dir() else None
        if found is not None:
            # Absolute, as a bare "checkpoint_last.pt" would mean the one in --save-dir.
            setattr(cfg.checkpoint, name, str(found.resolve()))
