"""Heads on the encoder's features: one label for a sequence, or one for each given token."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fairseq_xalign.errors import unknown_name
from fairseq_xalign.models.dropout import dropout

POOLINGS = ("cls", "mean", "max")


def pool(features: Tensor, starts: Tensor, pooling: str = "cls") -> Tensor:
    """One vector for each sequence.

    Args:
        features: [T, D].
        starts: where each sequence starts, and T at the end, [B + 1]; no sequence is empty.
        pooling: ``cls`` (the first token), ``mean`` or ``max`` (element by element) over all tokens.

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
    if pooling == "mean":
        wide = features.to(torch.promote_types(features.dtype, torch.float32))
        sums = wide.new_zeros(lengths.numel(), features.shape[1]).index_add(0, rows, wide)
        return (sums / lengths[:, None]).to(features.dtype)
    empty = features.new_full((lengths.numel(), features.shape[1]), float("-inf"))
    return empty.scatter_reduce(0, rows[:, None].expand_as(features), features, "amax")


class ClassificationHead(nn.Module):
    """Scores of labels for whole sequences.

    Args:
        width: D.
        labels: how many labels.
        pooling: see ``pool``.
        hidden: width of a tanh layer ahead of the scores (BERT's and RoBERTa's have width D), or None for none.
        dropout: on the input of each linear layer.
    """

    def __init__(
        self, width: int, labels: int, pooling: str = "cls", hidden: int | None = None, dropout: float = 0.1
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise unknown_name("pooling", pooling, POOLINGS)
        self.pooling, self.dropout = pooling, dropout
        self.dense = None if hidden is None else _linear(width, hidden)
        self.out = _linear(width if hidden is None else hidden, labels)

    def forward(self, features: Tensor, starts: Tensor) -> Tensor:
        """features [T, D], starts [B + 1] -> scores [B, labels]."""
        x = dropout(pool(features, starts, self.pooling), self.dropout, self.training)
        if self.dense is not None:
            x = dropout(torch.tanh(self.dense(x)), self.dropout, self.training)
        return self.out(x)


class TaggingHead(nn.Module):
    """Scores of tags for tokens.

    Args:
        width: D.
        labels: how many tags.
        dropout: on the features.
    """

    def __init__(self, width: int, labels: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = dropout
        self.out = _linear(width, labels)

    def forward(self, features: Tensor) -> Tensor:
        """Features of the tokens to be tagged (first pieces of words, say) [N, D] -> scores [N, labels]."""
        return self.out(dropout(features, self.dropout, self.training))


def _linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer
