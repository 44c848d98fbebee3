"""The decoder of translation, over target sequences laid end to end, and the same one token at a time.

The Transformer of Vaswani et al. (2017), section 3: causal attention to the target, attention to the memory (the
encoded source), a feed-forward block. All of it is pre-norm or post-norm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_xalign.errors import unknown_name
from fairseq_xalign.models.attention import DecoderPlan, attend, attend_memory, select_rows
from fairseq_xalign.models.cache import Cache
from fairseq_xalign.models.compiled import OFF, Runner, eager
from fairseq_xalign.models.config import ATTENTION, DecoderConfig
from fairseq_xalign.models.transformer import Layer, Stack, normalized, token_embedding
from fairseq_xalign.objectives.batch import PackedBatch


@dataclass
class Memory:
    """What the decoder attends to: encoded tokens, laid end to end.

    Attributes:
        features: [T, D].
        starts: where the memory of each sentence starts, followed by T, int32 [B + 1].
        longest: no sentence has more tokens than that.
        lengths: gives the tokens of each sentence's memory where the host knows them, int64 [B], or None.
    """

    features: Tensor
    starts: Tensor
    longest: int
    lengths: Callable[[], Tensor] | None = None

    def followed_by(self, other: Memory) -> Memory:
        """Each sentence's memory followed by its memory in ``other``: attention is over both together."""
        sizes = (self.features.shape[0], other.features.shape[0])
        # what stands ahead of each token in the result, from the memory that it does not come from
        ahead = torch.cat(
            (
                other.starts[:-1].repeat_interleave(self.starts.diff(), output_size=sizes[0]),
                self.starts[1:].repeat_interleave(other.starts.diff(), output_size=sizes[1]),
            )
        )
        rank = torch.cat([torch.arange(size, device=ahead.device) for size in sizes])
        order = torch.empty_like(rank)
        order[rank + ahead] = torch.arange(len(rank), device=ahead.device)
        features = select_rows(torch.cat((self.features, other.features)), order)
        own, theirs = self.lengths, other.lengths
        lengths = (lambda: own() + theirs()) if own and theirs else None
        return Memory(features, self.starts + other.starts, self.longest + other.longest, lengths)


class DecoderBlock(Layer):
    """One layer of the decoder; ``memory_width`` is the width of the encoder."""

    def __init__(self, config: DecoderConfig, memory_width: int) -> None:
        super().__init__(config)
        width, eps = config.width, config.layernorm_eps
        self.qkv = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, eps)
        self.memory_q = nn.Linear(width, width)
        self.memory_kv = nn.Linear(memory_width, 2 * width)
        self.memory_out = nn.Linear(width, width)
        self.memory_norm = nn.LayerNorm(width, eps)
        self.add_ffn(config)

    def keys_values(self, memory: Tensor) -> Tensor:
        """Keys and values [T, 2, H, D / H] of encoded tokens [T, D of the encoder]."""
        return self.memory_kv(memory).unflatten(1, (2, self.heads, -1))

    def forward(
        self,
        x: Tensor,
        angles: tuple[Tensor, Tensor] | None,
        look_back: Callable[[Tensor], Tensor],
        look_up: Callable[[Tensor], Tensor],
        run: Runner = eager,
    ) -> Tensor:
        """x [T, D] -> [T, D].

        Args:
            angles: what turns queries and keys, where positions are rotary.
            look_back: causal attention to the target, queries, keys and values [T, 3, H, D / H] -> [T, D].
            look_up: attention to the memory, queries [T, H, D / H] -> [T, D].
            run: how parts of the layer are run (``models.compiled``).
        """
        found = look_back(run(DecoderBlock.before)(self, x, angles))
        x, q = run(DecoderBlock.between)(self, x, found)
        return run(DecoderBlock.after)(self, x, look_up(q))

    def before(self, x: Tensor, angles: tuple[Tensor, Tensor] | None) -> Tensor:
        """The layer up to attention to the target: x [T, D] -> queries, keys and values [T, 3, H, D / H]."""
        return self._qkv(self._enter(x, self.attention_norm), self.qkv, angles)

    def between(self, x: Tensor, found: Tensor) -> tuple[Tensor, Tensor]:
        """x and what attention to the target found, both [T, D] -> x [T, D] and queries [T, H, D / H] to the memory."""
        x = self._add(x, self.attention_out(found), self.attention_norm)
        return x, self.memory_q(self._enter(x, self.memory_norm)).unflatten(1, (self.heads, -1))

    def after(self, x: Tensor, found: Tensor) -> Tensor:
        """The layer from attention to the memory on: x and what it found, both [T, D] -> [T, D]."""
        x = self._add(x, self.memory_out(found), self.memory_norm)
        return self._add(x, self._ffn(self._enter(x, self.ffn_norm)), self.ffn_norm)


