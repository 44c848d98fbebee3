"""One vector per sequence: its first token, or the mean or maximum over its tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from fairseq_xalign.constants import POOLINGS
from fairseq_xalign.errors import unknown_name


def check_pooling(pooling: str) -> None:
    """Refuse an unknown pooling with a UserError that lists the known ones."""
    if pooling not in POOLINGS:
        raise unknown_name("pooling", pooling, POOLINGS)


def pool(features: Tensor, starts: Tensor, pooling: str = "cls", edges: bool = True) -> Tensor:
    """One vector for each sequence.

    Args:
        features: [T, D].
        starts: where each sequence starts, and T at the end, [B + 1]; no sequence is empty.
        pooling: ``cls`` (the first token), ``mean`` or ``max`` (element by element) over the tokens.
        edges: whether mean and maximum include the first and last token (``<s>`` and ``</s>``). Without
            them, a sequence that has nothing between the two is still pooled over both.

    Returns: [B, D] in the dtype of ``features``; means are summed in float32 at least.
    """
    check_pooling(pooling)
    starts = starts.long()
    if pooling == "cls":
        return features.index_select(0, starts[:-1])
    lengths = starts[1:] - starts[:-1]
    rows = torch.arange(lengths.numel(), device=starts.device)
    rows = rows.repeat_interleave(lengths, output_size=features.shape[0])  # [T]: the sequence of each token
    if not edges:
        place = torch.arange(rows.numel(), device=rows.device)  # [T]
        inner = (place != starts[rows]) & (place != starts[rows + 1] - 1) | (lengths <= 2)[rows]
        features, rows = features[inner], rows[inner]
        lengths = torch.bincount(rows, minlength=lengths.numel())
    if pooling == "mean":
        wide = features.to(torch.promote_types(features.dtype, torch.float32))
        sums = wide.new_zeros(lengths.numel(), features.shape[1]).index_add(0, rows, wide)
        return (sums / lengths[:, None]).to(features.dtype)
    empty = features.new_full((lengths.numel(), features.shape[1]), float("-inf"))
    return empty.scatter_reduce(0, rows[:, None].expand_as(features), features, "amax")
