"""Checkpoints of every shape with random weights, to be taken to transformers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from fairseq_xalign.constants import CHECKPOINT_FORMAT
from fairseq_xalign.labelled.registry import KINDS
from fairseq_xalign.models.config import EncoderConfig
from fairseq_xalign.models.encoder import Encoder
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from tests.support.small_tokenizers import small

SHAPE: dict[str, Any] = {"layers": 2, "heads": 4, "width": 32, "ffn_width": 48, "max_positions": 64}
MMTE: dict[str, Any] = {
    "positions": "sinusoidal",
    "normalize_before": True,
    "embedding_layernorm": False,
    "embedding_scale": 0.0,
    "activation": "relu",
    "lm_head_transform": False,
    "lm_head_bias": False,
}
"""What makes an encoder that of a translation model."""


def randomized(module: torch.nn.Module, seed: int = 1) -> dict[str, torch.Tensor]:
    """Weights of which none is 0 or 1, so that none can be mistaken for another."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.named_parameters():
            value.normal_(1.0 if name.endswith("norm.weight") else 0.0, 0.2, generator=draw)
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def checkpoint(
    path: Path, tokenizer: Tokenizer | None = None, frame: str = "s", head: dict[str, Any] | None = None, **shape: Any
) -> Path:
    """Write a checkpoint, and return its file.

    Args:
        head: fields of ``task_state`` that make it a fine-tuned one: ``task``, ``labels``, ``pooling`` and so on.
        shape: fields of EncoderConfig.
    """
    tokenizer = tokenizer or small("trained")
    config = EncoderConfig.from_dict({**SHAPE, **shape, "vocab_size": len(tokenizer)})
    model = {f"encoder.{name}": value for name, value in randomized(Encoder(config)).items()}
    task: dict[str, Any] = {
        "format": CHECKPOINT_FORMAT,
        "encoder": asdict(config),
        "languages": ["en", "zh-TW"],
        "tokenizer": tokenizer.state(),
        "input": frame,
    }
    if head is not None:
        task |= {"head_dropout": 0.1, "labelled": "pos", "train_languages": ["en"], "max_length": 64, **head}
        kind = KINDS[task["task"]]
        module = kind.build_head(config.width, task)
        model |= {f"heads.{kind.name}.{name}": value for name, value in randomized(module, 2).items()}
    valid = [(10, "f1_mean", "AverageMeter", {"val": 50.0, "sum": 130.0, "count": 2.0, "round": 2})]
    state = {
        "args": None,
        "cfg": {"task": {"_name": "align_mlm", "data": "DATA", "mask_prob": 0.15}, "criterion": {"_name": "align_mlm"}},
        "model": model,
        "optimizer_history": [{"num_updates": 77}],
        "extra_state": {"best": 1.25, "val_loss": 1.5, "metrics": {"valid": valid}},
        "task_state": task,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    return path


TAGGER = {"task": "tagging", "labels": ["ADJ", "NOUN", "VERB"], "head": "linear"}
CLASSIFIER = {
    "task": "classification",
    "labels": ["bad", "good", "so|so"],
    "head": "linear",
    "pooling": "cls",
    "head_hidden": 0,
}
ANSWERS = {
    "task": "qa",
    "labels": ["answer"],
    "head": "linear",
    "stride": 16,
    "max_question_length": 12,
    "max_answer_length": 30,
}
