"""The shapes of Transformers as plain values: what encoder and decoder have in common, and each one's own fields.

Defaults are those of BERT (Devlin et al. 2019) and RoBERTa (Liu et al. 2019); ``models/presets.py`` has the papers'
shapes.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

import torch.nn.functional as F
from torch import Tensor

from fairseq_xalign.errors import UserError, unknown_name

ROUNDING = 1e-6
"""Relative difference within which two numbers of a field are one: others write 1e-12 as 9.99999996e-13."""
POSITIONS = ("learned", "rotary", "sinusoidal")
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "relu": F.relu}
ATTENTION = AUTO, VARLEN, BUCKETS, PLAIN = ("auto", "varlen", "buckets", "plain")
"""Kernels of attention: see ``models.attention``."""
RESIDUAL = FULL, HALF = "full", "half"
"""Precision of the residual stream, the sum that runs through the layers: float32, or that of matrix products."""
INITIALIZERS = ("normal", "xavier")
TYINGS = ("all", "decoder", "none")
Config = TypeVar("Config", bound="ShapeConfig")


@dataclass
class ShapeConfig:
    """What encoder and decoder have in common: plain values, stored in checkpoints as a dictionary."""

    kind: ClassVar[str] = "model"
    """How messages call the thing."""

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
    """Factor by which token embeddings are multiplied; 0: the square root of ``width`` (Vaswani et al. 2017)."""
    dropout: float = 0.1
    """Dropout after the embeddings and after each block."""
    attention_dropout: float = 0.1
    """Dropout on attention weights."""
    activation_dropout: float = 0.0
    """Dropout inside feed-forward blocks, after the activation."""
    activation: str = "gelu"
    """``gelu`` (exact, as BERT and RoBERTa) or ``relu``."""
    embedding_std: float = 0.02
    """Standard deviation of token embeddings before training; 0: one over the square root of ``width``."""
    initializer_std: float = 0.02
    """Standard deviation of all other matrices before training; biases start at 0."""
    layernorm_eps: float = 1e-5
    """Added to the variance in layer norms (BERT: 1e-12)."""
    initializer: str = "normal"
    """``normal`` (all matrices of ``initializer_std``) or ``xavier``, which goes by the widths of each matrix
    (Glorot and Bengio 2010; Vaswani et al.'s models are trained so)."""

    @property
    def longest(self) -> int:
        """The longest sequence that has positions: without limit where they are computed and not learned."""
        return self.max_positions if self.positions == "learned" else sys.maxsize

    @classmethod
    def from_dict(cls: type[Config], values: Mapping[str, Any], called: Mapping[str, str] | None = None) -> Config:
        """Return the validated configuration from a dictionary (of ``asdict``); ``called`` as in :meth:`validate`."""
        known = [f.name for f in fields(cls)]
        for name in values:
            if name not in known:
                raise unknown_name(f"{cls.kind} field", name, known)
        if "vocab_size" not in values:
            raise UserError(f"{cls.kind} field vocab_size is missing", remedy="Give the number of symbols")
        return cls(**values).validate(called)

    def validate(self: Config, called: Mapping[str, str] | None = None) -> Config:
        """Return self; raise UserError with field, value and choices if a value cannot work.

        Args:
            called: how messages name a field (by the option that set it); other fields are named "encoder field ..." or
                "decoder field ...".
        """
        called = called or {}
        for name, choices in CHOICES.items():
            if hasattr(self, name) and getattr(self, name) not in choices:
                raise unknown_name(f"value of {self._title(name, called)}:", getattr(self, name), choices)
        for names, holds, remedy in RANGES:
            for name in names:
                if hasattr(self, name) and not _number(name, value := getattr(self, name), holds):
                    raise UserError(f"{self._title(name, called)} is {value!r}", remedy=remedy)
        if self.width % self.heads:
            near = [h for h in range(1, self.width + 1) if self.width % h == 0 and h <= 2 * self.heads]
            raise UserError(
                f"{self._title('width', called)} is {self.width}, not a multiple of {called.get('heads', 'heads')} "
                f"{self.heads}",
                remedy=f"Choose heads from {', '.join(map(str, near))}, or another width",
            )
        if self.positions == "rotary" and self.width // self.heads % 2:
            raise UserError(
                f"{self._title('positions', called)} is 'rotary' with an odd head width {self.width // self.heads}",
                remedy="Choose width and heads so that width / heads is even, or positions learned",
            )
        if self.positions == "sinusoidal" and self.width % 2:
            raise UserError(
                f"{self._title('positions', called)} is 'sinusoidal' with an odd width {self.width}",
                remedy="Choose an even width",
            )
        return self

    @classmethod
    def _title(cls, name: str, called: Mapping[str, str]) -> str:
        return called.get(name, f"{cls.kind} field {name}")


@dataclass
class EncoderConfig(ShapeConfig):
    """The shape of an encoder."""

    kind: ClassVar[str] = "encoder"
    n_languages: int = 0
    """Number of language embeddings, one of which is added to each token (XLM); 0: none."""
    n_segments: int = 0
    """Number of segment embeddings, one of which is added to each token (BERT has 2); 0: none."""
    lm_head_transform: bool = True
    """Whether the MLM head has a dense layer, activation and layer norm before the tied projection (BERT, RoBERTa)."""
    lm_head_bias: bool = True
    """Whether the MLM head adds a bias for each symbol (BERT, RoBERTa)."""


@dataclass
class DecoderConfig(ShapeConfig):
    """The shape of a decoder."""

    kind: ClassVar[str] = "decoder"
    tying: str = "all"
    """Which matrices of V rows are one: ``all`` three (embeddings of source and target, output layer), the two of the
    ``decoder``, or ``none``."""


def same_value(one: Any, other: Any) -> bool:
    """Whether two values of a field are the same, numbers but for rounding."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=ROUNDING)
    return bool(one == other)


def _number(name: str, value: Any, holds: Callable[[Any], bool]) -> bool:
    """Whether a value is a number of its field's kind for which a condition holds."""
    kind = int if name in COUNTS else (int, float)
    return isinstance(value, kind) and not isinstance(value, bool) and holds(value)


CHOICES: dict[str, tuple[str, ...]] = {
    "positions": POSITIONS,
    "activation": tuple(ACTIVATIONS),
    "initializer": INITIALIZERS,
    "tying": TYINGS,
}
"""Fields that name one of several things."""
COUNTS = ("layers", "n_languages", "n_segments", "vocab_size", "heads", "width", "ffn_width", "max_positions")
"""Fields that are whole numbers."""
RANGES: tuple[tuple[tuple[str, ...], Callable[[Any], bool], str], ...] = (
    (("layers", "n_languages", "n_segments"), lambda v: v >= 0, "Choose 0 or more"),
    (("vocab_size", "heads", "width", "ffn_width", "max_positions"), lambda v: v >= 1, "Choose 1 or more"),
    (("dropout", "attention_dropout", "activation_dropout"), lambda v: 0 <= v < 1, "Choose 0 <= p < 1"),
    (("initializer_std", "layernorm_eps"), lambda v: v > 0, "Choose a positive number"),
    (("embedding_std", "embedding_scale"), lambda v: v >= 0, "Choose a positive number, or 0, which goes by the width"),
)
"""Fields, what must hold for each of them, and the remedy."""
