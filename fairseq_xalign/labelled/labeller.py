"""An encoder with the head of a labelled task: scores of a batch, and predictions with a fine-tuned checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fairseq_xalign.errors import UserError
from fairseq_xalign.labelled.batches import LabelledCollater
from fairseq_xalign.labelled.kind import Encoded, Example, Kind, Row
from fairseq_xalign.labelled.registry import KINDS
from fairseq_xalign.models.checkpoint import read_checkpoint, with_prefix
from fairseq_xalign.models.device import inference_precision
from fairseq_xalign.models.encoder import Encoder, EncoderConfig
from fairseq_xalign.models.sentences import nothing_shown
from fairseq_xalign.objectives.batch import PackedBatch
from fairseq_xalign.tokenizer.framing import FRAMES, Frame, frame_of
from fairseq_xalign.tokenizer.tokenizer import Tokenizer


def label_scores(encoder: Callable[..., Tensor], head: nn.Module, kind: Kind, sample: dict[str, Any]) -> Tensor:
    """The head's scores of a batch made by ``LabelledCollater``: [M, labels] for M words, or B texts."""
    batch = PackedBatch.from_dict(sample["streams"]["labelled"])
    return kind.scores(head, lambda tokens: encoder(batch, tokens=tokens), batch.starts, sample)


@dataclass
class Labeller:
    """What predicts labels: everything that a fine-tuned checkpoint holds.

    Attributes:
        labels: names, in the order of the head's outputs.
        languages: names in the order of the encoder's language embeddings.
        max_length: longest sequence in subwords, ``</s>`` (and ``<s>``, if it has one) included.
        learned: the name of the labelled folder that it was fine-tuned on.
        frame: what the encoder expects around a text.
        bf16: whether the encoder computes in bfloat16.
    """

    encoder: Encoder
    head: nn.Module
    tokenizer: Tokenizer
    kind: Kind
    labels: list[str]
    languages: list[str]
    max_length: int
    learned: str
    frame: Frame = FRAMES["s"]
    bf16: bool = False

    def to(self, device: torch.device) -> Labeller:
        """Move encoder and head to ``device``."""
        self.encoder.to(device)
        self.head.to(device)
        return self

    def encode(self, rows: Sequence[Row], language: str) -> Encoded:
        """The rows as sequences for this model."""
        return self.kind.encode_framed(self.tokenizer, rows, self.labels, language, self.max_length, self.frame)

    def predict(
        self,
        encoded: Encoded,
        rows: int,
        batch_tokens: int,
        advance: Callable[[float], None] = nothing_shown,
    ) -> list[Any]:
        """The prediction of each of ``rows`` rows, in order.

        Args:
            encoded: the rows' sequences.
            batch_tokens: tokens per batch at most (a longer sequence is a batch of its own).
            advance: is told the share of each batch in the rows when it is done.
        """
        answers: list[list[Any]] = [[] for _ in encoded.examples]
        share = rows / max(len(encoded.examples), 1)  # a long row is several examples
        for batch, examples, scores in self.scored(encoded, batch_tokens, advance=lambda n: advance(n * share)):
            for i, answer in zip(batch, self.kind.answers(scores, examples, self.labels), strict=True):
                answers[i] = answer
        parts: list[list[list[Any]]] = [[] for _ in range(rows)]
        for example, answer in zip(encoded.examples, answers):  # a long row is several examples, in order
            parts[example.row].append(answer)
        return [self.kind.prediction(part) for part in parts]

    def probabilities(
        self, encoded: Encoded, rows: int, batch_tokens: int, **limits: Any
    ) -> list[tuple[list[str], np.ndarray]]:
        """The labels of the units of each of ``rows`` rows, and all labels' probabilities, float32 [units, labels].

        A unit is what has a label: a word, or the text. ``limits`` are those of :meth:`scored`.
        """
        found: list[tuple[list[str], np.ndarray]] = [([], np.empty(0))] * len(encoded.examples)
        for batch, examples, scores in self.scored(encoded, batch_tokens, **limits):
            answers = self.kind.answers(scores, examples, self.labels)
            parts = self.kind.probabilities(scores, examples)
            for i, answer, part in zip(batch, answers, parts, strict=True):
                found[i] = answer, part.cpu().numpy()
        labels: list[list[str]] = [[] for _ in range(rows)]
        nothing = np.empty((0, len(self.labels)), np.float32)
        by_row: list[list[np.ndarray]] = [[nothing] for _ in range(rows)]
        for example, (answer, values) in zip(encoded.examples, found):
            labels[example.row] += answer
            by_row[example.row].append(values)
        return [(answers, np.concatenate(values)) for answers, values in zip(labels, by_row)]

    def _features(self, batch: PackedBatch, tokens: Tensor | None = None) -> Tensor:
        """The encoder's output in float32, whatever it is computed in: the head's scores are not rounded."""
        with inference_precision(batch.tokens.device, self.bf16):
            features: Tensor = self.encoder(batch, tokens=tokens)
        return features.float() if self.bf16 else features

    @torch.no_grad()
    def scored(
        self,
        encoded: Encoded,
        batch_tokens: int,
        batch_size: int | None = None,
        advance: Callable[[int], None] = nothing_shown,
    ) -> Iterator[tuple[list[int], list[Example], Tensor]]:
        """The numbers of each batch's examples, these examples, and the head's scores of them, in float32.

        Args:
            batch_tokens, batch_size: tokens and examples per batch at most.
            advance: is told the number of examples of each batch when it is done.
        """
        numbers = {name: i for i, name in enumerate(self.languages, start=1)}
        collater = LabelledCollater([], self.kind, numbers, [encoded.language], self.frame)
        device = next(self.encoder.parameters()).device
        for batch in batches_by_length(encoded.examples, batch_tokens, batch_size):
            examples = [encoded.examples[i] for i in batch]
            sample = collater.build(examples, [encoded.language] * len(examples))
            sample["at"] = sample["at"].to(device)
            packed = sample["streams"]["labelled"]
            sample["streams"]["labelled"] = {
                k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in packed.items()
            }
            yield batch, examples, label_scores(self._features, self.head, self.kind, sample)
            advance(len(batch))


