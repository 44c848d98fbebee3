"""Which encoders of ours leave for `transformers` as what, and what is changed of their weights on the way.

======================  =====================  ==================  ==================================================
layer norms             of embeddings          positions           leaves as
======================  =====================  ==================  ==================================================
after blocks            yes                    learned             XLM-RoBERTa; BERT with segments or ReLU
after blocks            yes                    rotary              RoFormer
before blocks           yes                    learned             RoBERTa-PreLayerNorm
before blocks           no                     learned             MegatronBERT (encoders of translation models)
======================  =====================  ==================  ==================================================

Sinusoidal positions leave as a table of learned ones, as long as ``max_positions``. A factor on embeddings is
multiplied into their table, and taken out of the layer norm ahead of the output layer that shares it. One language's
embedding is added to the embedding of segments. Everything else is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from fairseq_xalign.constants import BOS, EOS, PAD
from fairseq_xalign.convert.hf.layouts import (
    BERT,
    LAYOUTS,
    MEGATRON_BERT,
    ROBERTA_PRELAYERNORM,
    ROFORMER,
    XLM_ROBERTA,
    Layout,
)
from fairseq_xalign.errors import UserError, unknown_language
from fairseq_xalign.models.config import EncoderConfig
from fairseq_xalign.models.positions import rotary_angles, sinusoids

NO_LANGUAGE = "none"
"""What --language says for the encoder without any language's embedding."""


@dataclass
class Departure:
    """An encoder in the form in which it leaves.

    Attributes:
        layout: what it leaves as.
        encoder: its settings in that form.
        weights: our names and values in that form; of the MLM head only where ``head`` is.
        head: whether the MLM head leaves too.
        notes: what a reader of the model card should know of it, in sentences.
    """

    layout: Layout
    encoder: EncoderConfig
    weights: dict[str, Tensor]
    head: bool
    notes: list[str]


def leaving(
    encoder: EncoderConfig,
    weights: Mapping[str, Tensor],
    *,
    head: bool,
    layout: str | None = None,
    language: str | None = None,
    languages: list[str] | None = None,
) -> Departure:
    """Return an encoder in the form in which it leaves.

    Args:
        encoder: its settings.
        weights: the encoder's ``state_dict``; nothing in it is changed.
        head: whether the MLM head is wanted.
        layout: the name of the layout that it came in, if it did.
        language: whose embedding to add, or ``none``.
        languages: the languages that have one.

    Raises:
        UserError: a shape that nothing in `transformers` has, or language embeddings without a choice.
    """
    found = Departure(choose(encoder, layout), encoder, dict(weights), head, [])
    _fold_positions(found)
    _fold_language(found, language, languages or [])
    _fold_scale(found)
    if head and not encoder.lm_head_transform:
        found.head = False
        found.notes.append("The output layer of masked language modelling is left out: classes of transformers have a "
                           "dense layer ahead of it, which this model does not have.")  # fmt: skip
    elif head and encoder.activation not in found.layout.head_activations:
        found.head = False
        found.notes.append(
            f"The head of masked language modelling is left out: that of {found.layout.name} has GELU, this model "
            f"{encoder.activation}."
        )
    if not found.head:
        found.weights = {k: v for k, v in found.weights.items() if not k.startswith("lm_")}
    elif not encoder.lm_head_bias:
        found.weights["lm_bias"] = torch.zeros(encoder.vocab_size)
        found.encoder = replace(found.encoder, lm_head_bias=True)
    return found


def choose(encoder: EncoderConfig, layout: str | None = None) -> Layout:
    """The layout in which an encoder leaves: the one that it came in, or by its shape.

    Raises:
        UserError: no class of `transformers` has this shape; the message says which part, and what would help.
    """
    if layout is not None:
        return LAYOUTS[layout]
    rotary = encoder.positions == "rotary"
    if not encoder.normalize_before and encoder.embedding_layernorm:
        if rotary:
            return ROFORMER
        return BERT if encoder.n_segments > 1 or encoder.activation != "gelu" else XLM_ROBERTA
    if rotary:
        raise _refused("rotary positions with layer norms before its blocks", "--positions learned or sinusoidal")
    if encoder.normalize_before:
        return ROBERTA_PRELAYERNORM if encoder.embedding_layernorm else MEGATRON_BERT
    raise _refused(
        "layer norms after its blocks but none of the embeddings",
        "a preset with embedding_layernorm, such as xalign_small",
    )


