"""Checkpoints as this program writes them: fairseq's own form, whole or not at all, without what training alone needs.

A converted checkpoint has weights, configuration and ``task_state``. It has no state of an optimizer and no best
validation score, which were those of other weights: training goes on from it with ``--finetune-from-model``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from fairseq_xalign.constants import SETTINGS_FILE
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import atomic_file, atomic_folder, write_json
from fairseq_xalign.models.checkpoint import NAMES
from fairseq_xalign.outputs import refuse_to_replace
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

OUT_HELP = "Checkpoint to write: a .pt file, or a folder in which it becomes checkpoint_last.pt."
"""Help text of every argument that names the checkpoint to write."""
SCORES = ("best", "val_loss", "metrics", "previous_training_time")
"""What ``extra_state`` says of the weights that training saved."""
CONVERTED = "converted"
"""The field of ``task_state`` that says what a checkpoint was made of."""


def output_file(path: str | Path, inputs: Iterable[Path]) -> Path:
    """The file that OUT means.

    Args:
        inputs: the checkpoints that the command reads.

    Raises:
        UserError: a folder that has a checkpoint already, or one of the inputs.
    """
    path = Path(path)
    if path.suffix == ".pt":
        refuse_to_replace(inputs, [path])
        return path
    found = next((path / name for name in NAMES if (path / name).exists()), None)
    if found is not None:
        raise UserError("there is a checkpoint already", found, remedy="Name another folder, or a .pt file to replace")
    return path / NAMES[-1]


def write_folder(
    folder: Path, state: Mapping[str, Any], *, command: str, sources: list[str], settings: Mapping[str, Any]
) -> None:
    """Write a checkpoint folder atomically: ``checkpoint_best.pt``, the tokenizer and ``dict.txt``, ``settings.json``.

    Args:
        settings: what ``settings.json`` holds; the others are those of :func:`write_checkpoint`.
    """
    with atomic_folder(folder) as temporary:
        write_checkpoint(temporary / NAMES[0], state, command=command, sources=sources)
        Tokenizer.from_state(state["task_state"]["tokenizer"]).save_into(temporary)
        write_json(temporary / SETTINGS_FILE, settings)


def write_checkpoint(path: Path, state: Mapping[str, Any], *, command: str, sources: list[str]) -> None:
    """Write a checkpoint atomically.

    Args:
        path: from :func:`output_file`.
        state: of a checkpoint that was read, with other weights or another ``task_state``.
        command: the sub-command that made it.
        sources: the checkpoints that it was made of.
    """
    result = dict(state)
    result.pop("last_optimizer_state", None)
    result["extra_state"] = {k: v for k, v in (state.get("extra_state") or {}).items() if k not in SCORES}
    made = {"command": command, "of": sources}
    result["task_state"] = {**state["task_state"], CONVERTED: made}
    with atomic_file(path, "wb") as stream:
        torch.save(result, stream)


def check_shapes(state: Mapping[str, Any], where: str | Path) -> None:
    """Refuse a checkpoint whose vocabulary and embeddings do not agree: it is damaged.

    Raises:
        UserError: naming the file.
    """
    rows, size = state["model"].get("encoder.embed_tokens.weight"), state["task_state"]["encoder"]["vocab_size"]
    if rows is None or rows.shape[0] != size:
        raise UserError(
            f"its embeddings have {'no' if rows is None else rows.shape[0]} rows, but its vocabulary {size} symbols",
            where,
            remedy="The checkpoint is damaged: use another",
        )
