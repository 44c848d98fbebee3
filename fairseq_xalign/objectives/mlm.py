"""Masked language modelling: MLM on one language's text, TLM on pairs of translations.

L = - sum over masked positions of log p(token | what is left), ALIGN-MLM, section 3; TLM is the
same loss on a text and its translation in one sequence (Conneau and Lample 2019, section 3.3).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseq_xalign.objectives.batch import PackedBatch


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """-log p(target) in nats for each of N positions: logits [N, V], targets [N] -> float32 [N]."""
    return F.cross_entropy(logits.float() if logits.dtype != torch.float64 else logits, targets, reduction="none")


def masked_lm_losses(encoder: Any, batch: PackedBatch) -> Tensor:
    """The loss at each masked position, nats, [N]; the LM head sees masked positions only."""
    assert batch.masked is not None and batch.targets is not None
    features = encoder(batch)[batch.masked]  # [N, D]
    return token_losses(encoder.lm_logits(features), batch.targets)
