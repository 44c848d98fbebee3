"""What encoder and decoder have in common: feed-forward blocks, embeddings with positions, weights before training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fairseq_xalign.constants import PAD
from fairseq_xalign.errors import UserError
from fairseq_xalign.models import positions
from fairseq_xalign.models.attention import choose
from fairseq_xalign.models.compiled import OFF, Runner, runner
from fairseq_xalign.models.config import ACTIVATIONS, AUTO, BUCKETS, FULL, HALF, PLAIN, ShapeConfig
from fairseq_xalign.models.dropout import dropout

PROJECTIONS = {"qkv": 3, "memory_q": 1, "memory_kv": 2}
"""Layers that make queries, keys and values, and how many of them each makes. Xavier's initial weights count each
alone, and are multiplied by sqrt(1/2), as in fairseq."""


class Layer(nn.Module):
    """The parts of a Transformer layer that are not attention."""

    def __init__(self, config: ShapeConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.normalize_before = config.normalize_before
        self.dropout = config.dropout
        self.attention_dropout = config.attention_dropout
        self.activation_dropout = config.activation_dropout
        self.activation = ACTIVATIONS[config.activation]

    def add_ffn(self, config: ShapeConfig) -> None:
        """Create the feed-forward block, which comes last in a layer."""
        self.ffn_in = nn.Linear(config.width, config.ffn_width)
        self.ffn_out = nn.Linear(config.ffn_width, config.width)
        self.ffn_norm = nn.LayerNorm(config.width, config.layernorm_eps)

    def _qkv(self, x: Tensor, qkv: nn.Linear, angles: tuple[Tensor, Tensor] | None) -> Tensor:
        """Queries, keys and values [T, 3, H, D / H] of x [T, D], turned by ``angles`` if positions are rotary."""
        result = qkv(x).unflatten(1, (3, self.heads, -1))
        if angles is None:
            return result
        qk, v = result.split([2, 1], dim=1)
        # angles [T, 1, D / 2H] turn queries and keys of all heads alike
        return torch.cat((positions.rotate(qk, angles[0][:, None], angles[1][:, None]), v), dim=1)

    def _enter(self, x: Tensor, norm: nn.LayerNorm) -> Tensor:
        """What a part of the layer with this ``norm`` sees of x [T, D]."""
        return normalized(norm, x) if self.normalize_before else x

    def _add(self, x: Tensor, found: Tensor, norm: nn.LayerNorm) -> Tensor:
        """x [T, D] with what such a part ``found`` [T, D]."""
        x = x + dropout(found, self.dropout, self.training)
        return x if self.normalize_before else normalized(norm, x)

    def _ffn(self, x: Tensor) -> Tensor:
        hidden = self.activation(self.ffn_in(x))
        return self.ffn_out(dropout(hidden, self.activation_dropout, self.training))


class Stack(nn.Module):
    """Base of encoder and decoder: how tokens become vectors, and what weights are before training."""

    config: ShapeConfig
    attention: str
    embed_positions: nn.Embedding | None
    embed_norm: nn.LayerNorm | None
    compiling: str = OFF
    """Whether training is compiled, one of ``compiled.COMPILE``."""
    residual: str = FULL
    """Precision of the residual stream, one of ``config.RESIDUAL``."""

    def runner(self, device: torch.device) -> Runner:
        """How parts of layers are run on ``device``."""
        return runner(self.compiling if self.training else OFF, device)

    def _place(self, tokens: Tensor, at: Tensor, longest: int, embedding: nn.Embedding) -> Tensor:
        """Embed tokens [T] at positions ``at`` [T] of sequences of at most ``longest`` tokens, before layer norm."""
        x = embedding(tokens)
        scale = self.config.embedding_scale or self.config.width**0.5
        if scale != 1.0:
            x = x * scale
        if self.embed_positions is not None:
            self._check_length(at, longest)
            return x + self.embed_positions(at)
        if self.config.positions == "sinusoidal":
            x = x + positions.sinusoids(at, self.config.width, wide(x.dtype)).to(x.dtype)
        return x

    def _finish(self, x: Tensor) -> Tensor:
        dtype = computed_in(x) if self.residual == HALF else x.dtype
        return self.runner(x.device)(finish)(self.embed_norm, x, self.config.dropout if self.training else 0.0, dtype)

    def _angles(self, at: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor] | None:
        """What turns queries and keys at positions ``at`` [T], if positions are rotary."""
        if self.config.positions != "rotary":
            return None
        return positions.rotary_angles(at, self.config.width // self.config.heads, wide(dtype))

    def _check_length(self, at: Tensor, longest: int) -> None:
        limit = self.config.max_positions
        if longest > limit and (found := int(at.max()) + 1) > limit:
            raise UserError(
                f"a sequence needs {found} positions, but the model has only {limit}",
                remedy="Use shorter sequences, or a model with more positions or with rotary ones",
            )

    def _plan_kind(self, x: Tensor) -> str:
        """How attention is computed for features ``x``."""
        # A model is used elsewhere than where it was trained: only training insists on a kernel for GPUs.
        wanted = self.attention if self.training or self.attention in (BUCKETS, PLAIN) else AUTO
        return choose(x.device, computed_in(x), self.config.width // self.config.heads, wanted)

    @torch.no_grad()
    def _initialize(self, embedding: nn.Embedding | None) -> None:
        """Set all weights; ``embedding`` is the module that ``embedding_std`` is about.

        Weights of the layers get an attribute ``matrices``: how many matrices each holds, one below the other. They
        are what ``--optimizer muon`` is for.
        """
        for name, module in self.named_modules():
            parts = PROJECTIONS.get(name.rpartition(".")[2], 0)
            if isinstance(module, nn.Linear) and name.startswith("layers."):
                module.weight.matrices = max(parts, 1)  # type: ignore[attr-defined]
            if isinstance(module, nn.Linear) and self.config.initializer == "xavier":
                fan = module.in_features + module.out_features // max(parts, 1)
                bound = (6 / fan) ** 0.5 * (0.5**0.5 if parts else 1.0)
                nn.init.uniform_(module.weight, -bound, bound)
            elif isinstance(module, nn.Linear | nn.Embedding):
                std = self.config.initializer_std
                if module is embedding:
                    std = self.config.embedding_std or self.config.width**-0.5
                nn.init.normal_(module.weight, std=std)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
            if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                nn.init.zeros_(module.weight[module.padding_idx])


def normalized(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """``norm`` of x [T, D] in the dtype of x: under autocast it is computed in float32, whatever that dtype is."""
    return norm(x).to(x.dtype)


def finish(norm: nn.LayerNorm | None, x: Tensor, p: float, dtype: torch.dtype | None = None) -> Tensor:
    """The sum of embeddings [T, D] as the first layer sees it: normalized, if there is a norm, then dropped out.

    Args:
        dtype: that of the residual stream, which begins here; None for the one that it has.
    """
    x = dropout(x if norm is None else norm(x), p)
    return x if dtype is None else x.to(dtype)


def token_embedding(config: ShapeConfig) -> nn.Embedding:
    """The embeddings [V, D] of all symbols; the row of ``<pad>`` is zero at first."""
    return nn.Embedding(config.vocab_size, config.width, padding_idx=PAD if config.vocab_size > PAD else None)


def computed_in(x: Tensor) -> torch.dtype:
    """The precision of matrix products of ``x``: autocast's, or its own."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def wide(dtype: torch.dtype) -> torch.dtype:
    """float32, or float64 for float64: the precision in which angles are computed."""
    return torch.promote_types(dtype, torch.float32)
