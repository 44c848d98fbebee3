"""Classification: one label for a text (topics, intents, sentiment)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairseq_xalign import cli
from fairseq_xalign.constants import HEADS, POOLINGS, SEPARATORS
from fairseq_xalign.data.formats import header, table
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics.labels import Accuracy, ClassF1, Metric, Pair
from fairseq_xalign.files import read_lines
from fairseq_xalign.labelled.kind import LANGUAGE_IN_NAME, Encoded, Example, FileRow, Item, Kind, Read, Row, Task
from fairseq_xalign.options import at_least
from fairseq_xalign.tokenizer.framing import frame_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from fairseq_xalign.tokenizer.tokenizer import Tokenizer

LEFT_OUT = "A label is missing: add it, because every item needs one"


def metrics(pairs: Sequence[Pair]) -> list[Metric]:
    """Accuracy, and F1 over the labels that occur in ``pairs``: macro and micro average."""
    labels = sorted({label for pair in pairs for label in pair if label is not None})
    return [Accuracy(), ClassF1(labels, "macro"), ClassF1(labels, "micro")]


def rows(path: Path, counts: Counter[str], has_header: str = header.AUTO) -> Iterator[FileRow]:
    """Rows of a table of labels and texts; ids are the lines. Empty lines are skipped and counted."""
    for example in table.read(path, has_header):
        if example.header:
            cli.say(f"{path}: {header.taken((example.label, example.text))}")
        elif example.empty:
            counts["empty lines skipped"] += 1
        else:
            row = {"id": str(example.line), "text": example.text, "label": example.label.strip()}
            yield FileRow(row, example.line)


def answers(path: Path, counts: Counter[str], gold: bool) -> Iterator[FileRow]:
    """One label per line; or a table of labels and texts, as ``benchmark`` reads it."""
    if "\t" in next((line for _, line in read_lines(path)), ""):
        yield from rows(path, counts)
        return
    for number, line in read_lines(path):
        if not line.strip():
            raise UserError("an empty line where a label should be", path, number, LEFT_OUT)
        yield FileRow({"label": line.strip()}, number)


CLASSIFICATION = Task(
    "classification",
    metrics,
    (re.compile(rf"(?P<split>[a-z]+)\.{LANGUAGE_IN_NAME}\.tsv(\.[a-z0-9]+)?"),),
    "{split}.{lang}.tsv: label, tab, text",
    rows,
    answers,
)


class Classification(Kind):
    """A text has one label. A row is ``{"id", "text", "label"}``."""

    name = "classification"
    tasks = (CLASSIFICATION,)
    gold_key = "label"
    described = "Fine-tuning that gives each text one label."
    cut_noun = "texts"

    @dataclass
    class Options:
        """Options of the head."""

        head: str = field(
            default="linear",
            metadata={
                "help": "layers that score the labels: linear, the default, for one pooled vector; or mmte, 64 units "
                "per token, their maximum over the text's tokens, and 64 units (MMTE, section 3.1)",
                "choices": HEADS,
            },
        )
        pooling: str = field(
            default="cls",
            metadata={
                "help": "what represents the text: its first token, or the mean or maximum over its tokens",
                "choices": POOLINGS,
            },
        )
        head_hidden: int = field(
            default=0,
            metadata={
                "help": "width of a hidden tanh layer in the head; 0, the default, for no such layer (with --pooling "
                "cls and the encoder's own width it begins as the pooler that a BERT was published with)"
            },
        )
        separator: str = field(
            default="makers",
            metadata={
                "help": "what stands between the two texts of a pair: what the encoder's makers put there, the default "
                "(for an encoder from translation a new symbol: MMTE, section 2.3), or eos, its end symbol once",
                "choices": SEPARATORS,
            },
        )

    def check_row(self, row: Row, task: Task | None = None) -> None:
        for key in ("text", "label"):
            if not isinstance(row[key], str):
                raise UserError(f'"{key}" must be a string, not {type(row[key]).__name__}', remedy=f"Correct {key!r}")
        if not row["label"].strip():
            raise UserError("an empty label", remedy="Give the text a label, or remove the line")

    def labels_of(self, row: Row) -> list[str]:
        return [row["label"]]

    def text_row(self, text: str) -> Row:
        return {"text": text, "label": None}

    def encode(
        self, tokenizer: Tokenizer, rows: Sequence[Row], labels: Sequence[str], language: str, limit: int
    ) -> Encoded:
        """Texts cut to ``limit`` ids; how many were cut is counted."""
        number = {name: i for i, name in enumerate(labels)}
        result = Encoded(language)
        for index, row in enumerate(rows):
            ids = tokenizer.encode(row["text"])
            if len(ids) > limit - 2:
                ids, result.cut = ids[: limit - 2], result.cut + 1
            label = number.get(row["label"], -1)
            result.examples.append(Example(ids, [], [label], index, str(row.get("id", index))))
        return result

    def check_options(self, options: Any) -> None:
        at_least(0, head_hidden=options.head_hidden)
        if str(options.head) == "mmte" and options.head_hidden:
            raise UserError(
                f"--head-hidden {options.head_hidden}: --head mmte has layers of its own",
                remedy="Leave one of them out",
            )
        if str(options.head) == "mmte" and str(options.pooling) == "mean":
            raise UserError("--pooling mean: --head mmte takes the maximum", remedy="Leave --pooling out")

    def head_settings(self, options: Any) -> dict[str, Any]:
        head = str(options.head)
        pooling = "max" if head == "mmte" else str(options.pooling)
        return {"head": head, "pooling": pooling, "head_hidden": options.head_hidden}

    def build_head(self, width: int, settings: dict[str, Any]) -> nn.Module:
        from fairseq_xalign.models.heads import ClassificationHead, MMTEClassificationHead
        from fairseq_xalign.models.pooling import check_pooling

        if settings.get("head") == "mmte":
            before = frame_of(settings).before
            return MMTEClassificationHead(width, len(settings["labels"]), settings["head_dropout"], before)
        hidden = settings["head_hidden"] or None
        check_pooling(settings["pooling"], frame_of(settings))
        return ClassificationHead(width, len(settings["labels"]), settings["pooling"], hidden, settings["head_dropout"])

    def scores(self, head: nn.Module, read: Read, starts: Tensor, sample: dict[str, Any]) -> Tensor:
        """[B, labels]."""
        if getattr(head, "pooling", "") != "cls":
            return head(read(None), starts)
        import torch

        first = read(starts[:-1].long())  # of each text, its first token alone
        return head(first, torch.arange(len(starts), device=starts.device))

    def prediction(self, parts: Sequence[list[Any]]) -> Any:
        return parts[0][0]

    def line(self, row: Row, prediction: Any) -> Row:
        return {"text": row["text"], "prediction": prediction, "gold": row["label"]}

    def checked_item(self, item: Item, task: Task, tokens: Sequence[str] | None = None) -> Item:
        for key, value in (("gold", item.gold), ("prediction", item.prediction)):
            if not isinstance(value, str) and not (key == "prediction" and value is None):
                raise UserError(
                    f'"{key}" must be a label (a string), not {type(value).__name__}',
                    remedy="Each text has one label; lists of tags are scored with --task pos or --task ner",
                )
            if isinstance(value, str) and not value.strip():
                raise UserError(f'"{key}" is an empty label', remedy=LEFT_OUT)
        return item

    def counts(self, items: Sequence[Item]) -> dict[str, int]:
        return {"items": len(items), "missing": sum(item.prediction is None for item in items)}
