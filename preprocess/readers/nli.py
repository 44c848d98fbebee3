"""Sentence pairs with a label (XNLI and its kin): premise, hypothesis, label, divided by tabs.

A first line ``premise TAB hypothesis TAB label`` is a header and passes through.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fairseq_xalign.errors import UserError
from preprocess.readers.source import lines
from preprocess.readers.words import Change, Counts, Passage, Place, SpacedText

SENTENCE_BY_SENTENCE = False
HEADER = ["premise", "hypothesis", "label"]


@dataclass(frozen=True)
class Pair:
    """One example; ``header`` marks the line that names the columns."""

    line: int
    premise: str
    hypothesis: str
    label: str
    header: bool = False


def read(path: str | Path) -> Iterator[Pair]:
    """Yield the pairs of a file, plain or ``.xz``."""
    for line, text in lines(path):
        columns = text.split("\t")
        if len(columns) != 3:
            raise UserError(
                f"{len(columns)} columns instead of 3",
                path,
                line,
                "Rows are premise, hypothesis, label, divided by tabs",
            )
        premise, hypothesis, label = columns
        yield Pair(line, premise, hypothesis, label, header=line == 1 and columns == HEADER)


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


def write(stream: IO[str], example: Pair) -> None:
    """Write one pair."""
    stream.write(f"{example.premise}\t{example.hypothesis}\t{example.label}\n")
