"""The head of masked language modelling: a dense layer, an activation, a layer norm, and the embedding table once more.

BERT (Devlin et al. 2019) and RoBERTa (Liu et al. 2019) have this head. Its output layer is tied to the token
embeddings.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_xalign.errors import UserError


class TiedLMHead(nn.Module):
    """What an encoder with token embeddings ``embed_tokens`` [V, D] inherits to score all V symbols.

    A base class and not a module of its own, so that weights keep the names that they have in checkpoints.
    """

    embed_tokens: nn.Embedding

    def add_lm_head(
        self, width: int, vocab_size: int, transform: bool, activation: Callable[[Tensor], Tensor], eps: float
    ) -> None:
        """Create the head's parameters.

        Args:
            width: D.
            vocab_size: V.
            transform: whether the dense layer, the activation and the layer norm precede the output layer.
            eps: of the layer norm.
        """
        self.lm_dense = nn.Linear(width, width) if transform else None
        self.lm_norm = nn.LayerNorm(width, eps) if transform else None
        self.lm_bias = nn.Parameter(torch.zeros(vocab_size))
        self._lm_activation = activation

    def lm_logits(self, features: Tensor) -> Tensor:
        """Return the scores of all symbols, features [N, D] -> [N, V]; pass the features of masked positions only."""
        if self.lm_dense is not None and self.lm_norm is not None:
            features = self.lm_norm(self._lm_activation(self.lm_dense(features)))
        return F.linear(features, self.embed_tokens.weight, self.lm_bias)

    @torch.no_grad()
    def initialize_output_bias(self, counts: Tensor) -> None:
        """Set ``lm_bias`` to the logarithms of unigram frequencies (``counts`` [V], smoothed by adding one)."""
        if counts.numel() != self.lm_bias.numel():
            raise UserError(f"{counts.numel()} counts for a vocabulary of {self.lm_bias.numel()}")
        smooth = counts.double() + 1
        self.lm_bias.copy_((smooth / smooth.sum()).log())
