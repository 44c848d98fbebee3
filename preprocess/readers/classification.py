"""Labelled texts (documents, intents, sentiment): the text is changed. Empty lines and a header pass through."""

from __future__ import annotations

from dataclasses import replace

from fairseq_xalign.data.formats.table import LabelledText, read, write
from preprocess.readers.words import Change, Counts, changed_text

__all__ = ["SENTENCE_BY_SENTENCE", "LabelledText", "derive", "read", "write"]

SENTENCE_BY_SENTENCE = True


def derive(example: LabelledText, change: Change, counts: Counts) -> LabelledText:
    """The text with its words changed; the label stays."""
    if example.header:
        return example
    return replace(example, text=changed_text(example.text, (example.line,), change, counts, "empty lines"))
