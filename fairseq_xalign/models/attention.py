"""Self-attention over sequences laid end to end, in three ways with equal results.

A ``Plan`` is made once per batch and shared by all layers:

* ``varlen``: torch's flash attention over packed sequences (CUDA, half precision, no attention dropout);
* ``buckets`` (everywhere else): sequences are sorted by length, and those of similar length are padded together; if
  all lengths are equal, this is a plain reshape without a mask;
* ``plain``: one padded [B, S] block and an explicit softmax, the reference that the others are tested against.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from fairseq_xalign.models.dropout import keep, keep_mask

BUCKET_PADDING = 256
"""Slots of padding at which a bucket ends. Smaller values cost calls, larger ones work; on CPU, times are the same
between 128 and 512."""
HALF = (torch.float16, torch.bfloat16)


@dataclass
class Bucket:
    """Some neighbouring sequences: ``rows`` sequences with ``tokens`` tokens in all; the longest has ``longest``.

    ``source`` [rows * longest] names the token of the bucket that each padded slot shows (slots past the end show
    some token of their sequence), ``slots`` [tokens] is the slot of each token, and ``mask`` [rows, 1, 1, longest] is
    true at real slots. All three are None if nothing is padded.
    """

    rows: int
    longest: int
    tokens: int
    source: Tensor | None = None
    slots: Tensor | None = None
    mask: Tensor | None = None


@dataclass
class Plan:
    """How to attend within one batch: made by ``Plan.make``, used by every layer.

    ``order`` [T] gathers tokens into the order in which layers see them and ``inverse`` [T] brings them back; both
    are None if the order does not change.
    """

    starts: Tensor
    longest: int
    kind: str
    order: Tensor | None = None
    inverse: Tensor | None = None
    buckets: list[Bucket] = field(default_factory=list)
    real: Tensor | None = None  # plain: true at real slots, [B, S]

    @classmethod
    def make(cls, starts: Tensor, longest: int, kind: str) -> Plan:
        """A plan of ``kind`` 'varlen', 'buckets' or 'plain' for sequences that begin at ``starts`` [B + 1]."""
        plan = cls(starts, longest, kind)
        if kind == "plain":
            lengths = (starts[1:] - starts[:-1]).long()
            plan.real = torch.arange(longest, device=starts.device) < lengths[:, None]
        elif kind == "buckets":
            plan._fill_buckets()
        return plan

    def _fill_buckets(self) -> None:
        device, starts = self.starts.device, self.starts.long().cpu()
        lengths = starts[1:] - starts[:-1]
        if lengths.numel() == 0:
            return
        if bool((lengths == lengths[0]).all()):
            self.buckets = [Bucket(lengths.numel(), int(lengths[0]), int(starts[-1]))]
            return
        if not bool((lengths[1:] >= lengths[:-1]).all()):
            lengths, rows = lengths.sort(stable=True)
            ends = lengths.cumsum(0)
            order = torch.arange(int(starts[-1])) + (starts[rows] - ends + lengths).repeat_interleave(lengths)
            self.order = order.to(device)
            self.inverse = torch.empty_like(self.order)
            self.inverse[self.order] = torch.arange(order.numel(), device=device)
        self.buckets = [_bucket(part, device) for part in lengths.split(_bucket_rows(lengths.tolist()))]


def choose(device: torch.device, dtype: torch.dtype, dropout: float, wanted: str = "fused") -> str:
    """The kind of plan for ``wanted`` 'fused' or 'plain' on ``device`` for queries of ``dtype``."""
    if wanted == "plain":
        return "plain"
    return "varlen" if device.type == "cuda" and dtype in HALF and dropout == 0 and varlen_kernel() else "buckets"


def varlen_kernel() -> Any:
    """torch's packed flash attention, or None if this version of torch does not have it (before 2.10)."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return varlen_attn


def attend(qkv: Tensor, plan: Plan, dropout: float = 0.0) -> Tensor:
    """Softmax attention of each token to its own sequence.

    Args:
        qkv: queries, keys and values [T, 3, H, D / H], in the plan's order.
        dropout: probability of dropping an attention weight; 0 outside training.

    Returns: [T, D] in the dtype of ``qkv``.
    """
    if plan.kind == "varlen":
        q, k, v = qkv.unbind(1)  # each [T, H, D / H]
        out = varlen_kernel()(q, k, v, plan.starts, plan.starts, plan.longest, plan.longest)
        return out.flatten(1)
    if plan.kind == "plain":
        return _attend_plain(qkv, plan, dropout)
    if len(plan.buckets) == 1:
        return _attend_bucket(qkv, plan.buckets[0], dropout)
    parts = qkv.split([b.tokens for b in plan.buckets])
    outs = [_attend_bucket(part, bucket, dropout) for part, bucket in zip(parts, plan.buckets)]
    return torch.cat(outs) if outs else qkv[:, 0].flatten(1)


def _bucket_rows(lengths: list[int]) -> list[int]:
    """Return how many sequences, of ascending ``lengths``, go into each bucket."""
    rows, padding = [0], 0
    for before, length in zip([lengths[0], *lengths], lengths):
        padding += rows[-1] * (length - before)
        if padding > BUCKET_PADDING:
            rows.append(0)
            padding = 0
        rows[-1] += 1
    return rows


