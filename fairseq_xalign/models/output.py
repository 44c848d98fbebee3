"""Output layers in training: scores of all symbols, and the losses that are computed from them.

The matrix of scores [N, V] is the largest of a step. Compiled (``models.compiled``), the losses read it in the
precision that the product wrote, and no copy of it in float32 exists.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from fairseq_xalign.models.transformer import computed_in

ALIGNED = 64
"""With 250,002 columns, products in half precision run at a third of the speed that 250,048 have on an H100."""


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
    return F.cross_entropy(_wide(scores), targets, reduction="none")


def smoothed_losses(scores: Tensor, targets: Tensor, label_smoothing: float, symbols: int) -> tuple[Tensor, Tensor]:
    """``objectives.translation.translation_loss`` in operations that a compiler makes one kernel of.

    Args:
        scores: [N, V or more].
        symbols: V.
    """
    nll = token_losses(scores, targets)
    if not label_smoothing:
        return nll, nll.detach()
    wide, share = _wide(scores), label_smoothing / (symbols - 1)
    every = symbols * wide.logsumexp(-1) - wide[:, :symbols].sum(-1)
    return (1 - label_smoothing - share) * nll + share * every, nll.detach()


def _wide(scores: Tensor) -> Tensor:
    return scores.float() if scores.itemsize < 4 else scores
