"""Sentence pairs with a label: premise and hypothesis are changed, each by itself. A header passes through."""

from __future__ import annotations

from fairseq_xalign.data.formats.nli import Pair, read, write
from preprocess.readers.words import Change, Counts, Passage, Place, SpacedText

__all__ = ["SENTENCE_BY_SENTENCE", "Pair", "derive", "read", "write"]

SENTENCE_BY_SENTENCE = False


def derive(example: Pair, change: Change, counts: Counts) -> Pair:
    """Both sentences changed, each by itself; the label stays."""
    if example.header:
        return example
    premise, hypothesis = (
        _derive_text(text, (example.line, part), change, counts)
        for part, text in enumerate((example.premise, example.hypothesis))
    )
    return Pair(example.line, premise, hypothesis, example.label)


def _derive_text(text: str, place: Place, change: Change, counts: Counts) -> str:
    spaced = SpacedText(text)
    counts["words"] += len(spaced.words)
    counts["empty sentences"] += not spaced.words
    return spaced.with_words(change.arrange(Passage(spaced.words, place)).words)