class Decoder(Stack):
    """Transformer decoder with its output layer.

    Args:
        config: the shape.
        memory_width: width of the encoder.
        attention: ``auto`` or ``plain``, as for the encoder.
        shared: the encoder's token embeddings, where ``config.tying`` is ``all``. They are used, and neither owned,
            initialized nor listed as parameters here.
        compiling: as for the encoder.
    """

    config: DecoderConfig
    layers: nn.ModuleList

    def __init__(
        self,
        config: DecoderConfig,
        memory_width: int,
        attention: str = "auto",
        shared: nn.Embedding | None = None,
        compiling: str = OFF,
    ) -> None:
        super().__init__()
        if attention not in ATTENTION:
            raise unknown_name("attention", attention, ATTENTION)
        self.config = config.validate()
        self.attention = attention
        self.compiling = compiling
        width, eps = config.width, config.layernorm_eps
        assert (shared is not None) == (config.tying == "all")
        self.embed_tokens = token_embedding(config) if shared is None else None
        # in a tuple, so that torch does not list the parameters of shared embeddings twice
        self._embedding = (shared if shared is not None else self.embed_tokens,)
        self.embed_positions = nn.Embedding(config.max_positions, width) if config.positions == "learned" else None
        self.embed_norm = nn.LayerNorm(width, eps) if config.embedding_layernorm else None
        self.layers = nn.ModuleList(DecoderBlock(config, memory_width) for _ in range(config.layers))
        self.final_norm = nn.LayerNorm(width, eps) if config.normalize_before else None
        self.output = nn.Linear(width, config.vocab_size, bias=False) if config.tying == "none" else None
        self._initialize(self.embed_tokens)
        if self.output is not None:
            nn.init.normal_(self.output.weight, std=width**-0.5)

    @property
    def embedding(self) -> nn.Embedding:
        """The token embeddings in use."""
        (found,) = self._embedding
        assert found is not None
        return found

    def forward(self, batch: PackedBatch, memory: Memory) -> Tensor:
        """Return features [T, D] of the target tokens, in the order of the batch."""
        at = batch.positions
        x = self._finish(self._place(batch.tokens, at, batch.longest, self.embedding))
        known = (batch.host_lengths, memory.lengths) if memory.lengths else None
        kind = self._plan_kind(x)
        plan = DecoderPlan.make(batch.starts, batch.longest, memory.starts, memory.longest, kind, known)
        own, encoded = plan.own, memory.features
        if own.order is not None:
            x, at = select_rows(x, own.order), at[own.order]
        if plan.memory.order is not None:
            encoded = select_rows(encoded, plan.memory.order)
        angles = self._angles(at, x.dtype)
        drop = self.config.attention_dropout if self.training else 0.0
        run = self.runner(x.device)
        for block in self.layers:
            assert isinstance(block, DecoderBlock)
            kv = block.keys_values(encoded)
            x = block(
                x,
                angles,
                lambda qkv: attend(qkv, own, drop),
                lambda q, kv=kv: attend_memory(q, kv, plan.memory, drop),
                run,
            )
        if self.final_norm is not None:
            x = normalized(self.final_norm, x)
        return x if own.inverse is None else select_rows(x, own.inverse)

    def logits(self, features: Tensor) -> Tensor:
        """Scores of all symbols, features [N, D] -> [N, V]."""
        return F.linear(features, self.output_weight)

    @property
    def output_weight(self) -> Tensor:
        """The matrix [V, D] of the output layer."""
        return self.embedding.weight if self.output is None else self.output.weight

    def begin(self, memory: Memory) -> Cache:
        """What :meth:`step` needs to know of the memory: its keys and values in every layer."""
        kept = [block.keys_values(memory.features) for block in self.layers if isinstance(block, DecoderBlock)]
        return Cache.make(kept, memory.starts, memory.longest)

    def step(self, tokens: Tensor, cache: Cache) -> Tensor:
        """Read the next token of each row and return its features: ids [R] -> [R, D].

        Each sentence of the cache has R / B rows, its beam, one after the other. In training mode there is dropout, as
        in :meth:`forward`; gradients do not lead through the cache.
        """
        at = torch.full_like(tokens, cache.length)
        x = self._finish(self._place(tokens, at, cache.length + 1, self.embedding))
        cache.dropout = self.config.attention_dropout if self.training else 0.0
        angles = self._angles(at, x.dtype)
        for number, block in enumerate(self.layers):
            x = block(
                x,
                angles,
                lambda qkv, number=number: cache.look_back(number, qkv),
                lambda q, number=number: cache.look_up(number, q),
            )
        cache.length += 1
        return x if self.final_norm is None else normalized(self.final_norm, x)
