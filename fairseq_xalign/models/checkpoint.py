"""Read checkpoints without fairseq: encoder, heads, tokenizer and settings from a ``.pt`` file.

A checkpoint is fairseq's. Under ``task_state`` it carries everything that is needed to use it, so that it predicts
without any folder: ``format``, ``encoder`` (the fields of EncoderConfig), ``languages`` (in the order of the language
embeddings), ``tokenizer`` (its state) and, after fine-tuning, ``labels``, ``task`` and ``pooling``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from fairseq_xalign.constants import CHECKPOINT_FORMAT
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.encoder import Encoder, EncoderConfig
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

NAMES = ("checkpoint_best.pt", "checkpoint_last.pt")


def find_checkpoint(path: str | Path) -> Path:
    """Return the ``.pt`` that a user means: the file itself, or the best (else the last) checkpoint of a folder."""
    path = Path(path)
    if path.is_dir():
        for name in NAMES:
            if (path / name).exists():
                return path / name
        raise UserError("no checkpoint in this folder", path, remedy=f"Looked for {' and '.join(NAMES)}")
    if not path.exists():
        raise UserError("no such checkpoint", path)
    return path


def read_checkpoint(path: str | Path, mapped: bool = False) -> dict[str, Any]:
    """Load the whole checkpoint to the CPU, weights only, and check its ``task_state``.

    Args:
        mapped: leave tensors on disk until they are used, for callers that need the settings only.

    Raises:
        UserError: if the file is not a checkpoint, was not written by this package, or comes from a newer version.
    """
    file = find_checkpoint(path)
    torch.serialization.add_safe_globals([argparse.Namespace])
    try:
        state = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:
        raise UserError("cannot be read as a checkpoint", file, remedy="Give a .pt that fairseq-train wrote") from error
    task = state.get("task_state") if isinstance(state, dict) else None
    if not task or "encoder" not in task:
        raise UserError("not a checkpoint of fairseq_xalign", file, remedy="It must come from a task of this plugin")
    if task["format"] > CHECKPOINT_FORMAT:
        raise UserError(f"format {task['format']} is newer than {CHECKPOINT_FORMAT}", file, remedy="Update the plugin")
    return state


def with_prefix(state: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the entries below ``prefix``, with the prefix removed."""
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def load_encoder(path: str | Path) -> tuple[Encoder, Tokenizer, dict[str, Any]]:
    """Return the encoder (in evaluation mode), its tokenizer, and the checkpoint's ``task_state``."""
    state = read_checkpoint(path)
    task = state["task_state"]
    encoder = Encoder(EncoderConfig.from_dict(task["encoder"]))
    encoder.load_state_dict(with_prefix(state["model"], "encoder."))
    return encoder.eval().float(), Tokenizer.from_state(task["tokenizer"]), task
