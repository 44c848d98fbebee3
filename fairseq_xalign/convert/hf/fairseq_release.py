"""RoBERTa and XLM-R as fairseq released them (``model.pt``): their names in terms of `transformers`.

Read without fairseq. Names have changed over fairseq's versions; each is known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fairseq_xalign.convert.hf.weights import read_pickled
from fairseq_xalign.errors import UserError

MODEL = "model.pt"
RENAMED = tuple(
    (re.compile(old), new)
    for old, new in (
        (r"(encoder|decoder)\.sentence_encoder\.embed_tokens\.", "embeddings.word_embeddings."),
        (r"(encoder|decoder)\.sentence_encoder\.embed_positions\.", "embeddings.position_embeddings."),
        (r"(encoder|decoder)\.sentence_encoder\.(emb_layer_norm|layernorm_embedding)\.", "embeddings.LayerNorm."),
        (r"(encoder|decoder)\.sentence_encoder\.layers\.", "encoder.layer."),
        (r"\.self_attn\.q_proj\.", ".attention.self.query."),
        (r"\.self_attn\.k_proj\.", ".attention.self.key."),
        (r"\.self_attn\.v_proj\.", ".attention.self.value."),
        (r"\.self_attn\.out_proj\.", ".attention.output.dense."),
        (r"\.self_attn_layer_norm\.", ".attention.output.LayerNorm."),
        (r"\.fc1\.", ".intermediate.dense."),
        (r"\.fc2\.", ".output.dense."),
        (r"(?<=\d)\.final_layer_norm\.", ".output.LayerNorm."),
        (r"(encoder|decoder)\.lm_head\.weight$", "lm_head.decoder.weight"),
        (r"(encoder|decoder)\.lm_head\.", "lm_head."),
    )
)
"""Names of fairseq, and those of `transformers` without the prefix."""
FUSED = re.compile(r"\.self_attn\.in_proj_(weight|bias)$")
"""Query, key and value in one, before fairseq 0.9."""
NO_WEIGHTS = re.compile(r".*\.(version|_float_tensor)")
SETTINGS = {
    "num_hidden_layers": "encoder_layers",
    "num_attention_heads": "encoder_attention_heads",
    "hidden_size": "encoder_embed_dim",
    "intermediate_size": "encoder_ffn_embed_dim",
    "hidden_act": "activation_fn",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
}
"""Settings of `transformers`, and the options of fairseq."""


def read_release(folder: Path) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
    """Return a ``config.json`` and the weights of ``model.pt``, in the names of `transformers`.

    Raises:
        UserError: it is no RoBERTa, or was trained with a shape that RoBERTa does not have.
    """
    file = folder / MODEL
    state = read_pickled(file)
    options, weights = _options(state), state.get("model")
    if not isinstance(weights, dict) or not any("sentence_encoder.embed_tokens" in name for name in weights):
        raise UserError(
            "not a RoBERTa of fairseq", file, remedy="Supported: RoBERTa and XLM-R as fairseq released them"
        )
    if options.get("encoder_normalize_before"):
        raise UserError("its layers are pre-norm, unlike RoBERTa's", file, remedy="Supported: RoBERTa and XLM-R")
    renamed = _Renamed({name: value for name, value in weights.items() if not NO_WEIGHTS.fullmatch(name)})
    table, places = renamed["embeddings.word_embeddings.weight"], renamed["embeddings.position_embeddings.weight"]
    config: dict[str, Any] = {"model_type": "xlm-roberta", "architectures": ["XLMRobertaForMaskedLM"]}
    config |= {theirs: options[name] for theirs, name in SETTINGS.items() if options.get(name) is not None}
    config |= {"vocab_size": len(table), "max_position_embeddings": len(places), "type_vocab_size": 1}
    config |= {"layer_norm_eps": 1e-5, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    return config, renamed


def _options(state: Mapping[str, Any]) -> dict[str, Any]:
    """The options of training, from before and after fairseq 0.10."""
    cfg = state.get("cfg")
    model = cfg.get("model") if isinstance(cfg, dict) else None
    found = state.get("args") or model or {}
    return dict(found) if isinstance(found, dict) else dict(vars(found))


class _Renamed(Mapping[str, Tensor]):
    """Weights of fairseq under the names of `transformers`."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self._find: dict[str, tuple[Tensor, slice]] = {}
        for name, value in weights.items():
            fused = FUSED.search(name)
            for number, part in enumerate(("q", "k", "v") if fused else ("",)):
                size = value.shape[0] // 3
                rows = slice(number * size, (number + 1) * size) if fused else slice(None)
                split = FUSED.sub(rf".self_attn.{part}_proj.\1", name)
                self._find[_renamed(split)] = value, rows
        width = self["embeddings.word_embeddings.weight"].shape[1]
        # Fairseq's RoBERTa has no token types; in `transformers` their one row is added to every token.
        self._find["embeddings.token_type_embeddings.weight"] = torch.zeros(1, width), slice(None)

    def __getitem__(self, name: str) -> Tensor:
        value, rows = self._find[name]
        return value[rows]

    def __iter__(self) -> Iterator[str]:
        return iter(self._find)

    def __len__(self) -> int:
        return len(self._find)


def _renamed(name: str) -> str:
    for old, new in RENAMED:
        name = old.sub(new, name)
    return name
