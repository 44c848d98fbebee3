"""What a transformation of word order is: the contract of the registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from preprocess.readers.words import Arrangement, Passage


@dataclass(frozen=True)
class OrderOptions:
    """What a word order may depend on besides the words: the command's options."""

    split: str
    seed: int


class WordOrder(Protocol):
    """A transformation of word order, made from :class:`OrderOptions`.

    ``undo(arrange(p)).words == p.words`` for every passage p, where the passage given to ``undo``
    has the new words, the old place, and the spans and rows in their new order.
    """

    seeded: bool
    """Whether the order depends on the seed."""

    def __init__(self, options: OrderOptions) -> None: ...

    def arrange(self, passage: Passage) -> Arrangement:
        """The new order."""

    def undo(self, passage: Passage) -> Arrangement:
        """The way back."""
