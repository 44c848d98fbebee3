"""What a reader of published pairs of translations is asked for, and what it counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Wanted:
    """Which pairs are wanted.

    Attributes:
        source, target: the two languages, as the collection calls them.
        margin: the smallest score of a pair, where pairs have scores.
        workers: processes that may read.
        counts: what was read and left out, by reason; readers add to it.
    """

    source: str
    target: str
    margin: float = 0.0
    workers: int = 1
    counts: Counter[str] = field(default_factory=Counter)


class Reader(Protocol):
    """Reads a collection."""

    def __call__(self, files: list[str], wanted: Wanted) -> Iterator[tuple[str, str]]:
        """Yield the texts of each pair, the source first, as the collection has them.

        Raises:
            UserError: a file that is not of the collection's format, with its line.
        """
        ...
