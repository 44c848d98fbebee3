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

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fairseq_xalign import cli
from fairseq_xalign.constants import LABELS_FILE
from fairseq_xalign.data.formats import json_lines
from fairseq_xalign.errors import UserError, counted, unknown_language
from fairseq_xalign.files import read_lines
from fairseq_xalign.labelled.folder import LabelledFolder, row_id
from fairseq_xalign.labelled.kind import Item, Kind, Task
from fairseq_xalign.labelled.registry import TASKS, kind_of, task_of

UNNAMED = "all"
"""The language of items that do not say theirs."""
UNIQUE = "Give each item an id of its own, or remove one of the two lines"
JSON_LINES = 'Write one object per line, {"id": ..., "prediction": ...}, as xalign-evaluate predict does'
SAME_SENTENCES = "Both files must hold the same items in the same order"
TEXTS = ("text", "text_pair", "question")
"""What an item of a task without tokens is about, where a file has it."""
SHOWN = 40
"""Letters of a text that a message shows."""


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
    records = _own_format(kind, known, predictions, False) if own else _json_predictions(known, predictions)
    records = _of_language(records, language, predictions, "predictions")
    if gold is not None:
        truths = _own_format(kind, known, gold, True) if known.own(gold) else _json_gold(kind, known, gold)
        truths = _of_language(truths, language, gold, "gold labels")
        records, truths = _same_languages(records, truths, predictions, gold)
        if all(record.language is None for record in [*records, *truths]) and (said := known.language_of(Path(gold))):
            records, truths = ([replace(record, language=said) for record in side] for side in (records, truths))
        truths = _numbered(truths, records)
        match = _in_order if in_order or _nameless(records) or _nameless(truths) else _by_id
        records = match(records, truths, predictions, gold)
    else:
        if all(record.language is None for record in records) and (said := known.language_of(Path(predictions))):
            records = [replace(record, language=said) for record in records]
        _by_name(records, predictions)
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


# -- reading ---------------------------------------------------------------------------------------


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
        _placed(kind, task, Item("", "", gold, gold), record.tokens, path, number)
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


# -- languages -------------------------------------------------------------------------------------


def _of_language(records: list[Record], language: str | None, path: str | Path, what: str) -> list[Record]:
    """The records of ``language``, if it is given; if a file names no language, all its records are of this one."""
    if language is None:
        return records
    known = sorted({record.language for record in records if record.language is not None})
    chosen = [replace(record, language=language) for record in records if record.language in (None, language)]
    if records and not chosen:
        raise unknown_language(language, known, path, f"no {what}")
    return chosen


def _same_languages(
    records: list[Record], truths: list[Record], path: str | Path, gold_path: str | Path
) -> tuple[list[Record], list[Record]]:
    """Predictions and gold labels of the languages that both have; a file that names none has the other's."""
    predicted = sorted({record.language for record in records if record.language is not None})
    there = sorted({truth.language for truth in truths if truth.language is not None})
    if there and not predicted:
        if len(there) > 1:
            raise UserError(
                f"the predictions do not say their language, and the gold labels are of {', '.join(there)}",
                path,
                remedy="Choose one with --language",
            )
        return [replace(record, language=there[0]) for record in records], truths
    if predicted and not there:
        return _with_language_of_gold(records, truths, predicted, gold_path)
    common = set(predicted) & set(there)
    if predicted and not common:
        raise UserError(
            f"the predictions are for {', '.join(predicted)}, the gold labels of {', '.join(there)}",
            path,
            remedy="Give the --gold of the items that were predicted",
        )
    left = sorted((set(predicted) | set(there)) - common)
    if left:
        cli.say(f"only {', '.join(sorted(common))} is scored: {', '.join(left)} has no gold labels or no predictions")
        records = [record for record in records if record.language in common]
        truths = [truth for truth in truths if truth.language in common]
    return records, truths


def _with_language_of_gold(
    records: list[Record], truths: list[Record], predicted: list[str], gold_path: str | Path
) -> tuple[list[Record], list[Record]]:
    """Gold labels that do not say their language, for predictions that do."""
    languages = {record.id: record.language for record in records}
    if len(predicted) > 1 and len(languages) == len(records) and languages.keys() == {t.id for t in truths}:
        return records, [replace(truth, language=languages[truth.id]) for truth in truths]
    if len(predicted) > 1:
        named = [language for language in predicted if f".{language}." in Path(gold_path).name]
        if len(named) != 1:
            raise UserError(
                f"the gold labels are of one language, the predictions for {', '.join(predicted)}",
                gold_path,
                remedy="Choose the language with --language",
            )
        cli.say(f"only {named[0]} is scored: {gold_path} is named after it")
        predicted = named
    chosen = [record for record in records if record.language in (None, predicted[0])]
    return chosen, [replace(truth, language=predicted[0]) for truth in truths]


