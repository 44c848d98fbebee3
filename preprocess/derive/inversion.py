"""Inversion: the words of each sentence in reverse order, its final mark left last.

ALIGN-MLM, appendix F and Table 9 ("Welcome to ACL" becomes "ACL to Welcome"), at word level.
Inversion is its own inverse. With ``none`` the passage is reversed once, as the authors do with
labelled data: final marks inside it move with their words, the last stays. Marks at the *first*
word have to stay there too: if "Dr. Smith left" became "left Smith Dr.", it could not be told from
the inversion of "Dr Smith left.".
"""

from __future__ import annotations

from preprocess.derive.marks import Marked
from preprocess.derive.order import OrderOptions
from preprocess.readers.words import Arrangement, Passage


class Inversion:
    """Reverse the words of each sentence."""

    seeded = False
    parsed = False

    def __init__(self, options: OrderOptions) -> None:
        self.split = options.split

    def arrange(self, passage: Passage) -> Arrangement:
        """The passage inverted."""
        marked = Marked.of(passage, self.split)
        if self.split == "none":
            order, staying = _whole(marked)
        else:
            order, staying = _by_sentence(marked, self.split)
        lengths = marked.lengths(staying)
        return Arrangement(order, marked.rearranged(order, staying), lengths, lengths)

    undo = arrange


def _by_sentence(marked: Marked, split: str) -> tuple[list[int], set[int]]:
    order: list[int] = []
    for sentence in marked.sentences(split):
        start, stop = sentence.start, sentence.stop
        words = stop if marked.cores[stop - 1] else stop - 1  # a mark that is a word of its own stays
        order.extend(range(words - 1, start - 1, -1))
        order.extend(range(words, stop))
    return order, {index for index, mark in enumerate(marked.marks) if mark}


def _whole(marked: Marked) -> tuple[list[int], set[int]]:
    count = len(marked.cores)
    last = count - 1
    if count and not marked.cores[last]:
        return [*range(last - 1, -1, -1), last], {last}
    first = next((index for index, core in enumerate(marked.cores) if core), count)
    order = [*range(first), *range(last, first - 1, -1)]
    return order, {*range(first), first, last} if count else set()
