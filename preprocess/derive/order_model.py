"""A language's order of heads and dependents: a log-linear model over permutations (Wang and Eisner 2016, section 4).

There is one model for the dependents of nouns, proper nouns and pronouns, and one for those of verbs. The probability
of an order is proportional to the exponential of the sum of the weights of its features
(:mod:`preprocess.derive.order_features`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_xalign import files
from fairseq_xalign.errors import UserError
from preprocess.derive.order_features import (
    MAX_DEPENDENTS,
    SEQUENCE,
    Element,
    KnownSequences,
    indicators,
    pair_features,
    sequence_features,
)

FORMAT = 1
KIND = "order model"
NOUNS, VERBS = "N", "V"
"""The two classes of heads whose dependents are put in another order, as Wang and Eisner name them."""
CLASSES = {"NOUN": NOUNS, "PROPN": NOUNS, "PRON": NOUNS, "VERB": VERBS}
"""The class of each tag that has one."""
DEFAULT_SUBSTRATE_WEIGHT = 0.05
"""Weight of the natural language's own model (the authors' code: 0.05), for what the other language never has."""
REMEDY = "Make one with xalign-preprocess order --treebank FILE --output FILE"


@dataclass(frozen=True)
class OrderModel:
    """Weights of features, for each class of heads.

    Attributes:
        weights: by class, and by name of the feature.
        max_dependents: of the nodes that were learned from, and of those that may change their order.
        subtypes: whether relations keep what follows the colon (``nmod:poss``).
        about: how the model was made, for the record.
    """

    weights: Mapping[str, Mapping[str, float]]
    max_dependents: int = MAX_DEPENDENTS
    subtypes: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)

    def relation(self, deprel: str) -> str:
        """A relation as the model knows it."""
        return deprel if self.subtypes else deprel.partition(":")[0]

    def log_probabilities(self, of: str, elements: tuple[Element, ...]) -> np.ndarray:
        """The logarithm of the probability of each order.

        Args:
            of: the class of the head.
            elements: n elements, the head first.

        Returns:
            one for each of :func:`preprocess.derive.order_features.orders`. Shape [n!].
        """
        weights = self.weights.get(of, {})
        asked = np.array([sum(weights.get(name, 0.0) for name in names) for names in pair_features(elements)])  # [K]
        scores = indicators(len(elements)) @ asked  # [n!]
        known, values = self._sequences.get(of, (KnownSequences([]), np.zeros(0)))
        rows, found = sequence_features(elements, known)
        np.add.at(scores, rows, values[found])
        scores -= scores.max()
        return scores - math.log(np.exp(scores).sum())

    @cached_property
    def _sequences(self) -> dict[str, tuple[KnownSequences, np.ndarray]]:
        """For each class the features of sequences, and their weights."""
        found = {}
        for of, weights in self.weights.items():
            items = [(name, weight) for name, weight in weights.items() if name.startswith(f"{SEQUENCE} ")]
            names = KnownSequences(tuple(name.split(" ")[1:]) for name, _ in items)
            found[of] = names, np.array([weight for _, weight in items])
        return found

    def mixed(self, substrate: OrderModel, share: float) -> OrderModel:
        """The weights of this model and of the natural language's, in the proportion ``1 - share`` to ``share``.

        Raises:
            UserError: if the two see relations differently.
        """
        if substrate.subtypes != self.subtypes or substrate.max_dependents != self.max_dependents:
            raise UserError(
                "the two models were not made with the same --subtypes and --max-dependents", remedy="Make both alike"
            )
        weights = {}
        for of in {**self.weights, **substrate.weights}:
            total: dict[str, float] = defaultdict(float)
            for model, part in ((self, 1 - share), (substrate, share)):
                for name, weight in model.weights.get(of, {}).items():
                    total[name] += part * weight
            weights[of] = dict(total)
        about = {**self.about, "substrate": {**substrate.about, "weight": share}}
        return OrderModel(weights, self.max_dependents, self.subtypes, about)

    def save(self, path: str | Path) -> None:
        """Write the model as JSON; the file appears whole or not at all."""
        files.write_json(
            Path(path),
            {
                "format": FORMAT,
                "kind": KIND,
                "max_dependents": self.max_dependents,
                "subtypes": self.subtypes,
                "about": dict(self.about),
                "weights": {of: dict(weights) for of, weights in self.weights.items()},
            },
        )

    @classmethod
    def load(cls, path: str | Path) -> OrderModel:
        """Read a model that :meth:`save` has written.

        Raises:
            UserError: if the file is missing or holds something else.
        """
        content = files.read_json(Path(path))
        if not isinstance(content, dict) or content.get("kind") != KIND:
            raise UserError("not a model of orders", path, remedy=REMEDY)
        if content.get("format") != FORMAT:
            raise UserError(f"an order model of format {content.get('format')}, not {FORMAT}", path, remedy=REMEDY)
        weights = content.get("weights")
        if not isinstance(weights, dict) or not all(_finite(part) for part in weights.values()):
            raise UserError("weights that are no numbers", path, remedy=REMEDY)
        for key, kind, what in (
            ("max_dependents", int, "a whole number"),
            ("subtypes", bool, "true or false"),
            ("about", dict, "an object"),
        ):
            if type(content.get(key)) is not kind:  # not isinstance, which takes true for a number
                raise UserError(f"{key!r} must be {what}, not {content.get(key)!r:.60}", path, remedy=REMEDY)
        return cls(weights, content["max_dependents"], content["subtypes"], content["about"])


def _finite(weights: Any) -> bool:
    return isinstance(weights, dict) and all(
        isinstance(weight, (int, float)) and math.isfinite(weight) for weight in weights.values()
    )
