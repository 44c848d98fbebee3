"""Gold labels and predictions in the forms that ``score`` takes, read strictly.

- predict's JSON lines, every task: ``{"id", "language", "tokens", "prediction", "gold"}`` (tagging: lists
  of tags; classification: labels, and ``text`` in place of tokens); a gold file of JSON lines (a
  labelled folder's, with ``tags`` or ``label``) is matched by id;
- ``pos``: CoNLL-U, gold and predicted, the UPOS column;
- ``ner``: two columns, token and tag (IOB2), a blank line after each sentence;
- ``classification``: one label a line.

A prediction may end before its sentence does (the encoder's longest input): what is missing is
counted and scored as wrong. Anything else that does not fit is a :class:`UserError` with file and line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics.chunks import IOB2_TAG
from fairseq_xalign.files import read_lines

CONLLU_COLUMNS = 10
UPOS = 3
UNIQUE = "Each item has an id of its own: remove one of the two lines"
LEFT_OUT = "A label is missing: add it, for every item needs one"
JSON_LINES = 'Each line is one object, {"id": ..., "prediction": ...}, as xalign-evaluate predict writes it'
SAME_ITEMS = "Both files must hold the same items in the same order, one label a line"


@dataclass(frozen=True)
class Item:
    """One sentence or document: what it should be and what was said of it.

    ``gold`` and ``prediction`` are lists of tags (a tag that is missing is None) or labels.
    """

    id: str
    language: str
    gold: Any
    prediction: Any

    @property
    def pair(self) -> tuple[Any, Any]:
        """(gold, prediction): what metrics take."""
        return self.gold, self.prediction

    @property
    def missing(self) -> int:
        """Tokens (or 1 for a document) without a prediction."""
        if isinstance(self.gold, list):
            return len(self.gold) - sum(tag is not None for tag in self.prediction)
        return int(self.prediction is None)


@dataclass(frozen=True)
class Sentence:
    """Tokens and tags of a sentence, and the line on which each token stands."""

    tokens: list[str]
    tags: list[str]
    lines: list[int]


def read_items(
    task: str, predictions: str | Path, gold: str | Path | None = None, language: str | None = None
) -> list[Item]:
    """All items of a predictions file, with their gold labels.

    Args:
        task: pos, ner or classification.
        gold: the gold file; None when ``predictions`` is JSON lines that carry it.
        language: keep only this language of JSON lines; the name given to other forms.
    """
    if _is_json_lines(predictions):
        items = list(_from_json(task, predictions, gold))
        if language is not None:
            known = sorted({item.language for item in items})
            items = [item for item in items if item.language == language]
            if not items:
                raise UserError(
                    f"no predictions for language {language!r}", predictions, remedy=f"It has: {', '.join(known)}"
                )
    else:
        if gold is None:
            raise UserError("these predictions carry no gold labels", predictions, remedy="Give them with --gold FILE")
        name = language or "all"
        if task == "classification":
            items = list(_labels(predictions, gold, name))
        else:
            reader = read_conllu if task == "pos" else read_entities
            items = list(_sentences(list(reader(predictions)), list(reader(gold)), predictions, gold, name))
    if not items:
        raise UserError(
            "no items to score: the file is empty", predictions, remedy="Write it with xalign-evaluate predict"
        )
    return items


def _is_json_lines(path: str | Path) -> bool:
    first = next((text for _, text in read_lines(path) if text.strip()), "")
    return first.lstrip().startswith("{")


def _objects(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, text in read_lines(path):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except json.JSONDecodeError as error:
            raise UserError(f"not valid JSON: {error.msg}", path, number, JSON_LINES) from None
        if not isinstance(row, dict):
            raise UserError("each line must be a JSON object", path, number, JSON_LINES)
        yield number, row


def _from_json(task: str, path: str | Path, gold_path: str | Path | None) -> Iterator[Item]:
    answers = None if gold_path is None else _gold_by_id(task, gold_path)
    seen: set[tuple[str, str]] = set()
    for number, row in _objects(path):
        if "prediction" not in row:
            raise UserError('no "prediction"', path, number, "xalign-evaluate predict writes one a line")
        name, language = str(row.get("id", number)), str(row.get("language", "all"))
        if (language, name) in seen:
            raise UserError(f"id {name!r} occurs twice for language {language!r}", path, number, UNIQUE)
        seen.add((language, name))
        if answers is not None:
            if name not in answers:
                raise UserError(
                    f"id {name!r} is not in {gold_path}",
                    path,
                    number,
                    "Give the --gold of the items that were predicted",
                )
            gold = answers.pop(name)
        elif row.get("gold") is not None:
            gold = row["gold"]
        else:
            raise UserError('no "gold"', path, number, "Give the gold labels with --gold FILE")
        yield _checked(task, Item(name, language, gold, row["prediction"]), row.get("tokens"), path, number)
    if answers:
        left = next(iter(answers))
        raise UserError(
            f"no prediction for {len(answers)} items of {gold_path}, id {left!r} among them",
            path,
            remedy="Predict all items: a score over some is a different score",
        )


def _gold_by_id(task: str, path: str | Path) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for number, row in _objects(path):
        name = str(row.get("id", number))
        gold = next((row[key] for key in ("gold", "tags", "label") if row.get(key) is not None), None)
        if gold is None:
            raise UserError(
                'neither "gold", "tags" nor "label"', path, number, "A file of a labelled folder has one of them a line"
            )
        if task == "ner" and isinstance(gold, list):
            _check_entity_tags(gold, path, [number] * len(gold), " of its tags")
        if name in answers:
            raise UserError(f"id {name!r} occurs twice", path, number, UNIQUE)
        answers[name] = gold
    return answers


def _checked(task: str, item: Item, tokens: Any, path: str | Path, number: int) -> Item:
    """``item`` with its types checked and its missing tags filled with None."""
    if task == "classification":
        for key, value in (("gold", item.gold), ("prediction", item.prediction)):
            if not isinstance(value, str) and not (key == "prediction" and value is None):
                raise UserError(
                    f'"{key}" must be a label (a string), not {type(value).__name__}',
                    path,
                    number,
                    "For tags use --task pos or --task ner",
                )
        return item
    for key, value in (("gold", item.gold), ("prediction", item.prediction)):
        tags: list[Any] = value if isinstance(value, list) else [0]
        if not all((isinstance(t, str) and t) or (t is None and key == "prediction") for t in tags):
            raise UserError(
                f'"{key}" must be a list of tags', path, number, f"--task {task} takes one tag (a string) a token"
            )
        if task == "ner":
            _check_entity_tags(tags, path, [number] * len(tags), f' in "{key}"')
    if isinstance(tokens, list) and len(tokens) != len(item.gold):
        raise UserError(
            f"{len(item.gold)} gold tags for {len(tokens)} tokens", path, number, "Each token has one gold tag"
        )
    return Item(item.id, item.language, item.gold, _filled(item.prediction, len(item.gold), path, number))


def _filled(tags: list[str | None], length: int, path: str | Path, number: int | None) -> list[str | None]:
    if len(tags) > length:
        raise UserError(
            f"{len(tags)} predicted tags for {length} tokens", path, number, "Each token has one tag; none has two"
        )
    return tags + [None] * (length - len(tags))


def read_conllu(path: str | Path) -> Iterator[Sentence]:
    """Words and UPOS tags of a CoNLL-U file; multi-word ranges and empty nodes are passed over."""

    def rows() -> Iterator[tuple[int, tuple[str, str] | None]]:
        for number, text in read_lines(path):
            if text.startswith("#"):
                continue
            if not text.strip():
                yield number, None
                continue
            columns = text.split("\t")
            if len(columns) != CONLLU_COLUMNS:
                raise UserError(
                    f"{len(columns)} columns separated by tabs where CoNLL-U has {CONLLU_COLUMNS}",
                    path,
                    number,
                    "--task pos takes CoNLL-U or predict's JSON lines",
                )
            if columns[0].isdigit():
                yield number, (columns[1], columns[UPOS])

    yield from _grouped(rows())


def read_columns(path: str | Path) -> Iterator[Sentence]:
    """Tokens and tags of a two-column file (separated by a tab or spaces), blank lines between sentences."""

    def rows() -> Iterator[tuple[int, tuple[str, str] | None]]:
        for number, text in read_lines(path):
            if not text.strip():
                yield number, None
                continue
            columns = text.split("\t") if "\t" in text else text.split()
            if len(columns) != 2 or not all(column.strip() for column in columns):
                raise UserError(
                    f"{len(columns)} columns where there should be two: token and tag",
                    path,
                    number,
                    "Divide them by a tab",
                )
            if columns[0] != "-DOCSTART-":
                yield number, (columns[0], columns[1].strip())

    yield from _grouped(rows())


def read_entities(path: str | Path) -> Iterator[Sentence]:
    """As :func:`read_columns`; a tag that is none of IOB2's is a :class:`UserError`."""
    for sentence in read_columns(path):
        _check_entity_tags(sentence.tags, path, sentence.lines)
        yield sentence


