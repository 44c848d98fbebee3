"""The bidirectional Transformer encoder of all objectives, over sequences laid end to end without padding.

Its layouts are those of BERT (Devlin et al. 2019) and RoBERTa (Liu et al. 2019) exactly: post-norm,
layer norm on the sum of embeddings, and an MLM head of dense layer, GELU, layer norm and tied projection. Published
weights therefore fit. Pre-norm, rotary or sinusoidal positions and language embeddings (XLM, Conneau and Lample 2019)
are options.
"""

from __future__ import annotations

from torch import Tensor, nn

from fairseq_xalign.errors import unknown_name
from fairseq_xalign.models.attention import Plan, attend, select_rows
from fairseq_xalign.models.config import ACTIVATIONS, ATTENTION, POSITIONS, EncoderConfig
from fairseq_xalign.models.lm_head import TiedLMHead
from fairseq_xalign.models.transformer import Layer, Stack, token_embedding
from fairseq_xalign.objectives.batch import PackedBatch

__all__ = ["ATTENTION", "POSITIONS", "Block", "Encoder", "EncoderConfig"]


class Block(Layer):
    """One Transformer layer on packed tokens."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        width, eps = config.width, config.layernorm_eps
        self.qkv = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, eps)
        self.add_ffn(config)

    def forward(self, x: Tensor, plan: Plan, angles: tuple[Tensor, Tensor] | None) -> Tensor:
        """x [T, D] -> [T, D]."""
        if self.normalize_before:
            x = x + self._drop(self._attention(self.attention_norm(x), plan, angles))
            return x + self._drop(self._ffn(self.ffn_norm(x)))
        x = self.attention_norm(x + self._drop(self._attention(x, plan, angles)))
        return self.ffn_norm(x + self._drop(self._ffn(x)))

    def _attention(self, x: Tensor, plan: Plan, angles: tuple[Tensor, Tensor] | None) -> Tensor:
        qkv = self._qkv(x, self.qkv, angles)  # [T, 3, H, D / H]
        return self.attention_out(attend(qkv, plan, self.attention_dropout if self.training else 0.0))


class Encoder(TiedLMHead, Stack):
    """Transformer encoder with a tied MLM head (:class:`TiedLMHead`).

    Args:
        config: the shape.
        attention: ``fused`` (the fastest kernel on the device) or ``plain`` (padded reference with equal results).
    """

    config: EncoderConfig

    def __init__(self, config: EncoderConfig, attention: str = "fused") -> None:
        super().__init__()
        if attention not in ATTENTION:
            raise unknown_name("attention", attention, ATTENTION)
        self.config = config.validate()
        self.attention = attention
        width, eps = config.width, config.layernorm_eps
        self.embed_tokens = token_embedding(config)
        self.embed_positions = nn.Embedding(config.max_positions, width) if config.positions == "learned" else None
        # row 0 stands for "no language": zeros, never trained
        self.embed_languages = (
            nn.Embedding(config.n_languages + 1, width, padding_idx=0) if config.n_languages else None
        )
        self.embed_segments = nn.Embedding(config.n_segments, width) if config.n_segments else None
        self.embed_norm = nn.LayerNorm(width, eps) if config.embedding_layernorm else None
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.final_norm = nn.LayerNorm(width, eps) if config.normalize_before else None
        self.add_lm_head(config, ACTIVATIONS[config.activation])
        self._initialize(self.embed_tokens)

    def forward(self, batch: PackedBatch, layer: int | None = None) -> Tensor:
        """Return features [T, D] of the tokens, in the order of the batch.

        Args:
            layer: the layer whose output is returned: 0 for the embeddings, None for the last layer (with the final
                norm if there is one).
        """
        x, at = self._embed(batch), batch.positions
        plan = self._plan(batch, x)
        if plan.order is not None:
            x, at = select_rows(x, plan.order), at[plan.order]
        angles = self._angles(at, x.dtype)
        for block in self.layers[:layer]:
            x = block(x, plan, angles)
        if self.final_norm is not None and layer in (None, len(self.layers)):
            x = self.final_norm(x)
        return x if plan.inverse is None else select_rows(x, plan.inverse)

    def _embed(self, batch: PackedBatch) -> Tensor:
        x = self._place(batch.tokens, batch.positions, batch.longest, self.embed_tokens)
        if self.embed_languages is not None and batch.languages is not None:
            x = x + self.embed_languages(batch.languages)
        if self.embed_segments is not None:
            alone = batch.segments is None or self.config.n_segments == 1  # RoBERTa: one row, which all tokens share
            x = x + (self.embed_segments.weight[0] if alone else self.embed_segments(batch.segments))
        return self._finish(x)

    def _plan(self, batch: PackedBatch, x: Tensor) -> Plan:
        return Plan.make(batch.starts, batch.longest, self._plan_kind(x))
