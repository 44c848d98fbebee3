"""Links between the pieces of parallel text, as a data folder keeps them: for each pair, which pieces belong together.

Item i of the memory-mapped file has the links of pair i: places in the source and in the target sentence in turn,
counted from 0, as uint16. What a batch needs is read from there; nothing grows with the corpus.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from fairseq_xalign.data.mmap import MappedTokens
from fairseq_xalign.errors import UserError

LINK_TYPE = np.dtype(np.uint16)
MOST_PIECES = int(np.iinfo(LINK_TYPE).max) + 1
"""Pieces at further places have no links: no encoder reads sentences of that length."""


class LinkTokens(Protocol):
    """What is asked of the mapped links of a bitext (``MappedTokens``, or ``JoinedTokens`` of several folders)."""

    def __len__(self) -> int: ...

    def gather(self, indices: Iterable[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...


def linked_places(mapped: LinkTokens, units: np.ndarray, begins: np.ndarray, rooms: np.ndarray) -> np.ndarray:
    """Where the linked pieces of some pairs are in a batch.

    Args:
        mapped: the links of the bitext.
        units: the numbers of the pairs, [n].
        begins: where the source and the target of each begin in the batch, int64 [n, 2].
        rooms: how many pieces of each are there, int64 [n, 2]; a link to a piece that was cut off is left out.

    Returns: places of the source's and of the target's pieces, int64 [2, L].
    """
    flat, sizes = mapped.gather(units)
    links, pair = flat.reshape(-1, 2), np.repeat(np.arange(len(units)), sizes // 2)
    there = (links < rooms[pair]).all(axis=1)
    return np.ascontiguousarray((links + begins[pair])[there].T)


def link_problems(
    links: MappedTokens, sides: tuple[Any, Any], title: str, remedy: str, items: int = 1 << 16
) -> Iterator[UserError]:
    """What is wrong with the links of a bitext; ``sides`` are its sentences. Memory does not grow with either."""
    where = f"{links.prefix}.bin"
    if len(links) != len(sides[0]):
        yield UserError(f"has links for {len(links)} pairs, but {title} has {len(sides[0])}", where, remedy=remedy)
        return
    for begin in range(0, len(links), items):
        end = min(begin + items, len(links))
        flat, sizes = links.gather(np.arange(begin, end))
        if (sizes % 2).any():
            at = begin + int(np.argmax(sizes % 2))
            yield UserError(f"item {at} has half a link", where, remedy=remedy)
            return
        pair = np.repeat(np.arange(begin, end), sizes // 2)
        rooms = np.stack([np.asarray(side.sizes[begin:end])[pair - begin] - 1 for side in sides], axis=1)  # less </s>
        wrong = (flat.reshape(-1, 2) >= rooms).any(axis=1)
        if wrong.any():
            what = f"item {pair[np.argmax(wrong)]} links a piece that its sentence does not have"
            yield UserError(what, where, remedy=remedy)
            return
