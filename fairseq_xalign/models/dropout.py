"""Dropout that takes a fifth of the time of torch's on a CPU, where torch's took a third of a training step.

torch draws one float per element on one thread. Here 64 random bits from torch's generator serve four elements, and
elements are dropped by a bitwise "and". The probability is rounded to a multiple of 2**-15 (0.1 becomes 0.100006), and
what is kept is scaled by the rounded probability, so that the mean is exact.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

STEPS = 1 << 15
INTEGER = {
    torch.float64: torch.int64,
    torch.float32: torch.int32,
    torch.bfloat16: torch.int16,
    torch.float16: torch.int16,
}


def dropout(x: Tensor, p: float, training: bool = True) -> Tensor:
    """``torch.nn.functional.dropout`` in distribution: an element becomes 0 with probability p, else x / (1 - p)."""
    if not training or p == 0:
        return x
    if x.device.type != "cpu" or x.dtype not in INTEGER or torch.compiler.is_compiling():
        return F.dropout(x, p)
    return _Dropout.apply(x, p)


def kept_steps(p: float) -> int:
    """Return the probability of keeping an element, in steps of 2**-15; never none and never all of them."""
    return min(max(1, round((1 - p) * STEPS)), STEPS - 1)


def keep_mask(shape: torch.Size, p: float) -> Tensor:
    """Return random int16 of ``shape`` on CPU: -1 (all bits set) where an element is kept, else 0."""
    words = torch.empty((shape.numel() + 3) // 4, dtype=torch.int64).random_(-(1 << 63), None)
    lanes = words.view(torch.int16)[: shape.numel()].view(shape)
    # 15 random bits minus the steps kept, at most 2**15 - 1: the sign bit says "keep", and the shift spreads it
    return lanes.bitwise_and_(STEPS - 1).sub_(kept_steps(p)).bitwise_right_shift_(15)


def keep(x: Tensor, mask: Tensor, p: float) -> Tensor:
    """Return ``x``, scaled up, where ``mask`` (from ``keep_mask``) is set, and 0 elsewhere."""
    integer = INTEGER[x.dtype]
    return (x.view(integer) & mask.to(integer)).view(x.dtype).mul_(STEPS / kept_steps(p))


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float) -> Tensor:
        mask = keep_mask(x.shape, p)
        ctx.save_for_backward(mask)
        ctx.p = p
        return keep(x, mask, p)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return keep(gradient, ctx.saved_tensors[0], ctx.p), None
