"""One vector for each text, for objectives about whole texts: from which layer, and pooled how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.objective import Reading, option
from fairseq_xalign.objectives.pooling import pool
from fairseq_xalign.options import at_least


@dataclass(frozen=True)
class SentenceOptions:
    """Where the vectors of texts come from; what every objective about whole texts shares."""

    sentence_layer: int = option(
        -1,
        "layer whose output represents texts in objectives about whole texts (moco, tpp): 0 for the embeddings, -1, "
        "the default, for the last one; layers above it are not trained by these objectives",
    )

    def __post_init__(self) -> None:
        at_least(-1, sentence_layer=self.sentence_layer)

    @property
    def layer(self) -> int | None:
        """The layer as encoders number it: None for the last one."""
        return None if self.sentence_layer < 0 else self.sentence_layer

    def check_layer(self, encoder: Any) -> None:
        """Raise UserError where the encoder has no such layer."""
        layers = encoder.config.layers
        if self.sentence_layer > layers:
            raise UserError(
                f"--sentence-layer {self.sentence_layer}: the encoder has {layers} layers",
                remedy=f"Choose at most {layers}, or -1 for the last one",
            )


def sentence_vectors(reading: Reading, pooling: str, layer: int | None = None) -> Tensor:
    """A vector of each sequence of a batch, [B, D], in float32 (float64 of features in float64).

    Args:
        pooling: as :func:`objectives.pooling.pool` has it; the mean is over the pieces of the text, without ``<s>``
            and ``</s>``.
        layer: whose output is pooled; None: the last one's.
    """
    features = reading.features() if layer is None else reading.features(layer)
    wide = torch.promote_types(features.dtype, torch.float32)
    return pool(features.to(wide), reading.batch.starts, pooling, edges=pooling == "cls")
