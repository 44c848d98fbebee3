"""Chunks (entities) of a sequence of tags, in the two readings that papers use; ``labels.ChunkF1`` scores them.

*Lenient* is the default reading of conlleval and seqeval: the first letter of a tag is its prefix, the
rest is its type, and a broken sequence is repaired (``I-PER`` after ``O`` starts a chunk). *Strict* is
IOB2: only ``B-`` starts a chunk, and an ``I-`` that does not continue a chunk of its type belongs to none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

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
