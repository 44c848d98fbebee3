"""Encoders of any origin: a checkpoint of ours, or a folder of the transformers library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairseq_xalign.models.checkpoint import checkpoint_in, encoder_of, read_checkpoint
from fairseq_xalign.models.encoder import Encoder
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

CONFIG_FILE = "config.json"
"""What a folder of transformers has and one of ours does not need."""


def open_encoder(path: str | Path) -> tuple[Encoder, Tokenizer, dict[str, Any]]:
    """The encoder (in evaluation mode), its tokenizer, and what a checkpoint says of both (``task_state``).

    Args:
        path: a checkpoint of ours (a ``.pt`` file or its folder), of any task; or a folder of the transformers library
            with a BERT or XLM-RoBERTa.
    """
    if Path(path).is_dir() and checkpoint_in(path) is None and (Path(path) / CONFIG_FILE).exists():
        from fairseq_xalign.convert.hf.read import open_folder

        return encoder_of(open_folder(path))
    return encoder_of(read_checkpoint(path))
