"""Whether the first row of a table names its columns: one rule for every format that may have such a row."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from itertools import permutations
from pathlib import Path

from fairseq_xalign.errors import UserError

AUTO, YES, NO = "auto", "yes", "no"
CHOICES = (AUTO, YES, NO)


def add_option(parser: argparse.ArgumentParser, recognised: str) -> None:
    """Declare ``--header``; ``recognised`` says which first rows ``auto`` takes for a header."""
    parser.add_argument(
        "--header",
        choices=CHOICES,
        default=AUTO,
        help=f"Whether the first row of a table names its columns. With auto, it does if it reads {recognised} "
        f"(default: {AUTO}).",
    )


def is_header(row: Sequence[str], names: Sequence[Collection[str]], choice: str = AUTO) -> bool:
    """Whether the first row of a table is a header.

    Args:
        row: its fields.
        names: for each column the names, in lower case, by which ``auto`` recognises it.
        choice: ``auto``, ``yes`` or ``no``.
    """
    if choice != AUTO:
        return choice == YES
    return len(row) == len(names) and all(field.strip().lower() in known for field, known in zip(row, names))


def refuse_other_order(
    row: Sequence[str], names: Sequence[Collection[str]], choice: str, path: str | Path, line: int
) -> None:
    """Refuse a first row that names the columns of a table, but in another order than ``names``.

    Raises:
        UserError: with both orders. With ``yes`` or ``no`` as ``choice`` nothing is refused.
    """
    if choice != AUTO or is_header(row, names):
        return
    for order in permutations(names):
        if is_header(row, order):
            found = [field.strip() for field in row]
            fit = [next(field for field in found if field.lower() in known) for known in names]
            raise UserError(
                f"the columns are in the order {', '.join(found)}, not {', '.join(fit)}",
                path,
                line,
                "Rearrange the columns, for example with awk; --header no reads the row as data",
            )


def taken(row: Sequence[str]) -> str:
    """The message about a row that was taken for a header."""
    return f"the first row ({', '.join(row)}) was taken for the names of the columns; --header no reads it as data"
