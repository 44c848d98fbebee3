"""Extractive questions and answers: SQuAD v1.1 JSON (XQuAD, MLQA, TyDiQA-GoldP), one document per file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from fairseq_xalign.data.formats.json_lines import is_identifier, unique_keys
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import parse_json, read_text

SHAPE = "The form is data[].paragraphs[]{context, qas[]{id, question, answers[]{text, answer_start}}}"


@dataclass(frozen=True)
class Document:
    """A whole file: its path, and the value of its JSON (checked to have SQuAD's shape)."""

    line: int
    path: str
    content: dict[str, Any]


def read(path: str | Path) -> Document:
    """Read the document of a file.

    Raises:
        UserError: for what is not JSON or not SQuAD's, and for two questions of one id.
    """
    content = parse_json(read_text(path), path, remedy=SHAPE, pairs=unique_keys)
    seen: set[str] = set()
    try:
        for article in content["data"]:
            for paragraph in article["paragraphs"]:
                _check(paragraph, seen, path)
    except (KeyError, TypeError) as error:
        raise UserError(f"not SQuAD v1.1: {type(error).__name__} {error}", path, remedy=SHAPE) from error
    return Document(1, str(path), content)


@dataclass(frozen=True)
class Question:
    """A question, the text that it is about, and its answers.

    Attributes:
        answers: ``{"text", "answer_start"}``, whose places are as the file says, right or wrong.
    """

    id: str
    question: str
    context: str
    answers: list[dict[str, Any]]


def questions(path: str | Path) -> Iterator[Question]:
    """Yield the questions of a file, in order; the errors are those of :func:`read`."""
    for article in read(path).content["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                yield Question(str(question["id"]), question["question"], paragraph["context"], question["answers"])


def write(stream: IO[str], document: Document) -> None:
    """Write the document."""
    json.dump(document.content, stream, ensure_ascii=False, indent=1)
    stream.write("\n")


def _check(paragraph: dict[str, Any], seen: set[str], path: str | Path) -> None:
    """Refuse a paragraph of another shape; a question of it is named by its id."""
    if not isinstance(paragraph["context"], str):
        raise _other("a context is not text", path)
    for question in paragraph["qas"]:
        if not is_identifier(question["id"]):
            raise _other(f"'id' must be a text or a whole number, not {question['id']!r:.60}", path)
        name = str(question["id"])
        if name in seen:
            raise UserError(f"two questions have the id {name!r}", path, remedy="Give each question an id of its own")
        seen.add(name)
        if not isinstance(question["question"], str):
            raise _other(f"the question {name!r} has no text: {question['question']!r:.60}", path)
        if not isinstance(question["answers"], list):
            raise _other(f"the answers to the question {name!r} are no list", path)
        if not all(_is_answer(answer) for answer in question["answers"]):
            raise _other(f"an answer to the question {name!r} is not a text and a number", path)


def _is_answer(answer: Any) -> bool:
    """Whether a value has the shape of an answer; its place may be wrong."""
    if not isinstance(answer, dict) or isinstance(answer.get("answer_start"), bool):
        return False
    return isinstance(answer.get("text"), str) and isinstance(answer.get("answer_start"), int)


def _other(what: str, path: str | Path) -> UserError:
    return UserError(f"not SQuAD v1.1: {what}", path, remedy=SHAPE)
