"""Position encodings without parameters: rotary (Su et al. 2021) and sinusoidal (Vaswani et al. 2017, section 3.5).

Both are computed from the positions in a batch, so no table limits the length, and ``half()`` rounds nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

BASE = 10000.0
"""The longest wavelength divided by 2 pi, in both papers."""


def rotary_angles(positions: Tensor, head_width: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Return cosines and sines for ``rotate``: positions [T] -> two tensors [T, 1, head_width / 2] of ``dtype``."""
    steps = torch.arange(0, head_width, 2, device=positions.device, dtype=dtype) / head_width
    angles = positions.to(dtype)[:, None] * BASE**-steps  # [T, head_width / 2]
    return angles.cos()[:, None], angles.sin()[:, None]


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate each pair (x_i, x_{i + half}) of a head by the angle of its position.

    Args:
        x: queries or keys [T, ..., head_width].
        cos, sin: from ``rotary_angles``, broadcast to [T, ..., head_width / 2].
    """
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x.dtype)


def sinusoids(positions: Tensor, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return position vectors [T, width] for positions [T]: sines, then cosines (tensor2tensor's layout)."""
    half = width // 2
    rates = torch.arange(half, device=positions.device, dtype=dtype) * (-math.log(BASE) / max(half - 1, 1))
    angles = positions.to(dtype)[:, None] * rates.exp()  # [T, width / 2]
    return torch.cat((angles.sin(), angles.cos()), dim=-1)
