"""Gold labels and predictions in the forms that ``score`` takes, and which prediction belongs to which gold label.

- JSON lines, for every task: what ``predict`` writes (``{"id", "language", "task", "tokens", "prediction",
  "gold"}``), or as gold a file of a labelled folder. They are matched by language and id; where one side has
  no ids at all, in order.
- The task's own format (``Task.answers``): CoNLL-U, tokens and tags in columns, one label per line. Predictions in
  it are matched in order.

A prediction may end before its sentence does (at the encoder's longest input): what is missing is
counted and scored as wrong. Anything else that does not fit is a :class:`UserError` with file and line.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fairseq_xalign.data.formats import json_lines
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines
from fairseq_xalign.labelled.kind import Item, Kind, Task
from fairseq_xalign.labelled.matching import by_name, matched, name_of, of_language, same_languages
from fairseq_xalign.labelled.records import JSON_LINES, Record, checked, read_gold, read_predictions
from fairseq_xalign.labelled.registry import TASKS, kind_of

UNNAMED = "all"
"""The language of items that do not say theirs."""


def read_items(
    task: str, predictions: str | Path, gold: str | Path | None = None, language: str | None = None
) -> list[Item]:
    """All items of a predictions file, with their gold labels.

    Args:
        task: the name of a task, see ``labelled/registry.py``.
        gold: the gold file; None when the predictions are JSON lines that carry their gold labels.
        language: keep only this language; or the language of files that do not say theirs.

    Raises:
        UserError: with file and line, for predictions and gold labels that do not fit each other or the task.
    """
    kind, known = kind_of(task), TASKS[task]
    own = known.own(predictions)
    in_order = own and not known.named
    if own and gold is None:
        first = next((number for number, text in read_lines(predictions) if text.strip()), None)
        if first is None:
            raise _nothing_to_score(predictions)
        raise UserError(
            "no JSON object, so this file has no gold labels beside its predictions",
            predictions,
            first,
            "Give the gold labels with --gold FILE, or the file that `xalign-evaluate predict` writes",
        )
    records = of_language(read_predictions(kind, known, predictions), language, predictions, "predictions")
    if gold is not None:
        truths = of_language(read_gold(kind, known, gold), language, gold, "gold labels")
        records, truths = same_languages(records, truths, predictions, gold)
        if all(record.language is None for record in [*records, *truths]) and (said := known.language_of(Path(gold))):
            records, truths = ([replace(record, language=said) for record in side] for side in (records, truths))
        records = matched(records, truths, predictions, gold, in_order)
    else:
        if all(record.language is None for record in records) and (said := known.language_of(Path(predictions))):
            records = [replace(record, language=said) for record in records]
        by_name(records, predictions)
    if not records:
        raise _nothing_to_score(predictions)
    return [_item(record, kind, known, predictions) for record in records]


def set_of(task: str, predictions: str | Path) -> str | None:
    """The published set that predict's lines say they are of; None where they do not, or not the same one."""
    if TASKS[task].own(predictions):
        return None
    said = (row.get("set") for _, row in json_lines.read(predictions, JSON_LINES))
    named = {name if isinstance(name, str) else "" for name in said}
    return (named.pop() or None) if len(named) == 1 else None


def _nothing_to_score(predictions: str | Path) -> UserError:
    return UserError(
        "no items to score: the file is empty", predictions, remedy="Write it with xalign-evaluate predict"
    )


def _item(record: Record, kind: Kind, task: Task, path: str | Path) -> Item:
    if record.gold is None:
        raise UserError('no "gold"', path, record.line, "Give the gold labels with --gold FILE")
    item = Item(name_of(record), record.language or UNNAMED, record.gold, record.value)
    return checked(kind, task, item, record.tokens, path, record.line)