def _bucket(lengths: Tensor, device: torch.device) -> Bucket:
    """The bucket of sequences with ascending ``lengths``."""
    rows, longest, tokens = lengths.numel(), int(lengths[-1]), int(lengths.sum())
    if tokens == rows * longest:
        return Bucket(rows, longest, tokens)
    column = torch.arange(longest)
    real = column < lengths[:, None]  # [rows, longest]
    firsts = lengths.cumsum(0) - lengths
    source = firsts[:, None] + torch.minimum(column, (lengths - 1).clamp(min=0)[:, None])
    slots = real.flatten().nonzero().squeeze(1)
    mask = real[:, None, None, :]
    return Bucket(rows, longest, tokens, source.flatten().to(device), slots.to(device), mask.to(device))


def _attend_bucket(qkv: Tensor, bucket: Bucket, dropout: float) -> Tensor:
    if bucket.source is not None:
        qkv = _Pad.apply(qkv, bucket.source, bucket.slots)
    # [rows * longest, 3, H, D / H] -> [3, rows, H, longest, D / H]
    qkv = qkv.unflatten(0, (bucket.rows, bucket.longest)).permute(2, 0, 3, 1, 4)
    if qkv.device.type == "cpu" and qkv.requires_grad and (dropout > 0 or qkv.dtype in HALF):
        out = _CpuAttention.apply(qkv, bucket.mask, dropout)
    else:
        q, k, v = qkv.unbind(0)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bucket.mask, dropout_p=dropout)
    out = out.transpose(1, 2).flatten(2).flatten(0, 1)  # [rows * longest, D]
    return out if bucket.slots is None else select_rows(out, bucket.slots)


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


class _CpuAttention(torch.autograd.Function):
    """Softmax attention for training on CPU: batched products and a softmax, forward and backward.

    torch's fused kernel for CPU has no dropout, and its backward pass in bfloat16 takes 6 to 14 times as long as
    these products (16 sequences of 128: 20 ms against 3.5 ms). Takes queries, keys and values [3, rows, H, S, D / H]
    and a mask [rows, 1, 1, S] or None; returns [rows, H, S, D / H].
    """

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, mask: Tensor | None, p: float) -> Tensor:
        _, rows, heads, longest, width = qkv.shape
        q, k, v = packed = qkv.reshape(3, rows * heads, longest, width)
        weights = _softmax(q, k, mask)
        kept = keep_mask(weights.shape, p) if p else None
        ctx.save_for_backward(packed, weights, kept)
        ctx.p, ctx.shape = p, qkv.shape
        return torch.bmm(weights if kept is None else keep(weights, kept, p), v).view(qkv.shape[1:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        packed, weights, kept = ctx.saved_tensors
        q, k, v = packed
        gradient = gradient.reshape(q.shape)
        to_weights = torch.bmm(gradient, v.transpose(1, 2))  # [rows * H, S, S]
        dropped = weights
        if kept is not None:
            dropped, to_weights = keep(weights, kept, ctx.p), keep(to_weights, kept, ctx.p)
        to_scores = torch._softmax_backward_data(to_weights, weights, -1, weights.dtype)
        result = torch.empty_like(packed)
        torch.bmm(to_scores, k, out=result[0])
        torch.bmm(to_scores.transpose(1, 2), q, out=result[1])
        torch.bmm(dropped.transpose(1, 2), gradient, out=result[2])
        result[:2].mul_(q.shape[-1] ** -0.5)
        return result.view(ctx.shape), None, None


def _softmax(q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
    """Attention weights [rows * H, S, S] of q and k [rows * H, S, D / H]."""
    scale = q.shape[-1] ** -0.5
    if mask is None:
        scores = torch.bmm(q, k.transpose(1, 2)).mul_(scale)
    else:
        bias = torch.zeros_like(mask, dtype=q.dtype).masked_fill_(~mask, float("-inf"))
        bias = bias[:, 0].repeat_interleave(q.shape[0] // mask.shape[0], 0)  # [rows * H, 1, S]
        scores = torch.baddbmm(bias, q, k.transpose(1, 2), alpha=scale)
    return torch._softmax(scores, -1, False)


def _attend_plain(qkv: Tensor, plan: Plan, dropout: float) -> Tensor:
    assert plan.real is not None
    padded = qkv.new_zeros(*plan.real.shape, *qkv.shape[1:])  # [B, S, 3, H, D / H]
    padded[plan.real] = qkv
    q, k, v = padded.permute(2, 0, 3, 1, 4)  # three of [B, H, S, D / H]
    scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5  # [B, H, S, S]
    scores = scores.masked_fill(~plan.real[:, None, None], float("-inf"))
    wide = torch.promote_types(scores.dtype, torch.float32)
    weights = F.dropout(scores.softmax(-1, dtype=wide).to(v.dtype), dropout)
    out = (weights @ v).transpose(1, 2).flatten(2)  # [B, S, D]
    return out[plan.real]
