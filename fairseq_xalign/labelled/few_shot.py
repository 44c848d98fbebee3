"""Few-shot transfer: a few examples of each further language, repeated until they count (MMTE, Table 8).

MMTE adds to the English training data "10 examples from each language (upsampled to 1000)". The examples are drawn from
the training file, never from another split, as a function of a seed, the language and the number of its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fairseq_xalign.errors import UserError
from fairseq_xalign.labelled.kind import Encoded, Example, Row
from fairseq_xalign.objectives.random import name_key, permutation_sample
from fairseq_xalign.options import at_least


@dataclass(frozen=True)
class FewShot:
    """How many examples of each language there are, and how often they are repeated.

    Attributes:
        examples: rows drawn per language.
        upsample: rows per language after they are repeated.
        seed: of the draw.
    """

    examples: int = 10
    upsample: int = 1000
    seed: int = 1

    def check(self) -> None:
        """Raise UserError for numbers that make no sense together."""
        at_least(1, few_shot_examples=self.examples)
        if self.upsample < self.examples:
            raise UserError(
                f"--few-shot-upsample {self.upsample} is below --few-shot-examples {self.examples}",
                remedy="It is the number of rows per language after each has been repeated equally often",
            )

    def draw(self, rows: Sequence[Row], language: str, where: str) -> list[Row]:
        """Return ``examples`` different rows, in the order of the file.

        Args:
            where: the file that they come from, for the error.

        Raises:
            UserError: the file has fewer rows.
        """
        if len(rows) < self.examples:
            raise UserError(
                f"{len(rows)} rows, fewer than --few-shot-examples {self.examples}", where,
                remedy="Choose a smaller number, or other --few-shot-languages",
            )  # fmt: skip
        chosen = permutation_sample(len(rows), self.examples, name_key(self.seed, "few-shot", language))
        return [rows[i] for i in sorted(chosen.tolist())]

    def repeated(self, encoded: Encoded) -> Encoded:
        """Repeat the sequences of drawn rows in turn, until there are those of ``upsample`` rows.

        Each row occurs ``upsample // examples`` times, and the first ones once more where this leaves a remainder.
        """
        of_row: list[list[Example]] = [[] for _ in range(self.examples)]
        for example in encoded.examples:
            of_row[example.row].append(example)
        return replace(encoded, examples=[e for i in range(self.upsample) for e in of_row[i % self.examples]])
