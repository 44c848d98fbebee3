"""Heads of labelled tasks: one label for a sequence, or one for each given token. The LM head is in ``lm_head.py``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fairseq_xalign.models.dropout import dropout
from fairseq_xalign.models.pooling import check_pooling
from fairseq_xalign.objectives.pooling import pool

MMTE_UNITS = 64
MMTE_TAGGING_UNITS = 784


class ClassificationHead(nn.Module):
    """Scores of labels for whole sequences.

    Args:
        width: D.
        labels: number of labels.
        pooling: which vector stands for a sequence, see ``objectives/pooling.py``.
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


class MMTEClassificationHead(nn.Module):
    """Scores of labels for whole sequences, as MMTE has them (Siddhant et al. 2020, section 3.1).

    A feed-forward layer of 64 units for each token, the maximum over tokens, and another layer of 64 units. The
    maximum is over the text's own tokens: ``<s>`` and ``</s>`` do not take part, unless a text has nothing else. The
    paper names no activation; here both layers end with ReLU, the first one ahead of the maximum.

    Args:
        width: D.
        labels: number of labels.
        dropout: share of each linear layer's input that is dropped in training.
        before: how many tokens stand ahead of the text: 1 for ``<s> x </s>``, 0 for ``x </s>``.
    """

    def __init__(self, width: int, labels: int, dropout: float = 0.1, before: int = 1) -> None:
        super().__init__()
        self.dropout, self.before = dropout, before
        self.token = _xavier(width, MMTE_UNITS)
        self.text = _xavier(MMTE_UNITS, MMTE_UNITS)
        self.out = _xavier(MMTE_UNITS, labels)

    def forward(self, features: Tensor, starts: Tensor, left_out: Tensor | None = None) -> Tensor:
        """features [T, D], starts [B + 1] -> scores [B, labels]; ``left_out`` [T] marks separators between texts."""
        x = torch.relu(self.token(dropout(features, self.dropout, self.training)))  # [T, 64]
        x = pool(x, starts, "max", edges=False, before=self.before, left_out=left_out)  # [B, 64]
        x = torch.relu(self.text(dropout(x, self.dropout, self.training)))
        return self.out(dropout(x, self.dropout, self.training))


class MMTETaggingHead(nn.Module):
    """Scores of tags for tokens through one layer of 784 units (MMTE, section 3.4), which ends with ReLU.

    Args:
        width: D.
        labels: number of tags.
        dropout: share of each linear layer's input that is dropped in training.
    """

    def __init__(self, width: int, labels: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = dropout
        self.hidden = _xavier(width, MMTE_TAGGING_UNITS)
        self.out = _xavier(MMTE_TAGGING_UNITS, labels)

    def forward(self, features: Tensor) -> Tensor:
        """Features of the tokens to tag [N, D] -> scores [N, labels]."""
        x = torch.relu(self.hidden(dropout(features, self.dropout, self.training)))
        return self.out(dropout(x, self.dropout, self.training))


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


class SpanHead(nn.Module):
    """Scores of tokens as the first and as the last of an answer.

    Args:
        width: D.
        dropout: share of the features that is dropped in training.
    """

    def __init__(self, width: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = dropout
        self.out = _linear(width, 2)

    def forward(self, features: Tensor) -> Tensor:
        """Features of all tokens [T, D] -> scores of start and end [T, 2]."""
        return self.out(dropout(features, self.dropout, self.training))


def _xavier(inputs: int, outputs: int) -> nn.Linear:
    """A layer as Lingvo begins with it: Glorot and Bengio's uniform weights, biases of 0."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer
