"""Translation models as CTranslate2 models.

CTranslate2 (https://github.com/OpenNMT/CTranslate2) runs Transformers on CPUs and GPUs without torch. Its description
of a Transformer holds nearly every shape of ours exactly: pre-norm and post-norm, all ways of tying, learned and
sinusoidal positions as a table of vectors, and rotary ones, which it computes as we do, from the two halves of a head.
What it cannot hold is refused by :func:`check_expressible`. ``convert/ctranslate2_check.py`` proves a conversion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fairseq_xalign.constants import BOS_SYMBOL, EOS_SYMBOL, UNK_SYMBOL
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.config import ShapeConfig
from fairseq_xalign.models.decoder import Decoder, DecoderBlock
from fairseq_xalign.models.encoder import Encoder
from fairseq_xalign.models.positions import BASE, sinusoids
from fairseq_xalign.models.translation import TranslationModel
from fairseq_xalign.objectives.translation import SEPARATE

QUANTIZATIONS = ("int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16")
"""How CTranslate2 can store weights; what it calls ``float32`` is how ours are."""
POSITIONS = 1024
"""Sinusoidal positions in the table, unless the model has more: what CTranslate2 cuts sources at by default."""
OTHERWISE = "translate with fairseq-interactive or models.generate.translate"
Take = Callable[[Tensor], np.ndarray]
"""Makes an array of a weight."""


def check_expressible(model: TranslationModel) -> None:
    """Refuse what CTranslate2 has no place for.

    Raises:
        UserError: naming the property, the reason and the remedy.
    """
    encoder, decoder = model.encoder.config, model.decoder.config
    if model.target_token == SEPARATE:
        raise UserError(
            "--target-token separate cannot leave: the decoder attends to a tag that was encoded apart and to the "
            "source together, and CTranslate2 encodes one sequence",
            remedy=f"Train with --target-token source, or {OTHERWISE}",
        )
    if encoder.layernorm_eps != decoder.layernorm_eps:
        raise UserError(
            f"layer norms of encoder and decoder add different numbers ({encoder.layernorm_eps} and "
            f"{decoder.layernorm_eps}), and CTranslate2 has one for both",
            remedy=OTHERWISE.capitalize(),
        )
    for config in (encoder, decoder):
        if not config.layers:
            raise UserError(
                f"the {config.kind} has no layers, and CTranslate2 needs one at least", remedy=OTHERWISE.capitalize()
            )
    if encoder.n_segments:
        raise UserError(
            "the encoder adds segment embeddings, for which CTranslate2 has no place", remedy=OTHERWISE.capitalize()
        )


def positions_in(config: ShapeConfig) -> int | None:
    """How many tokens a converted model can read or write; None where there is no limit."""
    if config.positions == "rotary":
        return None
    return config.max_positions if config.positions == "learned" else max(config.max_positions, POSITIONS)


def write_model(
    model: TranslationModel, symbols: Sequence[str], folder: str | Path, quantization: str | None = None
) -> None:
    """Write ``model.bin``, ``config.json`` and ``shared_vocabulary.json`` into an existing folder.

    Args:
        model: in float32, on the CPU; it is not changed.
        symbols: the names of all ids, each different from the others [V].
        quantization: one of ``QUANTIZATIONS``; None keeps float32.

    Raises:
        UserError: the model has a property that CTranslate2 does not know (:func:`check_expressible`).
    """
    check_expressible(model)
    from ctranslate2.specs import TransformerSpec

    # Quantization multiplies the arrays that it is given, which are the model's own weights unless they are copied.
    take = _copied if quantization else _shared
    spec = TransformerSpec(_encoder_spec(model.encoder, take), _decoder_spec(model.decoder, take))
    spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = BOS_SYMBOL, EOS_SYMBOL, UNK_SYMBOL
    spec.config.decoder_start_token, spec.config.add_source_eos = EOS_SYMBOL, True
    spec.config.layer_norm_epsilon = model.encoder.config.layernorm_eps
    spec.register_source_vocabulary(list(symbols))
    spec.register_target_vocabulary(list(symbols))
    spec.validate()
    spec.optimize(quantization=quantization)
    spec.save(str(folder))


def _shared(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy()


def _copied(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy().copy()


def _encoder_spec(encoder: Encoder, take: Take) -> Any:
    from ctranslate2.specs.transformer_spec import TransformerEncoderSpec

    config = encoder.config
    spec = TransformerEncoderSpec(config.layers, config.heads, **_common(config))
    _set_ends(spec, spec.embeddings[0], encoder, encoder.embed_tokens, take)
    for theirs, ours in zip(spec.layer, encoder.layers):
        _set_layer(theirs, ours, take)
    return spec


def _decoder_spec(decoder: Decoder, take: Take) -> Any:
    from ctranslate2.specs.transformer_spec import TransformerDecoderSpec

    config = decoder.config
    spec = TransformerDecoderSpec(config.layers, config.heads, **_common(config))
    _set_ends(spec, spec.embeddings, decoder, decoder.embedding, take)
    spec.projection.weight = take(decoder.embedding.weight if decoder.output is None else decoder.output.weight)
    for theirs, ours in zip(spec.layer, decoder.layers):
        assert isinstance(ours, DecoderBlock)
        _set_layer(theirs, ours, take)
        _set_norm(theirs.attention.layer_norm, ours.memory_norm, take)
        for linear, module in zip(theirs.attention.linear, (ours.memory_q, ours.memory_kv, ours.memory_out)):
            _set_linear(linear, module, take)
    return spec


def _common(config: ShapeConfig) -> dict[str, Any]:
    """The arguments that the descriptions of encoder and decoder share."""
    from ctranslate2.specs.common_spec import Activation

    rotary: dict[str, Any] = {}
    if config.positions == "rotary":  # dimension 0: all of a head; its halves are turned against each other
        rotary = {"rotary_dim": 0, "rotary_interleave": False, "rotary_base": BASE}
    return {
        "pre_norm": config.normalize_before,
        "activation": {"relu": Activation.RELU, "gelu": Activation.GELU}[config.activation],
        "layernorm_embedding": config.embedding_layernorm,
        **rotary,
    }


def _set_ends(spec: Any, embeddings: Any, ours: Encoder | Decoder, tokens: nn.Embedding, take: Take) -> None:
    """Fill in what stands before and after the layers."""
    config = ours.config
    embeddings.weight = take(tokens.weight)
    spec.scale_embeddings = float(config.embedding_scale or config.width**0.5)
    if ours.embed_positions is not None:
        spec.position_encodings.encodings = take(ours.embed_positions.weight)
    elif config.positions == "sinusoidal":  # CTranslate2's own sinusoids begin at position 1, ours at 0
        count = positions_in(config)
        assert count is not None
        spec.position_encodings.encodings = sinusoids(torch.arange(count), config.width).numpy()
    if ours.embed_norm is not None:
        _set_norm(spec.layernorm_embedding, ours.embed_norm, take)
    if ours.final_norm is not None:
        _set_norm(spec.layer_norm, ours.final_norm, take)


def _set_layer(spec: Any, ours: Any, take: Take) -> None:
    """Fill in self-attention and the feed-forward block; ours joins queries, keys and values in the same order."""
    _set_norm(spec.self_attention.layer_norm, ours.attention_norm, take)
    _set_linear(spec.self_attention.linear[0], ours.qkv, take)
    _set_linear(spec.self_attention.linear[1], ours.attention_out, take)
    _set_norm(spec.ffn.layer_norm, ours.ffn_norm, take)
    _set_linear(spec.ffn.linear_0, ours.ffn_in, take)
    _set_linear(spec.ffn.linear_1, ours.ffn_out, take)


def _set_norm(spec: Any, ours: nn.LayerNorm, take: Take) -> None:
    spec.gamma, spec.beta = take(ours.weight), take(ours.bias)


def _set_linear(spec: Any, ours: nn.Linear, take: Take) -> None:
    spec.weight, spec.bias = take(ours.weight), take(ours.bias)
