"""Gradients under fairseq's ``--amp``, and what its trainer says of precisions."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

from fairseq_xalign.compat.patching import workaround, wrap


@workaround
def unscale_once() -> None:
    """Divide gradients by the loss scale once.

    Reason: fairseq clips the gradients of torch's optimizer and steps its own wrapper around it. torch's scaler takes
    these for two optimizers and divides the gradients of both by the loss scale, which doubles every 2,000 updates. In
    a long run they fall below Adam's epsilon, and nothing is learned any more.
    """
    module = sys.modules.get("fairseq.optim.amp_optimizer")
    if module is not None:
        wrap(module.AMPOptimizer, "step", _make_step)


def _make_step(original: Callable[..., Any]) -> Callable[..., Any]:
    def step(self: Any) -> None:
        self.scaler.step(self.optimizer)
        self.scaler.update()

    return step


FIRST_WITH_BF16 = 8
"""The generation of GPUs from which on they compute in bfloat16 (Ampere)."""


class PrecisionNote(logging.Filter):
    """Lets fairseq's trainer, which knows nothing of ``--autocast``, suggest it on a GPU, and not where it is used.

    Attributes:
        used: whether this run has ``--autocast bf16``.
    """

    used = False

    def filter(self, record: logging.LogRecord) -> bool:
        if not str(record.msg).startswith("NOTE: your device may support faster training"):
            return True
        import torch

        if torch.cuda.get_device_capability()[0] >= FIRST_WITH_BF16:
            record.msg = "NOTE: this GPU may train faster with --autocast bf16"
        return not self.used


NOTE = PrecisionNote()


def suggest_autocast(used: bool) -> None:
    """Set what :class:`PrecisionNote` asks for."""
    NOTE.used = used
    logging.getLogger("fairseq.trainer").addFilter(NOTE)  # once: a logger keeps no filter twice
