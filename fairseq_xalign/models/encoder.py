"""The bidirectional Transformer encoder of all objectives, over sequences laid end to end without padding.

Its layouts are those of BERT (Devlin et al. 2019) and RoBERTa (Liu et al. 2019) exactly: post-norm,
layer norm on the sum of embeddings, and an MLM head of dense layer, GELU, layer norm and tied projection. Published
weights therefore fit. Pre-norm, rotary or sinusoidal positions and language embeddings (XLM, Conneau and Lample 2019)
are options.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_xalign.constants import PAD
from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.models import positions
from fairseq_xalign.models.attention import Plan, attend, choose, select_rows
from fairseq_xalign.models.dropout import dropout
from fairseq_xalign.models.lm_head import TiedLMHead
from fairseq_xalign.objectives.batch import PackedBatch

POSITIONS = ("learned", "rotary", "sinusoidal")
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "relu": F.relu}
ATTENTION = ("fused", "plain")


@dataclass
class EncoderConfig:
    """The shape of an encoder: plain values, stored in checkpoints as a dictionary."""

    vocab_size: int
    """Rows V of the embedding, including special symbols."""
    layers: int = 12
    """Transformer layers."""
    heads: int = 12
    """Attention heads H; divides ``width``."""
    width: int = 768
    """Width D of embeddings and layers."""
    ffn_width: int = 3072
    """Inner width of the feed-forward blocks."""
    max_positions: int = 512
    """Number of usable positions (RoBERTa's "514" includes two that no token gets)."""
    positions: str = "learned"
    """``learned`` (BERT, RoBERTa), ``rotary`` (Su et al. 2021) or ``sinusoidal`` (Vaswani et al. 2017)."""
    normalize_before: bool = False
    """Whether to use pre-norm, with a layer norm after the last layer, instead of post-norm (BERT, RoBERTa)."""
    embedding_layernorm: bool = True
    """Whether to apply layer norm to the sum of embeddings."""
    embedding_scale: float = 1.0
    """Factor by which token embeddings are multiplied (sqrt(D) in Vaswani et al. 2017)."""
    dropout: float = 0.1
    """Dropout after the embeddings and after each block."""
    attention_dropout: float = 0.1
    """Dropout on attention weights; 0 keeps the fused kernels in training."""
    activation_dropout: float = 0.0
    """Dropout inside feed-forward blocks, after the activation."""
    activation: str = "gelu"
    """``gelu`` (exact, as BERT and RoBERTa) or ``relu``."""
    n_languages: int = 0
    """Number of language embeddings, one of which is added to each token (XLM); 0: none."""
    n_segments: int = 0
    """Number of segment embeddings, one of which is added to each token (BERT has 2); 0: none."""
    embedding_std: float = 0.02
    """Standard deviation of token embeddings before training."""
    initializer_std: float = 0.02
    """Standard deviation of all other matrices before training; biases start at 0."""
    layernorm_eps: float = 1e-5
    """Added to the variance in layer norms (BERT: 1e-12)."""
    lm_head_transform: bool = True
    """Whether the MLM head has a dense layer, activation and layer norm before the tied projection (BERT, RoBERTa)."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], called: Mapping[str, str] | None = None) -> EncoderConfig:
        """Return the validated configuration from a dictionary (of ``asdict``); ``called`` as in :meth:`validate`."""
        known = [f.name for f in fields(cls)]
        for name in values:
            if name not in known:
                raise unknown_name("encoder field", name, known)
        if "vocab_size" not in values:
            raise UserError("encoder field vocab_size is missing", remedy="Give the number of symbols")
        return cls(**values).validate(called)

    def validate(self, called: Mapping[str, str] | None = None) -> EncoderConfig:
        """Return self; raise UserError with field, value and choices if a value cannot work.

        Args:
            called: how messages name a field (by the option that set it); other fields are named "encoder field ...".
        """
        called = called or {}
        for name, choices in (("positions", POSITIONS), ("activation", tuple(ACTIVATIONS))):
            if getattr(self, name) not in choices:
                raise unknown_name(f"value of {_title(name, called)}:", getattr(self, name), choices)
        for names, holds, remedy in RANGES:
            for name in names:
                if not holds(getattr(self, name)):
                    raise UserError(f"{_title(name, called)} is {getattr(self, name)}", remedy=remedy)
        if self.width % self.heads:
            near = [h for h in range(1, self.width + 1) if self.width % h == 0 and h <= 2 * self.heads]
            raise UserError(
                f"{_title('width', called)} is {self.width}, not a multiple of {called.get('heads', 'heads')} "
                f"{self.heads}",
                remedy=f"Choose heads from {', '.join(map(str, near))}, or another width",
            )
        if self.positions == "rotary" and self.width // self.heads % 2:
            raise UserError(
                f"{_title('positions', called)} is 'rotary' with an odd head width {self.width // self.heads}",
                remedy="Choose width and heads so that width / heads is even, or positions learned",
            )
        if self.positions == "sinusoidal" and self.width % 2:
            raise UserError(
                f"{_title('positions', called)} is 'sinusoidal' with an odd width {self.width}",
                remedy="Choose an even width",
            )
        return self


RANGES: tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...] = (
    (("layers", "n_languages", "n_segments"), lambda v: v >= 0, "Choose 0 or more"),
    (("vocab_size", "heads", "width", "ffn_width", "max_positions"), lambda v: v >= 1, "Choose 1 or more"),
    (("dropout", "attention_dropout", "activation_dropout"), lambda v: 0 <= v < 1, "Choose 0 <= p < 1"),
    (
        ("embedding_std", "initializer_std", "layernorm_eps", "embedding_scale"),
        lambda v: v > 0,
        "Choose a positive number",
    ),
)
"""Fields of EncoderConfig, what must hold for each of them, and the remedy."""


def _title(name: str, called: Mapping[str, str]) -> str:
    return called.get(name, f"encoder field {name}")


class Block(nn.Module):
    """One Transformer layer on packed tokens."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width, eps = config.width, config.layernorm_eps
        self.heads = config.heads
        self.normalize_before = config.normalize_before
        self.dropout = config.dropout
        self.attention_dropout = config.attention_dropout
        self.activation_dropout = config.activation_dropout
        self.activation = ACTIVATIONS[config.activation]
        self.qkv = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, eps)
        self.ffn_in = nn.Linear(width, config.ffn_width)
        self.ffn_out = nn.Linear(config.ffn_width, width)
        self.ffn_norm = nn.LayerNorm(width, eps)

    def forward(self, x: Tensor, plan: Plan, angles: tuple[Tensor, Tensor] | None) -> Tensor:
        """x [T, D] -> [T, D]."""
        if self.normalize_before:
            x = x + self._drop(self._attention(self.attention_norm(x), plan, angles))
            return x + self._drop(self._ffn(self.ffn_norm(x)))
        x = self.attention_norm(x + self._drop(self._attention(x, plan, angles)))
        return self.ffn_norm(x + self._drop(self._ffn(x)))

    def _attention(self, x: Tensor, plan: Plan, angles: tuple[Tensor, Tensor] | None) -> Tensor:
        qkv = self.qkv(x).unflatten(1, (3, self.heads, -1))  # [T, 3, H, D / H]
        if angles is not None:
            qk, v = qkv.split([2, 1], dim=1)
            # angles [T, 1, D / 2H] turn queries and keys of all heads alike
            qkv = torch.cat((positions.rotate(qk, angles[0][:, None], angles[1][:, None]), v), dim=1)
        return self.attention_out(attend(qkv, plan, self.attention_dropout if self.training else 0.0))

    def _ffn(self, x: Tensor) -> Tensor:
        hidden = self.activation(self.ffn_in(x))
        return self.ffn_out(dropout(hidden, self.activation_dropout, self.training))

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout, self.training)


