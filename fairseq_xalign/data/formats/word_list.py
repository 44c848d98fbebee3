"""Lists of word pairs: MUSE's (two words per line) and tables of comma-separated values.

Nothing is lost in silence: a row that names the columns, and a row of another shape than the first, are yielded as
such, so that the caller can count and report them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fairseq_xalign.data.formats import csv_table, header
from fairseq_xalign.data.formats.blank import is_blank
from fairseq_xalign.data.formats.language_columns import RECOGNISED, checked_order, codes, primary
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines

__all__ = ["RECOGNISED", "WordPair", "read_csv", "read_muse"]

OTHER_MARKS = {
    "\t": "The columns are separated by a tab, not a comma: give the file to --muse",
    ";": "Separate the columns with commas instead of semicolons",
}
"""What other tables separate two columns with, and what to do then."""
NAME_COLUMNS = "Name the columns by their languages or as sourceString and targetString, or keep two columns"


@dataclass(frozen=True)
class WordPair:
    """A row of a list.

    Attributes:
        line: its number, from 1.
        source, target: the words or phrases.
        header: the whole row, where it was taken for the names of the columns.
        ragged: whether it has more or fewer columns than the first row; its words are then empty.
    """

    line: int
    source: str = ""
    target: str = ""
    header: tuple[str, ...] = ()
    ragged: bool = False


def read_muse(path: str | Path, source: str, target: str, has_header: str = header.AUTO) -> Iterator[WordPair]:
    """Yield the pairs of a MUSE dictionary: two words separated by white space, or two phrases separated by a tab.

    Args:
        source, target: the language codes, by which a header is recognised; it may name the target first.
        has_header: ``auto``, ``yes`` or ``no``: see :mod:`fairseq_xalign.data.formats.header`.

    Raises:
        UserError: with file and line, for a line that has not two sides, and a header of other languages.
    """
    first, order = True, (0, 1)
    for number, line in read_lines(path):
        if is_blank(line):
            continue
        sides = line.split("\t") if "\t" in line else line.split()
        if len(sides) != 2:
            raise UserError(
                f"{len(sides)} words instead of two",
                path,
                number,
                "Write one pair per line; separate the sides of phrases with a tab",
            )
        if first and (named := _named_order(sides, source, target, has_header, path, number)):
            order = named
            yield WordPair(number, header=tuple(sides))
        else:
            yield WordPair(number, sides[order[0]].strip(), sides[order[1]].strip())
        first = False


def read_csv(path: str | Path, source: str, target: str, has_header: str = header.AUTO) -> Iterator[WordPair]:
    """Yield the pairs of a table.

    A header is recognised by ``sourceString`` and ``targetString`` (TICO-19), by the languages of two of its columns,
    in either order, or by an unnamed first column (an index). Without one, the table has two columns. TICO-19's tables
    have rows with an unquoted comma: a row of another width than the first is yielded as ``ragged``.

    Args:
        source, target: the language codes; they find the columns and guard against a file of the other direction.
        has_header: ``auto``, ``yes`` or ``no``.

    Raises:
        UserError: with file and line, for a quote that is not closed, a table of the other direction or of other
            languages, and a first row that does not say which columns are the words.
    """
    rows = csv_table.read(path)
    number, row = next(rows, (0, []))
    if not row:
        return
    width, columns = len(row), _named_columns(row, source, target, has_header, path, number)
    locales = [row.index(name) for name in ("sourceLang", "targetLang") if name in row]
    if has_header == header.YES or (has_header == header.AUTO and columns):
        csv_table.check_names(row, path, number)
        columns = columns or ((0, 1) if width == 2 else None)
        yield WordPair(number, header=tuple(row))
    else:
        columns, locales = ((0, 1) if width == 2 else None), []
        yield WordPair(number, row[0], row[-1], ragged=columns is None)
    if not columns:
        remedy = next((remedy for mark, remedy in OTHER_MARKS.items() if len(row[0].split(mark)) == 2), NAME_COLUMNS)
        raise UserError(f"which columns are the words? The first row is {','.join(row)!r}", path, number, remedy)
    for number, row in rows:
        if len(row) != width:
            yield WordPair(number, ragged=True)
            continue
        found = [primary(row[place]) for place in locales]
        if found == [primary(target), primary(source)] and found[0] != found[1]:
            raise UserError(f"the file goes from {found[0]} to {found[1]}", path, number, "Swap --source and --target")
        yield WordPair(number, row[columns[0]], row[columns[1]])


def _named_order(
    sides: list[str], source: str, target: str, has_header: str, path: str | Path, line: int
) -> tuple[int, int] | None:
    """The places of source and target where two fields are a header, None where they are words."""
    if has_header == header.NO:
        return None
    try:
        named = checked_order(sides, source, target, path, line)
    except UserError:
        if has_header != header.YES:
            raise
        named = None
    return named or ((0, 1) if has_header == header.YES else None)


def _named_columns(
    row: list[str], source: str, target: str, has_header: str, path: str | Path, line: int
) -> tuple[int, int] | None:
    """Which columns hold the words, if the row is recognised as a header."""
    if "sourceString" in row and "targetString" in row:
        return row.index("sourceString"), row.index("targetString")
    low = [field.strip().lower() for field in row]
    places = [[i for i, field in enumerate(low) if field in codes(language)] for language in (source, target)]
    if len(places[0]) == len(places[1]) == 1 and places[0] != places[1]:
        return places[0][0], places[1][0]
    for begin in (0, 1):
        if len(row) == begin + 2 and not any(low[:begin]):
            named = _named_order(row[begin:], source, target, has_header, path, line)
            if named:
                return begin + named[0], begin + named[1]
            return (1, 2) if begin else None
    return None
