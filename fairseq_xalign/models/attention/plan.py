"""How a batch is attended to: the order of its sequences, and which of them are padded together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fairseq_xalign.errors import UserError
from fairseq_xalign.models.attention.flash import LARGEST_HEAD, has_flash
from fairseq_xalign.models.config import AUTO, BUCKETS, PLAIN, VARLEN
from fairseq_xalign.objectives.batch import sent

Lengths = Callable[[], Tensor]
"""Gives lengths of sequences, int64 [B] on the CPU."""
BUCKET_PADDING = 256
"""Slots of padding at which a bucket ends. Smaller values cost calls, larger ones work; on CPU, times are the same
between 128 and 512."""


@dataclass
class Bucket:
    """Some neighbouring sequences: ``rows`` sequences with ``tokens`` tokens in all; the longest has ``longest``.

    ``source`` [rows * longest] names the token of the bucket that each padded slot shows (slots past the end show
    some token of their sequence), ``slots`` [tokens] is the slot of each token, and ``mask`` [rows, 1, 1, longest] is
    true at real slots. All three are None if nothing is padded.
    """

    rows: int
    longest: int
    tokens: int
    source: Tensor | None = None
    slots: Tensor | None = None
    mask: Tensor | None = None

    @classmethod
    def make(cls, lengths: Tensor, device: torch.device) -> Bucket:
        """The bucket of sequences with these ``lengths`` [rows], none of which is 0."""
        rows, longest, tokens = lengths.numel(), int(lengths.max()), int(lengths.sum())
        if tokens == rows * longest:
            return cls(rows, longest, tokens)
        column = torch.arange(longest)
        real = column < lengths[:, None]  # [rows, longest]
        firsts = lengths.cumsum(0) - lengths
        source = firsts[:, None] + torch.minimum(column, (lengths - 1).clamp(min=0)[:, None])
        slots = real.flatten().nonzero().squeeze(1)
        mask = real[:, None, None, :]
        return cls(rows, longest, tokens, *(sent(part, device) for part in (source.flatten(), slots, mask)))


@dataclass
class Plan:
    """How each sequence of a batch attends to itself: made by ``Plan.make``, used by every layer.

    ``order`` [T] gathers tokens into the order in which layers see them and ``inverse`` [T] brings them back; both
    are None if the order does not change. With ``causal``, a token attends to itself and those before it.
    """

    starts: Tensor
    longest: int
    kind: str
    order: Tensor | None = None
    inverse: Tensor | None = None
    buckets: list[Bucket] = field(default_factory=list)
    real: Tensor | None = None  # plain: true at real slots, [B, S]
    causal: bool = False

    @classmethod
    def make(
        cls, starts: Tensor, longest: int, kind: str, causal: bool = False, lengths: Lengths | None = None
    ) -> Plan:
        """A plan for sequences that begin at ``starts`` [B + 1].

        Args:
            kind: one of ``config.ATTENTION`` but 'auto'.
            lengths: gives the lengths where the host knows them, int64 [B]; only buckets ask for them.
        """
        plan = cls(starts, longest, kind, causal=causal)
        if kind == PLAIN:
            plan.real = _real(starts, longest)
        elif kind == BUCKETS:
            known = lengths() if lengths else _lengths(starts)
            plan.fill_buckets(known, ascending(known))
        return plan

    def fill_buckets(self, lengths: Tensor, rows: Tensor | None) -> None:
        """Fill in order and buckets for ``lengths`` [B], which ``rows`` [B] sorts (None: they are sorted)."""
        if lengths.numel() == 0:
            return
        device = self.starts.device
        if rows is not None:
            order = gathering(lengths, rows)
            inverse = torch.empty_like(order)
            inverse[order] = torch.arange(order.numel())
            self.order, self.inverse = sent(order, device), sent(inverse, device)
            lengths = lengths[rows]
        if bool((lengths == lengths[0]).all()):
            self.buckets = [Bucket.make(lengths, device)]
        else:
            self.buckets = [Bucket.make(part, device) for part in lengths.split(bucket_rows(lengths.tolist()))]


@dataclass
class MemoryPlan:
    """How the tokens of each target sequence attend to its memory: the encoded tokens of its source sentence.

    ``order`` [T_memory] gathers the memory into the order in which layers see it, None if it does not change.
    ``buckets`` has the target sequences and the memories of the same rows.
    """

    starts: Tensor
    longest: int
    memory_starts: Tensor
    memory_longest: int
    kind: str
    order: Tensor | None = None
    buckets: list[tuple[Bucket, Bucket]] = field(default_factory=list)
    real: Tensor | None = None  # plain: true at real slots of the target, [B, S]
    memory_real: Tensor | None = None  # plain: the same of the memory


@dataclass
class DecoderPlan:
    """A decoder's two plans, which see the target sequences in one order."""

    own: Plan
    memory: MemoryPlan

    @classmethod
    def make(
        cls,
        starts: Tensor,
        longest: int,
        memory_starts: Tensor,
        memory_longest: int,
        kind: str,
        known: tuple[Lengths, Lengths] | None = None,
    ) -> DecoderPlan:
        """Plan for target sequences from ``starts`` [B + 1] and their memories from ``memory_starts`` [B + 1].

        Args:
            known: give the lengths of both where the host knows them.
        """
        own = Plan(starts, longest, kind, causal=True)
        memory = MemoryPlan(starts, longest, memory_starts, memory_longest, kind)
        if kind == PLAIN:
            own.real = memory.real = _real(starts, longest)
            memory.memory_real = _real(memory_starts, memory_longest)
        elif kind == BUCKETS and starts.numel() > 1:
            lengths, others = (give() for give in known) if known else (_lengths(starts), _lengths(memory_starts))
            rows = ascending(lengths * (int(others.max()) + 1) + others)  # by target, then by memory
            own.fill_buckets(lengths, rows)
            if rows is not None:
                memory.order = sent(gathering(others, rows), starts.device)
                lengths, others = lengths[rows], others[rows]
            sizes = pair_rows(lengths.tolist(), others.tolist())
            for targets, sources in zip(lengths.split(sizes), others.split(sizes)):
                memory.buckets.append((Bucket.make(targets, starts.device), Bucket.make(sources, starts.device)))
        return cls(own, memory)


