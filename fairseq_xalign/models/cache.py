"""What a decoder keeps between the tokens of a translation: keys and values of the memory, and of what it wrote."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

FIRST_SLOTS = 32
"""Target positions for which there is room at first; the room doubles when it is used up."""


@dataclass
class Cache:
    """Keys and values of every layer, for B sentences with R / B rows (hypotheses) each.

    The keys and values of a sentence's memory are kept once, whatever the beam: its rows are queries side by side.

    Attributes:
        memory: keys and values of the memory in each layer, [2, B, H, S, D / H].
        mask: true at real slots of the memory, [B, 1, 1, S], or None if nothing is padded.
        length: how many target tokens were read.
        own: room for keys and values of the target in each layer, [2, R, H, slots, D / H].
        keep_weights: whether to keep the attention of the newest tokens to the memory.
        weights: that of the last layer, averaged over heads, [R, S].
        dropout: probability of dropping an attention weight.
    """

    memory: list[Tensor]
    mask: Tensor | None
    length: int = 0
    own: list[Tensor] = field(default_factory=list)
    keep_weights: bool = False
    weights: Tensor | None = None
    dropout: float = 0.0

    @property
    def sentences(self) -> int:
        """B."""
        return self.memory[0].shape[1]

    @property
    def rows(self) -> int:
        """R, once a token was read."""
        return self.own[0].shape[1]

    @classmethod
    def make(cls, keys_values: list[Tensor], starts: Tensor, longest: int) -> Cache:
        """A cache for memories [T, 2, H, D / H] of each layer, which begin at ``starts`` [B + 1]."""
        lengths = starts.diff().long()
        real = torch.arange(longest, device=starts.device) < lengths[:, None]  # [B, S]
        whole = bool(real.all())
        memory = []
        for kv in keys_values:
            if whole:
                padded = kv.unflatten(0, (-1, longest))
            else:
                padded = kv.new_zeros(*real.shape, *kv.shape[1:])  # [B, S, 2, H, D / H]
                padded[real] = kv
            memory.append(padded.permute(2, 0, 3, 1, 4).contiguous())
        return cls(memory, None if whole else real[:, None, None])

    def look_back(self, layer: int, qkv: Tensor) -> Tensor:
        """Attention of the newest tokens to what their rows wrote: [R, 3, H, D / H] -> [R, D]."""
        q, kv = qkv[:, 0, :, None], qkv[:, 1:].transpose(0, 1)  # [R, H, 1, D / H], [2, R, H, D / H]
        if layer == len(self.own):
            self.own.append(kv.new_zeros(*kv.shape[:3], FIRST_SLOTS, kv.shape[3]))
        elif self.length == self.own[layer].shape[3]:
            self.own[layer] = F.pad(self.own[layer], (0, 0, 0, self.length))
        self.own[layer][:, :, :, self.length] = kv
        k, v = self.own[layer][:, :, :, : self.length + 1]
        return F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout).flatten(1)

    def look_up(self, layer: int, q: Tensor) -> Tensor:
        """Attention of the newest tokens to the memory: [R, H, D / H] -> [R, D]."""
        k, v = self.memory[layer]
        # the rows of a sentence are queries side by side: [R, H, D / H] -> [B, H, R / B, D / H]
        beside = q.unflatten(0, (k.shape[0], -1)).transpose(1, 2)
        if self.keep_weights and layer == len(self.memory) - 1:
            scores = (beside @ k.transpose(-1, -2)).float() * q.shape[-1] ** -0.5  # [B, H, R / B, S]
            if self.mask is not None:
                scores = scores.masked_fill(~self.mask, float("-inf"))
            self.weights = scores.softmax(-1).mean(1).flatten(0, 1)
        out = F.scaled_dot_product_attention(beside, k, v, self.mask, self.dropout)
        return out.transpose(1, 2).flatten(0, 1).flatten(1)

    def reorder(self, rows: Tensor, sentences: Tensor | None = None) -> None:
        """Go on with other rows.

        Args:
            rows: the old row that each new row continues, [new R].
            sentences: the sentences that go on, ascending [new B]; None for all of them.
        """
        if sentences is not None:
            self.memory = [kv.index_select(1, sentences) for kv in self.memory]
            self.mask = None if self.mask is None else self.mask.index_select(0, sentences)
        if self.own and not torch.equal(rows, torch.arange(self.rows, device=rows.device)):
            self.own = [kv.index_select(1, rows) for kv in self.own]
