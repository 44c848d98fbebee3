"""Sentence retrieval: is each sentence's nearest neighbour in the other language its translation?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fairseq_xalign.evaluate.metrics.alignment import (
    MARGIN_NEIGHBOURS,
    SIMILARITIES_AT_ONCE,
    nearest,
    nearest_by_margin,
)
from fairseq_xalign.evaluate.metrics.labels import signature


@dataclass(frozen=True)
class Retrieval:
    """Accuracy in per cent from source to target, back, and the mean of both."""

    forward: float
    backward: float
    mean: float
    signature: str


def text_numbers(lines: Sequence[str]) -> Tensor:
    """A number for each line, equal where the lines are equal, int64 [n]."""
    known: dict[str, int] = {}
    return torch.tensor([known.setdefault(line, len(known)) for line in lines], dtype=torch.long)


def retrieval_accuracy(
    source: Tensor,
    target: Tensor,
    centre: bool = False,
    texts: tuple[Tensor, Tensor] | None = None,
    margin: str | None = None,
    neighbours: int = MARGIN_NEIGHBOURS,
    **fields: object,
) -> Retrieval:
    """Retrieval among n parallel sentences, row i of one side a translation of row i of the other.

    A sentence may stand in several rows. An answer is right if it is a translation of the query anywhere in
    the data: if some row pairs the query's text with the answer's text. Otherwise a repeated pair, whose
    copies no model can tell apart, would count as wrong.

    Args:
        source, target: sentence vectors, both [n, D].
        centre: subtract each side's mean vector first, which removes what marks the language itself.
        texts: a number for the text of each row of both sides, int64 [n] each (``text_numbers``); by
            default every row is a text of its own.
        margin: ``ratio`` or ``distance`` (``alignment.nearest_by_margin``); None for cosine.
        neighbours: k of the margin.
        fields: what else the signature should say.
    """
    if source.shape != target.shape or source.dim() != 2 or not len(source):
        raise ValueError(
            f"two matrices of one shape [n, D] are needed, not {list(source.shape)} and {list(target.shape)}"
        )
    first, second = texts or (torch.arange(len(source)), torch.arange(len(target)))
    there, back = (
        retrieved(queries, candidates, centre, margin, neighbours)
        for queries, candidates in ((source, target), (target, source))
    )
    forward, backward = _accuracy(there, first, second), _accuracy(back, second, first)
    text = signature(
        "retrieval",
        per="sentence",
        neighbour="cosine" if margin is None else f"margin-{margin}-{neighbours}",
        centred="yes" if centre else "no",
        right="any-translation",
        n=len(source),
        **fields,
    )
    return Retrieval(forward, backward, (forward + backward) / 2, text)


def retrieved(
    queries: Tensor,
    candidates: Tensor,
    centre: bool = False,
    margin: str | None = None,
    neighbours: int = MARGIN_NEIGHBOURS,
) -> Tensor:
    """The row of ``candidates`` [m, D] that answers each row of ``queries`` [n, D], int64 [n]; -1 for a zero vector.

    The other arguments are those of :func:`retrieval_accuracy`.
    """
    queries, candidates = queries.float(), candidates.float()
    if centre:
        queries, candidates = queries - queries.mean(dim=0), candidates - candidates.mean(dim=0)
    if margin is None:
        return nearest(queries, candidates)[:, 0].cpu()
    return nearest_by_margin(queries, candidates, margin, neighbours).cpu()


def _accuracy(found: Tensor, query: Tensor, candidate: Tensor) -> float:
    """Share in per cent of rows whose answer's text is paired with the query's text in some row.

    Args:
        found: the row that answers each query, [n].
        query, candidate: numbers of the texts of both sides, [n].
    """
    step = int(candidate.max()) + 1
    pairs = query * step + candidate  # one number per pair of texts
    answers = query * step + candidate[found.clamp_min(0)]
    hits = torch.isin(answers, pairs) & (found >= 0)  # a zero vector has no neighbour
    return 100 * hits.double().mean().item()


@dataclass(frozen=True)
class Distances:
    """Euclidean distances of translations, on a scale that does not depend on the length of vectors.

    Attributes:
        of_pairs: the distance of each pair, over the largest of these (TPP, Figure 3), [n].
        of_all: the same over the largest distance of any source from any target, [n].
    """

    of_pairs: Tensor
    of_all: Tensor


def normalized_distances(source: Tensor, target: Tensor) -> Distances:
    """Distances of row i of one side from row i of the other, both [n, D], normalised by the maximum.

    TPP's Figure 3 is "normalized (by max)", which may be either maximum. Two models can only be compared by the second:
    the first says how far pairs are from each other's distances, not how close they are in their space.
    """
    if source.shape != target.shape or source.dim() != 2 or not len(source):
        raise ValueError(
            f"two matrices of one shape [n, D] are needed, not {list(source.shape)} and {list(target.shape)}"
        )
    source, target = source.double(), target.double()
    pairs = (source - target).norm(dim=1)
    step = max(1, SIMILARITIES_AT_ONCE // len(target))
    largest = torch.stack([torch.cdist(rows, target).max() for rows in source.split(step)]).max()
    return Distances(_over(pairs, pairs.max()), _over(pairs, largest))


def _over(values: Tensor, largest: Tensor) -> Tensor:
    return values / largest if largest > 0 else torch.zeros_like(values)
