"""Named encoder shapes, the choices of ``--arch``. Fields that are not named keep the defaults of ``EncoderConfig``."""

from __future__ import annotations

from typing import Any

from fairseq_xalign.errors import unknown_name
from fairseq_xalign.models.config import DecoderConfig, EncoderConfig

PRESETS: dict[str, dict[str, Any]] = {
    # Learns within minutes on two cores; with learned positions, small embeddings or without layer norm on embeddings,
    # the loss stays at the unigram loss for that long. The MLM head keeps RoBERTa's dense layer: without it, the loss
    # after 3,000 updates of 16 x 64 is the same (6.16 and 6.23 bits), but ALIGN-MLM's zero-shot tagging accuracy falls
    # (44.3 against 68.3, one seed). No dropout, because few sentences are seen twice within minutes.
    "xalign_tiny": {
        "layers": 2,
        "heads": 4,
        "width": 128,
        "ffn_width": 512,
        "positions": "rotary",
        "embedding_std": 0.1,
        "dropout": 0.0,
        "attention_dropout": 0.0,
    },
    # ALIGN-MLM (Tang et al. 2022), Table 10, and the configuration files of its code (514 positions are 512 usable).
    "xalign_small": {"layers": 8, "heads": 8, "width": 512, "ffn_width": 2048},
    # multilingual BERT, cased (Devlin et al. 2019): bert_config.json of the release.
    "xalign_mbert": {
        "layers": 12,
        "heads": 12,
        "width": 768,
        "ffn_width": 3072,
        "n_segments": 2,
        "layernorm_eps": 1e-12,
    },
    # XLM-R base and large (Conneau et al. 2020, section 3 and appendix), RoBERTa's layout.
    "xalign_xlmr_base": {"layers": 12, "heads": 12, "width": 768, "ffn_width": 3072},
    "xalign_xlmr_large": {"layers": 24, "heads": 16, "width": 1024, "ffn_width": 4096},
}


VASWANI: dict[str, Any] = {
    "positions": "sinusoidal",
    "max_positions": 1024,
    "normalize_before": True,
    "embedding_layernorm": False,
    "embedding_scale": 0.0,
    "embedding_std": 0.0,
    "dropout": 0.1,
    "attention_dropout": 0.0,
    "activation": "relu",
    "initializer": "xavier",
}
"""What the translation models share: Vaswani et al. (2017), but pre-norm, as Chen et al. (2018) have it."""
TRANSLATION: dict[str, dict[str, Any]] = {
    # Learns within minutes on two cores: the shape of xalign_tiny. Rotary positions learn faster on real text (3,000
    # pairs, 360 updates: validation loss 4.21 nats against 4.33 with sinusoids); only where nothing but the place of
    # a word says what it stands for, as in benchmarks/beam_width.py, sinusoids do.
    "mmte_tiny": {**VASWANI, "layers": 2, "heads": 4, "width": 128, "ffn_width": 512, "positions": "rotary"},
    # Transformer base (Vaswani et al. 2017, table 3).
    "mmte_base": {**VASWANI, "layers": 6, "heads": 8, "width": 512, "ffn_width": 2048},
    # MMTE (Siddhant et al. 2020), section 2.1. The paper does not give the width: its encoder's 190M parameters fit
    # 1024 alone. Nor does it give dropout, positions and the place of layer norms: see above.
    "mmte_big": {**VASWANI, "layers": 6, "heads": 16, "width": 1024, "ffn_width": 8192},
}
"""Named shapes of translation models: fields of encoder and decoder alike, ``layers`` in each of them."""
BARE_HEAD = {"lm_head_transform": False, "lm_head_bias": False}
"""The MLM head of a translation model's encoder is its embedding table alone: translation would train no other."""
# Each one's encoder alone, for fine-tuning.
PRESETS.update({f"{name}_encoder": {**found, **BARE_HEAD} for name, found in TRANSLATION.items()})


def translation_preset(
    name: str, vocab_size: int, tying: str = "all", **changes: Any
) -> tuple[EncoderConfig, DecoderConfig]:
    """Return encoder and decoder of preset ``name``, with ``changes`` to single fields of both.

    >>> encoder, decoder = translation_preset("mmte_big", 64000)
    >>> encoder.width, decoder.ffn_width
    (1024, 8192)
    """
    if name not in TRANSLATION:
        raise unknown_name("preset", name, list(TRANSLATION))
    common = {**TRANSLATION[name], "vocab_size": vocab_size, **changes}
    encoder = EncoderConfig.from_dict({**common, **BARE_HEAD})
    return encoder, DecoderConfig.from_dict({**common, "tying": tying})


def preset(name: str, vocab_size: int, **changes: Any) -> EncoderConfig:
    """Return the configuration of preset ``name`` with ``changes`` to single fields.

    >>> preset("xalign_tiny", 1000, layers=3).layers
    3
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, list(PRESETS))
    return EncoderConfig.from_dict({**PRESETS[name], "vocab_size": vocab_size, **changes})
