"""Comma-separated values (RFC 4180), one record per line.

A quote that is not closed on its line is an error there. The format allows line ends within quotes, but the words and
sentences of our tables have none, and a quote that someone forgot to close would swallow every line up to the next.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from fairseq_xalign.data.formats.blank import is_blank
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines

QUOTES = 'Close the quote on this line. To write a quote inside a quoted field, double it ("")'
UNCLOSED = "unexpected end of data"
"""What Python's reader says of a quote that is open where its input ends."""
csv.field_size_limit(1 << 30)  # by default, a field of more than 131,072 characters is an error


def read(path: str | Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number from 1, fields) of the rows of a file; empty lines are passed over.

    Raises:
        UserError: with file and line, for a quote that is not closed and for text after a closing quote.
    """
    for number, text in read_lines(path):
        if is_blank(text):
            continue
        try:
            (row,) = csv.reader([text], strict=True)
        except csv.Error as error:
            what = "a quote is opened and not closed" if UNCLOSED in str(error) else f"not valid CSV: {error}"
            raise UserError(what, path, number, QUOTES) from None
        yield number, row


def read_records(path: str | Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number where it begins, fields) of the records of a file whose quoted fields may have line ends.

    For the original files of public sets, whose texts have them; line ends become spaces.

    Raises:
        UserError: with file and line, for a quote that is not closed and for text after a closing quote.
    """
    reader = csv.reader((f"{text}\n" for _, text in read_lines(path)), strict=True)
    begin = 1
    try:
        for row in reader:
            if row:
                yield begin, [" ".join(field.splitlines()) for field in row]
            begin = reader.line_num + 1
    except csv.Error as error:
        what = "a quote is opened and not closed" if UNCLOSED in str(error) else f"not valid CSV: {error}"
        raise UserError(what, path, begin, "Get the file again") from None


def check_names(names: list[str], path: str | Path, line: int = 1) -> None:
    """Refuse a header in which two columns have the same name: it would be unclear which of them to read."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"two columns are named {twice[0]!r}", path, line, "Give each column a name of its own")
