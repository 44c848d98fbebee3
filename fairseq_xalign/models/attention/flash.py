"""Flash attention (Dao 2023) over sequences laid end to end, with dropout of attention weights, on a GPU.

``torch.nn.attention.varlen`` has the same kernel without dropout and from torch 2.10 on; the operator below it has both
and is older.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fairseq_xalign.models.attention.kernels import HALF

LARGEST_HEAD = 256
"""The widest head that the kernel takes; its width must also be a multiple of 8."""


def has_flash(device: torch.device, dtype: torch.dtype, head_width: int) -> bool:
    """Whether the kernel takes heads of this width in ``dtype`` on ``device``: half precision, CUDA from Ampere on."""
    return (
        device.type == "cuda"
        and dtype in HALF
        and head_width % 8 == 0
        and head_width <= LARGEST_HEAD
        and torch.backends.cuda.is_flash_attention_available()
        and torch.cuda.get_device_capability(device) >= (8, 0)
    )


def flash(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    starts: Tensor,
    key_starts: Tensor,
    longest: int,
    longest_keys: int,
    dropout: float = 0.0,
    causal: bool = False,
) -> Tensor:
    """Softmax attention of each sequence of queries to its sequence of keys.

    Args:
        q: [T, H, D / H].
        k, v: [T_keys, H, D / H].
        starts, key_starts: where each sequence starts, followed by the number of tokens, int32 [B + 1].
        dropout: probability of dropping an attention weight.
        causal: whether a query sees only keys up to its own place.

    Returns: [T, H, D / H].
    """
    out: Tensor = kernel()(q, k, v, starts, key_starts, longest, longest_keys, dropout, causal, False)[0]
    return out


def kernel() -> Any:
    """torch's operator: the arguments of :func:`flash` and whether to return masks for debugging -> output, ..."""
    return torch.ops.aten._flash_attention_forward