def _refused(what: str, remedy: str) -> UserError:
    return UserError(
        f"this encoder has {what}, which no class of transformers has",
        remedy=f"Use it with fairseq_xalign.load_encoder; to take a model to transformers, train it with {remedy}",
    )


def _fold_positions(found: Departure) -> None:
    """Write sinusoids as a table."""
    encoder = found.encoder
    if encoder.positions == "sinusoidal":
        found.weights["embed_positions.weight"] = sinusoids(torch.arange(encoder.max_positions), encoder.width)
        found.encoder = replace(encoder, positions="learned")
        found.notes.append(
            f"Positions are sinusoids, written as a table of {encoder.max_positions:,}: longer texts, which "
            "fairseq_xalign reads, must be cut."
        )


def _fold_language(found: Departure, language: str | None, languages: list[str]) -> None:
    """Add one language's embedding to that of segments, which all tokens have too."""
    encoder = found.encoder
    if not encoder.n_languages:
        if language is not None:
            raise UserError(f"--language {language}: this model has no language embeddings", remedy="Leave it out")
        return
    if language is None:
        raise UserError(
            "this model adds a language embedding to each token, which no class of transformers does",
            remedy=f"Choose the language of the texts, --language {'|'.join(languages)}, whose embedding is then "
            f"always added, or --language {NO_LANGUAGE}",
        )
    if language not in (*languages, NO_LANGUAGE):
        raise unknown_language(language, [*languages, NO_LANGUAGE], option="--language")
    table = found.weights.pop("embed_languages.weight")
    found.encoder = replace(encoder, n_languages=0)
    if language == NO_LANGUAGE:
        found.notes.append("The model was trained with language embeddings. None is added here.")
        return
    segments = found.weights.get("embed_segments.weight", torch.zeros(1, encoder.width))
    found.weights["embed_segments.weight"] = segments + table[languages.index(language) + 1]
    found.encoder = replace(found.encoder, n_segments=max(encoder.n_segments, 1))
    found.notes.append(
        f"The model was trained with language embeddings. That of {language} is added to all tokens here: it reads "
        f"texts in {language}."
    )


def _fold_scale(found: Departure) -> None:
    """Multiply the table of embeddings by their factor, and divide what is multiplied with it at the output."""
    encoder = found.encoder
    scale = encoder.embedding_scale or encoder.width**0.5
    if scale == 1.0:
        return
    found.weights["embed_tokens.weight"] = found.weights["embed_tokens.weight"] * scale
    for name in ("lm_norm.weight", "lm_norm.bias"):
        if name in found.weights:
            found.weights[name] = found.weights[name] / scale
    found.encoder = replace(encoder, embedding_scale=1.0)
    found.notes.append(f"Embeddings are multiplied by {scale:.6g} when they are read; here their table is.")


def extra_weights(found: Departure) -> dict[str, Tensor]:
    """Weights of theirs, without the prefix, that are computed and not trained: RoFormer's table of angles."""
    if found.layout is not ROFORMER:
        return {}
    encoder = found.encoder
    cos, sin = rotary_angles(torch.arange(encoder.max_positions), encoder.width // encoder.heads)
    return {"encoder.embed_positions.weight": torch.cat((sin[:, 0], cos[:, 0]), dim=-1)}


def settings(found: Departure, vocab_size: int, base: Mapping[str, Any] | None) -> dict[str, Any]:
    """Their ``config.json``.

    Args:
        vocab_size: rows of their embedding.
        base: the one that the encoder came with, if its ids are theirs.
    """
    config = found.layout.config(found.encoder, vocab_size, found.head, base)
    if base is None:
        config |= {"pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS, "tie_word_embeddings": True}
        if found.layout is ROFORMER:
            config |= {"embedding_size": found.encoder.width, "rotary_value": False}
    return config
