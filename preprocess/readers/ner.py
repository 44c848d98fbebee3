"""Named entities in IOB2: tags move with their tokens and stay valid."""

from __future__ import annotations

from fairseq_xalign.data.formats.columns import OUTSIDE, Sentence, read, write
from preprocess.readers.words import Change, Counts, Passage

__all__ = ["SENTENCE_BY_SENTENCE", "Sentence", "derive", "iob2", "read", "spans", "write"]

SENTENCE_BY_SENTENCE = False


def spans(tags: list[str]) -> tuple[list[int], list[str], int]:
    """Number the entities of IOB2 tags.

    Returns:
        for each token the number of its entity (-1 outside); the entities' types; how many tags
        were ``I-`` without a beginning: these begin one, as the lenient CoNLL scorer reads them.
    """
    numbers: list[int] = []
    types: list[str] = []
    repaired = 0
    previous = OUTSIDE
    for tag in tags:
        if tag == OUTSIDE:
            numbers.append(-1)
        else:
            continues = tag[0] == "I" and previous != OUTSIDE and previous[2:] == tag[2:]
            if not continues:
                repaired += tag[0] == "I"
                types.append(tag[2:])
            numbers.append(len(types) - 1)
        previous = tag
    return numbers, types, repaired


def iob2(numbers: list[int], types: list[str]) -> list[str]:
    """The tags of numbered entities: the first token of each run is ``B-``, the others ``I-``."""
    tags = []
    previous = -1
    for number in numbers:
        tags.append(OUTSIDE if number < 0 else ("I-" if number == previous else "B-") + types[number])
        previous = number
    return tags


def derive(example: Sentence, change: Change, counts: Counts) -> Sentence:
    """The sentence in its new order; ``B I I`` read backwards (``I I B``) becomes ``B I I`` again."""
    numbers, types, repaired = spans(example.tags)
    counts["words"] += len(example.tokens)
    counts["entities"] += len(types)
    counts["I- tags without beginning repaired"] += repaired
    counts["comments dropped"] += example.comments
    counts["-DOCSTART- lines dropped"] += example.documents
    counts["tags without a token dropped"] += example.empty
    arrangement = change.arrange(Passage(example.tokens, (example.number,), attached=False, spans=numbers))
    moved = iob2([numbers[old] for old in arrangement.order], types)
    return Sentence(example.line, example.number, arrangement.words, moved)