def batches_by_length(
    examples: Sequence[Example], batch_tokens: int, batch_size: int | None = None
) -> Iterator[list[int]]:
    """Indices of examples in batches of similar length, shortest first, at most ``batch_tokens`` tokens if padded."""
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].ids))
    begin = 0
    while begin < len(order):
        end = begin + 1
        while end < len(order) and end - begin != batch_size:
            if (end + 1 - begin) * (len(examples[order[end]].ids) + 2) > batch_tokens:
                break
            end += 1
        yield order[begin:end]
        begin = end


def load_labeller(path: str | Path) -> Labeller:
    """The encoder and head (in evaluation mode) of a fine-tuned checkpoint, with all that predicting takes."""
    state = read_checkpoint(path)
    task = state["task_state"]
    if "labels" not in task:
        raise UserError(
            "this checkpoint has no labels",
            path,
            remedy=f"Fine-tune it first: --task {' or '.join(dict.fromkeys(k.training_task for k in KINDS.values()))}",
        )
    if task["task"] not in KINDS:
        raise UserError(f"its task is {task['task']!r}", path, remedy=f"This version knows {', '.join(KINDS)}")
    kind = KINDS[task["task"]].configured(task)
    config = EncoderConfig.from_dict(task["encoder"])
    encoder, head = Encoder(config), kind.build_head(config.width, task)
    encoder.load_state_dict(with_prefix(state["model"], "encoder."))
    head.load_state_dict(with_prefix(state["model"], f"heads.{kind.name}."))
    return Labeller(
        encoder.eval().float(),
        head.eval().float(),
        Tokenizer.from_state(task["tokenizer"]),
        kind,
        list(task["labels"]),
        list(task["languages"]),
        task["max_length"],
        task.get("labelled", ""),
        frame_of(task),
    )
