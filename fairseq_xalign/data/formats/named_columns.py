"""Tables whose first row names the columns, separated by tabs, without quoting: the form of many published sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from fairseq_xalign.data.formats.blank import is_blank
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines


def read(path: str | Path, wanted: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number from 1, the fields of the wanted columns) of each row; empty lines are passed over.

    Args:
        wanted: names of columns; the file may have others, and any order.

    Raises:
        UserError: with file and line, for a column that is missing and for a row with another number of fields.
    """
    places: list[int] = []
    count = 0
    for number, text in read_lines(path):
        if is_blank(text):
            continue
        fields = text.split("\t")
        if not places:
            names = [field.strip() for field in fields]
            missing = [name for name in wanted if name not in names]
            if missing:
                raise UserError(
                    f"no column {missing[0]!r}: the first row names {', '.join(names)[:120]}",
                    path,
                    number,
                    f"The first row must name the columns {', '.join(wanted)}, separated by tabs",
                )
            places, count = [names.index(name) for name in wanted], len(names)
            continue
        if len(fields) != count:
            raise UserError(
                f"{len(fields)} columns instead of {count}", path, number, "Get the file again, or correct the line"
            )
        yield number, [fields[place] for place in places]
