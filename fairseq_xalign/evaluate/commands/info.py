"""Describe a checkpoint: its shape, languages, vocabulary, labels and training.

Of a translation checkpoint it also tells the directions, where the target language is named, and how many parameters
encoder and decoder have. Only the checkpoint is read; no data folder is needed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from fairseq_xalign.models.checkpoint import CKPT_HELP, find_checkpoint, read_checkpoint, training_options
from fairseq_xalign.tokenizer.framing import frame_of
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

EXAMPLE = "example:\n  xalign-evaluate info runs/align_mlm"
FINE_TUNED = ("task", "labels", "head", "pooling", "freeze_encoder", "labelled", "train_languages", "few_shot")
"""What only a fine-tuned checkpoint says of itself."""
TARGET_TOKENS = {
    "source": "<2xx> x </s>",
    "separate": "x </s>, and <2xx> encoded apart",
    "none": "x </s>, without <2xx>",
}
"""What the encoder of a translation model reads, by the checkpoint's target token."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate info``."""
    parser.add_argument("checkpoint", metavar="CKPT", help=CKPT_HELP)
    parser.add_argument("--json", action="store_true", help="Print JSON.")


def run(args: argparse.Namespace) -> None:
    """Describe and print."""
    values = info(args.checkpoint)
    if args.json:
        print(json.dumps(values, ensure_ascii=False, indent=2, default=str))
        return
    for name, value in values.items():
        if isinstance(value, dict):
            print(f"{name}:")
            for key, item in value.items():
                print(f"  {key}: {item}")
        else:
            print(f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}")


def info(checkpoint: str | Path) -> dict[str, Any]:
    """Everything worth knowing about a checkpoint (a ``.pt`` file or its folder), as plain values."""
    state = read_checkpoint(checkpoint)
    task, tokenizer = state["task_state"], Tokenizer.from_state(state["task_state"]["tokenizer"])
    cfg = state.get("cfg") or {}
    history = state.get("optimizer_history") or [{}]
    settings = {k: v for k, v in (cfg.get("task") or {}).items() if v is not None and not k.startswith("_")}
    result = {
        "checkpoint": str(find_checkpoint(checkpoint)),
        "format": task["format"],
        "updates": history[-1].get("num_updates"),
        "criterion": (cfg.get("criterion") or {}).get("_name"),
        "parameters": sum(v.numel() for v in state["model"].values()),
        "encoder": task["encoder"],
        "input": frame_of(task).shown,
        "languages": task["languages"],
        "vocabulary": {"size": len(tokenizer), "kind": tokenizer.kind, "sha256": tokenizer.sha256},
        "settings": settings,
        "training": training_options(cfg),
        "valid": {"best": (state.get("extra_state") or {}).get("best")},
    }
    if "decoder" in task:
        result |= _translation(task, state["model"])
    if "converted" in task:
        made = task["converted"]
        result["made by"] = f"xalign-convert {made['command']} of {', '.join(made['of'])}"
    return result | {name: task[name] for name in FINE_TUNED if name in task}


def _translation(task: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
    """What only a translation checkpoint says of itself."""
    kind = task.get("target_token", "source")
    sizes = {
        part: sum(v.numel() for name, v in model.items() if name.startswith(f"{part}."))
        for part in ("encoder", "decoder")
    }
    tying = task["decoder"].get("tying", "all")
    shared = {"all": "with the embeddings, which the decoder uses too", "decoder": "its own embeddings", "none": ""}
    return {
        "decoder": task["decoder"],
        "parameters of": {**sizes, "tying": f"{tying}{f' ({shared[tying]})' if shared.get(tying) else ''}"},
        "target token": f"{kind}: {TARGET_TOKENS.get(kind, kind)}",
        "directions": list(task.get("directions") or ()),
    }
