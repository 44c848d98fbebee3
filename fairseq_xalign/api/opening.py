"""Encoders of any origin: a checkpoint of ours, a folder of the transformers library, or a model of the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairseq_xalign.models.checkpoint import checkpoint_in, encoder_of, read_checkpoint
from fairseq_xalign.models.encoder import Encoder
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

CONFIG_FILE = "config.json"
"""What a folder of transformers has and one of ours does not need."""
ENCODER_HELP = (
    "Encoder to use: a .pt file, or its folder, which stands for the best one there, or else the last; a folder of the "
    "transformers library with a BERT or XLM-RoBERTa; or the name of such a model on the Hugging Face hub."
)
"""Help text of arguments that :func:`open_encoder` opens."""


def open_encoder(path: str | Path) -> tuple[Encoder, Tokenizer, dict[str, Any]]:
    """The encoder (in evaluation mode), its tokenizer, and what a checkpoint says of both (``task_state``).

    Args:
        path: a checkpoint of ours (a ``.pt`` file or its folder), of any task; a folder of the transformers library
            with a BERT or XLM-RoBERTa; or the name of a model on the hub, which is downloaded.
    """
    if _of_transformers(path):
        from fairseq_xalign.convert.hf.read import open_folder

        return encoder_of(open_folder(path))
    return encoder_of(read_checkpoint(path))


def _of_transformers(path: str | Path) -> bool:
    """Whether a path is a folder of transformers, or can only be a name on the hub."""
    from fairseq_xalign.convert.hf.read import HUB_NAME

    place = Path(path)
    if place.exists():
        return place.is_dir() and checkpoint_in(place) is None and (place / CONFIG_FILE).exists()
    # A name whose first part is a folder here is more likely a mistyped path.
    local = len(place.parts) > 1 and Path(place.parts[0]).exists()
    return bool(HUB_NAME.fullmatch(str(path))) and place.suffix != ".pt" and not local
