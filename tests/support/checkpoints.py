"""Small checkpoints with known weights, as fairseq writes them, without a training."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from fairseq_xalign.labelled.registry import KINDS
from fairseq_xalign.models.checkpoint import read_checkpoint
from fairseq_xalign.models.config import DecoderConfig, EncoderConfig
from fairseq_xalign.models.encoder import Encoder
from fairseq_xalign.models.presets import translation_preset
from fairseq_xalign.models.translation import TranslationModel
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


def two_layers_state(languages: int = 0, **changes: Any) -> dict[str, Any]:
    """The same tokenizer with an encoder of two layers of width 32, whose random weights are far from their start."""
    state = encoder_state()
    shape = {"layers": 2, "heads": 4, "width": 32, "ffn_width": 48, "max_positions": 64, "n_languages": languages}
    values = shape | {"embedding_std": 0.5, "initializer_std": 0.2, "dropout": 0.1} | changes
    config = EncoderConfig(vocab_size=state["task_state"]["encoder"]["vocab_size"], **values)
    torch.manual_seed(4)
    weights = Encoder(config).state_dict()
    state["model"] = {f"encoder.{name}": value for name, value in weights.items()}
    state["task_state"] |= {"encoder": asdict(config)}
    return state


def classifier_state(**changes: Any) -> dict[str, Any]:
    """The same encoder with a head of three labels, as fine-tuning leaves it."""
    state = two_layers_state()
    task = {"task": "classification", "labels": ["a", "b", "c"], "head": "linear", "pooling": "mean", "head_hidden": 0}
    state["task_state"] |= task | {"head_dropout": 0.1, "max_length": 32, "labelled": "topics"} | changes
    head = KINDS["classification"].build_head(32, state["task_state"])
    state["model"] |= {f"heads.classification.{name}": 20 * value for name, value in head.state_dict().items()}
    return state


def translation_state(tying: str = "all", languages: tuple[str, str] = ("en", "xx")) -> dict[str, Any]:
    """A small translation model with random weights, of ``en`` and ``xx``, with the tokens ``<2en>`` and ``<2xx>``."""
    first, second = languages
    state = encoder_state()
    task = state["task_state"]
    tokenizer = with_language_tokens(Tokenizer.from_state(task["tokenizer"]), [first, second])
    torch.manual_seed(2)
    encoder, decoder = translation_preset("mmte_tiny", len(tokenizer), tying, width=16, heads=2, ffn_width=32)
    model = TranslationModel(encoder, decoder)
    state["model"] = {**model.state_dict(), "objectives.x.weight": torch.ones(2)}
    task |= {
        "tokenizer": tokenizer.state(),
        "encoder": asdict(encoder),
        "decoder": asdict(decoder),
        "target_token": "source",
        "directions": [f"{first}-{second}", f"{second}-{first}"],
        "languages": [first, second],
    }
    return state


def translation_model(state: dict[str, Any]) -> TranslationModel:
    """The model of such a state, in evaluation mode."""
    task = state["task_state"]
    model = TranslationModel(EncoderConfig.from_dict(task["encoder"]), DecoderConfig.from_dict(task["decoder"]))
    model.load_state_dict({k: v for k, v in state["model"].items() if not k.startswith("objectives.")})
    return model.eval()


def save(state: dict[str, Any], path: Path, updates: int = 20) -> Path:
    """Write a checkpoint that has been trained for ``updates``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({**state, "optimizer_history": [{**state["optimizer_history"][0], "num_updates": updates}]}, path)
    return path
