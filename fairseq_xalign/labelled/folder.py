"""The labelled folder: ``{split}.{lang}.jsonl`` and ``labels.json``, as ``xalign-preprocess benchmark`` makes it.

Everything that ``score`` would refuse is refused here, before an hour is spent on training or predicting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_xalign.constants import LABELS_FILE, SPLITS
from fairseq_xalign.data.formats import json_lines
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_json
from fairseq_xalign.labelled.kind import Kind, Row
from fairseq_xalign.labelled.registry import KINDS, task_of

FORMAT = 1
MADE_WITH = "Make it with xalign-preprocess benchmark"
FILE_NAME = re.compile(rf"({'|'.join(SPLITS)})\.[^.]+\.jsonl")
OWN_ID = "Give each example an id of its own, or none: examples are then numbered"


def is_labelled_file(path: Path) -> bool:
    """Whether something in a labelled folder is of its own files, by its name."""
    return path.is_file() and (path.name == LABELS_FILE or FILE_NAME.fullmatch(path.name) is not None)


@dataclass
class LabelledFolder:
    """A labelled folder: what it is about and which labels there are.

    Attributes:
        labels: names, in the order of the head's outputs.
        name: the task (pos, ner, classification), or the user's own name for the set.
        pieces: how many subwords of a text are read, where the folder says it (documents); else None.
        set: the published set that it was made of, as ``benchmark`` calls it; empty for the user's own files.
    """

    path: Path
    kind: Kind
    labels: list[str]
    name: str
    pieces: int | None = None
    set: str = ""

    @classmethod
    def open(cls, path: str | Path) -> LabelledFolder:
        """Read ``labels.json``; UserError with the remedy where it is missing, damaged or of another version."""
        path = Path(path)
        file = path / LABELS_FILE
        if not file.exists():
            raise UserError("not a labelled folder: no labels.json", path, remedy=MADE_WITH)
        values = read_json(file)
        known = isinstance(values, dict) and values.get("format") == FORMAT and str(values.get("task")) in KINDS
        if not known or not values.get("labels"):
            raise UserError("not a labels file of this version", file, remedy=MADE_WITH)
        labels = values["labels"]
        if not isinstance(labels, list) or not all(isinstance(label, str) and label.strip() for label in labels):
            raise UserError('"labels" must be a list of names, none of them empty', file, remedy=MADE_WITH)
        if len(set(labels)) != len(labels):
            twice = next(label for label in labels if labels.count(label) > 1)
            raise UserError(f"label {twice!r} is listed twice", file, remedy="Keep one of them")
        pieces = values.get("pieces")
        if pieces is not None and (isinstance(pieces, bool) or not isinstance(pieces, int) or pieces < 1):
            raise UserError(f'"pieces" must be a whole number of subwords, not {pieces!r}', file, remedy=MADE_WITH)
        made_of = values.get("set", "")
        if not isinstance(made_of, str):
            raise UserError(f'"set" must be a name, not {made_of!r}', file, remedy=MADE_WITH)
        return cls(path, KINDS[values["task"]], labels, str(values.get("name", "")), pieces, made_of)

    def languages(self, split: str) -> list[str]:
        """Languages that have a file for this split, sorted."""
        return sorted(f.name[len(split) + 1 : -len(".jsonl")] for f in self.path.glob(f"{split}.*.jsonl"))

    def splits(self) -> dict[str, list[str]]:
        """The languages of every split that has files."""
        names = sorted({f.name.split(".")[0] for f in self.path.glob("*.*.jsonl")})
        return {split: self.languages(split) for split in names}

    def contents(self) -> str:
        """``splits`` in words, for a remedy."""
        return "; ".join(f"{split}: {', '.join(found)}" for split, found in self.splits().items()) or "nothing"

    def rows(self, split: str, language: str, known_labels: bool = False) -> Iterator[Row]:
        """The examples of one file, checked, each with an ``id``.

        Args:
            known_labels: refuse a label that is not one of ``labels``. In prediction such a label simply
                counts as wrong, but nothing can be learned from it.
        """
        file = self.path / f"{split}.{language}.jsonl"
        if not file.exists():
            raise UserError(f"no {split} examples in {language}", file, remedy=f"The folder has {self.contents()}")
        task = task_of(self.kind, self.name)
        seen: dict[str, int] = {}
        for index, (number, row) in enumerate(json_lines.read(file, MADE_WITH)):
            try:
                self.kind.check_row(row, task)
                row["id"] = row_id(row.get("id"), f"{language}:{index}")
            except UserError as error:
                raise UserError(error.what, file, number, error.remedy) from None
            except KeyError as error:
                raise UserError(f"not a {self.kind.name} example: no {error}", file, number, MADE_WITH) from error
            if row["id"] in seen:
                raise UserError(f"id {row['id']!r} is already in line {seen[row['id']]}", file, number, OWN_ID)
            seen[row["id"]] = number
            for label in self.kind.labels_of(row) if known_labels else []:
                if label not in self.labels:
                    raise UserError(
                        f"label {label!r} is not in {LABELS_FILE}",
                        file,
                        number,
                        f"Correct the line, or make the folder again; known: {', '.join(self.labels)}",
                    )
            yield row


def row_id(value: Any, default: str) -> str:
    """An example's id as text, ``default`` where it has none; UserError for what cannot name an example.

    The number 7 and the text "7" are one id: predictions are matched with gold labels by its text.
    """
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise UserError(f'"id" must be a text or a whole number, not {value!r}', remedy=OWN_ID)
    return str(value)


def english_among(languages: Sequence[str]) -> list[str]:
    """English, as ISO 639 or FLORES-200 and locales name it: ``en`` alone if it is there, otherwise every variety.

    >>> english_among(["de", "en", "en-PUD"]), english_among(["arb_Arab", "eng_Latn"]), english_among(["enm"])
    (['en'], ['eng_Latn'], [])
    """
    found = [name for name in languages if re.split("[-_]", name)[0].lower() in ("en", "eng")]
    return ["en"] if "en" in found else found
