"""Word embedding alignment: nearest neighbours by cosine and CSLS, between two sets of rows.

The alignment score (ALIGN-MLM, section 5; Deshpande et al. 2021) is the share of source rows whose
nearest target row by cosine, among *all* rows of the target side, is their own counterpart. A row of
zeros has no direction: as a query it counts as a miss, and as a candidate it is never nearest.

Letters: n source rows, m target rows, D width, G right answers per query (padded with -1).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SIMILARITIES_AT_ONCE = 2**24
"""Cells of the similarity matrix in memory at a time: memory does not grow with n times m."""
CSLS_NEIGHBOURS = 10
"""k of CSLS (Conneau et al. 2018, "Word Translation Without Parallel Data", section 2.3)."""
AUTHORS_SEED = 42
AUTHORS_SHARES = (0.4, 0.9)
"""The released scripts score a random subset: 40 % by default, 90 % in their example command."""
MARGIN_NEIGHBOURS = 4
"""k of the margins (Artetxe and Schwenk 2019, "Margin-based Parallel Corpus Mining", section 3)."""
MARGINS = ("ratio", "distance")
NO_ANSWER, NO_NEIGHBOUR = -1, -2


def directions(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of length 1 in float32 (or float64 as given), [n, D], and which rows were zero, bool [n].

    Raises:
        ValueError: a row holds NaN or infinity.
    """
    rows = rows.detach()
    rows = rows if rows.dtype == torch.float64 else rows.float()
    if not bool(torch.isfinite(rows).all()):
        raise ValueError("the embeddings hold NaN or infinity: training diverged; use an earlier checkpoint")
    # The largest entry first: squares of very small or large entries would vanish or overflow.
    peak = rows.abs().amax(dim=1, keepdim=True)
    zero = peak[:, 0] == 0
    return F.normalize(rows / peak.masked_fill(peak == 0, 1), dim=1), zero


def neighbour_means(rows: Tensor, others: Tensor, others_zero: Tensor, k: int) -> Tensor:
    """Mean cosine of each row [n, D] with its k nearest among ``others`` [m, D], [n]."""
    k = min(k, int((~others_zero).sum()))
    if k == 0:
        return rows.new_zeros(len(rows))
    means = [
        (block @ others.T).masked_fill_(others_zero, -torch.inf).topk(k, dim=1).values.mean(dim=1)
        for block in rows.split(max(1, SIMILARITIES_AT_ONCE // max(1, len(others))))
    ]
    return torch.cat(means) if means else rows.new_zeros(0)


def nearest(source: Tensor, target: Tensor, k: int = 1, csls: int | None = None) -> Tensor:
    """Indices of the k target rows nearest to each source row, nearest first, int64 [n, k].

    Args:
        source: queries [n, D].
        target: candidates [m, D].
        csls: None for cosine, otherwise the k of CSLS, 2 cos(x, y) - r(x) - r(y), where r is the mean cosine
            with the k nearest rows of the other side.

    Returns:
        Indices; ``NO_NEIGHBOUR`` for a zero query, and where there are fewer candidates than k.
    """
    x, x_zero = directions(source)
    y, y_zero = directions(target)
    result = torch.full((len(x), k), NO_NEIGHBOUR, dtype=torch.long, device=x.device)
    if len(x) == 0 or len(y) == 0:
        return result
    hubness = None
    if csls is not None:
        hubness = neighbour_means(y, x, x_zero, csls)  # [m]
    # r(x) moves all candidates of a query alike: it does not change their order.
    found = min(k, len(y))
    step = max(1, SIMILARITIES_AT_ONCE // len(y))
    for start in range(0, len(x), step):
        similarity = x[start : start + step] @ y.T
        if hubness is not None:
            similarity = 2 * similarity - hubness
        values, indices = similarity.masked_fill_(y_zero, -torch.inf).topk(found, dim=1)
        result[start : start + step, :found] = indices.masked_fill(values == -torch.inf, NO_NEIGHBOUR)
    result[x_zero] = NO_NEIGHBOUR
    return result


def nearest_by_margin(
    source: Tensor, target: Tensor, margin: str = "ratio", neighbours: int = MARGIN_NEIGHBOURS
) -> Tensor:
    """Index of the target row with the largest margin for each source row, int64 [n].

    With r the mean of r(x) and r(y), the mean cosines of the two rows with their nearest rows of the other side, the
    margin is cos(x, y) / r (``ratio``) or cos(x, y) - r (``distance``).

    Args:
        source: queries [n, D].
        target: candidates [m, D].
        neighbours: k of r.

    Raises:
        ValueError: for ``ratio``, a mean cosine that is not positive: the ratio would turn the order round.
    """
    if margin == "distance":
        # The same order as CSLS, which is twice this margin.
        return nearest(source, target, csls=neighbours)[:, 0]
    x, x_zero = directions(source)
    y, y_zero = directions(target)
    result = torch.full((len(x),), NO_NEIGHBOUR, dtype=torch.long, device=x.device)
    if len(x) == 0 or bool(y_zero.all()):
        return result
    ours, theirs = neighbour_means(x, y, y_zero, neighbours), neighbour_means(y, x, x_zero, neighbours)
    step = max(1, SIMILARITIES_AT_ONCE // len(y))
    for start in range(0, len(x), step):
        means = (ours[start : start + step, None] + theirs) / 2  # [step, m]
        if bool((means[~x_zero[start : start + step]][:, ~y_zero] <= 0).any()):
            raise ValueError("a mean cosine of nearest neighbours is not positive: use the margin distance")
        scores = (x[start : start + step] @ y.T) / means
        result[start : start + step] = scores.masked_fill_(y_zero, -torch.inf).argmax(dim=1)
    result[x_zero] = NO_NEIGHBOUR
    return result


def precision_at(neighbours: Tensor, gold: Tensor, k: int) -> float:
    """Return the share in per cent of queries with a right answer among their first k neighbours.

    Args:
        neighbours: from :func:`nearest`, int64 [n, at least k].
        gold: the right target row of each query, int64 [n], or several, [n, G] padded with ``NO_ANSWER``.
    """
    if len(neighbours) == 0:
        raise ValueError("no queries")
    answers = gold.to(neighbours.device).reshape(len(neighbours), 1, -1)
    hits = (neighbours[:, :k, None] == answers).flatten(1).any(dim=1)
    return 100 * hits.double().mean().item()


def alignment_score(source: Tensor, target: Tensor, gold: Tensor) -> float:
    """Return the per cent of rows of ``source`` [n, D] whose nearest row of ``target`` [m, D] is row ``gold`` [n]."""
    return precision_at(nearest(source, target), gold, 1)


def mean_cosine(source: Tensor, target: Tensor) -> float:
    """Mean cosine of row i of ``source`` with row i of ``target``, both [n, D]; a row of zeros counts as 0."""
    return (directions(source)[0] * directions(target)[0]).sum(dim=1).double().mean().item()


def authors_subset(rows: int, share: float, seed: int = AUTHORS_SEED) -> Tensor:
    """Sorted indices of a random share of ``rows`` rows, without replacement, int64.

    The shares and the seed are those of the released scripts; the draw is our own and never contains specials.
    """
    count = max(1, round(share * rows))
    return torch.from_numpy(np.sort(np.random.default_rng(seed).permutation(rows)[:count]))
