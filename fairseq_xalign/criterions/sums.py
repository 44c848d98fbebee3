"""What the criterions share in logging."""

import math
from collections.abc import Sequence
from typing import Any

from fairseq_xalign.errors import UserError

BITS = math.log(2)
"""fairseq logs losses in base 2."""


def summed(logging_outputs: list[dict[str, Any]]) -> dict[str, float]:
    """Each key's sum over batches and ranks; every output has the keys of the first."""
    return {key: sum(float(log.get(key, 0)) for log in logging_outputs) for key in logging_outputs[0]}


class NonFiniteLoss(UserError, FloatingPointError):
    """A loss that is infinite or no number: one line that names what it was measured on.

    Args:
        values: the loss, or each objective's.
        names: what the batch holds; the first 20 are named.
    """

    def __init__(self, values: str, names: Sequence[str]) -> None:
        shown = "; ".join(names[:20]) + (f"; and {len(names) - 20} more" if len(names) > 20 else "")
        super().__init__(
            f"the loss is not finite ({values}) on: {shown}",
            remedy="Lower --lr, add --clip-norm 1, or look at this text; XALIGN_DEBUG=1 shows the traceback",
        )
