"""Fitting the model of orders to a treebank by maximum likelihood, in float64 on the processor.

The likelihood is that of each node's order given its elements (Wang and Eisner 2016, section 4); the normaliser runs
over all permutations. A weak quadratic penalty keeps finite the weights of features that some orders
always or never have. The optimum is found by L-BFGS on the whole treebank: the problem is convex, and no seed matters.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fairseq_xalign.data.formats import conllu
from preprocess.derive.order_features import (
    HEAD,
    SEQUENCE,
    Element,
    KnownSequences,
    frequent_sequences,
    head_element,
    indicators,
    label,
    orders,
    pair_features,
    sequence_features,
    sequences,
)
from preprocess.derive.order_model import CLASSES, OrderModel
from preprocess.derive.tree import Tree

if TYPE_CHECKING:
    import torch

DEFAULT_PENALTY = 1.0
"""Half of it times the sum of squared weights is taken from the log-likelihood. Fitted to 800 sentences of French PUD,
1 gives the nouns of the other 200 a higher likelihood (-0.35 nats per node) than 0.01 (-0.57)."""
ITERATIONS = 300
TOLERANCE = 1e-5
CELLS = 1 << 22
"""Orders of several nodes whose scores are held in memory at once."""


@dataclass
class Observed:
    """The nodes of one class of heads.

    Attributes:
        nodes: how often each order was seen: by the elements, head first, then the dependents by name; then by the
            number of the order in :func:`preprocess.derive.order_features.orders`.
        sequences: how often each feature of sequences was seen.
    """

    nodes: dict[tuple[Element, ...], Counter[int]] = field(default_factory=dict)
    sequences: Counter[str] = field(default_factory=Counter)

    def add(self, head: Element, before: Sequence[Element], after: Sequence[Element]) -> None:
        """Count one node: its head, and the dependents on each side in their order."""
        line = [*before, head, *after]
        places = [place for place in range(len(line)) if place != len(before)]
        places.sort(key=lambda place: (label(line[place]), place))
        elements = (head, *(line[place] for place in places))
        order = [0] * len(line)
        for number, place in enumerate([len(before), *places]):
            order[place] = number
        self.nodes.setdefault(elements, Counter())[order_number(order)] += 1
        self.sequences.update(sequences([label(element) for element in line]))

    @property
    def count(self) -> int:
        """How many nodes there are."""
        return sum(counts.total() for counts in self.nodes.values())


def order_number(order: Sequence[int]) -> int:
    """The row of :func:`preprocess.derive.order_features.orders` that holds this order: its lexicographic rank."""
    rank = 0
    for place, element in enumerate(order):
        smaller = sum(other < element for other in order[place + 1 :])
        rank += smaller * math.factorial(len(order) - 1 - place)
    return rank


def observe(sentences: Iterable[conllu.Sentence], shape: OrderModel, counts: Counter[str]) -> dict[str, Observed]:
    """The nodes of a treebank by class of head; nodes with too many dependents and crossing trees are counted.

    Args:
        sentences: with heads, tags and relations.
        shape: a model without weights, which says how relations are seen and how many dependents count.
        counts: where sentences and nodes are counted.
    """
    found = {of: Observed() for of in dict.fromkeys(CLASSES.values())}
    for sentence in sentences:
        tree = Tree.of_rows(sentence.rows)
        counts["sentences"] += 1
        if not tree.projective:
            counts["sentences whose dependencies cross, left out"] += 1
            continue
        for index, dependents in enumerate(tree.dependents):
            of = CLASSES.get(tree.tags[index])
            if of is None or not dependents:
                continue
            if len(dependents) > shape.max_dependents:
                counts["nodes with too many dependents, left out"] += 1
                continue
            elements = [(tree.tags[other], shape.relation(tree.relations[other])) for other in dependents]
            before = sum(other < index for other in dependents)
            found[of].add(head_element(tree.tags[index]), elements[:before], elements[before:])
            counts["nodes"] += 1
    return found


class Likelihood:
    """The log-likelihood of observed orders as a function of the weights, differentiable by torch.

    Args:
        observed: the nodes of one class.

    Attributes:
        names: of the features, in the order of the weights.
    """

    def __init__(self, observed: Observed) -> None:
        import torch

        numbers: dict[str, int] = {}
        frequent = frequent_sequences(observed.sequences)
        known = KnownSequences(tuple(name.split(" ")[1:]) for name in frequent)
        assert all(name.startswith(SEQUENCE) for name in frequent)
        for name in frequent:
            numbers[name] = len(numbers)
        by_length: dict[int, list[tuple[Element, ...]]] = {}
        for elements in observed.nodes:
            by_length.setdefault(len(elements), []).append(elements)
        self.chunks: list[_Chunk] = []
        for length, nodes in sorted(by_length.items()):
            size = max(1, CELLS // len(orders(length)))
            for start in range(0, len(nodes), size):
                part = nodes[start : start + size]
                self.chunks.append(_Chunk.of(part, [observed.nodes[node] for node in part], numbers, known))
        self.names = list(numbers)
        self.count = observed.count
        self._torch = torch

    def __call__(self, weights: torch.Tensor) -> torch.Tensor:
        """The log-likelihood of all nodes. Shape of ``weights`` [features], float64; returns a scalar."""
        total = weights.new_zeros(())
        for chunk in self.chunks:
            total = total + chunk.log_likelihood(weights)
        return total


@dataclass(frozen=True)
class _Chunk:
    """Nodes of equal length.

    B nodes, n elements each; K pairs of elements in three views; ``seen`` lists orders that were observed, ``occurs``
    the sequences that are features.
    """

    length: int
    pairs: torch.Tensor  # [B, K, 3]: numbers of features
    occurs: torch.Tensor  # [occurrences]: places in B · n!
    features: torch.Tensor  # [occurrences]: numbers of features
    seen: torch.Tensor  # [observed]: places in B · n!
    times: torch.Tensor  # [observed]: how often, float64
    totals: torch.Tensor  # [B]: how often each node was seen, float64

    @classmethod
    def of(
        cls,
        nodes: Sequence[tuple[Element, ...]],
        counts: Sequence[Counter[int]],
        numbers: dict[str, int],
        known: KnownSequences,
    ) -> _Chunk:
        """Nodes of equal length; new features get the next number in ``numbers``."""
        import torch

        length = len(nodes[0])
        every = len(orders(length))
        pairs, occurs, features, seen = [], [], [], []
        times: list[int] = []
        for place, (elements, observed) in enumerate(zip(nodes, counts)):
            assert elements[HEAD][1] == "@"
            pairs.append([[numbers.setdefault(n, len(numbers)) for n in names] for names in pair_features(elements)])
            rows, found = sequence_features(elements, known)
            occurs.append(rows + place * every)
            features.append(found)  # sequences have the first numbers
            seen += [place * every + order for order in observed]
            times += observed.values()
        return cls(
            length,
            torch.tensor(pairs),
            torch.from_numpy(np.concatenate(occurs)),
            torch.from_numpy(np.concatenate(features)),
            torch.tensor(seen),
            torch.tensor(times, dtype=torch.float64),
            torch.tensor([observed.total() for observed in counts], dtype=torch.float64),
        )

    def log_likelihood(self, weights: torch.Tensor) -> torch.Tensor:
        """The log-likelihood of the nodes."""
        import torch

        asked = weights[self.pairs].sum(-1)  # [B, K]
        scores = asked @ torch.from_numpy(indicators(self.length)).T  # [B, n!]
        flat = scores.flatten().index_add(0, self.occurs, weights[self.features])  # [B · n!]
        normalisers = flat.view_as(scores).logsumexp(1)  # [B]
        return (flat[self.seen] * self.times).sum() - (normalisers * self.totals).sum()


def fit(observed: Observed, penalty: float = DEFAULT_PENALTY) -> tuple[dict[str, float], float]:
    """The weights that maximise the likelihood, less the penalty.

    Returns:
        the weights by name of the feature, and the log-likelihood per node in nats.
    """
    import torch

    if not observed.nodes:
        return {}, 0.0
    likelihood = Likelihood(observed)
    weights = torch.zeros(len(likelihood.names), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weights],
        max_iter=ITERATIONS,
        tolerance_grad=TOLERANCE,
        tolerance_change=1e-9,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = (penalty / 2 * weights.square().sum() - likelihood(weights)) / likelihood.count
        value.backward()
        return value

    optimizer.step(loss)  # type: ignore[arg-type]
    with torch.no_grad():
        reached = float(likelihood(weights)) / likelihood.count
    return dict(zip(likelihood.names, weights.tolist())), reached


def fit_model(
    sentences: Iterable[conllu.Sentence], shape: OrderModel, penalty: float, counts: Counter[str]
) -> OrderModel:
    """The model of a treebank's orders: both classes of heads fitted."""
    weights, about = {}, dict(shape.about)
    for of, observed in observe(sentences, shape, counts).items():
        weights[of], reached = fit(observed, penalty)
        about[f"nats per node, {of}"] = round(reached, 4)
    return OrderModel(weights, shape.max_dependents, shape.subtypes, {**about, "counts": dict(counts)})
