"""Batches of sentences with their translations, and the loss of translating.

L = - sum over target positions of log p(y_t | y_<t, x): MMTE (Siddhant et al. 2020), section 2.2; smoothed as Vaswani
et al. (2017), section 5.4, do it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from fairseq_xalign.objectives.batch import PackedBatch


@dataclass
class TranslationBatch:
    """B sentences of any mixture of directions, and their translations.

    Attributes:
        source: ``<2xx> x </s>`` where the target language is named in the source, else ``x </s>``.
        target: its ``tokens`` are what the decoder reads, ``</s> y1 .. yn``, and its ``targets`` [T] what it is to
            predict there, ``y1 .. yn </s>``.
        tags: ``<2xx>`` of each sentence, where it is encoded apart from the source (MMTE, Table 11), else None.
        direction: place of each sentence's direction in the task's list, int64 [B].
    """

    source: PackedBatch
    target: PackedBatch
    tags: PackedBatch | None
    direction: Tensor

    def __len__(self) -> int:
        return len(self.source)

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain dictionaries, which fairseq can move to another device or precision."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: v.to_dict() if isinstance(v, PackedBatch) else v for name, v in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TranslationBatch:
        parts: dict[str, Any] = {n: PackedBatch.from_dict(v) if isinstance(v, dict) else v for n, v in values.items()}
        return cls(**parts)

    def to(self, device: Any) -> TranslationBatch:
        """Return the same batch on another device."""
        tags = None if self.tags is None else self.tags.to(device)
        return TranslationBatch(self.source.to(device), self.target.to(device), tags, self.direction.to(device))


def translation_loss(logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """The loss at N target positions, and the part of it that is not smoothed.

    With smoothing e over V symbols, the wrong ones share e evenly among all but one symbol, as fairseq's
    ``label_smoothed_cross_entropy`` has it: loss = (1 - e - e') * nll + e' * sum over all V symbols of -log p, where
    e' = e / (V - 1).

    Args:
        logits: [N, V].
        targets: ids [N].
        label_smoothing: e, at least 0 and below 1.

    Returns: loss and negative log-likelihood in nats, both [N], in float32 or float64.
    """
    wide = logits.float() if logits.itemsize < 4 else logits
    if label_smoothing == 0:
        nll = F.cross_entropy(wide, targets, reduction="none")
        return nll, nll
    scores = F.log_softmax(wide, dim=-1)
    nll = -scores.gather(1, targets[:, None]).squeeze(1)
    share = label_smoothing / (scores.shape[1] - 1)
    return (1 - label_smoothing - share) * nll - share * scores.sum(-1), nll
