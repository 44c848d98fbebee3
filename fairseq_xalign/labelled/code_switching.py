"""Translate-train with code-switching: each example of two texts becomes two, with one text in each language.

PPA (Pan et al. 2021, section 2.3) trains on (q_en, c_xx) and (q_xx, c_en) in one batch instead of (q_xx, c_xx), where q
and c are question and context, or premise and hypothesis. Examples are translations of each other if they have the same
id in both languages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from fairseq_xalign.labelled.kind import Kind, Row

TOGETHER = 2
"""How many examples, which stay in one batch, an example becomes."""
WITHOUT_PARTNER = "has no example with the same id"
OTHER_LABEL = "has another label"


def switched(
    kind: Kind, rows: Sequence[Row], others: Iterable[Row], languages: tuple[str, str]
) -> tuple[list[Row], Counter[str]]:
    """The rows that take the place of ``rows``, two for each, side by side; and how many rows were left out, and why.

    Args:
        others: the rows of the language to switch with.
        languages: of ``rows`` and of ``others``.
    """
    by_id = {row["id"]: row for row in others}
    made: list[Row] = []
    left_out: Counter[str] = Counter()
    for row in rows:
        other = by_id.get(row["id"])
        if other is None:
            left_out[WITHOUT_PARTNER] += 1
        elif not kind.same_answer(row, other):
            left_out[OTHER_LABEL] += 1
        else:
            made += kind.code_switched(row, other, languages)
    return made, left_out
