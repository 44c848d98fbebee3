"""The float32 weights that fairseq's ``--fp16`` and ``--bf16`` train, of which the model's own are copies.

These options convert the model to half precision. What an update is smaller than, half precision does not show: near 1,
bfloat16 has steps of 2^-7, float16 of 2^-10. The optimizer therefore updates weights in float32 and copies them into
the model after each step. ``--memory-efficient-fp16`` and its like keep none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.nn import Parameter


def flat_places(optimizer: Any) -> Iterator[tuple[Parameter, Any, slice]]:
    """Where each parameter of the model lies in the flat tensors of an ``FP16Optimizer`` that has them.

    ``--fp16`` keeps all weights and gradients of a device in one flat tensor, unless ``--fp16-no-flatten-grads`` is
    given.

    Returns: for each parameter, the device that ``optimizer.fp32_params`` names, and its part of the tensor.
    """
    ends: dict[Any, int] = defaultdict(int)
    for parameter in optimizer.fp16_params:
        device = parameter.device.index
        begin, ends[device] = ends[device], ends[device] + parameter.numel()
        yield parameter, device, slice(begin, ends[device])


def master_weights(optimizer: Any) -> dict[Tensor, Tensor]:
    """Return the float32 weights of one of fairseq's optimizers by the parameters of the model; none without copies."""
    found = getattr(optimizer, "fp32_params", None)
    if found is None:
        return {}
    if not optimizer.has_flat_params:
        return {half: full.detach() for half, full in zip(optimizer.fp16_params, found, strict=True)}
    return {half: found[device].detach()[place].view_as(half) for half, device, place in flat_places(optimizer)}
