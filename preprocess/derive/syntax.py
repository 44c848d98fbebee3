"""Syntax: the dependents of nouns and of verbs in the order of another language, drawn at random (ALIGN-MLM's Syn).

Wang and Eisner (2016): node by node, the head and its dependents, each with all that is below it, are put into an order
that is drawn from the other language's model of orders (:mod:`preprocess.derive.order_model`). The draw is a function
of the seed, the passage's place in its file and the node. The authors leave out sentences with crossing dependencies or
with a node of more than six dependents. Here a derived file has as many sentences as the natural one: such nodes alone
keep their order, and are counted. No labelled span is torn apart: orders that would do so are excluded from the draw.

In running text a word is what stands between white space, so punctuation moves with the word it is attached to, except
for the final mark of each sentence, which stays. In text whose punctuation stands apart it moves as in the paper.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from functools import lru_cache

import numpy as np

from fairseq_xalign.data.formats.conllu import FORM, MISC
from fairseq_xalign.errors import UserError
from preprocess.derive.marks import Marked
from preprocess.derive.order import OrderOptions
from preprocess.derive.order_features import Element, head_element, label, orders
from preprocess.derive.order_model import CLASSES, REMEDY
from preprocess.derive.tree import Tree
from preprocess.readers.words import Arrangement, Passage

CACHED_NODES = 2048
CROSSING = "nodes in their old order: dependencies cross"
TOO_MANY = "nodes in their old order: too many dependents"
TORN = "nodes in their old order: another would tear a labelled span apart"
REORDERED = "nodes put in order"
NO_PARSE = "syn needs the parse of each sentence"
SPAN = "LabelledSpan="
Block = tuple[int, range]
"""A word of a node (its head or one of its dependents), and the range of words that moves with it."""


class Syntax:
    """Reorder the dependents of nouns and verbs as another language does."""

    seeded = True
    parsed = True

    def __init__(self, options: OrderOptions) -> None:
        if options.order_model is None:
            raise UserError("syn needs a model of orders, --order-model", remedy=REMEDY)
        self.split, self.seed, self.model = options.split, options.seed, options.order_model
        self.counts = options.counts if options.counts is not None else Counter()
        self._cumulative = lru_cache(CACHED_NODES)(self._cumulative_of)

    def arrange(self, passage: Passage) -> Arrangement:
        """The passage with its nodes in another order."""
        return self._arrangement(passage, passage.words, self.counts)

    def undo(self, passage: Passage) -> Arrangement:
        """The passage in its natural order again; ``passage.rows`` are those of the natural passage.

        Raises:
            UserError: if the rows, the model or the seed are not those of the way there.
        """
        if passage.rows is None or len(passage.rows) != len(passage.words):
            raise UserError("the parses have another number of words", remedy="Give --parses of the natural file")
        natural = [row[FORM] for row in passage.rows]
        spans = None if passage.spans is None else [_span(row) for row in passage.rows]
        there = self._arrangement(replace(passage, spans=spans), natural, Counter())
        if there.words != passage.words:
            raise UserError(
                "the words are not those that the parses, the model of orders and the seed give",
                remedy="Give the --parses and the --order-model that the file was derived with",
            )
        return Arrangement(there.new_indices(), natural, there.marks_after, there.marks_before)

    def _arrangement(self, passage: Passage, words: list[str], counts: Counter[str]) -> Arrangement:
        if passage.rows is None:
            raise UserError(NO_PARSE, remedy="Give --parser, or --parses with parses that were made before")
        tree = Tree.of_rows(passage.rows)
        order = self._order(tree, passage, counts)
        marked = Marked.of(replace(passage, words=words), self.split)
        staying = {index for index in _sentence_ends(tree) if marked.marks[index]} if passage.attached else set()
        lengths = marked.lengths(staying)
        if not staying:
            return Arrangement(order, [words[old] for old in order], lengths, lengths)
        kept = Marked(
            [word if index not in staying else core for index, (word, core) in enumerate(zip(words, marked.cores))],
            [mark if index in staying else "" for index, mark in enumerate(marked.marks)],
        )
        return Arrangement(order, kept.rearranged(order, staying), lengths, lengths)

    def _order(self, tree: Tree, passage: Passage, counts: Counter[str]) -> list[int]:
        order = list(range(len(tree.heads)))
        for index in tree.bottom_up():
            dependents = tree.dependents[index]
            of = CLASSES.get(tree.tags[index])
            if of is None or not dependents:
                continue
            if not all(tree.together[word] for word in (index, *dependents)):
                counts[CROSSING] += 1
                continue
            if len(dependents) > self.model.max_dependents:
                counts[TOO_MANY] += 1
                continue
            blocks = _blocks(index, dependents, tree.ranges)
            allowed = [] if passage.spans is None else _constraints(blocks, passage.spans)
            if allowed is None:
                counts[TORN] += 1
                continue
            counts[REORDERED] += 1
            # What has been put in order below stands within its range still, so blocks can be moved as they are.
            inside = {word: [order[place] for place in block] for word, block in blocks}
            line = self._draw(of, tree, index, blocks, allowed, passage)
            own = tree.ranges[index]
            order[own.start : own.stop] = [other for word in line for other in inside[word]]
        return order

    def _draw(
        self, of: str, tree: Tree, index: int, blocks: list[Block], together: list[set[int]], passage: Passage
    ) -> list[int]:
        """The words of a node in an order drawn from the model; those of each set in ``together`` stay neighbours."""
        others = [word for word, _ in blocks if word != index]
        elements = {word: (tree.tags[word], self.model.relation(tree.relations[word])) for word in others}
        others.sort(key=lambda word: (label(elements[word]), word))
        words = [index, *others]
        cumulative = self._cumulative(of, (head_element(tree.tags[index]), *(elements[word] for word in others)))
        choices = orders(len(words))
        if together:
            keep = _neighbours(choices, [[words.index(word) for word in group] for group in together])
            weights = np.diff(cumulative, prepend=0.0) * keep
            if weights.sum() <= 0.0:
                weights = keep.astype(np.float64)
            cumulative = np.cumsum(weights)
        drawn = np.searchsorted(cumulative, self._uniform(passage, index) * cumulative[-1], side="right")
        return [words[element] for element in choices[min(int(drawn), len(choices) - 1)]]

    def _uniform(self, passage: Passage, index: int) -> float:
        """A number from 0 to below 1 that the seed, the passage's place and the node alone fix."""
        key = repr((self.seed, *passage.place, index)).encode()
        return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little") / 2.0**64

    def _cumulative_of(self, of: str, elements: tuple[Element, ...]) -> np.ndarray:
        """The probabilities of all orders, added up. Shape [n!]."""
        return np.cumsum(np.exp(self.model.log_probabilities(of, elements)))


