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
from fairseq_xalign.models.config import EncoderConfig
from fairseq_xalign.models.output import chunked_losses, is_large, token_losses, training_scores
from fairseq_xalign.models.transformer import Stack


class TiedLMHead(Stack):
    """What an encoder with token embeddings ``embed_tokens`` [V, D] inherits to score all V symbols.

    A base class and not a module of its own, so that weights keep the names that they have in checkpoints.
    """

    embed_tokens: nn.Embedding

    def add_lm_head(self, config: EncoderConfig, activation: Callable[[Tensor], Tensor]) -> None:
        """Create the head's parameters: with neither transform nor bias, it has none of its own."""
        transform, width = config.lm_head_transform, config.width
        self.lm_dense = nn.Linear(width, width) if transform else None
        self.lm_norm = nn.LayerNorm(width, config.layernorm_eps) if transform else None
        self.lm_bias = nn.Parameter(torch.zeros(config.vocab_size)) if config.lm_head_bias else None
        self._lm_activation = activation

    def lm_logits(self, features: Tensor) -> Tensor:
        """Return the scores of all symbols, features [N, D] -> [N, V]; pass the features of masked positions only."""
        return F.linear(self._transformed(features), self.embed_tokens.weight, self.lm_bias)

    def token_losses(self, features: Tensor, targets: Tensor) -> Tensor:
        """-log p(target) in nats at N positions: features [N, D], ids [N] -> [N], float32 or float64."""
        return self.runner(features.device)(TiedLMHead._losses)(self, features, targets)

    def _losses(self, features: Tensor, targets: Tensor) -> Tensor:
        return self._vector_losses(self._transformed(features), targets, True)

    def vector_losses(self, vectors: Tensor, targets: Tensor, biased: bool = True) -> Tensor:
        """The same where scores are the products of ``vectors`` [N, D] and the embeddings, without this head's layers.

        Args:
            biased: add the head's output bias.
        """
        return self.runner(vectors.device)(TiedLMHead._vector_losses)(self, vectors, targets, biased)

    def _vector_losses(self, vectors: Tensor, targets: Tensor, biased: bool) -> Tensor:
        if not torch.is_autocast_enabled(vectors.device.type):
            vectors = vectors.to(self.embed_tokens.weight.dtype)
        bias, weight = self.lm_bias if biased else None, self.embed_tokens.weight
        if not torch.compiler.is_compiling() and is_large(vectors, weight):
            return chunked_losses(vectors, weight, bias, targets)[0]
        return token_losses(training_scores(vectors, weight, bias), targets)

    def _transformed(self, features: Tensor) -> Tensor:
        if self.lm_dense is None or self.lm_norm is None:
            return features
        return self.lm_norm(self._lm_activation(self.lm_dense(features)))

    @torch.no_grad()
    def initialize_output_bias(self, counts: Tensor) -> None:
        """Set ``lm_bias`` to the logarithms of unigram frequencies (``counts`` [V], smoothed by adding one)."""
        if self.lm_bias is None:
            raise UserError(
                "the MLM head of this architecture has no bias to begin with the frequencies of symbols",
                remedy="Switch --unigram-bias off, or choose another --arch",
            )
        if counts.numel() != self.lm_bias.numel():
            raise UserError(f"{counts.numel()} counts for a vocabulary of {self.lm_bias.numel()}")
        smooth = counts.double() + 1
        self.lm_bias.copy_((smooth / smooth.sum()).log())
