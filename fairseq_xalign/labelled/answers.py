"""Answers to questions: the task ``qa``, with readers of SQuAD's files and of predicted answers, and MLQA's metrics."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fairseq_xalign import cli
from fairseq_xalign.constants import SPLIT_ALIASES, SPLITS
from fairseq_xalign.data.formats import json_lines, squad
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics.answers import AnswerF1, ExactMatch
from fairseq_xalign.evaluate.metrics.labels import Metric, Pair
from fairseq_xalign.files import parse_json, read_text
from fairseq_xalign.labelled.kind import LANGUAGE_IN_NAME, FileRow, Task

MADE_OF = "Write questions as SQuAD v1.1 has them, and make the folder with xalign-preprocess benchmark qa"
MAP = "Predictions are one JSON object, {id: answer, ...}, or the lines that xalign-evaluate predict writes"
NAMED_LANGUAGE = re.compile(
    r"(.+\.(?P<lang>[a-z]{2,3}([-_][A-Za-z]{2,4})?)|.*context-(?P<context>[a-z]{2,3})-question-(?P<asked>[a-z]{2,3}))"
    r"\.jsonl?(\.[a-z0-9]+)?"
)
"""Names of files that say their language: ``test.en.json``, ``xquad.en.json``, and those of MLQA."""


def metrics(pairs: Sequence[Pair]) -> list[Metric]:
    """F1 and exact match, as MLQA's official script defines them."""
    return [AnswerF1(), ExactMatch()]


def rows(path: Path, counts: Counter[str], header: str = "") -> Iterator[FileRow]:
    """Rows of a file of SQuAD v1.1; ids are those of the questions.

    An answer that does not stand where the file says is looked for: where its text occurs once, it is there; otherwise
    its text still counts as a right answer, but without a place nothing can be learned from it.
    """
    for found in squad.questions(path):
        if not found.answers:
            counts["questions without an answer left out"] += 1
            continue
        answers = [located(answer, found.context, counts) for answer in found.answers]
        row = {"id": found.id, "question": found.question, "context": found.context, "answers": answers}
        yield FileRow(row, 1, title=f"the question {found.id!r}")


def located(answer: Mapping[str, Any], context: str, counts: Counter[str]) -> dict[str, Any]:
    """An answer with its place in the context, or None for the place where there is none; repairs are counted."""
    text, start = answer["text"], answer["answer_start"]
    if text and start >= 0 and context.startswith(text, start):
        return {"text": text, "answer_start": start}
    if text and context.count(text) == 1:
        counts["answers at another place than their answer_start, which was corrected"] += 1
        return {"text": text, "answer_start": context.index(text)}
    counts["answers that are not in their context, scored but not learned from"] += 1
    return {"text": text, "answer_start": None}


def answers(path: Path, counts: Counter[str], gold: bool) -> Iterator[FileRow]:
    """Gold answers in SQuAD's form, or predictions as one JSON object from ids to answers."""
    if gold:
        yield from rows(path, counts)
        return
    for name, text in _answer_map(path).items():
        yield FileRow({"id": name, "answers": text}, 1)


def _answer_map(path: Path) -> dict[str, str]:
    found = parse_json(read_text(path), path, remedy=MAP, pairs=json_lines.unique_keys)
    if not isinstance(found, dict):
        raise UserError("is not a JSON object", path, remedy=MAP)
    for name, text in found.items():
        if not isinstance(text, str):
            raise UserError(f"the answer to {name!r} must be a text, not {type(text).__name__}", path, remedy=MAP)
    return found


def own_format(path: str | Path) -> bool:
    """Whether a file is SQuAD's, or an object from ids to answers; otherwise it is JSON lines."""
    try:
        found = json.loads(read_text(path))
    except (ValueError, RecursionError):
        return not json_lines.is_json_lines(path)
    if not isinstance(found, dict) or "data" in found:
        return True
    return "prediction" not in found and any(isinstance(value, str | None) for value in found.values())


def language_of(path: Path) -> str | None:
    """The language of the answers in a file, by its name, by which they are normalised; it is said, or that none is."""
    match = NAMED_LANGUAGE.fullmatch(path.name)
    if match is None or match["lang"] in (*SPLITS, *SPLIT_ALIASES):
        cli.say(
            f"{path}: no language is known: no articles are left out of answers, and words end at white space; "
            "--language XX says which rules apply"
        )
        return None
    language = match["lang"] or match["context"]
    if match["asked"] and match["asked"] != language:
        language = f"{language}-{match['asked']}"
    cli.say(f"{path}: answers are normalised as {language}, by the file's name; --language XX says another language")
    return language


QA = Task(
    "qa",
    metrics,
    (
        re.compile(rf"(?P<split>[a-z]+)\.{LANGUAGE_IN_NAME}\.json(\.[a-z0-9]+)?"),
        re.compile(r"(?P<split>test)-context-(?P<lang>[a-z]+)-question-(?P=lang)\.json(\.[a-z0-9]+)?"),
    ),
    "{split}.{lang}.json: SQuAD v1.1",
    rows,
    answers,
    fixed_labels=frozenset({"answer"}),
    own=own_format,
    named=True,
    validated=lambda: (AnswerF1(), ExactMatch()),
    language_of=language_of,
)