def _real(starts: Tensor, longest: int) -> Tensor:
    return torch.arange(longest, device=starts.device) < (starts[1:] - starts[:-1]).long()[:, None]


def _lengths(starts: Tensor) -> Tensor:
    """Lengths int64 [B] on the CPU."""
    starts = starts.long().cpu()
    return starts[1:] - starts[:-1]


def ascending(keys: Tensor) -> Tensor | None:
    """The rows that sort ``keys`` [B], or None if they are sorted."""
    if bool((keys[1:] >= keys[:-1]).all()):
        return None
    return keys.sort(stable=True).indices


def gathering(lengths: Tensor, rows: Tensor) -> Tensor:
    """The tokens [T] of all sequences of ``lengths`` [B], those of sequence ``rows[0]`` first."""
    starts, lengths = lengths.cumsum(0) - lengths, lengths[rows]
    places = (starts[rows] - lengths.cumsum(0) + lengths).repeat_interleave(lengths)
    return torch.arange(len(places)) + places


def bucket_rows(lengths: Sequence[int]) -> list[int]:
    """Return how many sequences, of ascending ``lengths``, go into each bucket."""
    rows, padding = [0], 0
    for before, length in zip([lengths[0], *lengths], lengths):
        padding += rows[-1] * (length - before)
        if padding > BUCKET_PADDING:
            rows.append(0)
            padding = 0
        rows[-1] += 1
    return rows


def pair_rows(targets: Sequence[int], memories: Sequence[int]) -> list[int]:
    """Return how many pairs go into each bucket: on neither side is it padded by more than ``BUCKET_PADDING`` slots."""
    rows: list[int] = []
    totals, most = [0, 0], [0, 0]
    for pair in zip(targets, memories):
        most = [max(m, n) for m, n in zip(most, pair)]
        totals = [t + n for t, n in zip(totals, pair)]
        if not rows or any((rows[-1] + 1) * m - t > BUCKET_PADDING for m, t in zip(most, totals)):
            rows.append(0)
            totals, most = list(pair), list(pair)
        rows[-1] += 1
    return rows


def choose(device: torch.device, dtype: torch.dtype, head_width: int, wanted: str = AUTO) -> str:
    """The kind of plan for ``wanted``, one of ``config.ATTENTION``, on ``device``, for queries of ``dtype``.

    Raises:
        UserError: where that kernel cannot work.
    """
    packed = has_flash(device, dtype, head_width)
    if wanted == AUTO:
        return VARLEN if packed else BUCKETS
    if wanted == VARLEN and not packed:
        raise UserError(
            f"--attention-kernel {VARLEN} needs a GPU of the Ampere generation or later, half precision (as with "
            f"--autocast bf16), and heads whose width, here {head_width}, is a multiple of 8 up to {LARGEST_HEAD}",
            remedy=f"Use --attention-kernel {AUTO}",
        )
    return wanted
