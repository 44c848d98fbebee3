"""One vector per sequence: its first token, or the mean or maximum over its tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from fairseq_xalign.constants import POOLINGS
from fairseq_xalign.errors import unknown_name


def pool(
    features: Tensor,
    starts: Tensor,
    pooling: str = "cls",
    edges: bool = True,
    before: int = 1,
    left_out: Tensor | None = None,
) -> Tensor:
    """One vector for each sequence.

    Args:
        features: [T, D].
        starts: where each sequence starts, and T at the end, [B + 1]; no sequence is empty.
        pooling: ``cls`` (the first token), ``mean`` or ``max`` (element by element) over the tokens.
        edges: whether mean and maximum include ``<s>`` and ``</s>``. Without them, a sequence that has
            nothing else is still pooled over these.
        before: how many tokens stand ahead of the text: 1 for ``<s> x </s>``, 0 for ``x </s>``.
        left_out: further tokens that, like the edges, do not take part if these do not, bool [T].

    Returns: [B, D] in the dtype of ``features``; means are summed in float32 at least.
    """
    if pooling not in POOLINGS:
        raise unknown_name("pooling", pooling, POOLINGS)
    starts = starts.long()
    if pooling == "cls":
        return features.index_select(0, starts[:-1])
    lengths = starts[1:] - starts[:-1]
    rows = torch.arange(lengths.numel(), device=starts.device)
    rows = rows.repeat_interleave(lengths, output_size=features.shape[0])  # [T]: the sequence of each token
    if not edges:
        place = torch.arange(rows.numel(), device=rows.device)  # [T]
        text = (place >= starts[rows] + before) & (place != starts[rows + 1] - 1)
        if left_out is not None:
            text &= ~left_out
        some = torch.zeros_like(lengths).index_add(0, rows, text.long()) > 0
        inner = text | ~some[rows]
        # Filled in and not selected: nobody waits for a device to say how many there are.
        features = features.masked_fill(~inner[:, None], 0.0 if pooling == "mean" else float("-inf"))
        lengths = torch.zeros_like(lengths).index_add(0, rows, inner.long())
    if pooling == "mean":
        wide = features.to(torch.promote_types(features.dtype, torch.float32))
        sums = wide.new_zeros(lengths.numel(), features.shape[1]).index_add(0, rows, wide)
        return (sums / lengths[:, None]).to(features.dtype)
    empty = features.new_full((lengths.numel(), features.shape[1]), float("-inf"))
    return empty.scatter_reduce(0, rows[:, None].expand_as(features), features, "amax")
