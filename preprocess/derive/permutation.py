"""Permutation: the words of each sentence in a random order, its final mark left last.

ALIGN-MLM, Table 9 ("samples a random reordering"), after Deshpande et al. (2021). The order is a
function of the seed, the passage's place in its file, the sentence's number within the passage and
the number of words: anyone who has these can undo it. Labelled spans move as one (and are shuffled
inside): scattered over the sentence they would no longer be entities.
"""

from __future__ import annotations

import hashlib

import numpy as np

from preprocess.derive.marks import Marked
from preprocess.derive.order import OrderOptions
from preprocess.readers.words import Arrangement, Passage


def keyed_order(count: int, *key: int | str) -> list[int]:
    """A random order of ``range(count)`` that ``key`` alone fixes, on every machine and numpy.

    Raw words of a counter-based generator are sorted: their stream is guaranteed to stay, that of
    numpy's own ``permutation`` is not.
    """
    digest = hashlib.blake2b(repr(key).encode(), digest_size=16).digest()
    raw = np.random.Philox(key=np.frombuffer(digest, dtype="<u8").astype(np.uint64)).random_raw(count)
    return np.argsort(raw, kind="stable").tolist()


class Permutation:
    """Shuffle the words of each sentence."""

    seeded = True
    parsed = False

    def __init__(self, options: OrderOptions) -> None:
        self.split, self.seed = options.split, options.seed

    def arrange(self, passage: Passage) -> Arrangement:
        """The passage permuted."""
        return self._arrangement(passage, forwards=True)

    def undo(self, passage: Passage) -> Arrangement:
        """The passage in its natural order again."""
        return self._arrangement(passage, forwards=False)

    def _arrangement(self, passage: Passage, forwards: bool) -> Arrangement:
        marked = Marked.of(passage, self.split)
        order: list[int] = []
        for number, sentence in enumerate(marked.sentences(self.split)):
            order.extend(self._sentence(passage, marked, sentence, number, forwards))
        # A token of marks moves with the order (its place among the units, not its index, stays).
        staying = {index for index, mark in enumerate(marked.marks) if mark and passage.attached}
        lengths = marked.lengths(staying)
        return Arrangement(order, marked.rearranged(order, staying), lengths, lengths)

    def _sentence(self, passage: Passage, marked: Marked, sentence: range, number: int, forwards: bool) -> list[int]:
        """The new order of one sentence's positions: units trade places, marks alone do not."""
        units = _units(sentence, passage.spans)
        slots = [slot for slot, unit in enumerate(units) if len(unit) > 1 or marked.cores[unit[0]]]
        key = (self.seed, *passage.place, number)
        shuffled = keyed_order(len(slots), *key)
        result = [list(unit) for unit in units]
        for place, other in enumerate(shuffled):
            # Forwards the unit of slot `other` comes to slot `place`, backwards it returns from there.
            new, old = (slots[place], slots[other]) if forwards else (slots[other], slots[place])
            result[new] = self._inside(units[old], (*key, slots[other]), forwards)
        return [index for unit in result for index in unit]

    def _inside(self, unit: list[int], key: tuple[int | str, ...], forwards: bool) -> list[int]:
        if len(unit) == 1:
            return unit
        shuffled = keyed_order(len(unit), *key)
        if forwards:
            return [unit[other] for other in shuffled]
        result = list(unit)
        for place, other in enumerate(shuffled):
            result[other] = unit[place]
        return result


def _units(sentence: range, spans: list[int] | None) -> list[list[int]]:
    """The positions of a sentence, those of one labelled span together."""
    units: list[list[int]] = []
    previous = -1
    for index in sentence:
        span = -1 if spans is None else spans[index]
        if span >= 0 and span == previous:
            units[-1].append(index)
        else:
            units.append([index])
        previous = span
    return units
