"""JSON lines: one object per line. Empty lines are passed over. Some public sets are one list of objects instead."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fairseq_xalign.data.formats.blank import is_blank
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import parse_json, read_lines, read_text

REMEDY = 'Write one object per line, as in {"id": ...}'
GET_AGAIN = "Get the file again"
BETWEEN = re.compile(r"[\s,]*")
"""What stands between the entries of a list."""


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
        row = parse_json(text, path, number, remedy, unique_keys)
        if not isinstance(row, dict):
            raise UserError("each line must be a JSON object", path, number, remedy)
        yield number, row


def read_lines_or_list(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line where it begins, object) of a file of JSON lines, or of one that is a list of objects.

    Raises:
        UserError: with file and line, for what is neither, and for an entry of the list that is no object.
    """
    if is_json_lines(path):
        yield from read(path, GET_AGAIN)
        return
    text = read_text(path)
    entries = parse_json(text, path, remedy=GET_AGAIN, pairs=unique_keys)
    if not isinstance(entries, list):
        raise UserError("neither lines of JSON objects nor one list of them", path, 1, GET_AGAIN)
    decoder, place, line = json.JSONDecoder(), text.index("[") + 1, 1 + text.count("\n", 0, text.index("["))
    for entry in entries:
        gap = BETWEEN.match(text, place)
        begin = place if gap is None else gap.end()
        line += text.count("\n", place, begin)
        if not isinstance(entry, dict):
            raise UserError(f"each entry of the list must be an object, not {entry!r:.60}", path, line, GET_AGAIN)
        yield line, entry
        _, place = decoder.raw_decode(text, begin)
        line += text.count("\n", begin, place)


def texts(row: Mapping[str, Any], keys: Sequence[str], path: str | Path, line: int) -> list[str]:
    """The values of some keys of an object of a public set, which must be there and be text.

    Raises:
        UserError: with file and line, for a key that is missing and for a value of another type.
    """
    for key in keys:
        value = _value(row, key, path, line)
        if not isinstance(value, str):
            raise UserError(f"{key!r} must be a text, not {value!r:.60}", path, line, GET_AGAIN)
    return [row[key] for key in keys]


def identifier(row: Mapping[str, Any], key: str, path: str | Path, line: int) -> str:
    """The value of a key that names an object: a text, or a whole number as text. Errors as in :func:`texts`."""
    value = _value(row, key, path, line)
    if not is_identifier(value):
        raise UserError(f"{key!r} must be a text or a whole number, not {value!r:.60}", path, line, GET_AGAIN)
    return str(value)


def is_identifier(value: Any) -> bool:
    """Whether a value can name an object."""
    return isinstance(value, str | int) and not isinstance(value, bool)


def _value(row: Mapping[str, Any], key: str, path: str | Path, line: int) -> Any:
    if key not in row:
        raise UserError(f"no {key!r}", path, line, GET_AGAIN)
    return row[key]


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
