"""``--clip-mode``: whether ``--clip-norm`` limits the whole gradient, each tensor's, or Adafactor's updates.

MMTE has "a per-parameter norm clipping threshold of 1.0" (Siddhant et al. 2020, section 2.1). fairseq clips the norm of
the whole gradient. ``per-tensor`` clips the gradient of each parameter tensor by itself, which Lingvo, the framework of
MMTE, can do. ``update-rms`` is another reading of the sentence: Adafactor's own clipping of the root mean square of
each update (Shazeer and Stern 2018, section 6).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fairseq_xalign.errors import UserError
from fairseq_xalign.optimizers.master_weights import flat_places

GLOBAL, PER_TENSOR, UPDATE_RMS = CLIP_MODES = ("global", "per-tensor", "update-rms")
EPSILON = 1e-6
"""Added to norms before the limit is divided by them, as fairseq does."""


def clip_each_(gradients: Sequence[Tensor], limit: float, scale: float | Tensor = 1.0) -> Tensor:
    """Scale each gradient g, in place, by min(1, limit / ‖scale · g‖).

    Args:
        gradients: of one tensor each.
        limit: largest norm of ``scale`` times a gradient.
        scale: what gradients will be multiplied by later (the inverse of a loss scale, for example).

    Returns: whether each of them was above the limit, bool [number of gradients].
    """
    norms = torch.stack([torch.linalg.vector_norm(g, dtype=torch.promote_types(g.dtype, torch.float32))
                         for g in gradients]) * scale  # fmt: skip
    factors = (limit / (norms + EPSILON)).clamp(max=1.0)
    for gradient, factor in zip(gradients, factors.unbind()):
        gradient.mul_(factor.to(gradient.device))
    return norms > limit


def check_clip_mode(mode: str, limit: float, optimizer: str) -> None:
    """Refuse a mode that these options give nothing to do.

    Args:
        mode: one of ``CLIP_MODES``.
        limit: ``--clip-norm``.
        optimizer: the name given to ``--optimizer``.

    Raises:
        UserError: there is no limit, or the optimizer has no updates to clip.
    """
    if mode != GLOBAL and not limit > 0:
        raise UserError(f"--clip-mode {mode} has no limit", remedy="Add one, as --clip-norm 1.0 (MMTE)")
    if mode == UPDATE_RMS and optimizer != "adafactor":
        raise UserError(
            f"--clip-mode {mode} clips the updates of Adafactor, but the optimizer is {optimizer}",
            remedy="Add --optimizer adafactor, or choose --clip-mode per-tensor or global",
        )


def set_clip_mode(optimizer: Any, mode: str, log: Callable[[Tensor], None]) -> None:
    """Make one of fairseq's optimizers clip in this mode from now on; calling it again changes nothing.

    fairseq's trainer calls ``optimizer.clip_grad_norm(--clip-norm)`` between the backward pass and the step, and logs
    what it returns, the norm of the whole gradient before clipping, as ``gnorm``; so it is in every mode. Under
    ``--fp16`` and ``--amp`` this method also removes the loss scale and finds overflows, which is why it is called and
    not replaced.

    Args:
        optimizer: a ``FairseqOptimizer``, or its wrapper for mixed precision.
        mode: one of ``CLIP_MODES``.
        log: takes the share of tensors above the limit, a tensor [], at each update with ``per-tensor``.
    """
    if mode == GLOBAL or getattr(optimizer, "clip_mode", GLOBAL) == mode:
        return
    measure = optimizer.clip_grad_norm

    def clip_grad_norm(max_norm: float, aggregate_norm_fn: Any = None) -> Tensor:
        if aggregate_norm_fn is not None:
            raise UserError(
                f"--clip-mode {mode} needs whole tensors, which --ddp-backend fully_sharded cuts into parts",
                remedy="Choose another --ddp-backend, or --clip-mode global",
            )
        norm = measure(0.0, None)  # without a limit, this clips nothing
        if mode == PER_TENSOR:
            log(
                clip_each_(gradients_of(optimizer), max_norm, getattr(optimizer, "_multiply_factor", 1.0))
                .float()
                .mean()
            )
        else:
            for group in optimizer.param_groups:
                group["clip_threshold"] = max_norm
        return norm

    optimizer.clip_mode, optimizer.clip_grad_norm = mode, clip_grad_norm


def call_before_clipping(optimizer: Any, function: Callable[[], None]) -> None:
    """Let ``function`` run once per update, ahead of ``optimizer.clip_grad_norm``; calling it again changes nothing."""
    if getattr(optimizer, "before_clipping", None) is not None:
        return
    clip = optimizer.clip_grad_norm

    def clip_grad_norm(*arguments: Any, **options: Any) -> Tensor:
        function()
        return clip(*arguments, **options)

    optimizer.before_clipping, optimizer.clip_grad_norm = function, clip_grad_norm


def gradients_of(optimizer: Any) -> list[Tensor]:
    """Return the gradient of each parameter that has one, as the optimizer will read it.

    Where that keeps them in one flat tensor (``flat_places``), the result holds views of it.
    """
    if not getattr(optimizer, "has_flat_params", False):
        return [p.grad.detach() for p in optimizer.params if p.grad is not None]
    return [optimizer.fp32_params[device].grad.detach()[place] for _, device, place in flat_places(optimizer)]
