"""Which ``--arch`` and options of ``fairseq-train`` make an encoder of a given shape."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from fairseq_xalign.models.config import EncoderConfig, same_value
from fairseq_xalign.models.presets import PRESETS

FREE = (
    *("vocab_size", "dropout", "attention_dropout", "activation_dropout"),
    *("embedding_std", "initializer_std", "initializer", "n_languages"),
)
"""Fields of an encoder that may differ from those of ``--arch``."""
OPTIONS = {
    "layers": "--encoder-layers",
    "width": "--encoder-embed-dim",
    "ffn_width": "--encoder-ffn-embed-dim",
    "heads": "--encoder-attention-heads",
    "max_positions": "--max-positions",
    "positions": "--positions",
}
"""Fields of an encoder that options of ``fairseq-train`` can set."""
DEFAULTS = {field.name: field.default for field in fields(EncoderConfig) if field.name != "vocab_size"}


def fitting_arch(encoder: dict[str, Any]) -> tuple[str | None, list[str]]:
    """The ``--arch`` nearest to the shape of an encoder, and the options that make it that shape; None if none can.

    >>> from dataclasses import asdict
    >>> from fairseq_xalign.models.presets import preset
    >>> fitting_arch(asdict(preset("xalign_small", 100, layers=3)))
    ('xalign_small', ['--encoder-layers 3'])
    """
    best: tuple[str | None, list[str]] = None, []
    for name, shape in PRESETS.items():
        own = {**DEFAULTS, **shape}
        other = [field for field, value in own.items() if field not in FREE and not _same(field, encoder, value)]
        if all(field in OPTIONS for field in other) and (best[0] is None or len(other) < len(best[1])):
            best = name, [f"{OPTIONS[field]} {encoder[field]}" for field in other]
    return best


def _same(field: str, encoder: dict[str, Any], value: Any) -> bool:
    """Whether an encoder's field fits a preset's value."""
    own = encoder.get(field, value)
    if field == "n_segments" and own == 1:  # one row, which is added to all tokens alike: RoBERTa in `transformers`
        own = 0
    return same_value(own, value)
