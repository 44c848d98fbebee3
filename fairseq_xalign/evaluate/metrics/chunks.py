"""Chunks (entities) of a sequence of tags, in the two readings that papers use; and the F1 over them.

*Lenient* is the default reading of conlleval and seqeval: the first letter of a tag is its prefix, the
rest is its type, and a broken sequence is repaired (``I-PER`` after ``O`` starts a chunk). *Strict* is
IOB2: only ``B-`` starts a chunk, and an ``I-`` that does not continue a chunk of its type belongs to none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from fairseq_xalign.evaluate.metrics.labels import Metric, Pair, f1

Chunk = tuple[str, int, int]
"""Type, index of the first token, index of the last."""

OUTSIDE = "O"
IOB2_TAG = re.compile(r"O|[BI]-.+")


def _split(tag: str) -> tuple[str, str]:
    """Prefix and type as seqeval reads them: ``B-PER`` is (B, PER), ``NOUN`` is (N, OUN), ``X`` is (X, _)."""
    rest = tag[1:]
    return tag[0], (rest.partition("-")[2] if "-" in rest else rest) or "_"


def lenient_chunks(tags: Sequence[str]) -> set[Chunk]:
    """The chunks that seqeval 1.2.2 finds in one sentence in its default mode.

    Every sentence is read on its own. seqeval lays all sentences end to end, which makes no difference
    unless a tag is a single letter other than ``O`` (the universal part of speech ``X``): then a sentence's
    chunks would depend on the sentence before it.
    """
    chunks: set[Chunk] = set()
    first = 0
    last_prefix, last_kind = OUTSIDE, ""
    for index, tag in enumerate([*tags, OUTSIDE]):
        prefix, kind = _split(tag)
        changed = kind != last_kind
        ends = last_prefix in "ES" or (last_prefix in "BI" and prefix in "BSO") or (last_prefix not in "O." and changed)
        starts = prefix in "BS" or (last_prefix in "ESO" and prefix in "EI") or (prefix not in "O." and changed)
        if ends:
            chunks.add((last_kind, first, index - 1))
        if starts:
            first = index
        last_prefix, last_kind = prefix, kind
    return chunks


def strict_chunks(tags: Sequence[str]) -> set[Chunk]:
    """The chunks of one sentence in strict IOB2: ``B-X`` with every ``I-X`` that directly follows."""
    chunks: set[Chunk] = set()
    first, kind = -1, ""
    for index, tag in enumerate([*tags, OUTSIDE]):
        if first >= 0 and tag != f"I-{kind}":
            chunks.add((kind, first, index - 1))
            first = -1
        if tag.startswith("B-"):
            first, kind = index, tag[2:]
    return chunks


def is_iob2(tags: Sequence[str]) -> bool:
    """Whether every tag has the form of an IOB2 tag; their order is not checked."""
    return all(IOB2_TAG.fullmatch(tag) for tag in tags)


MODES: dict[str, Callable[[Sequence[str]], set[Chunk]]] = {"lenient": lenient_chunks, "strict": strict_chunks}


class ChunkF1(Metric):
    """Micro F1 over chunks: seqeval's number.

    On part-of-speech tags (XTREME, ALIGN-MLM) the same reading gives a figure that is *not* accuracy:
    seqeval takes a tag's first letter as its prefix and the rest as its type. A run of equal tags is therefore
    one chunk, ``CCONJ`` and ``SCONJ`` count as the same, every tag that begins with S is a chunk of its own, and
    a single ``X`` at the end of a sentence is no chunk. Compare it only with figures of the same kind.

    A token without a prediction is read as ``O``, so a chunk lost by truncation is a miss.

    Args:
        mode: lenient or strict.
        type_: count only chunks of this type; None for all.
    """

    per = "chunk"
    name = "chunk_f1"

    def __init__(self, mode: str = "lenient", type_: str | None = None) -> None:
        self.mode, self.type = mode, type_
        base = "chunk_f1" if mode == "lenient" else f"chunk_f1_{mode}"
        self.name = base if type_ is None else f"{base}_{type_}"

    def fields(self) -> dict[str, object]:
        """The average, how broken sequences are read, and the type, if it is of one type."""
        return {"average": "micro", "mode": self.mode, "type": self.type}

    def statistics(self, pairs: Sequence[Pair]) -> np.ndarray:
        """Right chunks, predicted chunks and gold chunks of each sentence, int64 [I, 3]."""
        chunks = MODES[self.mode]
        rows = []
        for gold_tags, predicted_tags in pairs:
            filled = [OUTSIDE if tag is None else tag for tag in predicted_tags]
            filled += [OUTSIDE] * (len(gold_tags) - len(filled))
            gold, predicted = self._counted(chunks(gold_tags)), self._counted(chunks(filled))
            rows.append((len(gold & predicted), len(predicted), len(gold)))
        return np.array(rows, dtype=np.int64).reshape(-1, 3)

    def _counted(self, chunks: set[Chunk]) -> set[Chunk]:
        """Those of the type."""
        return chunks if self.type is None else {chunk for chunk in chunks if chunk[0] == self.type}

    def score(self, totals: np.ndarray) -> np.ndarray:
        """F1 in per cent."""
        return 100 * f1(totals[..., 0], totals[..., 1], totals[..., 2])
