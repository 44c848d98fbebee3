"""InfoNCE (van den Oord et al. 2018): a query recognises its key among the keys of a queue.

With queries q, their keys k+ and K queued keys k_1 .. k_K, at temperature t:

    L = -log( exp(q k+ / t) / (exp(q k+ / t) + sum_i exp(q k_i / t)) )

as MoCo (He et al. 2020) computes it. PPA (Pan et al. 2021), Eq. 3, prints the sum over the queue alone; without the
positive in it the quotient is no probability, and L may be negative.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fairseq_xalign.objectives.batch import PackedBatch
from fairseq_xalign.objectives.random import combine

WITH_POSITIVE, QUEUE_ONLY = "with-positive", "queue-only"
DENOMINATORS = WITH_POSITIVE, QUEUE_ONLY
"""What the sum in the denominator is over: the positive and the queue (MoCo), or the queue (Eq. 3, as printed)."""


def info_nce(
    queries: Tensor,
    keys: Tensor,
    queue: Tensor,
    temperature: float,
    denominator: str = WITH_POSITIVE,
    left_out: Tensor | None = None,
    hardest: int = 0,
) -> tuple[Tensor, Tensor]:
    """Return the loss of each query [P], and whether its key scores higher than every queued key, bool [P].

    A query without any negative has the loss 0, and a gradient of 0, with either denominator.

    Args:
        queries, keys: [P, d]; row i of ``keys`` is the positive of row i of ``queries``.
        queue: the negatives [K, d].
        temperature: what similarities are divided by.
        denominator: one of DENOMINATORS.
        left_out: queued keys that are no negatives of a query, bool [P, K].
        hardest: take the so many queued keys that are most similar to a query as its negatives; 0 takes all.
    """
    with torch.autocast(queries.device.type, enabled=False):
        queries, keys = _wide(queries), _wide(keys)
        positive = (queries * keys).sum(-1) / temperature  # [P]
        negative = queries @ queue.to(queries.dtype).T / temperature  # [P, K]
        if left_out is not None:
            negative = negative.masked_fill(left_out, float("-inf"))
        if 0 < hardest < negative.shape[1]:
            negative = negative.topk(hardest, sorted=False).values
        found = (negative < positive[:, None]).all(-1)
        if denominator == WITH_POSITIVE:
            return torch.cat([positive[:, None], negative], 1).logsumexp(-1) - positive, found
        alone = torch.isneginf(negative).all(-1)  # [P]: true for an empty queue too
        if not negative.shape[1]:
            return positive * 0, found
        # Such a row is replaced before the sum: the gradient of a sum of nothing is NaN, and NaN * 0 is NaN.
        total = torch.where(alone[:, None], torch.zeros_like(negative), negative).logsumexp(-1)
        return torch.where(alone, positive * 0, total - positive), found


def _wide(values: Tensor) -> Tensor:
    return values.float() if values.itemsize < 4 else values


def sequence_hashes(batch: PackedBatch) -> Tensor:
    """A number for each sequence that equal texts share, int64 [B]; hidden tokens count as what they were."""
    tokens = batch.tokens
    if batch.masked is not None and batch.targets is not None:
        tokens = tokens.index_copy(0, batch.masked, batch.targets)
    lengths = batch.lengths
    rows = torch.arange(len(batch), device=tokens.device).repeat_interleave(lengths, output_size=len(tokens))
    within = torch.arange(len(tokens), device=tokens.device) - batch.starts[:-1].long()[rows]
    return torch.zeros_like(lengths).index_add(0, rows, combine(tokens, within))


def shares_text(pairs: Tensor, queued: Tensor) -> Tensor:
    """Which queued keys come from a pair that has a text of the query's pair, bool [P, K].

    Such a key is the positive again, another translation of the query's text, or this text itself.

    Args:
        pairs: hashes of the texts of the queries' pairs, int64 [P, 2].
        queued: those of the queued keys' pairs, int64 [K, 2].
    """
    found = torch.zeros(len(pairs), len(queued), dtype=torch.bool, device=pairs.device)
    for one in pairs.unbind(1):
        for other in queued.unbind(1):
            found |= one[:, None] == other[None, :]
    return found
