"""Words and the white space between them, and how a passage of words is handed to a transformation.

A *passage* is what one transformation looks at together: a line of text, a labelled sentence, a
premise, a context. A reader cuts its examples into passages, asks for an :class:`Arrangement` of
each and moves its labels along.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

SPACES = re.compile(r"(\s+)")
Place = tuple[int | str, ...]
"""What tells a passage from every other of its file: with the seed, the key of its random draws."""


class SpacedText:
    """A text as its words and the exact white space before, between and after them.

    ``with_words(words)`` puts other words, as many, into the same white space: what a
    transformation of words does can therefore be undone to the last byte.
    """

    def __init__(self, text: str) -> None:
        parts = SPACES.split(text)
        # parts alternates words and gaps; at the ends an empty word stands for "a gap is outermost".
        words, gaps = parts[0::2], ["", *parts[1::2], ""]
        if words and not words[0]:
            gaps[:2] = ["".join(gaps[:2])]
            words = words[1:]
        if words and not words[-1]:
            gaps[-2:] = ["".join(gaps[-2:])]
            words = words[:-1]
        self.words: list[str] = words
        self.gaps: list[str] = gaps

    def with_words(self, words: list[str]) -> str:
        """The text with ``words`` in place of its own."""
        assert len(words) == len(self.words), "a transformation keeps the number of words"
        return self.gaps[0] + "".join(word + gap for word, gap in zip(words, self.gaps[1:]))

    def starts(self, words: list[str]) -> list[int]:
        """The character at which each word of ``with_words(words)`` starts."""
        steps = [len(self.gaps[0]), *(len(word) + len(gap) for word, gap in zip(words, self.gaps[1:]))]
        return list(accumulate(steps))[: len(words)]


@dataclass(frozen=True)
class Passage:
    """Words that are transformed together.

    Attributes:
        words: the words (with trans undone or not yet done: always of the natural vocabulary when
            an order is sought).
        place: names the passage within its file.
        attached: whether a final mark may be part of a word (``end.``), as in running text; in
            labelled tokens only a token of marks alone is one.
        spans: the number of the labelled span that each word belongs to, -1 outside; None if
            there are no spans. A span's words stay together and are never taken for a final mark.
        rows: the CoNLL-U rows of the words, for transformations that need a parse.
    """

    words: list[str]
    place: Place
    attached: bool = True
    spans: list[int] | None = None
    rows: list[list[str]] | None = None


@dataclass(frozen=True)
class Arrangement:
    """A passage's words after a transformation.

    Attributes:
        order: ``order[i]`` is the old index of the word that is now the i-th.
        words: the new words, in their new order.
        marks_before, marks_after: for each old and each new position, how many characters at the
            end of its word are a final mark that did not move with the word.
    """

    order: list[int]
    words: list[str]
    marks_before: list[int]
    marks_after: list[int]

    def new_indices(self) -> list[int]:
        """The inverse of ``order``: where each old word went."""
        places = [0] * len(self.order)
        for new, old in enumerate(self.order):
            places[old] = new
        return places


class Change(Protocol):
    """What a reader is given: the transformation asked for, forwards or backwards."""

    def arrange(self, passage: Passage) -> Arrangement:
        """The words in their new order and script."""

    def spell(self, word: str) -> str:
        """One word in the new script alone: for lemmas, which have no order of their own."""


Counts = Counter[str]


def changed_text(text: str, place: Place, change: Change, counts: Counts, empty: str) -> str:
    """A text with its words changed; its white space stays. Words are counted, texts without any under ``empty``."""
    spaced = SpacedText(text)
    counts["words"] += len(spaced.words)
    if not spaced.words:
        counts[empty] += 1
        return text
    return spaced.with_words(change.arrange(Passage(spaced.words, place)).words)
