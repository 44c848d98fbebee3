"""Describe a checkpoint: its shape, languages, vocabulary, labels and training.

Only the checkpoint is read; no data folder is needed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from fairseq_xalign.models.checkpoint import CKPT_HELP, find_checkpoint, read_checkpoint
from fairseq_xalign.tokenizer.framing import frame_of
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

EXAMPLE = "example:\n  xalign-evaluate info runs/align_mlm"
FINE_TUNED = ("task", "labels", "pooling", "labelled", "train_languages")
"""What only a fine-tuned checkpoint says of itself."""


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
        "valid": {"best": (state.get("extra_state") or {}).get("best")},
    }
    return result | {name: task[name] for name in FINE_TUNED if name in task}
