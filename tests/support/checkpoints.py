"""Small checkpoints with known weights, as fairseq writes them, without a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from fairseq_xalign.models.checkpoint import read_checkpoint
from fairseq_xalign.tokenizer.growth import with_language_tokens
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

PRETRAINED = Path(__file__).parents[1] / "data" / "first_version" / "pretrained" / "checkpoint_last.pt"


def encoder_state(languages: int = 0) -> dict[str, Any]:
    """A real encoder checkpoint of English and a derived language, optionally with language embeddings."""
    state = read_checkpoint(PRETRAINED)
    if languages:
        state["task_state"]["encoder"]["n_languages"] = languages
        rows = torch.randn(languages + 1, 16, generator=torch.Generator().manual_seed(1))
        rows[0] = 0
        state["model"]["encoder.embed_languages.weight"] = rows
    return state


def translation_state(tying: str = "none") -> dict[str, Any]:
    """The same with ``<2en>`` and ``<2xx>``, and with weights of a decoder of one vocabulary; not a working decoder."""
    state = encoder_state()
    draw, task, model = torch.Generator().manual_seed(2), state["task_state"], state["model"]
    tokenizer = with_language_tokens(Tokenizer.from_state(task["tokenizer"]), ["en", "xx"])
    size = len(tokenizer)
    for name in ("encoder.embed_tokens.weight", "encoder.lm_bias"):
        shape = (size, *model[name].shape[1:])
        model[name] = torch.randn(shape, generator=draw)
    if tying != "all":
        model["decoder.embed_tokens.weight"] = torch.randn(size, 16, generator=draw)
    if tying == "none":
        model["decoder.output.weight"] = torch.randn(size, 16, generator=draw)
    model["decoder.layers.0.qkv.weight"] = torch.randn(48, 16, generator=draw)
    model["objectives.x.weight"] = torch.randn(2, generator=draw)
    task["encoder"]["vocab_size"] = size
    task |= {
        "tokenizer": tokenizer.state(),
        "decoder": {"vocab_size": size, "layers": 1, "tying": tying},
        "target_token": "source",
        "directions": ["en-xx", "xx-en"],
    }
    return state


def save(state: dict[str, Any], path: Path, updates: int = 20) -> Path:
    """Write a checkpoint that has been trained for ``updates``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({**state, "optimizer_history": [{**state["optimizer_history"][0], "num_updates": updates}]}, path)
    return path