# -- matching --------------------------------------------------------------------------------------


def _nameless(records: Sequence[Record]) -> bool:
    return all(record.id is None for record in records)


def _name(record: Record) -> str:
    return record.id or str(record.line)


def _by_name(records: Sequence[Record], path: str | Path) -> dict[tuple[str | None, str], Record]:
    """Records by language and name; refuses a line without an id whose number is the id of another."""
    found: dict[tuple[str | None, str], Record] = {}
    for record in records:
        key = (record.language, _name(record))
        if key in found:
            raise UserError(f"id {key[1]!r} is also that of line {found[key].line}", path, record.line, UNIQUE)
        found[key] = record
    return found


def _numbered(truths: list[Record], records: Sequence[Record]) -> list[Record]:
    """Gold labels without ids under those that ``predict`` makes, where the predictions have just these."""
    if not _nameless(truths):
        return truths
    places: Counter[str | None] = Counter()
    named = []
    for truth in truths:
        named.append(replace(truth, id=f"{truth.language}:{places[truth.language]}"))
        places[truth.language] += 1
    made = {(truth.language, truth.id) for truth in named}
    return named if made == {(record.language, record.id) for record in records} else truths


def _by_id(records: list[Record], truths: list[Record], path: str | Path, gold_path: str | Path) -> list[Record]:
    """Each prediction with the gold labels of its language and id; refuses a set that is not the same."""
    _by_name(records, path)
    answers = _by_name(truths, gold_path)
    matched = []
    for record in records:
        truth = answers.pop((record.language, _name(record)), None)
        if truth is None:
            raise UserError(
                f"id {_name(record)!r} is not in {gold_path}",
                path,
                record.line,
                "Give the --gold of the items that were predicted",
            )
        matched.append(_joined(record, truth, path, gold_path))
    if answers:
        left = _name(next(iter(answers.values())))
        raise UserError(
            f"no prediction for {len(answers)} items of {gold_path}, id {left!r} among them",
            path,
            remedy="Predict all items: a score over some of them is a different score",
        )
    return matched


def _in_order(records: list[Record], truths: list[Record], path: str | Path, gold_path: str | Path) -> list[Record]:
    """The n-th prediction of each language with its n-th gold labels."""
    matched = []
    for language in dict.fromkeys(record.language for record in [*records, *truths]):
        ours = [record for record in records if record.language == language]
        theirs = [truth for truth in truths if truth.language == language]
        names = {truth.id for truth in theirs if truth.id is not None}
        named = len(names) == len(theirs)
        for record, truth in zip(ours, theirs):
            joined = _joined(record, truth, path, gold_path)
            matched.append(replace(joined, id=truth.id) if named and record.id is None else joined)
        if len(ours) != len(theirs):
            what = counted(len(ours), "sentence" if any(record.tokens for record in [*ours, *theirs]) else "label")
            raise UserError(f"{what}, but {gold_path} has {len(theirs)}", path, remedy=SAME_SENTENCES)
    return matched


def _joined(record: Record, truth: Record, path: str | Path, gold_path: str | Path) -> Record:
    """A prediction with its gold labels; refuses other tokens where both files have them."""
    for place, (token, expected) in enumerate(zip(record.tokens or (), truth.tokens or ())):
        if token != expected:
            there = truth.lines[place] if truth.lines else truth.line
            raise UserError(
                f"token {token!r}, but {gold_path}:{there} has {expected!r}",
                path,
                record.lines[place] if record.lines else record.line,
                SAME_SENTENCES,
            )
    for name in record.texts.keys() & truth.texts.keys():
        said, expected = (f"{one.texts[name]!r:.{SHOWN}}" for one in (record, truth))
        if record.texts[name] != truth.texts[name]:
            raise UserError(
                f"the {name.replace('_', ' ')} {said}, but {gold_path}:{truth.line} has {expected}",
                path,
                record.line,
                SAME_SENTENCES,
            )
    return replace(record, gold=truth.value, tokens=truth.tokens or record.tokens)


def _item(record: Record, kind: Kind, task: Task, path: str | Path) -> Item:
    if record.gold is None:
        raise UserError('no "gold"', path, record.line, "Give the gold labels with --gold FILE")
    item = Item(_name(record), record.language or UNNAMED, record.gold, record.value)
    return _placed(kind, task, item, record.tokens, path, record.line)


def _placed(kind: Kind, task: Task, item: Item, tokens: list[str] | None, path: str | Path, line: int) -> Item:
    """The item checked by its kind; a fault is reported with its place."""
    try:
        return kind.checked_item(item, task, tokens)
    except UserError as error:
        raise UserError(error.what, path, line, error.remedy) from None
