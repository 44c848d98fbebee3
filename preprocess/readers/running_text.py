"""Running text: one passage per line, words separated by white space, line for line.

Everything but a ``\r`` before the line's end is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fairseq_xalign.files import read_lines
from preprocess.readers.words import Change, Counts, changed_text

SENTENCE_BY_SENTENCE = True


@dataclass(frozen=True)
class Line:
    """A line of text and its number, from 1."""

    line: int
    text: str


def read(path: str | Path) -> Iterator[Line]:
    """Yield every line, the empty ones too: parallel files keep their line counts."""
    for number, text in read_lines(path):
        yield Line(number, text)


def derive(example: Line, change: Change, counts: Counts) -> Line:
    """The line with its words changed; its white space stays as it was."""
    place = (example.line,)
    return Line(example.line, changed_text(example.text, place, change, counts, "lines without words"))


def write(stream: IO[str], example: Line) -> None:
    """Write one line."""
    stream.write(example.text + "\n")
