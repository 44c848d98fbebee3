"""Lines of predictions and of gold labels: what ``score`` reads of each, in the forms that it takes.

- JSON lines, for every task: what ``predict`` writes (``{"id", "language", "task", "tokens", "prediction",
  "gold"}``), or as gold a file of a labelled folder.
- The task's own format (``Task.answers``): CoNLL-U, tokens and tags in columns, one label per line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fairseq_xalign import cli
from fairseq_xalign.constants import LABELS_FILE
from fairseq_xalign.data.formats import json_lines
from fairseq_xalign.errors import UserError
from fairseq_xalign.labelled.folder import LabelledFolder, row_id
from fairseq_xalign.labelled.kind import Item, Kind, Task
from fairseq_xalign.labelled.registry import task_of

UNIQUE = "Give each item an id of its own, or remove one of the two lines"
JSON_LINES = 'Write one object per line, {"id": ..., "prediction": ...}, as xalign-evaluate predict does'
TEXTS = ("text", "text_pair", "question")
"""What an item of a task without tokens is about, where a file has it."""


@dataclass(frozen=True)
class Record:
    """A line of predictions or gold labels, with the place that messages name.

    Attributes:
        id, language: None where the file does not say.
        tokens: the words, where the file has them.
        texts: the texts by their names, of ``TEXTS``, where the file has them.
        lines: the line of each token, where they differ.
        value: the prediction; of a gold file, the gold label or labels.
        gold: what a line of predictions says is right; None where it does not.
    """

    id: str | None
    language: str | None
    tokens: list[str] | None
    line: int
    lines: tuple[int, ...]
    value: Any
    gold: Any = None
    texts: Mapping[str, str] = field(default_factory=dict)


def read_predictions(kind: Kind, task: Task, path: str | Path) -> list[Record]:
    """The records of a file of predictions, in the task's own format or as JSON lines."""
    return _own_format(kind, task, path, gold=False) if task.own(path) else _json_predictions(task, path)


def read_gold(kind: Kind, task: Task, path: str | Path) -> list[Record]:
    """The records of a file of gold labels, in the task's own format or as JSON lines."""
    return _own_format(kind, task, path, gold=True) if task.own(path) else _json_gold(kind, task, path)


def _json_predictions(task: Task, path: str | Path) -> list[Record]:
    """predict's lines; each id once per language."""
    records: list[Record] = []
    seen: set[tuple[str | None, str]] = set()
    for number, row in json_lines.read(path, JSON_LINES):
        _check_task(row.get("task"), task, path, number)
        if "prediction" not in row:
            raise UserError('no "prediction"', path, number, "xalign-evaluate predict writes one per line")
        record = _json_record(row, path, number, row["prediction"], row.get("gold"))
        if record.id is not None and (record.language, record.id) in seen:
            of = f" for language {record.language!r}" if record.language else ""
            raise UserError(f"id {record.id!r} occurs twice{of}", path, number, UNIQUE)
        seen.add((record.language, record.id or ""))
        records.append(record)
    return records


def _json_gold(kind: Kind, task: Task, path: str | Path) -> list[Record]:
    """A file of a labelled folder, whose name says the language; or other lines with gold labels."""
    folder_language = _labelled_language(kind, task, Path(path))
    records: list[Record] = []
    seen: set[tuple[str | None, str]] = set()
    for number, row in json_lines.read(path, JSON_LINES):
        _check_task(row.get("task"), task, path, number)
        gold = next((row[key] for key in ("gold", kind.gold_key) if row.get(key) is not None), None)
        if gold is None:
            raise UserError(
                f'neither "gold" nor "{kind.gold_key}"', path, number, "Each line of a labelled folder has one of them"
            )
        record = _json_record(row, path, number, gold)
        record = replace(record, language=record.language or folder_language)
        checked(kind, task, Item("", "", gold, gold), record.tokens, path, number)
        if record.id is not None and (record.language, record.id) in seen:
            raise UserError(f"id {record.id!r} occurs twice", path, number, UNIQUE)
        seen.add((record.language, record.id or ""))
        records.append(record)
    return records


def _json_record(row: dict[str, Any], path: str | Path, number: int, value: Any, gold: Any = None) -> Record:
    try:
        name = row_id(row["id"], "") if row.get("id") is not None else None
    except UserError as error:
        raise UserError(error.what, path, number, error.remedy) from None
    language, tokens = row.get("language"), row.get("tokens")
    for key, found, right, kind in (
        ("language", language, isinstance(language, str | None), "a text"),
        ("tokens", tokens, isinstance(tokens, list | None), "a list"),
    ):
        if not right:
            raise UserError(f'"{key}" must be {kind}, not {found!r:.60}', path, number, JSON_LINES)
    return Record(name, language, tokens, number, (), value, gold, _texts_of(row))


def _texts_of(row: Mapping[str, Any]) -> dict[str, str]:
    return {name: row[name].strip() for name in TEXTS if isinstance(row.get(name), str)}


def _own_format(kind: Kind, task: Task, path: str | Path, gold: bool) -> list[Record]:
    """A file in the task's own format; what its reader repaired is reported."""
    counts: Counter[str] = Counter()
    records = [
        Record(
            found.row.get("id"),
            None,
            found.row.get("tokens"),
            found.line,
            found.lines,
            found.row[kind.gold_key],
            texts=_texts_of(found.row),
        )
        for found in task.answers(Path(path), counts, gold)
    ]
    for reason, count in counts.items():
        if count:
            cli.say(f"{path}: {count:,} {reason}")
    return records


def _check_task(said: Any, task: Task, path: str | Path, line: int | None = None) -> None:
    """Refuse a file that says it has the labels of another task."""
    if said is not None and said != task.name:
        raise UserError(f"labels of the task {said}, not {task.name}", path, line, f"Score them with --task {said}")


def _labelled_language(kind: Kind, task: Task, path: Path) -> str | None:
    """The language that a labelled folder's file says by its name; None for a file that is in no such folder."""
    parts = path.name.split(".")
    if not (path.parent / LABELS_FILE).exists() or len(parts) != 3:
        return None
    folder = LabelledFolder.open(path.parent)
    said = task_of(folder.kind, folder.name)
    _check_task(said.name if said else None if folder.kind is kind else folder.kind.name, task, path)
    return parts[1]


def checked(kind: Kind, task: Task, item: Item, tokens: list[str] | None, path: str | Path, line: int) -> Item:
    """The item as its kind has checked it; a fault is reported with its file and line."""
    try:
        return kind.checked_item(item, task, tokens)
    except UserError as error:
        raise UserError(error.what, path, line, error.remedy) from None
