"""Predictions in the layout that XTREME takes as a submission (Hu et al. 2020; its README, "Leaderboard Submission").

A submission is a folder with a folder per task, in which ``test-{language}.tsv`` has one label per line, or for tagging
one tag per line and an empty line after each sentence, and ``test-{language}.json`` has the answer to each question by
its id. XTREME's ``evaluate.py`` compares line by line, so the order is that of its test files, and it refuses files of
other lengths. Labels are its own: where our names differ (PAWS-X), :attr:`XtremeTask.labels` leads back to them.

Of retrieval, Tatoeba's file has for each English sentence the number, from 0, of the line that was found in the other
language; XTREME sorts the English sentences, and so does :func:`write_submission`. BUCC's has a pair of ids per line,
and only for sentences that were taken for translations.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairseq_xalign.data.formats import conllu, json_lines
from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.files import atomic_folder
from fairseq_xalign.outputs import refuse_to_remove

Line = dict[str, Any]
WITH_PREDICT = "Write it with xalign-evaluate predict"
WRITTEN = re.compile(r"test-[\w-]+\.(tsv|json)")
"""The files of a task's folder."""
RETRIEVAL = "retrieval"
"""What the lines of ``retrieve --predictions`` call their task."""


@dataclass
class Written:
    """What a folder of a submission holds.

    Attributes:
        items: sentences, pairs or questions of each language.
        missing: words, pairs or questions without a prediction, over all languages.
        absent: languages of the task without predictions.
        of_other_size: languages with more or fewer examples than XTREME's test set.
        unknown: tags that XTREME does not have, and how often each was predicted.
    """

    items: dict[str, int] = field(default_factory=dict)
    missing: int = 0
    absent: list[str] = field(default_factory=list)
    of_other_size: list[str] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class XtremeTask:
    """A task of the benchmark.

    Attributes:
        task: ours, as in the lines of ``predict``.
        languages: those of the test set; XTREME's average is over all of them.
        file: gives the parts of one language's file.
        missing: what a unit without a prediction becomes, where an empty line would be read as something else.
        prediction: what a prediction must be: its type, and in words.
        needs: fields of a line besides language and prediction.
        labels: XTREME's name of each label or tag; empty for tasks without.
        size: examples per language, where all languages have as many.
    """

    task: str
    languages: tuple[str, ...]
    file: Callable[[Sequence[Line], XtremeTask, Written], Iterator[str]]
    missing: str = ""
    prediction: tuple[Any, str] = (str | None, "a text")
    needs: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None


def _tags(lines: Sequence[Line], task: XtremeTask, written: Written) -> Iterator[str]:
    """A tag per line, an empty line after each sentence."""
    for line in lines:
        tags, gold = line["prediction"], line.get("gold")
        cut = len(gold) - len(tags) if isinstance(gold, list) else 0
        tags = [*tags, *[None] * cut]
        written.missing += tags.count(None)
        written.unknown.update(tag for tag in tags if tag is not None and tag not in task.labels)
        yield "".join(f"{task.missing if tag is None else tag}\n" for tag in tags) + "\n"


def _labels(lines: Sequence[Line], task: XtremeTask, written: Written) -> Iterator[str]:
    """A label per line, by XTREME's name."""
    for line in lines:
        label = line["prediction"]
        written.missing += label is None
        yield f"{task.missing if label is None else task.labels[label]}\n"


def _answers(lines: Sequence[Line], task: XtremeTask, written: Written) -> Iterator[str]:
    """The answers by the ids of their questions, as one object."""
    answers = {str(line["id"]): line["prediction"] for line in lines}
    written.missing += sum(answer is None for answer in answers.values())
    yield json.dumps({name: answer or "" for name, answer in answers.items()}, ensure_ascii=False) + "\n"


def _numbers(lines: Sequence[Line], task: XtremeTask, written: Written) -> Iterator[str]:
    """The line found for each English sentence; these in the order of their texts, which is that of Python's sort."""
    for line in sorted(lines, key=lambda line: str(line["text"]).strip()):
        written.missing += line["prediction"] is None
        yield f"{task.missing if line['prediction'] is None else line['prediction']}\n"


def _pairs(lines: Sequence[Line], task: XtremeTask, written: Written) -> Iterator[str]:
    """The ids of a sentence and of its translation; nothing for a sentence without one."""
    for line in lines:
        if line["prediction"] is not None:
            yield f"{line['id']}\t{line['prediction']}\n"


_TAGS, _NUMBER = (list, "a list of tags"), (int | None, "the number of a line, from 0")

