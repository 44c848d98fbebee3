"""The names of weights in folders of `transformers`, and ours: the only table of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairseq_xalign.convert.hf.layout import VOCABULARY, Layout, Ours, Rows
from fairseq_xalign.errors import UserError

_EMBEDDINGS = {
    "embed_tokens.weight": "embeddings.word_embeddings.weight",
    "embed_positions.weight": "embeddings.position_embeddings.weight",
    "embed_segments.weight": "embeddings.token_type_embeddings.weight",
    "embed_norm": "embeddings.LayerNorm",
}
_POST_NORM = {
    "qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "attention_out": ("attention.output.dense",),
    "attention_norm": ("attention.output.LayerNorm",),
    "ffn_in": ("intermediate.dense",),
    "ffn_out": ("output.dense",),
    "ffn_norm": ("output.LayerNorm",),
}
BERT = Layout(
    name="bert",
    prefix="bert.",
    outer=_EMBEDDINGS,
    layer=_POST_NORM,
    head={
        "lm_dense": "cls.predictions.transform.dense",
        "lm_norm": "cls.predictions.transform.LayerNorm",
        "lm_bias": "cls.predictions.bias",
    },
    architectures={"encoder": "BertModel", "mlm": "BertForMaskedLM"},
)
ROBERTA_HEAD = {"lm_dense": "lm_head.dense", "lm_norm": "lm_head.layer_norm", "lm_bias": "lm_head.bias"}
XLM_ROBERTA = Layout(
    name="xlm-roberta",
    also=("roberta",),
    prefix="roberta.",
    outer=_EMBEDDINGS,
    layer=_POST_NORM,
    head=ROBERTA_HEAD,
    architectures={"encoder": "XLMRobertaModel", "mlm": "XLMRobertaForMaskedLM"},
    pad=1,
    positions_from=2,
    head_activations=("gelu",),
)
_PRE_NORM = {**_POST_NORM, "attention_norm": ("attention.LayerNorm",), "ffn_norm": ("intermediate.LayerNorm",)}
ROBERTA_PRELAYERNORM = Layout(
    name="roberta-prelayernorm",
    prefix="roberta_prelayernorm.",
    outer={**_EMBEDDINGS, "final_norm": "LayerNorm"},
    layer=_PRE_NORM,
    head=ROBERTA_HEAD,
    architectures={"encoder": "RobertaPreLayerNormModel", "mlm": "RobertaPreLayerNormForMaskedLM"},
    pad=1,
    positions_from=2,
    shape={"normalize_before": True},
    head_activations=("gelu",),
)
MEGATRON_BERT = Layout(
    name="megatron-bert",
    prefix="bert.",
    outer={**{k: v for k, v in _EMBEDDINGS.items() if k != "embed_norm"}, "final_norm": "encoder.ln"},
    layer={**_POST_NORM, "attention_norm": ("attention.ln",), "ffn_norm": ("ln",)},
    head=BERT.head,
    architectures={"encoder": "MegatronBertModel", "mlm": "MegatronBertForMaskedLM"},
    shape={"normalize_before": True, "embedding_layernorm": False},
)
ROFORMER = Layout(
    name="roformer",
    prefix="roformer.",
    outer=_EMBEDDINGS,
    layer=_POST_NORM,
    head=BERT.head,
    architectures={"encoder": "RoFormerModel", "mlm": "RoFormerForMaskedLM"},
    shape={"positions": "rotary"},
    interleaved=True,
)
LAYOUTS: dict[str, Layout] = {
    layout.name: layout for layout in (BERT, XLM_ROBERTA, ROBERTA_PRELAYERNORM, MEGATRON_BERT, ROFORMER)
}
"""By ``model_type``."""


def layout_of(config: Mapping[str, Any], where: str | None = None) -> Layout:
    """The layout of a folder with this ``config.json``.

    Raises:
        UserError: naming the architecture, and what is supported.
    """
    found = config.get("model_type")
    for layout in LAYOUTS.values():
        if found == layout.name or found in layout.also:
            return layout
    classes = ", ".join(config.get("architectures") or [])
    called = f"{found!r}{f' ({classes})' if classes else ''}"
    known = [name for layout in LAYOUTS.values() for name in (layout.name, *layout.also)]
    raise UserError(
        f"the architecture {called} is not supported" if found else "config.json names no model_type",
        where,
        remedy=f"Supported: {', '.join(known)}",
    )


__all__ = ["LAYOUTS", "VOCABULARY", "Layout", "Ours", "Rows", "layout_of"]
