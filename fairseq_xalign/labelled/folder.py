"""Labelled examples as packed sequences: tagging by first subwords, classification of one text.

A labelled folder holds ``{split}.{lang}.jsonl`` and ``labels.json`` (``xalign-preprocess benchmark``).
Labelled sets are small: their subwords are kept in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairseq_xalign.constants import BOS, EOS, LABELS_FILE
from fairseq_xalign.data.collate import as_batch
from fairseq_xalign.data.windows import Window
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_json, read_lines
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

TASKS = ("tagging", "classification")
MADE_WITH = "Make it with xalign-preprocess benchmark"


@dataclass
class LabelledFolder:
    """A labelled folder: what it is about and which labels there are.

    Attributes:
        task: ``tagging`` or ``classification``.
        labels: names, in the order of the classifier's outputs.
    """

    path: Path
    task: str
    labels: list[str]
    name: str

    @classmethod
    def open(cls, path: str | Path) -> LabelledFolder:
        """Read ``labels.json``; UserError with the remedy where it is missing or not of this version."""
        path = Path(path)
        file = path / LABELS_FILE
        if not file.exists():
            raise UserError("not a labelled folder: no labels.json", path, remedy=MADE_WITH)
        values = read_json(file)
        if values.get("format") != 1 or values.get("task") not in TASKS or not values.get("labels"):
            raise UserError("not a labels file of this version", file, remedy=MADE_WITH)
        return cls(path, values["task"], list(values["labels"]), str(values.get("name", "")))

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

    def rows(self, split: str, language: str, known_labels: bool = False) -> Iterator[dict[str, Any]]:
        """The examples of one file, checked; with ``known_labels`` each label must be one of ``labels``.

        A label that is not can be counted as wrong, but nothing can be learned from it.
        """
        file = self.path / f"{split}.{language}.jsonl"
        if not file.exists():
            raise UserError(f"no {split} examples in {language}", file, remedy=f"The folder has {self.contents()}")
        for number, line in read_lines(file):
            try:
                row = json.loads(line)
                if self.task == "tagging":
                    if len(row["tokens"]) != len(row["tags"]):
                        what = f"{len(row['tokens'])} tokens, {len(row['tags'])} tags"
                        raise UserError(what, file, number, "Each token has one tag: mend the line")
                else:
                    row["text"], row["label"]
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                what = f"no {error}" if isinstance(error, KeyError) else str(error)
                raise UserError(f"not a {self.task} example: {what}", file, number, MADE_WITH) from error
            for label in (row["tags"] if self.task == "tagging" else [row["label"]]) if known_labels else []:
                if label not in self.labels:
                    raise UserError(
                        f"label {label!r} is none of {LABELS_FILE}'s",
                        file,
                        number,
                        f"Mend the line, or make the folder again; known: {', '.join(map(str, self.labels))}",
                    )
            yield row


@dataclass
class Example:
    """One sequence to be labelled.

    Attributes:
        ids: subwords without ``<s>`` and ``</s>``.
        heads: where in ``ids`` each word starts (tagging).
        labels: of the words, or the one of the text; -1 where unknown.
        row: number of the row it comes from; long sentences make several examples.
        name: what messages call the row.
    """

    ids: list[int]
    heads: list[int]
    labels: list[int]
    row: int
    name: str = ""


@dataclass
class Encoded:
    """The examples of one language, and what was cut."""

    language: str
    examples: list[Example] = field(default_factory=list)
    cut: int = 0


def encode_tagging(
    tokenizer: Tokenizer, rows: Sequence[dict[str, Any]], labels: Sequence[str], language: str, limit: int
) -> Encoded:
    """Sentences as first subwords with labels; a sentence of more than ``limit`` ids becomes several sequences.

    Splitting, not truncation, is what XTREME does (its preprocessing of UD-POS and PAN-X): no word
    goes unscored. A word of more than ``limit - 2`` subwords keeps its first ones.
    """
    number = {name: i for i, name in enumerate(labels)}
    result = Encoded(language)
    room = limit - 2
    for index, row in enumerate(rows):
        current = Example([], [], [], index, row_name(row, index))
        for word, tag in zip(tokenizer.encode_words(row["tokens"]), row["tags"]):
            if len(word) > room:
                word, result.cut = word[:room], result.cut + 1
            if len(current.ids) + len(word) > room:
                result.examples.append(current)
                current = Example([], [], [], index, current.name)
            current.heads.append(len(current.ids))
            current.ids.extend(word)
            current.labels.append(number.get(tag, -1))
        if current.heads:
            result.examples.append(current)
    return result


def encode_classification(
    tokenizer: Tokenizer, rows: Sequence[dict[str, Any]], labels: Sequence[str], language: str, limit: int
) -> Encoded:
    """Texts cut to ``limit`` ids, ``<s>`` and ``</s>`` included; how many were cut is counted."""
    number = {name: i for i, name in enumerate(labels)}
    result = Encoded(language)
    for index, row in enumerate(rows):
        ids = tokenizer.encode(row["text"])
        if len(ids) > limit - 2:
            ids, result.cut = ids[: limit - 2], result.cut + 1
        label = number.get(row["label"], -1)
        result.examples.append(Example(ids, [], [label], index, row_name(row, index)))
    return result


def row_name(row: dict[str, Any], index: int) -> str:
    """What messages call a row of a language: its id, else its number from 0."""
    return str(row.get("id", index))


ENCODERS = {"tagging": encode_tagging, "classification": encode_classification}


class LabelledStream:
    """Examples of one language as a stream: a unit is an example."""

    kind = "labelled"
    share = False

    def __init__(self, encoded: Encoded, limit: int) -> None:
        self.name, self.language, self.limit = f"labelled/{encoded.language}", encoded.language, limit
        self.examples = encoded.examples
        self._sizes = np.array([len(e.ids) + 1 for e in self.examples], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.examples)

    def lengths(self, units: np.ndarray) -> np.ndarray:
        """Tokens of each example, ``</s>`` included, [n, 1]."""
        return self._sizes[units][:, None]


class LabelledCollater:
    """Batches of examples: a packed batch, where the words start, and the labels.

    Args:
        languages: 1-based numbers of the encoder's language embeddings; others get 0 (none).
        reported: the languages that scores are kept for, in order.
    """

    def __init__(
        self, streams: Sequence[LabelledStream], task: str, languages: dict[str, int], reported: Sequence[str]
    ) -> None:
        self.streams, self.task, self.languages = streams, task, languages
        self.reported = {name: i for i, name in enumerate(reported)}

    def __call__(self, window: Window, batch: int) -> dict[str, Any]:
        """``{"streams": {"labelled": ...}, "at": [M], "labels": [M], "of_language": [M], "names": [B], ...}``.

        ``at`` are indices into the packed tokens (tagging), empty for classification, where M = B.
        """
        draws = window.sequences[window.batches[batch]]
        examples = [self.streams[s].examples[u] for s, u in zip(window.stream[draws], window.unit[draws])]
        names = [self.streams[s].language for s in window.stream[draws]]
        return self.build(examples, names, window.key[draws])

    def build(
        self, examples: Sequence[Example], names: Sequence[str], keys: np.ndarray | None = None
    ) -> dict[str, Any]:
        """The sample of given examples."""
        sizes = np.array([len(e.ids) + 2 for e in examples], dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        tokens = np.concatenate([[BOS, *e.ids, EOS] for e in examples]).astype(np.int64)
        positions = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)
        languages = np.repeat([self.languages.get(n, 0) for n in names], sizes)
        packed = as_batch(
            tokens, starts, positions, languages, np.zeros(len(examples), np.int64) if keys is None else keys
        )
        counts = np.array([len(e.labels) for e in examples])
        at = np.concatenate([start + 1 + np.array(e.heads, dtype=np.int64) for start, e in zip(starts, examples)])
        return {
            "streams": {"labelled": packed.to_dict()},
            "at": torch.from_numpy(at.astype(np.int64)),
            "labels": torch.tensor([label for e in examples for label in e.labels]),
            "of_language": torch.from_numpy(np.repeat([self.reported.get(n, 0) for n in names], counts)),
            "names": [f"{name} {e.name}" for name, e in zip(names, examples)],
            "nsentences": len(examples),
            "ntokens": int(starts[-1]),
        }
