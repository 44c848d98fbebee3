"""Sentence retrieval: is each sentence's nearest neighbour in the other language its translation?"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fairseq_xalign.evaluate.metrics.alignment import nearest, precision_at
from fairseq_xalign.evaluate.metrics.labels import signature


@dataclass(frozen=True)
class Retrieval:
    """Accuracy in per cent from source to target, back, and the mean of both."""

    forward: float
    backward: float
    mean: float
    signature: str


def retrieval_accuracy(source: Tensor, target: Tensor, centre: bool = False, **fields: object) -> Retrieval:
    """Cosine retrieval among n parallel sentences, row i of one side a translation of row i of the other.

    Args:
        source, target: sentence vectors, both [n, D].
        centre: subtract each side's mean vector first, which takes out what marks the language itself.
        fields: what else the signature should say.

    A sentence that occurs twice has one right row only: remove duplicates where that matters.
    """
    if source.shape != target.shape or source.dim() != 2 or not len(source):
        raise ValueError(
            f"two matrices of one shape [n, D] are needed, not {list(source.shape)} and {list(target.shape)}"
        )
    source, target = source.float(), target.float()
    if centre:
        source, target = source - source.mean(dim=0), target - target.mean(dim=0)
    gold = torch.arange(len(source))
    forward = precision_at(nearest(source, target), gold, 1)
    backward = precision_at(nearest(target, source), gold, 1)
    text = signature(
        "retrieval", per="sentence", neighbour="cosine", centred="yes" if centre else "no", n=len(source), **fields
    )
    return Retrieval(forward, backward, (forward + backward) / 2, text)
