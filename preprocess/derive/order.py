"""What a transformation of word order is: the contract of the registry."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from preprocess.readers.words import Arrangement, Passage

if TYPE_CHECKING:
    from preprocess.derive.order_model import OrderModel


@dataclass(frozen=True)
class OrderOptions:
    """What a word order may depend on besides the words: the command's options.

    Attributes:
        split, seed: how sentences are found, and the seed.
        order_model: for orders of another language.
        counts: where an order counts what it did.
    """

    split: str
    seed: int
    order_model: OrderModel | None = None
    counts: Counter[str] | None = None


class WordOrder(Protocol):
    """A transformation of word order, made from :class:`OrderOptions`.

    ``undo(arrange(p)).words == p.words`` for every passage p, where the passage given to ``undo``
    has the new words, the old place, and the spans in their new order. ``rows`` are those of the natural words on
    both ways, for which reason an order that reads them comes first.
    """

    seeded: bool
    """Whether the order depends on the seed."""
    parsed: bool
    """Whether the order depends on the parse of the natural words."""

    def __init__(self, options: OrderOptions) -> None: ...

    def arrange(self, passage: Passage) -> Arrangement:
        """The new order."""

    def undo(self, passage: Passage) -> Arrangement:
        """The way back."""
