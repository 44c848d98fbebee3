"""Read checkpoints without fairseq: encoder, heads, tokenizer and settings from a ``.pt`` file.

A checkpoint is fairseq's. Under ``task_state`` it carries everything that is needed to use it, so that it predicts
without any folder: ``format``, ``encoder`` (the fields of EncoderConfig), ``languages`` (in the order of the language
embeddings), ``tokenizer`` (its state), ``input`` (what stands around a text, see ``tokenizer/framing.py``) and, after
fine-tuning, ``labels``, ``task`` and ``pooling``, after training to translate ``decoder`` (the fields of
DecoderConfig), ``directions`` and ``target_token``.
"""

from __future__ import annotations

import argparse
import ctypes
import mmap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fairseq_xalign.constants import CHECKPOINT_FORMAT
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.config import DecoderConfig, EncoderConfig
from fairseq_xalign.models.encoder import Encoder
from fairseq_xalign.models.translation import TranslationModel
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

NAMES = ("checkpoint_best.pt", "checkpoint_last.pt")
"""The checkpoint that a folder stands for, in every command and option: the best, else the last."""

CKPT_HELP = "Checkpoint to use: a .pt file, or its folder, which stands for the best one there, or else the last."
"""Help text of every argument that takes a checkpoint."""


def checkpoint_in(folder: str | Path) -> Path | None:
    """The checkpoint that a folder stands for: the best, else the last, else None."""
    return next((Path(folder) / name for name in NAMES if (Path(folder) / name).exists()), None)


def find_checkpoint(path: str | Path) -> Path:
    """The ``.pt`` that CKPT means: the file itself, or the best (else the last) of a folder.

    Raises:
        UserError: there is no such file or folder, or no checkpoint in the folder.
    """
    path = Path(path)
    if path.is_dir():
        found = checkpoint_in(path)
        if found is None:
            remedy = f"It must have {' or '.join(NAMES)}"
            if (path / "config.json").exists():
                remedy = "It is one of transformers: convert it with `xalign-convert from-hf`"
            raise UserError("no checkpoint in this folder", path, remedy=remedy)
        return found
    if not path.exists():
        raise UserError("no such checkpoint", path, remedy="Name a .pt file, or a folder that has one")
    if not path.is_file():
        raise UserError("a checkpoint cannot be read from a pipe or a device", path, remedy="Name a .pt file")
    return path


def read_checkpoint(path: str | Path, mapped: bool = False) -> dict[str, Any]:
    """Read a whole checkpoint to the CPU, weights-only, and check its ``task_state``.

    Args:
        path: a ``.pt`` file, or a folder with one.
        mapped: leave tensors on disk until they are used. This is fast where only the settings are needed.

    Raises:
        UserError: the file is not a checkpoint, is not one of ours, or comes from a newer version.
    """
    file = find_checkpoint(path)
    torch.serialization.add_safe_globals([argparse.Namespace])
    try:
        state = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", file, remedy="Check its permissions") from error
    except Exception as error:
        raise UserError(
            f"cannot be read as a checkpoint ({file.stat().st_size:,} bytes)",
            file,
            remedy="It is damaged, cut short, or was not written by fairseq-train. Use another checkpoint",
        ) from error
    task = state.get("task_state") if isinstance(state, dict) else None
    if not task or "encoder" not in task:
        raise UserError("not a checkpoint of fairseq_xalign", file, remedy="It must come from a task of this plugin")
    if task["format"] > CHECKPOINT_FORMAT:
        raise UserError(f"format {task['format']} is newer than {CHECKPOINT_FORMAT}", file, remedy="Update the plugin")
    return state


TRAINING_OPTIONS = {
    "optimization": ("lr", "max_update", "max_epoch", "update_freq", "clip_norm"),
    "optimizer": ("_name", "adam_betas", "weight_decay"),
    "lr_scheduler": ("_name", "warmup_updates", "total_num_update"),
    "dataset": ("batch_size", "max_tokens"),
}
"""Groups of a saved configuration, and their options that tell how long and how fast was learned."""


def training_options(cfg: Mapping[str, Any]) -> dict[str, str]:
    """How a checkpoint was trained, by options of ``fairseq-train``: those of ``TRAINING_OPTIONS`` that it has."""
    found: dict[str, str] = {}
    for group, names in TRAINING_OPTIONS.items():
        values = cfg.get(group) or {}
        for name in names:
            value = values.get(name)
            option = group if name == "_name" else name
            if value not in (None, 0, [], ""):
                text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
                found[f"--{option.replace('_', '-')}"] = text
    return found


MADV_PAGEOUT = 21
"""Linux's advice that memory is not needed for a while (``linux/mman.h``); it never changes what the memory holds."""


def release(tensors: Iterable[Tensor]) -> None:
    """Give back the memory of tensors that are mapped from a file; what is used again is read again.

    No value changes, mapped or not. On systems other than Linux nothing happens.
    """
    advise = getattr(ctypes.CDLL(None), "madvise", None)
    if advise is None or not hasattr(mmap, "MADV_NORMAL"):
        return
    for tensor in tensors:
        begin = -(-tensor.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
        end = (tensor.data_ptr() + tensor.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
        if begin < end:
            advise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), MADV_PAGEOUT)


def with_prefix(state: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the entries below ``prefix``, with the prefix removed."""
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def read_translator(path: str | Path) -> tuple[TranslationModel, Tokenizer, dict[str, Any]]:
    """Return the translation model (in evaluation mode), its tokenizer, and the checkpoint's ``task_state``.

    Raises:
        UserError: the checkpoint has no decoder.
    """
    state = read_checkpoint(path)
    task, weights = state["task_state"], state["model"]
    if "decoder" not in task:
        raise UserError(
            "this checkpoint does not translate: it has no decoder",
            find_checkpoint(path),
            remedy="Use one that was trained with --task mnmt",
        )
    model = TranslationModel(EncoderConfig.from_dict(task["encoder"]), DecoderConfig.from_dict(task["decoder"]))
    model.load_state_dict({k: v for k, v in weights.items() if k.startswith(("encoder.", "decoder."))})
    model.target_token = task.get("target_token", model.target_token)
    return model.eval().float(), Tokenizer.from_state(task["tokenizer"]), task


def read_encoder(path: str | Path) -> tuple[Encoder, Tokenizer, dict[str, Any]]:
    """Return the encoder (in evaluation mode), its tokenizer, and the checkpoint's ``task_state``."""
    return encoder_of(read_checkpoint(path))


def encoder_of(state: Mapping[str, Any]) -> tuple[Encoder, Tokenizer, dict[str, Any]]:
    """The same of a checkpoint that was read already."""
    task = state["task_state"]
    encoder = Encoder(EncoderConfig.from_dict(task["encoder"]))
    encoder.load_state_dict(with_prefix(state["model"], "encoder."))
    return encoder.eval().float(), Tokenizer.from_state(task["tokenizer"]), task