def with_span(row: list[str], span: int) -> list[str]:
    """A row of a parse that says which labelled span its word belongs to, for the way back."""
    return [*row[:MISC], f"{SPAN}{span}", *row[MISC + 1 :]]


def _span(row: list[str]) -> int:
    """The labelled span of a row's word, -1 for none."""
    found = next((item for item in row[MISC].split("|") if item.startswith(SPAN)), None)
    return int(found[len(SPAN) :]) if found else -1


def _blocks(index: int, dependents: list[int], ranges: list[range]) -> list[Block]:
    """The words of a node in their natural order, each with the range that moves with it."""
    return [(word, range(word, word + 1) if word == index else ranges[word]) for word in sorted([index, *dependents])]


def _constraints(blocks: list[Block], spans: list[int]) -> list[set[int]] | None:
    """The sets of a node's words whose blocks must stay neighbours; None if the node must keep its order altogether.

    It must if a labelled span holds a part of a block and something outside of that block.
    """
    together = []
    start, stop = blocks[0][1].start, blocks[-1][1].stop
    for span in sorted({span for span in spans[start:stop] if span >= 0}):
        members = {index for index, other in enumerate(spans) if other == span}
        touched = [(word, block) for word, block in blocks if not members.isdisjoint(block)]
        outside = members - set(range(start, stop))
        if len(touched) == 1 and not outside:
            continue
        if outside and all(members.issuperset(block) for _, block in blocks):
            continue  # all of the node is inside the span
        if outside or not all(members.issuperset(block) for _, block in touched):
            return None
        together.append({word for word, _ in touched})
    return together


def _neighbours(choices: np.ndarray, groups: list[list[int]]) -> np.ndarray:
    """Which orders keep the elements of each group together. Shape [n!]."""
    places = np.argsort(choices, axis=1)
    keep = np.ones(len(choices), dtype=bool)
    for group in groups:
        theirs = places[:, group]
        keep &= theirs.max(1) - theirs.min(1) == len(group) - 1
    return keep


def _sentence_ends(tree: Tree) -> list[int]:
    """The last word of each sentence of the passage: there is a root in each."""
    return [tree.ranges[root].stop - 1 for root in tree.roots if tree.together[root]]
