"""Labelled texts (documents, intents, sentiment): a label, a tab and a text per line.

Empty lines are kept apart from examples, so that what is derived from a file has its lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fairseq_xalign.data.formats import header
from fairseq_xalign.data.formats.blank import is_blank
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines

LABEL_NAMES = frozenset({"label", "labels", "class", "category", "intent", "sentiment", "target", "gold_label"})
TEXT_NAMES = frozenset({"text", "texts", "sentence", "utterance", "document", "review", "content", "query", "input"})
NAMES = (LABEL_NAMES, TEXT_NAMES)
RECOGNISED = "label<TAB>text or something similar (class, category, intent, ...; sentence, utterance, ...)"


@dataclass(frozen=True)
class LabelledText:
    """One line.

    Attributes:
        line: its number, from 1.
        label, text: the example; both without words where the line is empty.
        header: whether this is the row that names the columns.
    """

    line: int
    label: str
    text: str
    header: bool = False

    @property
    def empty(self) -> bool:
        """Whether the line holds nothing."""
        return not self.label


def read(path: str | Path, has_header: str = header.AUTO) -> Iterator[LabelledText]:
    """Yield the lines of a file, the empty ones and the header too.

    Args:
        has_header: ``auto``, ``yes`` or ``no``: see :mod:`fairseq_xalign.data.formats.header`.

    Raises:
        UserError: with file and line, for a line that is not a label, a tab and a text.
    """
    first = True
    for number, line in read_lines(path):
        if is_blank(line):
            yield LabelledText(number, "", line)
            continue
        label, tab, text = line.partition("\t")
        if not tab or is_blank(label) or is_blank(text):
            raise UserError("not a label, a tab and a text", path, number, "Write, for example, good<tab>I like it.")
        if "\t" in text:
            raise UserError("more than two columns", path, number, "Rows are a label, a tab and a text without tabs")
        if first:
            header.refuse_other_order((label, text), NAMES, has_header, path, number)
        named = first and header.is_header((label, text), NAMES, has_header)
        yield LabelledText(number, label, text, named)
        first = False


def write(stream: IO[str], example: LabelledText) -> None:
    """Write one line."""
    stream.write(f"{example.text}\n" if example.empty else f"{example.label}\t{example.text}\n")
