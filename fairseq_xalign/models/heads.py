"""Heads of labelled tasks: one label for a sequence, or one for each given token. The LM head is in ``lm_head.py``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fairseq_xalign.models.dropout import dropout
from fairseq_xalign.models.pooling import check_pooling, pool


class ClassificationHead(nn.Module):
    """Scores of labels for whole sequences.

    Args:
        width: D.
        labels: number of labels.
        pooling: which vector stands for a sequence, see ``models/pooling.py``.
        hidden: width of a tanh layer ahead of the scores (BERT's and RoBERTa's have width D), or None for none.
        dropout: share of each linear layer's input that is dropped in training.
    """

    def __init__(
        self, width: int, labels: int, pooling: str = "cls", hidden: int | None = None, dropout: float = 0.1
    ) -> None:
        super().__init__()
        check_pooling(pooling)
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
        labels: number of tags.
        dropout: share of the features that is dropped in training.
    """

    def __init__(self, width: int, labels: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = dropout
        self.out = _linear(width, labels)

    def forward(self, features: Tensor) -> Tensor:
        """Features of the tokens to tag (for example the first pieces of words) [N, D] -> scores [N, labels]."""
        return self.out(dropout(features, self.dropout, self.training))


def _linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer
