"""Which words of two sentences are translations of each other, by the vectors of their pieces in context.

Two published methods, each with its authors' defaults:

* ``softmax`` (awesome-align, Dou and Neubig 2021): the dot products of all pieces are turned into probabilities by a
  softmax over the target pieces, and by another over the source pieces; two pieces are linked if both probabilities
  exceed 0.001.
* ``argmax`` (SimAlign, Jalili Sabet et al. 2020): two pieces are linked if each is the other's nearest by cosine.

Two words are linked if any two of their pieces are. Both papers take layer 8 of mBERT's 12; see :func:`default_layer`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fairseq_xalign.errors import UserError, unknown_name

METHODS = ("softmax", "argmax")
THRESHOLD = 0.001
"""What both probabilities must exceed (awesome-align's ``softmax_threshold``)."""
BEST_LAYER = (8, 12)
"""The layer that both papers found best, of how many."""


def default_layer(layers: int) -> int:
    """The layer at two thirds of the depth: 8 of 12, 4 of 6, 16 of 24; at least 1 where there are layers.

    The papers measured models of 12 and 24 layers alone; that the best layer moves with the depth is an assumption.
    """
    return max(min(1, layers), round(layers * BEST_LAYER[0] / BEST_LAYER[1]))


def check_method(method: str, threshold: float) -> None:
    """Refuse an unknown method and a threshold that is no probability, with a UserError."""
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    if not 0 <= threshold < 1:
        raise UserError(f"threshold {threshold} is not a probability", remedy="Choose a number from 0 to below 1")


def linked_pieces(source: Tensor, target: Tensor, method: str = "softmax", threshold: float = THRESHOLD) -> Tensor:
    """Which pieces are linked: true or false [n, m].

    Args:
        source: vectors of the source pieces [n, D].
        target: vectors of the target pieces [m, D].
        threshold: what both probabilities must exceed; of ``softmax`` alone.
    """
    if not (len(source) and len(target)):
        return torch.zeros(len(source), len(target), dtype=torch.bool, device=source.device)
    if method == "softmax":
        products = source @ target.T  # [n, m]
        return (products.softmax(1) > threshold) & (products.softmax(0) > threshold)
    cosines = torch.nn.functional.normalize(source, dim=1) @ torch.nn.functional.normalize(target, dim=1).T
    forward, backward = (torch.zeros_like(cosines, dtype=torch.bool) for _ in range(2))
    forward.scatter_(1, cosines.argmax(1, keepdim=True), True)
    backward.scatter_(0, cosines.argmax(0, keepdim=True), True)
    return forward & backward


def linked_words(pieces: Tensor, source_words: Sequence[int], target_words: Sequence[int]) -> list[tuple[int, int]]:
    """The pairs of words any two pieces of which are linked, in ascending order.

    Args:
        pieces: which pieces are linked, [n, m].
        source_words: the word of each source piece, [n].
        target_words: the word of each target piece, [m].
    """
    return sorted({(source_words[i], target_words[j]) for i, j in pieces.nonzero().tolist()})
