"""What the model of orders looks at: a head and its dependents in one order, as features (Wang and Eisner 2016).

An *element* is the head or one of its dependents. It is seen as its tag with its relation, as its tag alone, and as its
relation alone. The features of an order are those of the authors' code (github.com/gdtreebank/gdtreebank,
``Features.java``):

=====  ==================================================================================================
BI     two elements stand side by side; or one is the first, or the last
PRE    one element stands somewhere before another
BFR    the same, both before the head
BTW    the same, one on each side of the head
AFT    the same, both after the head
HI     three, four or five elements stand side by side, seen as tag with relation; only the tenth of
       such sequences that is most frequent in the treebank
=====  ==================================================================================================

Letters in shapes: n elements, n! orders, K pairs of elements.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache, reduce

import numpy as np

MAX_DEPENDENTS = 6
"""Nodes with more dependents keep their order: there are (n + 1)! orders of n dependents and their head."""
FIRST, LAST = "BOS", "EOS"
SHORTEST, LONGEST = 3, 5
"""Lengths of the sequences of HI."""
FREQUENT_SHARE = 0.1
"""Share of the sequences seen in the treebank that are features."""
SEQUENCE = "HI"
OF_HEAD = "@"
Element = tuple[str, str]
"""Tag and relation; of a head, ``@`` and its tag, and ``@``."""
HEAD = 0
"""Place of the head among the elements of a node, before they are put in order."""
START, STOP = -1, -2
"""In a pair, the borders of the node."""


def head_element(tag: str) -> Element:
    """The element of a head with this tag."""
    return OF_HEAD + tag, OF_HEAD


def label(element: Element) -> str:
    """An element as tag with relation."""
    return "&".join(element)


def views(element: Element) -> tuple[str, str, str]:
    """An element as tag with relation, as tag alone and as relation alone."""
    return label(element), *element


@lru_cache
def orders(count: int) -> np.ndarray:
    """All orders of ``count`` elements, the head being element 0. Shape [n!, n]: the element at each place."""
    return np.array(list(itertools.permutations(range(count))), dtype=np.int64).reshape(-1, count)


@lru_cache
def pairs(count: int) -> list[tuple[str, int, int]]:
    """What is asked of each order of ``count`` elements: K tuples of a feature's name and two elements."""
    elements = range(count)
    dependents = range(1, count)
    return [
        *(("PRE", a, b) for a in elements for b in elements if a != b),
        *(("BI", a, b) for a in elements for b in elements if a != b),
        *(("BI", START, b) for b in elements),
        *(("BI", a, STOP) for a in elements),
        *((name, a, b) for name in ("BFR", "BTW", "AFT") for a in dependents for b in dependents if a != b),
    ]


@lru_cache
def indicators(count: int) -> np.ndarray:
    """For each order whether it has each of :func:`pairs`. Shape [n!, K], float64."""
    places = np.argsort(orders(count), axis=1)  # [n!, n]: where each element stands
    columns = []
    for name, a, b in pairs(count):
        first = places[:, a] if a >= 0 else np.full(len(places), -1)
        second = places[:, b] if b >= 0 else np.full(len(places), count)
        head = places[:, HEAD]
        columns.append(
            {
                "PRE": first < second,
                "BI": second == first + 1,
                "BFR": (first < second) & (second < head),
                "BTW": (first < head) & (head < second),
                "AFT": (head < first) & (first < second),
            }[name]
        )
    return np.stack(columns, axis=1).astype(np.float64)


def pair_features(elements: Sequence[Element]) -> list[tuple[str, str, str]]:
    """The names of the features of each of :func:`pairs`, one a view. Length K."""
    seen = [views(element) for element in elements]
    borders = {START: (FIRST,) * 3, STOP: (LAST,) * 3}
    return [
        tuple(f"{name} {x} {y}" for x, y in zip(borders.get(a) or seen[a], borders.get(b) or seen[b]))  # type: ignore[misc]
        for name, a, b in pairs(len(elements))
    ]


def sequences(labels: Sequence[str]) -> Counter[str]:
    """The features of sequences in one order: the node is preceded and followed by as many borders as fit."""
    longest = min(LONGEST, len(labels))
    found: Counter[str] = Counter()
    if longest < SHORTEST:
        return found
    padded = [FIRST] * (longest - 1) + list(labels) + [LAST] * (longest - 1)
    for length in range(SHORTEST, longest + 1):
        for end in range(longest, len(padded) + 1):
            window = padded[end - length : end]
            if window[0] != LAST:  # all borders: the same in every order
                found[" ".join([SEQUENCE, *window])] += 1
    return found


def frequent_sequences(counts: Counter[str]) -> list[str]:
    """The most frequent tenth, which alone are features; equally frequent ones by name."""
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    return ranked[: math.ceil(FREQUENT_SHARE * len(ranked))]


class KnownSequences:
    """Sequences of labels, numbered, from which those over a few labels are found without a look at all of them.

    Args:
        names: the sequences, as labels.
    """

    def __init__(self, names: Iterable[tuple[str, ...]]) -> None:
        numbered = list(enumerate(names))
        common = Counter(name for _, sequence in numbered for name in set(sequence))
        self._by_rarest: dict[str, list[tuple[int, tuple[str, ...]]]] = defaultdict(list)
        for number, sequence in numbered:
            self._by_rarest[min(sequence, key=lambda name: (common[name], name))].append((number, sequence))

    def over(self, labels: Collection[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield the number and the labels of each sequence that has no other labels than these."""
        for name in labels:
            for number, sequence in self._by_rarest.get(name, ()):
                if all(other in labels for other in sequence):
                    yield number, sequence


def sequence_features(elements: Sequence[Element], known: KnownSequences) -> tuple[np.ndarray, np.ndarray]:
    """Where sequences of ``known`` stand in the orders of the elements.

    Args:
        elements: n elements, the head first.

    Returns:
        for each occurrence the number of the order, and that of the sequence. Shapes [occurrences].
    """
    count = len(elements)
    longest = min(LONGEST, count)
    if longest < SHORTEST:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    labels = [label(element) for element in elements]
    numbers = {name: number for number, name in enumerate(dict.fromkeys([FIRST, LAST, *labels]))}
    base = len(numbers)
    tables = {length: np.full(base**length, -1) for length in range(SHORTEST, longest + 1)}
    for place, sequence in known.over(numbers):
        if len(sequence) <= longest:
            tables[len(sequence)][reduce(lambda total, name: total * base + numbers[name], sequence, 0)] = place
    local = np.array([numbers[name] for name in labels])[orders(count)]  # [n!, n]
    border = np.ones((len(local), longest - 1), dtype=np.int64)
    padded = np.hstack([border * numbers[FIRST], local, border * numbers[LAST]])
    found_orders, found = [], []
    for length, table in tables.items():
        if (table < 0).all():
            continue
        for end in range(longest, padded.shape[1] + 1):
            ids = table[_code(padded[:, end - length : end].T, base)]
            (rows,) = np.nonzero(ids >= 0)
            found_orders.append(rows)
            found.append(ids[rows])
    if not found:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    return np.concatenate(found_orders), np.concatenate(found)


def _code(digits: np.ndarray, base: int) -> np.ndarray:
    """Sequences of numbers below ``base``, one in each column of an array [length, n!], as one number each."""
    total = np.zeros_like(digits[0])
    for digit in digits:
        total = total * base + digit
    return total
