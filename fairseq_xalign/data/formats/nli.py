"""Sentence pairs with a label (XNLI and its kin): premise, hypothesis and label per line, separated by tabs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fairseq_xalign.data.formats import header
from fairseq_xalign.data.formats.table import LABEL_NAMES
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines

COLUMNS = 3
PREMISE_NAMES = frozenset({"premise", "sentence1", "text1"})
HYPOTHESIS_NAMES = frozenset({"hypothesis", "hypo", "sentence2", "text2"})
RECOGNISED = "premise<TAB>hypothesis<TAB>label, or sentence1<TAB>sentence2<TAB>gold_label"


@dataclass(frozen=True)
class Pair:
    """One example; ``header`` marks the line that names the columns."""

    line: int
    premise: str
    hypothesis: str
    label: str
    header: bool = False


def read(path: str | Path, has_header: str = header.AUTO) -> Iterator[Pair]:
    """Yield the pairs of a file, its header too.

    Args:
        has_header: ``auto``, ``yes`` or ``no``: see :mod:`fairseq_xalign.data.formats.header`.

    Raises:
        UserError: with file and line, for a line without three columns.
    """
    for line, text in read_lines(path):
        columns = text.split("\t")
        if len(columns) != COLUMNS:
            raise UserError(
                f"{len(columns)} columns instead of {COLUMNS}",
                path,
                line,
                "Rows are premise, hypothesis and label, separated by tabs",
            )
        names = (PREMISE_NAMES, HYPOTHESIS_NAMES, LABEL_NAMES)
        premise, hypothesis, label = columns
        if line == 1:
            header.refuse_other_order(columns, names, has_header, path, line)
        yield Pair(line, premise, hypothesis, label, line == 1 and header.is_header(columns, names, has_header))


def write(stream: IO[str], example: Pair) -> None:
    """Write one pair."""
    stream.write(f"{example.premise}\t{example.hypothesis}\t{example.label}\n")