class Encoder(TiedLMHead):
    """Transformer encoder with a tied MLM head (:class:`TiedLMHead`).

    Args:
        config: the shape.
        attention: ``fused`` (the fastest kernel on the device) or ``plain`` (padded reference with equal results).
    """

    def __init__(self, config: EncoderConfig, attention: str = "fused") -> None:
        super().__init__()
        if attention not in ATTENTION:
            raise unknown_name("attention", attention, ATTENTION)
        self.config = config.validate()
        self.attention = attention
        width, eps = config.width, config.layernorm_eps
        self.embed_tokens = nn.Embedding(config.vocab_size, width, padding_idx=PAD if config.vocab_size > PAD else None)
        self.embed_positions = nn.Embedding(config.max_positions, width) if config.positions == "learned" else None
        # row 0 stands for "no language": zeros, never trained
        self.embed_languages = (
            nn.Embedding(config.n_languages + 1, width, padding_idx=0) if config.n_languages else None
        )
        self.embed_segments = nn.Embedding(config.n_segments, width) if config.n_segments else None
        self.embed_norm = nn.LayerNorm(width, eps) if config.embedding_layernorm else None
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.final_norm = nn.LayerNorm(width, eps) if config.normalize_before else None
        self.add_lm_head(width, config.vocab_size, config.lm_head_transform, ACTIVATIONS[config.activation], eps)
        self._initialize()

    @torch.no_grad()
    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                std = self.config.embedding_std if module is self.embed_tokens else self.config.initializer_std
                nn.init.normal_(module.weight, std=std)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
            if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                nn.init.zeros_(module.weight[module.padding_idx])

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
        angles = None
        if self.config.positions == "rotary":
            angles = positions.rotary_angles(at, self.config.width // self.config.heads, _wide(x.dtype))
        for block in self.layers[:layer]:
            x = block(x, plan, angles)
        if self.final_norm is not None and layer in (None, len(self.layers)):
            x = self.final_norm(x)
        return x if plan.inverse is None else select_rows(x, plan.inverse)

    def _embed(self, batch: PackedBatch) -> Tensor:
        x = self.embed_tokens(batch.tokens)
        if self.config.embedding_scale != 1.0:
            x = x * self.config.embedding_scale
        if self.embed_positions is not None:
            self._check_length(batch)
            x = x + self.embed_positions(batch.positions)
        elif self.config.positions == "sinusoidal":
            x = x + positions.sinusoids(batch.positions, self.config.width, _wide(x.dtype)).to(x.dtype)
        if self.embed_languages is not None and batch.languages is not None:
            x = x + self.embed_languages(batch.languages)
        if self.embed_segments is not None:
            x = x + (self.embed_segments.weight[0] if batch.segments is None else self.embed_segments(batch.segments))
        if self.embed_norm is not None:
            x = self.embed_norm(x)
        return dropout(x, self.config.dropout, self.training)

    def _check_length(self, batch: PackedBatch) -> None:
        limit = self.config.max_positions
        if batch.longest > limit and (found := int(batch.positions.max()) + 1) > limit:
            raise UserError(
                f"a sequence needs {found} positions, but the model has only {limit}",
                remedy="Use shorter sequences, or a model with more positions or with rotary ones",
            )

    def _plan(self, batch: PackedBatch, x: Tensor) -> Plan:
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        drop = self.config.attention_dropout if self.training else 0.0
        return Plan.make(batch.starts, batch.longest, choose(x.device, dtype, drop, self.attention))


def _wide(dtype: torch.dtype) -> torch.dtype:
    """float32, or float64 for float64: the precision in which angles are computed."""
    return torch.promote_types(dtype, torch.float32)
