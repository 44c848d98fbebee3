"""Sequences laid end to end without padding: the batches of every objective and of the encoder."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class OnHost:
    """What the host knows of a batch, wherever the batch is: to read it, nobody waits for a device.

    They are arrays because fairseq moves every tensor of a sample to the device.

    Attributes:
        starts: as the batch has them, int32 [B + 1].
        tokens, languages, keys: as the batch has them, or None where only lengths are asked for.
    """

    starts: np.ndarray
    tokens: np.ndarray | None = None
    languages: np.ndarray | None = None
    keys: np.ndarray | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OnHost):
            return NotImplemented
        return all(
            one is two or (one is not None and two is not None and np.array_equal(one, two))
            for one, two in zip(vars(self).values(), vars(other).values())
        )

    __hash__ = None  # type: ignore[assignment]


@dataclass
class PackedBatch:
    """B sequences with T tokens in total, one after the other.

    Attributes:
        tokens: ids, int64 [T].
        starts: where each sequence starts, followed by T, int32 [B + 1].
        positions: 0-based position of each token in its sequence, int64 [T] (a second half may
            start again at 0).
        longest: length S of the longest sequence.
        languages: 1-based index of each token's language in the model's list, int64 [T], or None.
        segments: 0 or 1 for each token, int64 [T], or None, which is 0 for all.
        masked: indices into ``tokens`` to be predicted, ascending, int64 [N], or None.
        targets: the ids to be predicted there, int64 [N], or None.
        target_languages: the language of the text at ``masked``, int64 [N], or None (``languages`` has the language of
            what is seen there, which with DICT-MLM may be a translation).
        keys: a 64-bit name of each sequence's draw, int64 [B], or None; random choices about a sequence are functions
            of its key alone.
        links: places in ``tokens`` of pieces whose words are linked, int64 [2, L], or None: the piece in the pair's
            source language, and the one in its target language, whichever side comes first.
        linked: which of the tokens in ``masked`` have links, as places in ``masked``, ascending, int64 [K], or None.
        host: what the host knows of the batch while it is on a device, or None.
    """

    tokens: Tensor
    starts: Tensor
    positions: Tensor
    longest: int
    languages: Tensor | None = None
    segments: Tensor | None = None
    masked: Tensor | None = None
    targets: Tensor | None = None
    target_languages: Tensor | None = None
    keys: Tensor | None = None
    links: Tensor | None = None
    linked: Tensor | None = None
    host: OnHost | None = None

    def __len__(self) -> int:
        return self.starts.numel() - 1

    @property
    def lengths(self) -> Tensor:
        """Lengths of the sequences, int64 [B]."""
        return (self.starts[1:] - self.starts[:-1]).long()

    def host_lengths(self) -> Tensor:
        """:attr:`lengths` on the CPU, without waiting for the device where the host knows them."""
        return torch.from_numpy(self.on_host(texts=False).starts).long().diff()

    def on_host(self, texts: bool = True) -> OnHost:
        """What the host knows of the batch; what it does not know, but is asked for, is read from the device.

        Args:
            texts: ask for tokens, languages and keys too, and not for lengths alone.
        """
        if self.host is not None and (self.host.tokens is not None or not texts):
            return self.host
        parts = (self.starts, *((self.tokens, self.languages, self.keys) if texts else ()))
        # copies: to send a tensor to another process, torch moves its memory away from under an array of it
        return OnHost(*(None if part is None else part.cpu().numpy().copy() for part in parts))  # type: ignore[arg-type]

    def noted(self, texts: bool = False) -> PackedBatch:
        """The batch with ``host``, as :meth:`on_host` gives it."""
        return replace(self, host=self.on_host(texts))

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dictionary, which fairseq can move to another device or precision."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PackedBatch:
        return cls(**values)

    def to(self, device: torch.device | str) -> PackedBatch:
        """Return the same batch on another device."""
        moved: dict[str, Any] = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **moved)


def sent(made: Tensor, device: torch.device) -> Tensor:
    """What the host has just made, on ``device``; the host goes on before it has arrived.

    On its way to a GPU it is pinned: only from pinned memory are copies made while the host goes on, and torch keeps
    that memory until they have ended.
    """
    return (made.pin_memory() if device.type == "cuda" else made).to(device, non_blocking=True)


def pack(sequences: list[list[int]] | list[Tensor]) -> PackedBatch:
    """Lay sequences of ids end to end, positions counted from 0 in each.

    >>> pack([[0, 7, 2], [0, 2]]).starts.tolist()
    [0, 3, 5]
    """
    rows = [torch.as_tensor(s, dtype=torch.long) for s in sequences]
    lengths = torch.tensor([len(r) for r in rows])
    starts = torch.zeros(len(rows) + 1, dtype=torch.int32)
    starts[1:] = lengths.cumsum(0)
    positions = torch.arange(int(lengths.sum())) - starts[:-1].long().repeat_interleave(lengths)
    tokens = torch.cat(rows) if rows else torch.zeros(0, dtype=torch.long)
    return PackedBatch(tokens, starts, positions, int(lengths.max()) if rows else 0)


def select(batch: PackedBatch, sequences: slice) -> PackedBatch:
    """Some sequences of a batch, in their order: their tokens and keys; which tokens are hidden is left out.

    Args:
        sequences: which ones.
    """
    lengths, known = batch.lengths[sequences], batch.host_lengths()[sequences]
    starts = torch.zeros(len(known) + 1, dtype=torch.int32, device=batch.starts.device)
    starts[1:] = lengths.cumsum(0)
    total, longest = (int(known.sum()), int(known.max())) if len(known) else (0, 0)
    shifts = batch.starts[:-1].long()[sequences] - starts[:-1].long()
    place = torch.arange(total, device=starts.device) + shifts.repeat_interleave(lengths, output_size=total)

    def chosen(values: Tensor | None) -> Tensor | None:
        return None if values is None else values[place]

    return PackedBatch(
        batch.tokens[place],
        starts,
        batch.positions[place],
        longest,
        chosen(batch.languages),
        chosen(batch.segments),
        keys=None if batch.keys is None else batch.keys[sequences],
        host=OnHost(_starts_of(known)),
    )


def _starts_of(lengths: Tensor) -> np.ndarray:
    """Where sequences of ``lengths`` [B] start, and their sum, int32 [B + 1]."""
    return np.concatenate([[0], lengths.numpy().cumsum()]).astype(np.int32)


def pad(values: Tensor, starts: Tensor, longest: int, fill: float) -> Tensor:
    """Lay sequences out one per row: values [T, ...] -> [B, S, ...], with ``fill`` past their ends."""
    real = torch.arange(longest, device=starts.device) < (starts[1:] - starts[:-1]).long()[:, None]
    result = values.new_full((*real.shape, *values.shape[1:]), fill)
    result[real] = values
    return result


def unpad(rows: Tensor, fill: int) -> PackedBatch:
    """Lay rows of ids [B, S] end to end, without ``fill``, which may stand at either end.

    >>> unpad(torch.tensor([[7, 2, 1], [1, 1, 2]]), 1).tokens.tolist()
    [7, 2, 2]
    """
    real = rows != fill
    lengths = real.sum(1)
    starts = torch.zeros(len(rows) + 1, dtype=torch.int32, device=rows.device)
    starts[1:] = lengths.cumsum(0)
    positions = (real.cumsum(1) - 1)[real]
    return PackedBatch(rows[real], starts, positions, int(lengths.max()) if len(rows) else 0)


def concatenate(batches: list[PackedBatch]) -> PackedBatch:
    """Join batches into one, in order; an optional field that any of them does not have is None in the result.

    Which hidden tokens have links is left out. Segments are 0 in a batch that does not have them, and None only if none
    has.
    """
    if len(batches) == 1:
        return batches[0]
    if any(b.segments is not None for b in batches):
        batches = [b if b.segments is not None else replace(b, segments=torch.zeros_like(b.tokens)) for b in batches]
    offsets = [0]
    for b in batches:
        offsets.append(offsets[-1] + len(b.tokens))

    def joined(name: str, shift: bool = False) -> Tensor | None:
        parts = [getattr(b, name) for b in batches]
        if any(p is None for p in parts):
            return None
        return torch.cat([p + o if shift else p for p, o in zip(parts, offsets)], dim=-1)

    starts = [b.starts[:-1] + o for b, o in zip(batches, offsets)]
    end = torch.full((1,), offsets[-1], dtype=torch.int32, device=batches[0].starts.device)
    tokens, positions = joined("tokens"), joined("positions")
    assert tokens is not None and positions is not None
    return PackedBatch(
        tokens,
        torch.cat([*starts, end]).to(torch.int32),
        positions,
        max(b.longest for b in batches),
        joined("languages"),
        joined("segments"),
        joined("masked", shift=True),
        joined("targets"),
        joined("target_languages"),
        joined("keys"),
        joined("links", shift=True),
        host=None if any(b.host is None for b in batches) else _joined_on_host(batches),
    )


def _joined_on_host(batches: list[PackedBatch]) -> OnHost:
    """What the host knows of joined batches: their lengths."""
    return OnHost(_starts_of(torch.cat([b.host_lengths() for b in batches])))
