"""Sequences laid end to end without padding: the batches of every objective and of the encoder."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor


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

    def __len__(self) -> int:
        return self.starts.numel() - 1

    @property
    def lengths(self) -> Tensor:
        """Lengths of the sequences, int64 [B]."""
        return (self.starts[1:] - self.starts[:-1]).long()

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dictionary, which fairseq can move to another device or precision."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PackedBatch:
        return cls(**values)

    def to(self, device: torch.device | str) -> PackedBatch:
        """Return the same batch on another device."""
        moved: dict[str, Any] = {k: v.to(device) for k, v in self.to_dict().items() if isinstance(v, Tensor)}
        return replace(self, **moved)


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


def select(batch: PackedBatch, sequences: Tensor) -> PackedBatch:
    """Some sequences of a batch, in the given order: their tokens and keys; which tokens are hidden is left out.

    Args:
        sequences: numbers of sequences, int64 [n].
    """
    lengths = batch.lengths[sequences]
    starts = torch.zeros(len(sequences) + 1, dtype=torch.int32, device=batch.starts.device)
    starts[1:] = lengths.cumsum(0)
    total, longest = (int(starts[-1]), int(lengths.max())) if len(sequences) else (0, 0)
    shifts = batch.starts[:-1].long()[sequences] - starts[:-1].long()
    place = torch.arange(total, device=starts.device) + shifts.repeat_interleave(lengths, output_size=total)

    def chosen(values: Tensor | None, where: Tensor) -> Tensor | None:
        return None if values is None else values[where]

    return PackedBatch(
        batch.tokens[place],
        starts,
        batch.positions[place],
        longest,
        chosen(batch.languages, place),
        chosen(batch.segments, place),
        keys=chosen(batch.keys, sequences),
    )


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

    Segments are 0 in a batch that does not have them, and None only if none has.
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
    end = torch.tensor([offsets[-1]], dtype=torch.int32, device=batches[0].starts.device)
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
    )
