"""Predictions in the layout that XTREME takes as a submission (Hu et al. 2020; its README, "Leaderboard Submission").

A submission is a folder with a folder per task, in which ``test-{language}.tsv`` has one label per line, or for tagging
one tag per line and an empty line after each sentence, and ``test-{language}.json`` has the answer to each question by
its id. XTREME's ``evaluate.py`` compares line by line, so the order is that of its test files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairseq_xalign.data.formats import json_lines
from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.files import atomic_folder

Line = dict[str, Any]
WITH_PREDICT = "Write it with xalign-evaluate predict"


@dataclass(frozen=True)
class XtremeTask:
    """A task of the benchmark.

    Attributes:
        task: ours, as in the lines of ``predict``.
        languages: those of the test set; XTREME's average is over all of them.
        missing: what a unit without a prediction becomes, where an empty line would be read as something else.
    """

    task: str
    languages: tuple[str, ...]
    missing: str = ""


_PAWSX = "de en es fr ja ko zh"
_XNLI = "ar bg de el en es fr hi ru sw th tr ur vi zh"
_PANX = (
    "af ar bg bn de el en es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr ms my nl pt ru sw ta te th tl tr ur vi "
    "yo zh"
)
_UDPOS = "af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta te th tl tr ur vi yo zh"
TASKS = {
    "udpos": XtremeTask("pos", tuple(_UDPOS.split()), "X"),
    "panx": XtremeTask("ner", tuple(_PANX.split()), "O"),
    "pawsx": XtremeTask("pairs", tuple(_PAWSX.split())),
    "xnli": XtremeTask("pairs", tuple(_XNLI.split())),
    "xquad": XtremeTask("qa", tuple("ar de el en es hi ru th tr vi zh".split())),
    "mlqa": XtremeTask("qa", tuple("ar de en es hi vi zh".split())),
    "tydiqa": XtremeTask("qa", tuple("ar bn en fi id ko ru sw te".split())),
}
"""By XTREME's name. Sentence retrieval (BUCC, Tatoeba) needs no fine-tuning and is left out."""


@dataclass
class Written:
    """What a folder of a submission holds.

    Attributes:
        items: sentences, pairs or questions of each language.
        missing: words, pairs or questions without a prediction, over all languages.
        absent: languages of the task without predictions.
    """

    items: dict[str, int] = field(default_factory=dict)
    missing: int = 0
    absent: list[str] = field(default_factory=list)


def write_submission(name: str, predictions: str | Path, output: str | Path) -> Written:
    """Write the folder of one task, ``output``/``name``; an existing one is replaced, other tasks' stay.

    Args:
        name: one of :data:`TASKS`.
        predictions: the lines of ``predict``, of one language or of several.

    Raises:
        UserError: an unknown task; a line without what is needed, of another task, or of a language that the task
            does not have.
    """
    if name not in TASKS:
        raise unknown_name("task of XTREME", name, list(TASKS))
    task, written = TASKS[name], Written()
    by_language: dict[str, list[Line]] = {}
    for number, line in json_lines.read(predictions, WITH_PREDICT):
        _check(line, name, task, predictions, number)
        by_language.setdefault(str(line["language"]), []).append(line)
    if not by_language:
        raise UserError("no predictions in it", predictions, remedy=WITH_PREDICT)
    with atomic_folder(Path(output) / name) as folder:
        for language, lines in by_language.items():
            text = "".join(_file(lines, task, written))
            suffix = "json" if task.task == "qa" else "tsv"
            (folder / f"test-{language}.{suffix}").write_text(text, encoding="utf-8")
            written.items[language] = len(lines)
    written.absent = [language for language in task.languages if language not in written.items]
    return written


def _check(line: Line, name: str, task: XtremeTask, path: str | Path, number: int) -> None:
    for key in ("language", "prediction"):
        if key not in line:
            raise UserError(f'no "{key}"', path, number, WITH_PREDICT)
    said = line.get("task", task.task)
    if said != task.task:
        raise UserError(f"labels of the task {said}, and {name} has those of {task.task}", path, number, WITH_PREDICT)
    if line["language"] not in task.languages:
        raise UserError(
            f"language {line['language']!r} is not one of {name}'s: {' '.join(task.languages)}",
            path,
            number,
            "Predict XTREME's languages, by its codes, with --languages",
        )
    prediction = line["prediction"]
    tags = task.task in ("pos", "ner")
    if not isinstance(prediction, list if tags else str | None) or (tags and not prediction):
        what = "a list of tags" if tags else "a text"
        raise UserError(f'"prediction" must be {what}, not {prediction!r}', path, number, WITH_PREDICT)


def _file(lines: Iterable[Line], task: XtremeTask, written: Written) -> Iterator[str]:
    """The parts of one language's file."""
    if task.task == "qa":
        answers = {str(line["id"]): line["prediction"] for line in lines}
        written.missing += sum(answer is None for answer in answers.values())
        yield json.dumps({name: answer or "" for name, answer in answers.items()}, ensure_ascii=False) + "\n"
        return
    for line in lines:
        labels = line["prediction"] if isinstance(line["prediction"], list) else [line["prediction"]]
        gold = line.get("gold")
        labels += [None] * (len(gold) - len(labels)) if isinstance(gold, list) else []  # a sentence that was cut
        written.missing += labels.count(None)
        yield "".join(f"{task.missing if label is None else label}\n" for label in labels)
        yield "\n" if isinstance(line["prediction"], list) else ""