def _check_entity_tags(tags: Sequence[str | None], path: str | Path, lines: Sequence[int], key: str = "") -> None:
    """Refuse the first tag that is neither ``O``, ``B-X`` nor ``I-X``: entities cut out of others mean nothing."""
    for place, (tag, line) in enumerate(zip(tags, lines), 1):
        if isinstance(tag, str) and not IOB2_TAG.fullmatch(tag):
            raise UserError(
                f"tag {tag!r}{key and f' (number {place}{key})'} is not IOB2",
                path,
                line,
                "Named-entity tags are O, B-TYPE and I-TYPE; for parts of speech use --task pos",
            )


def _grouped(rows: Iterator[tuple[int, tuple[str, str] | None]]) -> Iterator[Sentence]:
    sentence = Sentence([], [], [])
    for number, row in rows:
        if row is None:
            if sentence.tokens:
                yield sentence
                sentence = Sentence([], [], [])
        else:
            sentence.tokens.append(row[0])
            sentence.tags.append(row[1])
            sentence.lines.append(number)
    if sentence.tokens:
        yield sentence


def _sentences(
    predicted: list[Sentence], gold: list[Sentence], path: str | Path, gold_path: str | Path, language: str
) -> Iterator[Item]:
    for index, (guess, truth) in enumerate(zip(predicted, gold)):
        for place, (token, expected) in enumerate(zip(guess.tokens, truth.tokens)):
            if token != expected:
                raise UserError(
                    f"token {token!r} where {gold_path}:{truth.lines[place]} has {expected!r}",
                    path,
                    guess.lines[place],
                    "Both files must hold the same sentences in the same order",
                )
        tags = _filled(list(guess.tags), len(truth.tokens), path, guess.lines[0])
        yield Item(str(index + 1), language, truth.tags, tags)
    if len(predicted) != len(gold):
        raise UserError(
            f"{len(predicted)} sentences where {gold_path} has {len(gold)}",
            path,
            remedy="Both files must hold the same sentences in the same order",
        )


def _labels(path: str | Path, gold_path: str | Path, language: str) -> Iterator[Item]:
    predicted, gold = ([(n, text.strip()) for n, text in read_lines(p)] for p in (path, gold_path))
    for file, lines in ((path, predicted), (gold_path, gold)):
        empty = next((number for number, label in lines if not label), None)
        if empty is not None:
            raise UserError("an empty line where a label should be", file, empty, LEFT_OUT)
    if len(predicted) != len(gold):
        raise UserError(f"{len(predicted)} labels where {gold_path} has {len(gold)}", path, remedy=SAME_ITEMS)
    for (number, guess), (_, truth) in zip(predicted, gold):
        yield Item(str(number), language, truth, guess)
