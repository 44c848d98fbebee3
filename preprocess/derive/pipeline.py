"""A list of transformations as one: words first, then their script; and the way back."""

from __future__ import annotations

from dataclasses import replace

from fairseq_xalign.data.formats.conllu import FORM
from preprocess.derive.order import WordOrder
from preprocess.derive.transliteration import Transliteration
from preprocess.readers.words import Arrangement, Passage


class Pipeline:
    """Applies word orders in the order given, then transliteration; or undoes all, last first.

    Args:
        orders: the transformations of word order.
        transliteration: None without one.
        reverse: undo.
    """

    def __init__(
        self, orders: list[WordOrder], transliteration: Transliteration | None = None, reverse: bool = False
    ) -> None:
        self.orders, self.transliteration, self.reverse = orders, transliteration, reverse

    def spell(self, word: str) -> str:
        """One word in the other script."""
        if self.transliteration is None:
            return word
        return self.transliteration.natural(word) if self.reverse else self.transliteration.derived(word)

    def arrange(self, passage: Passage) -> Arrangement:
        """The words in their new order and script."""
        if self.transliteration is None:
            return self._orders(passage)
        # In derived script a mark is part of its word's symbols: no length of it can be told.
        unknown = [0] * len(passage.words)
        if self.reverse:
            natural = [self.spell(word) for word in passage.words]
            # Rows are those of a natural parse where an order reads parses, and of the derived words elsewhere.
            parsed = passage.rows is not None and any(order.parsed for order in self.orders)
            rows = [self._respelled(row) for row in passage.rows or ()] if parsed else None
            moved = self._orders(replace(passage, words=natural, rows=rows))
            return Arrangement(moved.order, moved.words, unknown, moved.marks_after)
        # Marks are sought in the spelling that the way back will see.
        moved = self._orders(_with(passage, [self.transliteration.normal(word) for word in passage.words]))
        return Arrangement(moved.order, [self.spell(word) for word in moved.words], moved.marks_before, unknown)

    def _respelled(self, row: list[str]) -> list[str]:
        """A row of the natural parse with its word as it comes back from the other script."""
        assert self.transliteration is not None
        form = self.transliteration.natural(self.transliteration.derived(row[FORM]))
        return [*row[:FORM], form, *row[FORM + 1 :]]

    def _orders(self, passage: Passage) -> Arrangement:
        count = len(passage.words)
        total = Arrangement(list(range(count)), passage.words, [0] * count, [0] * count)
        for step, transformation in enumerate(reversed(self.orders) if self.reverse else self.orders):
            moved = transformation.undo(passage) if self.reverse else transformation.arrange(passage)
            order = [total.order[middle] for middle in moved.order]
            before = total.marks_before if step else moved.marks_before
            total = Arrangement(order, moved.words, before, moved.marks_after)
            passage = _with(passage, moved.words, moved.order, moves_rows=not self.reverse)
        return total


def _with(passage: Passage, words: list[str], order: list[int] | None = None, moves_rows: bool = True) -> Passage:
    """The passage with other words; its spans and (if ``moves_rows``) rows in the new ``order`` if there is one."""
    spans, rows = passage.spans, passage.rows
    if order is not None:
        spans = None if spans is None else [spans[old] for old in order]
        if moves_rows:
            rows = None if rows is None else [rows[old] for old in order]
    return Passage(words, passage.place, passage.attached, spans, rows)
