"""JSON lines: one object per line. Empty lines are passed over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairseq_xalign.data.formats.blank import is_blank
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines

REMEDY = 'Write one object per line, as in {"id": ...}'


def read(path: str | Path, remedy: str = REMEDY) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) of a file.

    Args:
        remedy: what to do about a line that is not JSON or not an object: which lines the caller wants.

    Raises:
        UserError: with file and line, for such a line and for a key that an object has twice.
    """
    for number, text in read_lines(path):
        if is_blank(text):
            continue
        try:
            row = json.loads(text, object_pairs_hook=unique_keys)
        except json.JSONDecodeError as error:
            raise UserError(f"not valid JSON: {error.msg}", path, number, remedy) from None
        except ValueError as error:
            raise UserError(str(error), path, number, "Remove one of the two") from None
        if not isinstance(row, dict):
            raise UserError("each line must be a JSON object", path, number, remedy)
        yield number, row


def is_json_lines(path: str | Path) -> bool:
    """Whether the first line of a file that is not empty begins as a JSON object does."""
    first = next((text for _, text in read_lines(path) if not is_blank(text)), "")
    return first.lstrip().startswith("{")


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object from its pairs; ``json`` itself would keep the last of two values in silence."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has the key {twice!r} twice")
    return found
