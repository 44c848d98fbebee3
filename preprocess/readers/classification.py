"""Labelled texts (documents, intents, sentiment): a label, a tab, a text. Empty lines pass through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from fairseq_xalign.errors import UserError
from preprocess.readers.source import lines
from preprocess.readers.words import Change, Counts, changed_text

SENTENCE_BY_SENTENCE = True


@dataclass(frozen=True)
class LabelledText:
    """One example; both fields are empty where the line is."""

    line: int
    label: str
    text: str


def read(path: str | Path) -> Iterator[LabelledText]:
    """Yield the examples of a file, plain or ``.xz``."""
    for number, line in lines(path):
        if not line.strip():
            yield LabelledText(number, "", line)
            continue
        label, tab, text = line.partition("\t")
        if not (tab and label.strip() and text.strip()):
            raise UserError("not a label, a tab and a text", path, number, "Write: good<tab>I like it.")
        if "\t" in text:
            raise UserError("more than two columns", path, number, "Rows are a label, a tab and a text without tabs")
        yield LabelledText(number, label, text)


def derive(example: LabelledText, change: Change, counts: Counts) -> LabelledText:
    """The text with its words changed; the label stays."""
    return replace(example, text=changed_text(example.text, (example.line,), change, counts, "empty lines"))


def write(stream: IO[str], example: LabelledText) -> None:
    """Write one example."""
    stream.write(f"{example.label}\t{example.text}\n" if example.label else f"{example.text}\n")
