"""Named encoder shapes, the choices of ``--arch``. Fields that are not named keep the defaults of ``EncoderConfig``."""

from __future__ import annotations

from typing import Any

from fairseq_xalign.errors import unknown_name
from fairseq_xalign.models.encoder import EncoderConfig

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


def preset(name: str, vocab_size: int, **changes: Any) -> EncoderConfig:
    """Return the configuration of preset ``name`` with ``changes`` to single fields.

    >>> preset("xalign_tiny", 1000, layers=3).layers
    3
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, list(PRESETS))
    return EncoderConfig.from_dict({**PRESETS[name], "vocab_size": vocab_size, **changes})
