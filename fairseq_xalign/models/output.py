"""Output layers in training: scores of all symbols, and the losses that are computed from them.

The matrix of scores [N, V] is the largest of a step. Compiled (``models.compiled``), the losses read it in the
precision that the product wrote, and no copy of it in float32 exists. Otherwise a large one is never there as a whole
(:func:`chunked_losses`).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from fairseq_xalign.models.transformer import computed_in
from fairseq_xalign.objectives.translation import at_least_float32, row_gradients, row_losses

ALIGNED = 64
"""With 250,002 columns, products in half precision run at a third of the speed that 250,048 have on an H100."""
LARGEST = 2**27
"""Scores that are computed at once where nothing is compiled: half a gigabyte of float32. Chunks of fewer rows would
spend more time on the gradient of the output layer, which every chunk adds to, than they save."""


def aligned(weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """An output layer with further symbols up to a multiple of ``ALIGNED``, whose scores are -inf: they never occur.

    Args:
        weight: [V, D].
        bias: [V], or None.

    Returns: weight and bias with V rounded up; those given if it is a multiple.
    """
    missing = -weight.shape[0] % ALIGNED
    if not missing:
        return weight, bias
    bias = weight.new_zeros(weight.shape[0]) if bias is None else bias
    return F.pad(weight, (0, 0, 0, missing)), F.pad(bias, (0, missing), value=float("-inf"))


def training_scores(features: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Scores [N, V or more] of features [N, D]; on a GPU in half precision, V is rounded up as in :func:`aligned`."""
    dtype = computed_in(features)
    if features.device.type == "cuda" and dtype.itemsize < 4:
        weight, bias = aligned(weight.to(dtype), bias if bias is None else bias.to(dtype))
    return F.linear(features, weight, bias)


def token_losses(scores: Tensor, targets: Tensor) -> Tensor:
    """-log p(target) in nats for each of N positions: scores [N, V], targets [N] -> [N], float32 or float64."""
    return F.cross_entropy(at_least_float32(scores), targets, reduction="none")


def smoothed_losses(scores: Tensor, targets: Tensor, label_smoothing: float, symbols: int) -> tuple[Tensor, Tensor]:
    """``objectives.translation.translation_loss`` in operations that a compiler makes one kernel of.

    Args:
        scores: [N, V or more].
        symbols: V.
    """
    nll = token_losses(scores, targets)
    if not label_smoothing:
        return nll, nll.detach()
    wide, share = at_least_float32(scores), label_smoothing / (symbols - 1)
    every = symbols * wide.logsumexp(-1) - wide[:, :symbols].sum(-1)
    return (1 - label_smoothing - share) * nll + share * every, nll.detach()


def is_large(features: Tensor, weight: Tensor) -> bool:
    """Whether the scores of features [N, D] with an output layer [V, D] are too many to be computed at once."""
    return features.shape[0] * weight.shape[0] > LARGEST


def chunked_losses(
    features: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, label_smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """``objectives.translation.translation_loss`` of an output layer's scores, of which only a few rows exist at once.

    The backward pass computes them again: one product more than with all scores in memory.

    Args:
        features: [N, D].
        weight, bias: of the output layer, [V, D] and [V] or None.
        targets: ids, [N].

    Returns: the loss and -log p(target), which has no gradient, both [N], in float32 or float64.
    """
    rows = max(LARGEST // weight.shape[0], 1)
    return _ChunkedLosses.apply(features, weight, bias, targets, label_smoothing, rows, computed_in(features))


class _ChunkedLosses(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, smoothing: float, rows: int,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        lowered, x = _lowered(weight, bias, dtype), features.to(dtype)
        chunks = zip(x.split(rows), targets.split(rows))
        found = [row_losses(at_least_float32(F.linear(some, *lowered)), wanted, smoothing) for some, wanted in chunks]
        loss, nll, total = (torch.cat(parts) for parts in zip(*found))
        ctx.save_for_backward(features, weight, bias, targets, total)
        ctx.settings = (smoothing, rows, dtype)
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        features, weight, bias, targets, totals = ctx.saved_tensors
        smoothing, rows, dtype = ctx.settings
        lowered, x = _lowered(weight, bias, dtype), features.to(dtype)
        of_weight = torch.zeros_like(weight, dtype=totals.dtype)
        of_bias = None if bias is None else torch.zeros_like(bias, dtype=totals.dtype)
        of_features = []
        for some, wanted, total, outer in zip(*(t.split(rows) for t in (x, targets, totals, gradient))):
            scores = at_least_float32(F.linear(some, *lowered))
            inner = row_gradients(scores, total, wanted, outer, smoothing)
            if of_bias is not None:
                of_bias.add_(inner.sum(0))
            inner = inner.to(dtype)
            of_weight.add_(inner.T @ some)
            of_features.append(inner @ lowered[0])
        found = (torch.cat(of_features).to(features.dtype), of_weight.to(weight.dtype))
        return *found, None if bias is None or of_bias is None else of_bias.to(bias.dtype), None, None, None, None


def _lowered(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    return weight.to(dtype), None if bias is None else bias.to(dtype)
