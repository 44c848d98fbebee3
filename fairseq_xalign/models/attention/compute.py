"""What the layers call: attention by a plan, of a sequence to itself or to its memory."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseq_xalign.models.attention.flash import flash
from fairseq_xalign.models.attention.kernels import HALF, CpuAttention, CpuMemoryAttention, pad_rows, select_rows
from fairseq_xalign.models.attention.plan import Bucket, MemoryPlan, Plan
from fairseq_xalign.models.config import PLAIN, VARLEN


def attend(qkv: Tensor, plan: Plan, dropout: float = 0.0) -> Tensor:
    """Softmax attention of each token to its own sequence, with a causal plan to the part up to itself.

    Args:
        qkv: queries, keys and values [T, 3, H, D / H], in the plan's order.
        dropout: probability of dropping an attention weight; 0 outside training.

    Returns: [T, D] in the dtype of ``qkv``.
    """
    if plan.kind == VARLEN:
        q, k, v = qkv.unbind(1)  # each [T, H, D / H]
        return flash(q, k, v, plan.starts, plan.starts, plan.longest, plan.longest, dropout, plan.causal).flatten(1)
    if plan.kind == PLAIN:
        return _attend_plain(qkv, plan, dropout)
    if len(plan.buckets) == 1:
        return _attend_bucket(qkv, plan.buckets[0], plan.causal, dropout)
    parts = qkv.split([b.tokens for b in plan.buckets])
    outs = [_attend_bucket(part, bucket, plan.causal, dropout) for part, bucket in zip(parts, plan.buckets)]
    return torch.cat(outs) if outs else qkv[:, 0].flatten(1)


def attend_memory(q: Tensor, kv: Tensor, plan: MemoryPlan, dropout: float = 0.0) -> Tensor:
    """Softmax attention of each target token to the whole memory of its sentence.

    Args:
        q: queries [T, H, D / H], in the plan's order.
        kv: keys and values of the memory [T_memory, 2, H, D / H], in the plan's order.
        dropout: as for :func:`attend`.

    Returns: [T, D] in the dtype of ``q``.
    """
    if plan.kind == VARLEN:
        k, v = kv.unbind(1)  # each [T_memory, H, D / H]
        starts, longest = (plan.starts, plan.memory_starts), (plan.longest, plan.memory_longest)
        return flash(q, k, v, *starts, *longest, dropout).flatten(1)
    if plan.kind == PLAIN:
        return _attend_memory_plain(q, kv, plan, dropout)
    if len(plan.buckets) == 1:
        return _attend_pair(q, kv, *plan.buckets[0], dropout)
    parts = zip(q.split([b.tokens for b, _ in plan.buckets]), kv.split([b.tokens for _, b in plan.buckets]))
    outs = [_attend_pair(*part, *buckets, dropout) for part, buckets in zip(parts, plan.buckets)]
    return torch.cat(outs) if outs else q.flatten(1)


def _attend_bucket(qkv: Tensor, bucket: Bucket, causal: bool, dropout: float) -> Tensor:
    qkv = _padded(qkv, bucket)  # [rows, longest, 3, H, D / H]
    qkv = qkv.permute(2, 0, 3, 1, 4)  # [3, rows, H, longest, D / H]
    # Past the end of a sequence there are only keys that a causal mask hides from its tokens.
    mask = None if causal else bucket.mask
    if qkv.device.type == "cpu" and qkv.requires_grad and (dropout > 0 or qkv.dtype in HALF):
        if causal:
            mask = torch.ones(bucket.longest, bucket.longest, dtype=torch.bool).tril()[None, None]
        out = CpuAttention.apply(qkv, mask, dropout)
    else:
        q, k, v = qkv.unbind(0)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=causal)
    return _unpadded(out, bucket)


def _attend_pair(q: Tensor, kv: Tensor, targets: Bucket, memories: Bucket, dropout: float) -> Tensor:
    q = _padded(q, targets).transpose(1, 2)  # [rows, H, longest, D / H]
    kv = _padded(kv, memories).permute(2, 0, 3, 1, 4)  # [2, rows, H, longest memory, D / H]
    learning = q.requires_grad or kv.requires_grad
    if q.device.type == "cpu" and learning and (dropout > 0 or q.dtype in HALF):
        out = CpuMemoryAttention.apply(q, kv, memories.mask, dropout)
    else:
        out = F.scaled_dot_product_attention(q, kv[0], kv[1], attn_mask=memories.mask, dropout_p=dropout)
    return _unpadded(out, targets)


def _padded(x: Tensor, bucket: Bucket) -> Tensor:
    """[tokens, ...] -> [rows, longest, ...]."""
    if bucket.source is not None and bucket.slots is not None:
        x = pad_rows(x, bucket.source, bucket.slots)
    return x.unflatten(0, (bucket.rows, bucket.longest))


def _unpadded(out: Tensor, bucket: Bucket) -> Tensor:
    """[rows, H, longest, D / H] -> [tokens, D]."""
    out = out.transpose(1, 2).flatten(2).flatten(0, 1)  # [rows * longest, D]
    return out if bucket.slots is None else select_rows(out, bucket.slots)


def _attend_plain(qkv: Tensor, plan: Plan, dropout: float) -> Tensor:
    assert plan.real is not None
    padded = qkv.new_zeros(*plan.real.shape, *qkv.shape[1:])  # [B, S, 3, H, D / H]
    padded[plan.real] = qkv
    q, k, v = padded.permute(2, 0, 3, 1, 4)  # three of [B, H, S, D / H]
    allowed = plan.real[:, None, None]  # [B, 1, 1, S]
    if plan.causal:
        allowed = allowed & plan.real.new_ones(plan.longest, plan.longest).tril()  # [B, 1, S, S]
    return _explicit(q, k, v, allowed, dropout)[plan.real]


def _attend_memory_plain(q: Tensor, kv: Tensor, plan: MemoryPlan, dropout: float) -> Tensor:
    assert plan.real is not None and plan.memory_real is not None
    targets = q.new_zeros(*plan.real.shape, *q.shape[1:])  # [B, S, H, D / H]
    targets[plan.real] = q
    memories = kv.new_zeros(*plan.memory_real.shape, *kv.shape[1:])  # [B, S_memory, 2, H, D / H]
    memories[plan.memory_real] = kv
    k, v = memories.permute(2, 0, 3, 1, 4)  # two of [B, H, S_memory, D / H]
    return _explicit(targets.transpose(1, 2), k, v, plan.memory_real[:, None, None], dropout)[plan.real]


def _explicit(q: Tensor, k: Tensor, v: Tensor, allowed: Tensor, dropout: float) -> Tensor:
    """q, k, v [B, H, S, D / H] and the keys that each query may see [B, 1, 1 or S, S] -> [B, S, D]."""
    scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5  # [B, H, S, S]
    scores = scores.masked_fill(~allowed, float("-inf"))
    wide = torch.promote_types(scores.dtype, torch.float32)
    weights = F.dropout(scores.softmax(-1, dtype=wide).to(v.dtype), dropout)
    return (weights @ v).transpose(1, 2).flatten(2)
