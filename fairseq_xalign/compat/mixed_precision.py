"""Gradients under fairseq's ``--amp``."""

from __future__ import annotations

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
