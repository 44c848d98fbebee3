"""Negative examples of translation pairs: which two texts of a batch do not translate each other.

A negative of a pair keeps one of its texts and replaces the other by a text of another pair. A text is never replaced
by one that equals either text of the pair, nor by a translation of the text that is kept, as far as the batch or the
training text shows it: false negatives are frequent where one sentence has several translations (Tatoeba). Texts are
compared by fingerprints (``objectives.fingerprint``), not by their places.

All choices are functions of the pairs' keys, so that a resumed run, or one on another number of workers, makes the
same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fairseq_xalign.objectives.fingerprint import KnownPairs
from fairseq_xalign.objectives.random import combine, integers, uniform

NAMES = 16
"""Draws about a pair and its negative number n are named -NAMES * (n + 1) and below, down to the next one's."""
ORDER, KEPT, UNIT, SIDE = range(4)
"""What is drawn: the place in a round, the text that is kept, the other pair, the side of it."""
TRIES = 8
"""How many pairs of the corpus are drawn at most until one is short enough."""


def name_of(draw: int, number: int) -> int:
    """The name of a draw about negative ``number`` of a pair."""
    return -NAMES * (number + 1) - draw


def draws(keys: Tensor, draw: int, number: int) -> Tensor:
    """Uniform numbers in [0, 1) for pairs with these keys, float64 [P]."""
    return uniform(keys, torch.full_like(keys, name_of(draw, number)))


def keeps_second(keys: Tensor, number: int) -> Tensor:
    """Whether negative ``number`` keeps the second text of a pair (a fair coin), bool [P]."""
    return draws(keys, KEPT, number) < 0.5


def other_units(keys: Tensor, units: Tensor, size: int, number: int) -> Tensor:
    """Candidates for the pair whose text replaces one of this pair's: drawn from all others, int64 [P, TRIES].

    Args:
        keys, units: of the pairs, int64 [P].
        size: pairs of the corpus; of a single one, the candidates are itself.
    """
    if size < 2:
        return units[:, None].expand(-1, TRIES).clone()
    key = combine(keys, torch.full_like(keys, name_of(UNIT, number)))
    drawn = integers(key[:, None], torch.arange(TRIES)[None], size - 1)
    return drawn + (drawn >= units[:, None]).long()


def swaps_side(keys: Tensor, number: int) -> Tensor:
    """Whether the text comes from the side of the text that is kept (a fair coin), bool [P]."""
    return draws(keys, SIDE, number) < 0.5


@dataclass(frozen=True)
class Negatives:
    """Negative examples of P pairs.

    Attributes:
        left, right: the sequences of each, int64 [N] on the CPU.
        wanted: how many were asked for.
        rejected: how many texts were drawn and not taken; another one was, where there was any.
    """

    left: Tensor
    right: Tensor
    wanted: int
    rejected: int

    @property
    def dropped(self) -> int:
        """How many could not be made."""
        return self.wanted - len(self.left)


