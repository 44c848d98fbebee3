"""A queue of the last K keys, the same on every worker (He et al. 2020, section 3.2).

Slots are written in turn and wrap around, whatever the number of keys of an update. Keys are stored in float32, each
with the hashes of its pair's texts; queue, place and count are buffers, saved and resumed with the model.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class KeyQueue(nn.Module):
    """The last ``size`` keys.

    Attributes:
        keys: float32 [K, d].
        texts: hashes of the two texts of each key's pair, int64 [K, 2].
        pointer: the slot that is written next, int64 ().
        filled: slots that hold keys: the first ones, int64 ().
    """

    keys: Tensor
    texts: Tensor
    pointer: Tensor
    filled: Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.register_buffer("keys", torch.zeros(size, width))
        self.register_buffer("texts", torch.zeros(size, 2, dtype=torch.int64))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))
        self._full = False  # whether it is known to be: then no batch waits for the device to say how full it is

    def __len__(self) -> int:
        return len(self.keys)

    def content(self) -> tuple[Tensor, Tensor]:
        """The keys [k, d] that it holds, and the hashes of their texts [k, 2], slot by slot."""
        if self._full:
            return self.keys, self.texts
        filled = int(self.filled)
        self._full = filled == len(self)
        return self.keys[:filled], self.texts[:filled]

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._full = False

    @torch.no_grad()
    def enqueue(self, keys: Tensor, texts: Tensor) -> None:
        """Write keys [n, d] in order from the pointer on, the last K of them where there are more.

        Keys that are not finite are left out: one of them would make every later loss NaN.
        """
        sound = keys.isfinite().all(-1)
        keys, texts = keys[sound], texts[sound]
        count, size = len(keys), len(self)
        slots = (int(self.pointer) + torch.arange(count, device=self.keys.device)) % size
        latest = slice(max(count - size, 0), None)
        self.keys[slots[latest]] = keys[latest].to(self.keys)
        self.texts[slots[latest]] = texts[latest].to(self.texts)
        self.pointer.add_(count).remainder_(size)
        self.filled.add_(count).clamp_(max=size)

    @torch.no_grad()
    def fill_at_random(self, generator: torch.Generator, unit: bool) -> None:
        """Fill every slot with a Gaussian key of no text, of length 1 if ``unit``."""
        keys = torch.randn(self.keys.shape, generator=generator, dtype=torch.float32)
        self.keys.copy_(nn.functional.normalize(keys, dim=-1) if unit else keys)
        self.texts.zero_()
        self.pointer.zero_()
        self.filled.fill_(len(self))

    def empty(self) -> None:
        """Forget every key."""
        self.pointer.zero_()
        self.filled.zero_()
        self._full = False


class Waiting:
    """Keys of the micro-batches of an update, until the update has succeeded.

    They are ordered by the numbers of their batches, so that workers and micro-batches may share an update in any way.
    """

    def __init__(self) -> None:
        self.batches: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def add(self, number: tuple[int, int], keys: Tensor, texts: Tensor) -> None:
        """Keep the keys [n, d] and texts [n, 2] of a batch; a batch that is tried again replaces itself."""
        self.batches[number] = keys.detach(), texts

    def clear(self) -> None:
        self.batches.clear()

    def take(self, like: KeyQueue) -> tuple[Tensor, Tensor]:
        """Return the keys [n, d] and texts [n, 2] of all workers in the order of their batches, and forget them.

        Every worker has to call it, with keys or without.
        """
        found = [*self.batches.items()]
        self.clear()
        keys = torch.cat([like.keys.new_zeros(0, like.keys.shape[1]), *(keys.to(like.keys) for _, (keys, _) in found)])
        rows = [torch.cat([texts.new_tensor(number).expand(len(texts), 2), texts], 1) for number, (_, texts) in found]
        tags = torch.cat([like.texts.new_zeros(0, 4), *rows])  # window, batch, and the two texts
        keys, tags = gathered(keys, tags)
        order = tags[:, 1].argsort(stable=True)
        order = order[tags[order, 0].argsort(stable=True)]
        return keys[order], tags[order, 2:]


def gathered(*rows: Tensor) -> tuple[Tensor, ...]:
    """Tensors [n, ...] of all workers, one worker's rows after the other's; n is the worker's own."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return rows
    counts = [torch.zeros(1, dtype=torch.int64, device=rows[0].device) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, torch.tensor([len(rows[0])], device=rows[0].device))
    sizes = torch.cat(counts).tolist()
    if not max(sizes):
        return rows
    result = []
    for own in rows:
        padded = own.new_zeros(max(sizes), *own.shape[1:])
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        result.append(torch.cat([part[:size] for part, size in zip(parts, sizes)]))
    return tuple(result)
