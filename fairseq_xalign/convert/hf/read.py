"""Open a folder of `transformers` as if it were a checkpoint of ours, without that library.

Weights, settings and tokenizer are read from their files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fairseq_xalign.constants import CHECKPOINT_FORMAT
from fairseq_xalign.convert.hf.layouts import LAYOUTS, Ours, Rows, layout_of
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_json
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

CONFIG = "config.json"
FOREIGN = "foreign"
"""The field of ``task_state`` about the folder that a checkpoint comes from, and, with a full stop, the prefix of
weights in ``model`` that our encoder has no place for."""


def open_folder(path: str | Path) -> dict[str, Any]:
    """Read a folder of `transformers`.

    Args:
        path: the folder, or a name on the Hugging Face hub.

    Returns:
        ``model``: weights by name, ``encoder.*`` and ``foreign.*``; ``task_state``: what a checkpoint of ours says
        (``models/checkpoint.py``), and ``foreign``: ``layout`` (its name), ``config`` (the contents of
        ``config.json``), ``rows`` (by our id the row in their table, or None for the order that the tokenizer knows;
        see :func:`rows_of`), ``fresh`` (names of our weights that the folder does not have) and ``files`` (the
        tokenizer's files, bytes by name).

    Raises:
        UserError: an architecture or a setting that is not supported, weights that are missing or unknown, a
            tokenizer that does not fit; nothing is run that a file might contain.
    """
    folder = Path(path)
    config = read_json(folder / CONFIG)
    layout = layout_of(config, str(folder / CONFIG))
    tokenizer = Tokenizer.adopted(folder / "tokenizer.json")
    encoder = layout.encoder_config(config, len(tokenizer))
    rows = tokenizer.to_foreign(range(len(tokenizer)))
    with_weights = SafeWeights(folder / "model.safetensors")
    found = layout.ours(with_weights, encoder, rows)
    fresh = fresh_weights(found, encoder)
    task_state = {
        "format": CHECKPOINT_FORMAT,
        "encoder": vars(encoder),
        "languages": [],
        "tokenizer": tokenizer.state(),
        "input": "s",
        FOREIGN: {"layout": layout.name, "config": config, "rows": None, "fresh": sorted(fresh), "files": {}},
    }
    ours = {**found.weights, **fresh}
    model = {f"encoder.{k}": v for k, v in ours.items()} | {f"{FOREIGN}.{k}": v for k, v in found.kept.items()}
    return {"model": model, "task_state": task_state}


def rows_of(task_state: Mapping[str, Any]) -> Rows:
    """By our id, the row in the tables of the folder that a checkpoint was converted from; None for what is ours."""
    rows = task_state[FOREIGN]["rows"]
    if rows is not None:
        return rows
    tokenizer = Tokenizer.from_state(task_state["tokenizer"])
    return tokenizer.to_foreign(range(len(tokenizer)))


def fresh_weights(found: Ours, encoder: Any) -> dict[str, Tensor]:
    """Initial values of the MLM head's weights that are not there."""
    fresh: dict[str, Tensor] = {}
    draw = torch.Generator().manual_seed(1)
    shapes = {"lm_dense.weight": (encoder.width, encoder.width), "lm_bias": (encoder.vocab_size,)}
    for name in found.absent:
        value = torch.zeros(shapes.get(name, (encoder.width,)))
        if name == "lm_dense.weight":
            value.normal_(std=encoder.initializer_std, generator=draw)
        fresh[name] = value + 1 if name == "lm_norm.weight" else value
    return fresh


class SafeWeights(Mapping[str, Tensor]):
    """The tensors of a ``.safetensors`` file, each read when it is asked for."""

    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        if not path.exists():
            raise UserError("no weights in this folder", path.parent, remedy="It must have model.safetensors")
        self._file = safe_open(str(path), framework="pt")
        self._names = list(self._file.keys())

    def __getitem__(self, name: str) -> Tensor:
        return self._file.get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


__all__ = ["CONFIG", "FOREIGN", "LAYOUTS", "open_folder", "rows_of"]