_PAWSX = "de en es fr ja ko zh"
_XNLI = "ar bg de el en es fr hi ru sw th tr ur vi zh"
_PANX = (
    "af ar bg bn de el en es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr ms my nl pt ru sw ta te th tl tr ur vi "
    "yo zh"
)
_UDPOS = "af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta te th tl tr ur vi yo zh"
_TATOEBA = "af ar bg bn de el es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr nl pt ru sw ta te th tl tr ur vi zh"
_ENTITIES = {tag: tag for tag in "O B-LOC I-LOC B-ORG I-ORG B-PER I-PER".split()}
_PARAPHRASE = {"different": "0", "paraphrase": "1", "0": "0", "1": "1"}
_ENTAILMENT = {label: label for label in ("contradiction", "entailment", "neutral")}
TASKS = {
    "udpos": XtremeTask("pos", tuple(_UDPOS.split()), _tags, "X", _TAGS, labels={tag: tag for tag in conllu.UPOS_TAGS}),
    "panx": XtremeTask("ner", tuple(_PANX.split()), _tags, "O", _TAGS, labels=_ENTITIES),
    # Yang et al. 2019, PAWS-X, and Conneau et al. 2018, XNLI, have as many test pairs in each language
    "pawsx": XtremeTask("pairs", tuple(_PAWSX.split()), _labels, labels=_PARAPHRASE, size=2000),
    "xnli": XtremeTask("pairs", tuple(_XNLI.split()), _labels, labels=_ENTAILMENT, size=5010),
    "xquad": XtremeTask("qa", tuple("ar de el en es hi ru th tr vi zh".split()), _answers),
    "mlqa": XtremeTask("qa", tuple("ar de en es hi vi zh".split()), _answers),
    "tydiqa": XtremeTask("qa", tuple("ar bn en fi id ko ru sw te".split()), _answers),
    "tatoeba": XtremeTask(RETRIEVAL, tuple(_TATOEBA.split()), _numbers, "-1", _NUMBER, ("text",)),
    "bucc2018": XtremeTask(RETRIEVAL, tuple("de fr ru zh".split()), _pairs, needs=("id",)),
}
"""By XTREME's name."""


def write_submission(name: str, predictions: str | Path, output: str | Path) -> Written:
    """Write the folder of one task, ``output``/``name``; an existing one is replaced, other tasks' stay.

    Args:
        name: one of :data:`TASKS`.
        predictions: the lines of ``predict``, of one language or of several.

    Raises:
        UserError: an unknown task; a line without what is needed, of another task, or of a language or with a label
            that the task does not have.
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
    place = Path(output) / name
    refuse_to_remove(place, lambda path: WRITTEN.fullmatch(path.name) is not None, f"the folder of {name}")
    with atomic_folder(place) as folder:
        for language, lines in by_language.items():
            text = "".join(task.file(lines, task, written))
            suffix = "json" if task.task == "qa" else "tsv"
            (folder / f"test-{language}.{suffix}").write_text(text, encoding="utf-8")
            written.items[language] = len(lines)
            if task.size not in (None, len(lines)):
                written.of_other_size.append(language)
    written.absent = [language for language in task.languages if language not in written.items]
    return written


def _check(line: Line, name: str, task: XtremeTask, path: str | Path, number: int) -> None:
    for key in ("language", "prediction", *task.needs):
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
    type_, what = task.prediction
    if not isinstance(prediction, type_) or isinstance(prediction, bool) or not _are_tags(prediction):
        raise UserError(f'"prediction" must be {what}, not {prediction!r}', path, number, WITH_PREDICT)
    if task.file is _labels and prediction is not None and prediction not in task.labels:
        raise UserError(
            f"label {prediction!r} is not one of {name}'s: {' '.join(task.labels)}",
            path,
            number,
            f"Predict with a model that was fine-tuned on the labels of {name}",
        )
    if task.file is _pairs and prediction is not None:
        _check_ids(str(line["id"]), prediction, line["language"], path, number)


def _are_tags(prediction: Any) -> bool:
    """Whether a list is one of tags, of which an empty one would end a sentence; true for what is no list."""
    if not isinstance(prediction, list):
        return True
    return prediction != [] and all(
        tag is None or (isinstance(tag, str) and tag.split() == [tag]) for tag in prediction
    )


def _check_ids(first: str, second: str, language: str, path: str | Path, number: int) -> None:
    """Refuse ids of BUCC, which begin with their language, in the wrong order: XTREME would find none of the pairs."""
    if not (first.startswith(f"{language}-") and second.startswith("en-")):
        raise UserError(
            f"the ids {first} and {second} are not of a sentence in {language} and one in en, in this order",
            path,
            number,
            f'Write the id of the sentence in {language} as "id", and that of its English translation as "prediction"',
        )
