"""An encoder with the head of a labelled task: built from plain settings, in training and from a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from fairseq_xalign.errors import UserError
from fairseq_xalign.models.checkpoint import read_checkpoint, with_prefix
from fairseq_xalign.models.encoder import Encoder, EncoderConfig
from fairseq_xalign.models.heads import ClassificationHead, TaggingHead
from fairseq_xalign.objectives.batch import PackedBatch
from fairseq_xalign.tokenizer.tokenizer import Tokenizer


def build_head(width: int, settings: dict[str, Any]) -> nn.Module:
    """The head that ``settings`` describe.

    Args:
        width: D of the encoder.
        settings: ``task`` (tagging or classification), ``labels``, ``head_dropout`` and, for
            classification, ``pooling`` and ``head_hidden`` (0: no hidden layer).
    """
    if settings["task"] == "tagging":
        return TaggingHead(width, len(settings["labels"]), settings["head_dropout"])
    hidden = settings["head_hidden"] or None
    return ClassificationHead(width, len(settings["labels"]), settings["pooling"], hidden, settings["head_dropout"])


def label_scores(encoder: nn.Module, head: nn.Module, sample: dict[str, Any]) -> Tensor:
    """Scores [M, labels] of a batch made by ``LabelledCollater`` (M words, or B texts)."""
    batch = PackedBatch.from_dict(sample["streams"]["labelled"])
    features = encoder(batch)  # [T, D]
    if isinstance(head, TaggingHead):
        return head(features[sample["at"]])
    return head(features, batch.starts)


def load_labeller(path: str | Path) -> tuple[Encoder, nn.Module, Tokenizer, dict[str, Any]]:
    """Encoder and head in evaluation mode, tokenizer, and ``task_state`` of a fine-tuned checkpoint."""
    state = read_checkpoint(path)
    task = state["task_state"]
    if "labels" not in task:
        raise UserError(
            "this checkpoint has no labels",
            path,
            remedy="Fine-tune it first: --task xling_tagging or xling_classification",
        )
    config = EncoderConfig.from_dict(task["encoder"])
    encoder, head = Encoder(config), build_head(config.width, task)
    encoder.load_state_dict(with_prefix(state["model"], "encoder."))
    head.load_state_dict(with_prefix(state["model"], f"heads.{task['task']}."))
    return encoder.eval().float(), head.eval().float(), Tokenizer.from_state(task["tokenizer"]), task
