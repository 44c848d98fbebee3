"""What every criterion here inherits: losses are finite, or the run ends in one line that names the text."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from fairseq.criterions import FairseqCriterion
from torch import Tensor

from fairseq_xalign.criterions.sums import NonFiniteLoss


class CheckedCriterion(FairseqCriterion):
    """A criterion that ends training, before the weights change, at a loss that is not finite.

    To look at a loss is to wait for it. On a GPU, training therefore looks at the losses of all micro-batches of an
    update together, just before gradients are clipped (:meth:`settle`), where fairseq waits for their norm anyway. On
    a CPU, which has computed them by then, and in validation, each loss is looked at at once.
    """

    def __init__(self, task: Any) -> None:
        super().__init__(task)
        self._unsettled: list[tuple[Tensor, dict[str, tuple[Tensor, int]], Callable[[], Sequence[str]]]] = []

    def train(self, mode: bool = True) -> "CheckedCriterion":
        """As every module; fairseq's trainer calls this once ahead of the micro-batches of an update."""
        self._unsettled.clear()
        super().train(mode)
        return self

    def expect_finite(
        self, loss: Tensor, parts: dict[str, tuple[Tensor, int]], names: Callable[[], Sequence[str]]
    ) -> None:
        """Refuse a loss that is not finite, now or in :meth:`settle`.

        Args:
            loss: of a micro-batch, a scalar.
            parts: the sum and count of each objective that it is made of; none for a single loss.
            names: gives the names of what the micro-batch holds.

        Raises:
            NonFiniteLoss: if it is looked at now.
        """
        parts = {name: (total.detach(), count) for name, (total, count) in parts.items()}
        self._unsettled.append((loss.detach(), parts, names))
        if self.looks_at_once(loss):
            self.settle()

    def looks_at_once(self, loss: Tensor) -> bool:
        """Whether a loss is looked at when it comes, and not with the others of its update."""
        return loss.device.type == "cpu" or not self.training

    def settle(self) -> None:
        """Look at every loss that nobody has looked at yet.

        Raises:
            NonFiniteLoss: at the first that is not finite.
        """
        unsettled, self._unsettled = self._unsettled, []
        if not unsettled or bool(torch.stack([loss.isfinite() for loss, _, _ in unsettled]).all()):
            return
        loss, parts, names = next(found for found in unsettled if not bool(found[0].isfinite()))
        means = [f"{name} {float(total) / max(count, 1):g}" for name, (total, count) in parts.items()]
        raise NonFiniteLoss(", ".join(means) or f"{float(loss):g}", names())
