"""What the criterions share in logging."""

import math
from typing import Any

BITS = math.log(2)
"""fairseq logs losses in base 2."""


def summed(logging_outputs: list[dict[str, Any]]) -> dict[str, float]:
    """Each key's sum over batches and ranks; every output has the keys of the first."""
    return {key: sum(float(log.get(key, 0)) for log in logging_outputs) for key in logging_outputs[0]}