class Texts:
    """The texts of P pairs, and what each may stand beside in a negative.

    Args:
        fingerprints: of 2P sequences, or more, pair i being 2i and 2i + 1, int64 on the CPU.
        pairs: P.
        languages: of the sequences, int64, or None. Texts of one language make no negative where the pair's own have
            two: it would be told by the languages alone.
        known: further pairs of translations, those of the training text, or None.
    """

    def __init__(
        self, fingerprints: Tensor, pairs: int, languages: Tensor | None = None, known: KnownPairs | None = None
    ) -> None:
        self.fingerprints, self.known = fingerprints, known
        _, numbers = np.unique(fingerprints.numpy(), return_inverse=True)
        self.number = numbers.reshape(-1)  # equal texts have equal numbers
        self.first, self.second = self.number[0 : 2 * pairs : 2], self.number[1 : 2 * pairs : 2]
        count = int(self.number.max(initial=-1)) + 1
        self.aligned = np.zeros((count, count), dtype=bool)
        self.aligned[self.first, self.second] = self.aligned[self.second, self.first] = True
        self.languages = None if languages is None else languages.numpy()

    def legal(self, pair: np.ndarray, kept: np.ndarray, other: np.ndarray, any_language: bool = False) -> np.ndarray:
        """Whether sequences ``kept`` and ``other`` make a negative of ``pair``, bool of their common shape."""
        a, b = self.number[kept], self.number[other]
        good = ~self.aligned[a, b] & (b != self.first[pair]) & (b != self.second[pair])
        if self.languages is not None and not any_language:
            own = self.languages[2 * pair] == self.languages[2 * pair + 1]
            good &= own | (self.languages[kept] != self.languages[other])
        return good

    def candidates(self) -> tuple[np.ndarray, np.ndarray]:
        """Which texts of other pairs no text translates, so that they may be ranked below its translation.

        Returns:
            For second text i, which first texts j, and for first text i, which second texts j: both bool [P, P].
        """
        pair = np.arange(len(self.first))
        both = []
        for kept, other in ((2 * pair + 1, 2 * pair), (2 * pair, 2 * pair + 1)):
            good = self.legal(pair[:, None], kept[:, None], other[None])
            rows, columns = np.nonzero(good)
            good[rows, columns] = ~self.are_known(kept[rows], other[columns])
            both.append(good)
        return both[0], both[1]

    def are_known(self, kept: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Whether sequences ``kept`` and ``other`` [N] translate each other in the training text, bool [N]."""
        if not self.known or not len(kept):
            return np.zeros(len(kept), dtype=bool)
        return self.known.has(self.fingerprints[kept], self.fingerprints[other])


def batch_negatives(texts: Texts, keys: Tensor, number: int = 1, either: bool = False) -> Negatives:
    """``number`` negatives for each of P pairs, made of texts of the other pairs of the batch.

    In each of ``number`` rounds every pair takes the text of another pair, and every text is taken once (a
    derangement), as far as texts allow it: a pair whose text must not be replaced by the one that is left shares
    another pair's, and one for which the batch has no text goes without.

    Args:
        keys: of the pairs, int64 [P].
        either: a coin decides which text of a pair is replaced (otherwise the first one is); ``keeps_second``.
    """
    pairs = len(keys)
    pair = np.arange(pairs)
    left, right, rejected = [], [], 0
    used = np.zeros((pairs, pairs), dtype=bool)
    for n in range(number):
        second = keeps_second(keys, n).numpy() if either else np.ones(pairs, dtype=bool)
        kept = 2 * pair + second
        other = (2 * pair + 1)[None] - second[:, None]  # [P, P]: the side of pair j that replaces pair i's
        legal = texts.legal(pair[:, None], kept[:, None], other) & ~used
        order = draws(keys, ORDER, n).argsort(stable=True).numpy()
        while True:  # what is known is looked up for the choices alone: there are P x P pairs of texts
            taken, refused = derangement(legal[np.ix_(order, order)])
            rows = order[taken >= 0]
            columns = order[taken[taken >= 0]]
            wrong = texts.are_known(kept[rows], other[rows, columns])
            if not wrong.any():
                break
            legal[rows[wrong], columns[wrong]] = False
            rejected += int((wrong & (np.roll(order, -1)[np.flatnonzero(taken >= 0)] != columns)).sum())
        rejected += refused
        for row, column in zip(order.tolist(), taken.tolist()):
            if column >= 0:
                j = int(order[column])
                used[row, j] = True
                replaced = int(other[row, j])
                keeps = bool(second[row])
                left.append(replaced if keeps else int(kept[row]))
                right.append(int(kept[row]) if keeps else replaced)
    return Negatives(_indices(left), _indices(right), pairs * number, rejected)


def hard_negatives(texts: Texts, scores: np.ndarray, number: int = 1) -> Negatives:
    """The ``number`` negatives of each of P pairs that are scored highest, the first text being replaced.

    Args:
        scores: of the second text of pair i beside the first text of pair j, float [P, P].
    """
    pairs = len(scores)
    pair = np.arange(pairs)
    kept, other = 2 * pair + 1, 2 * pair
    legal = texts.legal(pair[:, None], kept[:, None], other[None])
    wished = np.where(np.eye(pairs, dtype=bool), -np.inf, scores).argmax(axis=1)
    rejected = int((~legal[pair, wished]).sum())
    left, right = [], []
    for _ in range(number):
        while True:
            taken = np.where(legal, scores, -np.inf).argmax(axis=1)
            rows = np.flatnonzero(legal[pair, taken])
            wrong = texts.are_known(kept[rows], other[taken[rows]])
            legal[rows, taken[rows]] = False  # taken, or never to be
            if not wrong.any():
                break
            rejected += int(wrong.sum())
            legal[rows[~wrong], taken[rows[~wrong]]] = True
        left += other[taken[rows]].tolist()
        right += kept[rows].tolist()
    return Negatives(_indices(left), _indices(right), pairs * number, rejected)


def corpus_negatives(texts: Texts, keys: Tensor, number: int = 1, any_language: bool = False) -> Negatives:
    """``number`` negatives for each of P pairs, made of texts of the whole corpus, which follow the pairs in the batch.

    Args:
        texts: of 2P + P * number sequences; text n of pair i is 2P + i * number + n (``data.collate``).
        keys: of the pairs, int64 [P].
        any_language: such a text may have the language of the text beside it.
    """
    pairs = len(keys)
    pair = np.arange(pairs)
    left, right, rejected = [], [], 0
    for n in range(number):
        second = keeps_second(keys, n).numpy()
        kept, other = 2 * pair + second, 2 * pairs + pair * number + n
        good = texts.legal(pair, kept, other, any_language) & ~texts.are_known(kept, other)
        rejected += int((~good).sum())
        left += np.where(second, other, kept)[good].tolist()
        right += np.where(second, kept, other)[good].tolist()
    return Negatives(_indices(left), _indices(right), pairs * number, rejected)


def derangement(legal: np.ndarray) -> tuple[np.ndarray, int]:
    """Let row k take column k + 1 (the last row the first) where it may, and repair the rest.

    Args:
        legal: which column each row may take, bool [P, P].

    Returns:
        The column of each row, int64 [P], -1 for a row that may take none; and how many rows did not get column k + 1
        because they may not take it. As few rows as possible share a column.
    """
    size = len(legal)
    following = np.roll(np.arange(size), -1)
    fits = legal[np.arange(size), following]
    taken, owner = np.where(fits, following, -1), np.full(size, -1)
    owner[following[fits]] = np.flatnonzero(fits)
    refused = np.flatnonzero(~fits)
    for row in refused.tolist():
        if not _augment(row, legal, taken, owner):
            columns = np.flatnonzero(legal[row])
            if len(columns):  # shared: the next one in the round
                taken[row] = columns[np.argmin((columns - row - 1) % size)]
    return taken, len(refused)


def _augment(begin: int, legal: np.ndarray, taken: np.ndarray, owner: np.ndarray) -> bool:
    """Find a column for row ``begin``, letting other rows change theirs (an augmenting path: Kuhn 1955)."""
    seen = np.zeros(len(legal), dtype=bool)
    came_from: dict[int, int] = {}
    waiting = [begin]
    for row in waiting:  # grows while it is gone through
        fresh = np.flatnonzero(legal[row] & ~seen)
        seen[fresh] = True
        for column in fresh.tolist():
            came_from[column] = row
            if owner[column] < 0:
                while True:
                    taker = came_from[column]
                    left, taken[taker], owner[column] = int(taken[taker]), column, taker
                    if taker == begin:
                        return True
                    column = left
            waiting.append(int(owner[column]))
    return False


def _indices(values: list[int]) -> Tensor:
    return torch.tensor(values, dtype=torch.int64)
