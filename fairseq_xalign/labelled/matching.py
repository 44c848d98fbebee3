"""Which prediction belongs to which gold label: by language and id, or in order.

What does not fit is a :class:`UserError` with file and line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fairseq_xalign import cli
from fairseq_xalign.errors import UserError, counted, unknown_language
from fairseq_xalign.labelled.records import UNIQUE, Record

SAME_SENTENCES = "Both files must hold the same items in the same order"
SHOWN = 40
"""Letters of a text that a message shows."""


# -- languages -------------------------------------------------------------------------------------


def of_language(records: list[Record], language: str | None, path: str | Path, what: str) -> list[Record]:
    """The records of ``language``, if it is given; if a file names no language, all its records are of this one."""
    if language is None:
        return records
    known = sorted({record.language for record in records if record.language is not None})
    chosen = [replace(record, language=language) for record in records if record.language in (None, language)]
    if records and not chosen:
        raise unknown_language(language, known, path, f"no {what}")
    return chosen


def same_languages(
    records: list[Record], truths: list[Record], path: str | Path, gold_path: str | Path
) -> tuple[list[Record], list[Record]]:
    """Predictions and gold labels of the languages that both have; a file that names none has the other's."""
    predicted = sorted({record.language for record in records if record.language is not None})
    there = sorted({truth.language for truth in truths if truth.language is not None})
    if there and not predicted:
        if len(there) > 1:
            raise UserError(
                f"the predictions do not say their language, and the gold labels are in {', '.join(there)}",
                path,
                remedy="Choose one with --language",
            )
        return [replace(record, language=there[0]) for record in records], truths
    if predicted and not there:
        return _with_language_of_gold(records, truths, predicted, gold_path)
    common = set(predicted) & set(there)
    if predicted and not common:
        raise UserError(
            f"the predictions are in {', '.join(predicted)}, the gold labels in {', '.join(there)}",
            path,
            remedy="Give the --gold of the items that were predicted",
        )
    left = sorted((set(predicted) | set(there)) - common)
    if left:
        scored = ", ".join(sorted(common))
        cli.say(f"scored: {scored} alone; {', '.join(left)}: predictions or gold labels are missing")
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
                f"the gold labels are in one language, the predictions in {', '.join(predicted)}",
                gold_path,
                remedy="Choose the language with --language",
            )
        cli.say(f"scored: {named[0]} alone, because {gold_path} is named after it")
        predicted = named
    chosen = [record for record in records if record.language in (None, predicted[0])]
    return chosen, [replace(truth, language=predicted[0]) for truth in truths]


# -- matching --------------------------------------------------------------------------------------


def matched(
    records: list[Record], truths: list[Record], path: str | Path, gold_path: str | Path, in_order: bool = False
) -> list[Record]:
    """Each prediction with its gold labels: by language and id, or in order where one side has no ids at all.

    Args:
        in_order: match in order, whatever ids there are.
    """
    truths = _numbered(truths, records)
    match = _in_order if in_order or _nameless(records) or _nameless(truths) else _by_id
    return match(records, truths, path, gold_path)


def _nameless(records: Sequence[Record]) -> bool:
    return all(record.id is None for record in records)


def name_of(record: Record) -> str:
    """The id of a record, or the number of its line where the file gives none."""
    return record.id or str(record.line)


def by_name(records: Sequence[Record], path: str | Path) -> dict[tuple[str | None, str], Record]:
    """Records by language and name; refuses a line without an id whose number is the id of another."""
    found: dict[tuple[str | None, str], Record] = {}
    for record in records:
        key = (record.language, name_of(record))
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
    by_name(records, path)
    answers = by_name(truths, gold_path)
    matched = []
    for record in records:
        truth = answers.pop((record.language, name_of(record)), None)
        if truth is None:
            raise UserError(
                f"id {name_of(record)!r} is not in {gold_path}",
                path,
                record.line,
                "Give the --gold of the items that were predicted",
            )
        matched.append(_joined(record, truth, path, gold_path))
    if answers:
        left = name_of(next(iter(answers.values())))
        raise UserError(
            f"no prediction for {counted(len(answers), 'item')} of {gold_path}, id {left!r} among them",
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
