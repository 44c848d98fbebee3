"""Pairs: one label for two texts (entailment, paraphrase), which the encoder reads as one sequence.

``tokenizer/framing.py`` says what stands between the texts. A pair that is too long loses pieces at the end of the
longer text, as the library tokenizers cuts it ("longest first").
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairseq_xalign import cli
from fairseq_xalign.constants import EOS
from fairseq_xalign.data.formats import header, nli
from fairseq_xalign.data.formats.blank import is_blank
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines
from fairseq_xalign.labelled import classification
from fairseq_xalign.labelled.classification import Classification
from fairseq_xalign.labelled.kind import LANGUAGE_IN_NAME, Encoded, Example, FileRow, Read, Row, Task
from fairseq_xalign.labelled.two_texts import TwoTexts
from fairseq_xalign.tokenizer.framing import Frame, framing_symbols

if TYPE_CHECKING:
    from torch import Tensor, nn

    from fairseq_xalign.tokenizer.tokenizer import Tokenizer

TWO_TEXTS = "Write two texts with a tab between them"
SHORTEST = 2
"""How many pieces of a pair there must be room for: one of each text."""


def rows(path: Path, counts: Counter[str], has_header: str = header.AUTO) -> Iterator[FileRow]:
    """Rows of a table of two texts and their label; ids are the lines."""
    for pair in nli.read(path, has_header):
        texts = pair.premise, pair.hypothesis
        if pair.header:
            cli.say(f"{path}: {header.taken((*texts, pair.label))}")
            continue
        if is_blank(pair.label) or any(map(is_blank, texts)):
            raise UserError("an empty column", path, pair.line, "Give it two texts and a label, or remove the line")
        row = {"id": str(pair.line), "text": texts[0], "text_pair": texts[1], "label": pair.label.strip()}
        yield FileRow(row, pair.line)


def answers(path: Path, counts: Counter[str], gold: bool) -> Iterator[FileRow]:
    """One label per line; or a table of two texts and their label, as ``benchmark`` reads it."""
    if "\t" in next((line for _, line in read_lines(path)), ""):
        yield from rows(path, counts)
    else:
        yield from classification.answers(path, counts, gold)


PAIRS = Task(
    "pairs",
    classification.metrics,
    (re.compile(rf"(?P<split>[a-z]+)\.{LANGUAGE_IN_NAME}\.tsv(\.[a-z0-9]+)?"),),
    "{split}.{lang}.tsv: text, tab, second text, tab, label (premise, hypothesis and label)",
    rows,
    answers,
)


class Pairs(TwoTexts, Classification):
    """Two texts have one label. A row is ``{"id", "text", "text_pair", "label"}``."""

    name = "pairs"
    tasks = (PAIRS,)
    described = "Fine-tuning that gives each pair of texts one label."
    cut_noun = "pairs"
    trained_by = "classification"

    def check_row(self, row: Row, task: Task | None = None) -> None:
        super().check_row(row, task)
        second = row["text_pair"]
        if not isinstance(second, str):
            raise UserError(f'"text_pair" must be a string, not {type(second).__name__}', remedy="Correct 'text_pair'")

    def text_row(self, text: str) -> Row:
        """A row from a line with two texts, which a tab separates."""
        texts = text.split("\t")
        if len(texts) != 2:
            raise UserError(f"{len(texts)} columns instead of 2: the model labels pairs", remedy=TWO_TEXTS)
        return {"text": texts[0], "text_pair": texts[1], "label": None}

    def encode_framed(
        self,
        tokenizer: Tokenizer,
        rows: Sequence[Row],
        labels: Sequence[str],
        language: str,
        longest: int,
        frame: Frame,
    ) -> Encoded:
        """Pairs as one sequence each; what is too long is cut where it is longest, and counted."""
        room = longest - frame.extra - len(frame.separator)
        if room < SHORTEST:
            raise UserError(
                f"a sequence of {longest} subwords has no room for two texts",
                remedy=f"Give --max-length {longest - room + SHORTEST} or more",
            )
        number = {name: i for i, name in enumerate(labels)}
        result = Encoded(language)
        for index, row in enumerate(rows):
            first, second = tokenizer.encode(row["text"]), tokenizer.encode(row["text_pair"])
            sizes = longest_first(len(first), len(second), room)
            result.cut += sizes != (len(first), len(second))
            ids, start = frame.joined(first[: sizes[0]], second[: sizes[1]])
            label = number.get(row["label"], -1)
            example = Example(ids, [], [label], index, str(row.get("id", index)), start, row.get("languages"))
            result.examples.append(example)
        return result

    def code_switched(self, row: Row, other: Row, languages: tuple[str, str]) -> list[Row]:
        ours, theirs = languages
        return [
            {**row, "text": other["text"], "languages": (theirs, ours)},
            {**row, "text_pair": other["text_pair"], "languages": (ours, theirs)},
        ]

    def frame(self, task_state: Mapping[str, Any], options: Any) -> Frame:
        found = super().frame(task_state, options)
        return replace(found, separator=(EOS,)) if str(options.separator) == "eos" else found

    def scores(self, head: nn.Module, read: Read, starts: Tensor, sample: dict[str, Any]) -> Tensor:
        """[B, labels]; MMTE's head, which leaves symbols around a text out, leaves those between texts out too."""
        from fairseq_xalign.models.heads import MMTEClassificationHead

        if not isinstance(head, MMTEClassificationHead):
            return super().scores(head, read, starts, sample)
        tokens = sample["streams"]["labelled"]["tokens"]
        return head(read(None), starts, framing_symbols(tokens))

    def line(self, row: Row, prediction: Any) -> Row:
        texts = {"text": row["text"], "text_pair": row["text_pair"]}
        return {**texts, "prediction": prediction, "gold": row["label"]}


def longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """The sizes to which two texts are cut so that together they have ``room`` pieces at most.

    The longer text is cut to what the shorter one leaves; where that is not enough, both get half of the room, and an
    odd piece goes to the longer one (to the second where they are equal).

    >>> longest_first(3, 20, 12), longest_first(9, 9, 7)
    ((3, 9), (3, 4))
    """
    if first + second <= room:
        return first, second
    short, long = min(first, second), max(first, second)
    short, long = (short, room - short) if 2 * short <= room else (room // 2, room - room // 2)
    return (long, short) if first > second else (short, long)
