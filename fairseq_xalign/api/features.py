"""Vectors of texts as a step of scikit-learn."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_xalign.api.encoder import TextEncoder, load_encoder
from fairseq_xalign.errors import UserError

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
except ImportError as error:
    raise UserError(
        "XAlignFeatures needs scikit-learn, which is not installed",
        remedy='Install it with pip install "fairseq_xalign[sklearn]"',
    ) from error


class XAlignFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Turns texts into vectors of an encoder: a scikit-learn transformer.

    Nothing is learned from the data, so ``fit`` does no more than open the encoder. Copies, clones and pickles hold the
    path and the settings, not the weights.

    Args:
        checkpoint: what :func:`fairseq_xalign.load_encoder` opens.
        pooling, layer, batch_size, device, normalize, language: as in :meth:`TextEncoder.encode`.
    """

    def __init__(
        self,
        checkpoint: str | Path | None = None,
        *,
        pooling: str = "mean",
        layer: int | None = None,
        batch_size: int | None = None,
        device: str | None = None,
        normalize: bool = False,
        language: str | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.pooling = pooling
        self.layer = layer
        self.batch_size = batch_size
        self.device = device
        self.normalize = normalize
        self.language = language

    def fit(self, X: Iterable[str], y: Any = None) -> XAlignFeatures:
        """Open the encoder; the texts are not looked at."""
        self._opened()
        return self

    def transform(self, X: Iterable[str]) -> np.ndarray:
        """The vector of each text, float32 [n, D]."""
        if isinstance(X, str):
            raise UserError("X is a string, not a list of texts", remedy="Give a list, or a column of a table")
        return self._opened().encode(
            X,
            pooling=self.pooling,
            layer=self.layer,
            batch_size=self.batch_size,
            normalize=self.normalize,
            language=self.language,
            progress=False,
        )

    @property
    def _n_features_out(self) -> int:
        return self._opened().width

    def _opened(self) -> TextEncoder:
        if self.checkpoint is None:
            raise UserError("XAlignFeatures has no checkpoint", remedy="Write XAlignFeatures(checkpoint=PATH)")
        return _encoder(str(self.checkpoint), self.device)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.requires_fit = False
        return tags


@functools.lru_cache(maxsize=1)
def _encoder(checkpoint: str, device: str | None) -> TextEncoder:
    """The encoder that was opened last: a search over settings clones the step, and would open it for each clone."""
    return load_encoder(checkpoint, device)
