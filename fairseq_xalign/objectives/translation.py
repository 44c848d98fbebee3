"""Batches of sentences with their translations, and the loss of translating.

L = - sum over target positions of log p(y_t | y_<t, x): MMTE (Siddhant et al. 2020), section 2.2; smoothed as Vaswani
et al. (2017), section 5.4, do it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fairseq_xalign.objectives.batch import PackedBatch

TARGET_TOKENS = SOURCE, SEPARATE, NONE = "source", "separate", "none"
"""Where ``<2xx>`` stands: first in the source (MMTE, section 2.2), encoded apart from it (Table 11), or nowhere."""


@dataclass
class TranslationBatch:
    """B sentences of any mixture of directions, and their translations.

    Attributes:
        source: ``<2xx> x </s>`` where the target language is named in the source, else ``x </s>``.
        target: its ``tokens`` are what the decoder reads, ``</s> y1 .. yn``, and its ``targets`` [T] what it is to
            predict there, ``y1 .. yn </s>``.
        tags: ``<2xx>`` of each sentence, where it is encoded apart from the source (MMTE, Table 11), else None.
        direction: place of each sentence's direction in the task's list, int64 [B].
    """

    source: PackedBatch
    target: PackedBatch
    tags: PackedBatch | None
    direction: Tensor

    def __len__(self) -> int:
        return len(self.source)

    def noted(self) -> TranslationBatch:
        """The batch with what the host knows of its parts (``PackedBatch.noted``)."""
        tags = None if self.tags is None else self.tags.noted()
        return TranslationBatch(self.source.noted(), self.target.noted(), tags, self.direction)

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain dictionaries, which fairseq can move to another device or precision."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: v.to_dict() if isinstance(v, PackedBatch) else v for name, v in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TranslationBatch:
        parts: dict[str, Any] = {n: PackedBatch.from_dict(v) if isinstance(v, dict) else v for n, v in values.items()}
        return cls(**parts)

    def to(self, device: Any) -> TranslationBatch:
        """Return the same batch on another device."""
        tags = None if self.tags is None else self.tags.to(device)
        return TranslationBatch(self.source.to(device), self.target.to(device), tags, self.direction.to(device))


def translation_loss(logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """The loss at N target positions, and the part of it that is not smoothed.

    With smoothing e over V symbols, the wrong ones share e evenly among all but one symbol, as fairseq's
    ``label_smoothed_cross_entropy`` has it: loss = (1 - e - e') * nll + e' * sum over all V symbols of -log p, where
    e' = e / (V - 1).

    Args:
        logits: [N, V].
        targets: ids [N].
        label_smoothing: e, at least 0 and below 1.

    Returns: loss and negative log-likelihood in nats, both [N], in float32 or float64. The latter is a figure to log,
        without a gradient of its own.
    """
    return _TranslationLoss.apply(logits, targets, label_smoothing)


def row_losses(wide: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`translation_loss` of scores in float32 at least, [N, V]: loss, -log p and logsumexp, all [N]."""
    total = wide.logsumexp(-1)
    nll = total - wide.gather(1, targets[:, None]).squeeze(1)
    right, share = _shares(smoothing, wide.shape[1])
    if not smoothing:
        return nll.clone(), nll, total
    return right * nll + share * (wide.shape[1] * total - wide.sum(-1)), nll, total


def row_gradients(wide: Tensor, total: Tensor, targets: Tensor, outer: Tensor, smoothing: float) -> Tensor:
    """The gradient of :func:`row_losses` by its scores, [N, V]: (softmax - e' - (1 - e - e') at the target) * outer.

    Args:
        total: their logsumexp, [N].
        outer: the gradient by each loss, [N].
    """
    right, share = _shares(smoothing, wide.shape[1])
    result = (wide - total[:, None]).exp_()
    if share:
        result.sub_(share)
    result.scatter_add_(1, targets[:, None], result.new_full((len(targets), 1), -right))
    return result.mul_(outer[:, None])


def _shares(smoothing: float, symbols: int) -> tuple[float, float]:
    """1 - e - e' and e'."""
    share = smoothing / (symbols - 1)
    return 1 - smoothing - share, share


class _TranslationLoss(torch.autograd.Function):
    """The loss with its gradient, softmax - (1 - e - e') at the target - e', in one matrix [N, V] and one pass over it.

    With a large vocabulary, autograd's way (a matrix of log-probabilities, and gradients of their sum and of the chosen
    ones) takes several times the memory.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        loss, nll, total = row_losses(at_least_float32(logits), targets, smoothing)
        ctx.save_for_backward(logits, targets, total)
        ctx.smoothing = smoothing
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        logits, targets, total = ctx.saved_tensors
        result = row_gradients(at_least_float32(logits), total, targets, gradient, ctx.smoothing)
        return result.to(logits.dtype), None, None


def at_least_float32(logits: Tensor) -> Tensor:
    """Scores in float32, or in float64 if they are."""
    return logits.float() if logits.itemsize < 4 else logits
