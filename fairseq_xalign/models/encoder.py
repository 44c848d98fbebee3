"""The bidirectional Transformer encoder of all objectives, over sequences laid end to end without padding.

Its layouts are those of BERT (Devlin et al. 2019) and RoBERTa (Liu et al. 2019) exactly: post-norm,
layer norm on the sum of embeddings, and an MLM head of dense layer, GELU, layer norm and tied projection. Published
weights therefore fit. Pre-norm, rotary or sinusoidal positions and language embeddings (XLM, Conneau and Lample 2019)
are options.
"""

from __future__ import annotations

import itertools
from typing import Any

from torch import Tensor, nn

from fairseq_xalign.errors import unknown_name
from fairseq_xalign.models.attention import Plan, attend, select_rows
from fairseq_xalign.models.compiled import OFF
from fairseq_xalign.models.config import ACTIVATIONS, ATTENTION, POSITIONS, EncoderConfig
from fairseq_xalign.models.lm_head import TiedLMHead
from fairseq_xalign.models.transformer import Layer, normalized, token_embedding
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

    def before(self, x: Tensor, angles: tuple[Tensor, Tensor] | None) -> Tensor:
        """The layer up to attention: x [T, D] -> queries, keys and values [T, 3, H, D / H]."""
        return self._qkv(self._enter(x, self.attention_norm), self.qkv, angles)

    def after(self, x: Tensor, attended: Tensor) -> Tensor:
        """The layer from attention on: its input x and what attention found, both [T, D] -> [T, D]."""
        x = self._add(x, self.attention_out(attended), self.attention_norm)
        return self._add(x, self._ffn(self._enter(x, self.ffn_norm)), self.ffn_norm)

    def until(
        self, following: Block, x: Tensor, attended: Tensor, angles: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        """From this layer's attention to that of the ``following`` one: :meth:`after`, then :meth:`before`."""
        x = self.after(x, attended)
        return x, following.before(x, angles)


class Encoder(TiedLMHead):
    """Transformer encoder with a tied MLM head (:class:`TiedLMHead`).

    Args:
        config: the shape.
        attention: ``auto`` (the fastest kernel on the device) or ``plain`` (padded reference with equal results).
        compiling: whether training is compiled: ``auto``, ``on`` or ``off`` (``models.compiled``).
    """

    config: EncoderConfig

    def __init__(self, config: EncoderConfig, attention: str = "auto", compiling: str = OFF) -> None:
        super().__init__()
        if attention not in ATTENTION:
            raise unknown_name("attention", attention, ATTENTION)
        self.config = config.validate()
        self.attention = attention
        self.compiling = compiling
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

    def forward(self, batch: PackedBatch, layer: int | None = None, tokens: Tensor | None = None) -> Tensor:
        """Return features [T, D] of the tokens, in the order of the batch.

        Args:
            layer: the layer whose output is returned: 0 for the embeddings, None for the last layer (with the final
                norm if there is one).
            tokens: places [N] of the tokens whose features [N, D] are wanted, in this order and without repetition;
                None for all. Past its attention, the last layer is computed for them alone.
        """
        x, at = self._embed(batch), batch.positions
        plan = self._plan(batch, x)
        if plan.order is not None:
            x, at = select_rows(x, plan.order), at[plan.order]
        angles = self._angles(at, x.dtype)
        wanted = tokens if tokens is None or plan.inverse is None else plan.inverse[tokens]
        x = self._through(x, self.layers[:layer], plan, angles, wanted)
        if self.final_norm is not None and layer in (None, len(self.layers)):
            x = normalized(self.final_norm, x)
        return x if plan.inverse is None or tokens is not None else select_rows(x, plan.inverse)

    def _through(
        self, x: Tensor, layers: Any, plan: Plan, angles: tuple[Tensor, Tensor] | None, wanted: Tensor | None
    ) -> Tensor:
        """x [T, D] after ``layers``, which are run from one attention to the next; or its rows ``wanted`` [N] alone."""
        if not layers:
            return x if wanted is None else select_rows(x, wanted)
        run, drop = self.runner(x.device), self.config.attention_dropout if self.training else 0.0
        qkv = run(Block.before)(layers[0], x, angles)
        for block, following in itertools.pairwise(layers):
            x, qkv = run(Block.until)(block, following, x, attend(qkv, plan, drop), angles)
        attended = attend(qkv, plan, drop)
        if wanted is not None:
            x, attended = select_rows(x, wanted), select_rows(attended, wanted)
        return run(Block.after)(layers[-1], x, attended)

    def _embed(self, batch: PackedBatch) -> Tensor:
        x = self._place(batch.tokens, batch.positions, batch.longest, self.embed_tokens)
        if self.embed_languages is not None and batch.languages is not None:
            x = x + self.embed_languages(batch.languages)
        if self.embed_segments is not None:
            alone = batch.segments is None or self.config.n_segments == 1  # RoBERTa: one row, which all tokens share
            x = x + (self.embed_segments.weight[0] if alone else self.embed_segments(batch.segments))
        return self._finish(x)

    def _plan(self, batch: PackedBatch, x: Tensor) -> Plan:
        return Plan.make(batch.starts, batch.longest, self._plan_kind(x), lengths=batch.host_lengths)
