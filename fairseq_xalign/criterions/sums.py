"""What the criterions share when they log: sums over batches, units, and losses that are not finite."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fairseq_xalign.errors import UserError

NATS_PER_BIT = math.log(2)
"""fairseq logs losses in bits; ours are computed in nats."""
LARGEST_PERPLEXITY = 2.0**60
"""Perplexities are cut off here, so that an untrained model prints a number."""
NAMED = 20
"""Sentences of a batch that a message names at most."""


def summed(logging_outputs: list[dict[str, Any]]) -> dict[str, float]:
    """Return each key's sum over batches and ranks; every output has the keys of the first.

    All tensors are read from their device at once: a GPU is waited for once per update, whatever is logged.
    """
    keys = [*logging_outputs[0]]
    values = [log.get(key, 0) for log in logging_outputs for key in keys]
    tensors = [(place, value) for place, value in enumerate(values) if isinstance(value, Tensor)]
    if tensors:
        read = torch.stack([value.detach().reshape(()).double() for _, value in tensors]).tolist()
        for (place, _), value in zip(tensors, read):
            values[place] = value
    return {key: sum(float(value) for value in values[place :: len(keys)]) for place, key in enumerate(keys)}


def perplexity(bits: float | None) -> float:
    """Return 2 ** bits, cut off at ``LARGEST_PERPLEXITY``; 0 where nothing was measured yet."""
    if bits is None:
        return 0.0
    return round(2.0 ** min(bits, math.log2(LARGEST_PERPLEXITY)), 2)


class NonFiniteLoss(UserError):
    """A loss that is infinite or not a number: one line that names what it was measured on.

    It is no FloatingPointError: at one of these, fairseq's trainer computes the whole update again to look for the
    module that it came from.

    Args:
        values: the loss, or each objective's.
        names: what the batch holds; the first ``NAMED`` are named.
    """

    def __init__(self, values: str, names: Sequence[str]) -> None:
        shown = "; ".join(names[:NAMED]) + (f"; and {len(names) - NAMED} more" if len(names) > NAMED else "")
        super().__init__(
            f"the loss is not finite ({values}) on: {shown}",
            remedy="Lower --lr, add --clip-norm 1, or look at this text; XALIGN_DEBUG=1 shows the traceback",
        )
