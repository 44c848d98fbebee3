"""Padding, selecting and softmax attention with gradients written by hand, for speed on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fairseq_xalign.models.dropout import keep, keep_mask

HALF = (torch.float16, torch.bfloat16)


def pad_rows(x: Tensor, source: Tensor, slots: Tensor) -> Tensor:
    """Copy tokens [T, ...] to padded slots: ``source`` and ``slots`` are those of a bucket."""
    return _Pad.apply(x, source, slots)


class _Pad(torch.autograd.Function):
    """Copy tokens to padded slots. The gradient of slots past the end is zero (their keys are masked and their outputs
    dropped), so that the backward pass is a gather too, many times faster than the sum that autograd would compute."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, source: Tensor, slots: Tensor) -> Tensor:
        ctx.save_for_backward(slots)
        return x.index_select(0, source)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (slots,) = ctx.saved_tensors
        return gradient.index_select(0, slots), None, None


def select_rows(x: Tensor, rows: Tensor) -> Tensor:
    """``x.index_select(0, rows)`` for ``rows`` without repetition: the gradient is copied where autograd would add."""
    return _Select.apply(x, rows)


class _Select(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.length = x.shape[0]
        return x.index_select(0, rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        result = gradient.new_zeros(ctx.length, *gradient.shape[1:])
        return result.index_copy_(0, ctx.saved_tensors[0], gradient), None


class CpuAttention(torch.autograd.Function):
    """Softmax attention of sequences to themselves, for training on CPU: batched products and a softmax, forward and
    backward.

    torch's fused kernel for CPU has no dropout, and its backward pass in bfloat16 takes 6 to 14 times as long as
    these products (16 sequences of 128: 20 ms against 3.5 ms). Takes queries, keys and values [3, rows, H, S, D / H]
    and a mask [rows, 1, 1, S] or [1, 1, S, S] or None; returns [rows, H, S, D / H].
    """

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, mask: Tensor | None, p: float) -> Tensor:
        _, rows, heads, longest, width = qkv.shape
        packed = qkv.reshape(3, rows * heads, longest, width)
        ctx.shape = qkv.shape
        weights, kept, out = _attention(packed[0], packed[1], packed[2], mask, p)
        ctx.save_for_backward(packed, weights, kept)
        ctx.p = p
        return out.view(qkv.shape[1:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        packed, weights, kept = ctx.saved_tensors
        result = torch.empty_like(packed)
        _gradients(gradient.reshape(packed.shape[1:]), packed, weights, kept, ctx.p, result)
        return result.view(ctx.shape), None, None


class CpuMemoryAttention(torch.autograd.Function):
    """The same of queries [rows, H, S, D / H] to keys and values [2, rows, H, S_memory, D / H] of other sequences."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, kv: Tensor, mask: Tensor | None, p: float) -> Tensor:
        shape, ctx.shape = q.shape, kv.shape
        q, kv = q.reshape(-1, *shape[2:]), kv.reshape(2, -1, *kv.shape[3:])
        weights, kept, out = _attention(q, kv[0], kv[1], mask, p)
        ctx.save_for_backward(q, kv, weights, kept)
        ctx.p = p
        return out.view(shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:  # type: ignore[override]
        q, kv, weights, kept = ctx.saved_tensors
        to_q, to_kv = torch.empty_like(q), torch.empty_like(kv)
        _gradients(gradient.reshape(q.shape), (q, *kv), weights, kept, ctx.p, (to_q, *to_kv))
        return to_q.view(gradient.shape), to_kv.view(ctx.shape), None, None


def _attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, p: float) -> tuple[Tensor, Tensor | None, Tensor]:
    """Return weights before dropout, what dropout keeps of them, and the output; all [rows * H, ...]."""
    weights = _softmax(q, k, mask)
    kept = keep_mask(weights.shape, p) if p else None
    return weights, kept, torch.bmm(weights if kept is None else keep(weights, kept, p), v)


def _gradients(gradient: Tensor, qkv: Any, weights: Tensor, kept: Tensor | None, p: float, results: Any) -> None:
    """Write the gradients of queries, keys and values to ``results``."""
    q, k, v = qkv
    to_weights = torch.bmm(gradient, v.transpose(1, 2))  # [rows * H, S, S]
    dropped = weights
    if kept is not None:
        dropped, to_weights = keep(weights, kept, p), keep(to_weights, kept, p)
    to_scores = torch._softmax_backward_data(to_weights, weights, -1, weights.dtype)
    torch.bmm(to_scores, k, out=results[0])
    torch.bmm(to_scores.transpose(1, 2), q, out=results[1])
    torch.bmm(dropped.transpose(1, 2), gradient, out=results[2])
    for result in (results[0], results[1]):
        result.mul_(q.shape[-1] ** -0.5)


def _softmax(q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    """Attention weights [rows * H, S, S] of q and k [rows * H, S, D / H]."""
    scale = q.shape[-1] ** -0.5
    if mask is None:
        scores = torch.bmm(q, k.transpose(1, 2)).mul_(scale)
    else:
        bias = torch.zeros_like(mask, dtype=q.dtype).masked_fill_(~mask, float("-inf"))[:, 0]
        if mask.shape[0] > 1:
            bias = bias.repeat_interleave(q.shape[0] // mask.shape[0], 0)  # [rows * H, 1, S]
        scores = torch.baddbmm(bias, q, k.transpose(1, 2), alpha=scale)
    return torch._softmax(scores, -1, False)
