"""How weights and settings in folders of `transformers` correspond to ours, read both ways.

A :class:`Layout` stands for a kind of encoder there (``model_type`` in ``config.json``). Three things differ besides
names: our ``qkv`` is their query, key and value, one below the other, and for RoFormer with other rows (see
:attr:`Layout.interleaved`); RoBERTa's table of positions begins with rows
that no token gets; and the rows of a vocabulary stand in another order (``rows``: by our id, the row in their table,
or None for a symbol that only we have).

What our encoder does not have (BERT's pooler, the head of next-sentence prediction, rows that no token uses) is
returned apart, as *kept*, under their names without the prefix of the model, and goes back out as it came in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fairseq_xalign.errors import UserError
from fairseq_xalign.models.config import EncoderConfig

Rows = Sequence[int | None]
OUTSIDE = re.compile(r"cls\.|lm_head\.|classifier\.|qa_outputs\.")
"""How weights begin that stand beside the encoder, so that its prefix is never ahead of them."""
DERIVED = re.compile(
    r"(.*\.)?(position_ids|token_type_ids)|(cls\.predictions|lm_head)\.decoder\.bias|encoder\.embed_positions\.weight"
)
"""What older versions of `transformers` wrote and what can be computed from the rest."""
OUTPUT = re.compile(r"(cls\.predictions|lm_head)\.decoder\.weight")
"""The output layer: tied to the embeddings, so that it is theirs once more."""
OLD_NAMES = (
    (re.compile(r"LayerNorm\.gamma$"), "LayerNorm.weight"),
    (re.compile(r"LayerNorm\.beta$"), "LayerNorm.bias"),
)
"""Names in weights that were converted from TensorFlow, the first BERTs among them."""
VOCABULARY = ("embed_tokens.weight", "lm_bias")
"""Our weights that have a row for each symbol."""
KEPT = ("pooler.", "cls.seq_relationship.")
"""How the names of weights begin that we have no use for and keep."""
COMPARED = 4096
"""Rows of a large table that are compared at once."""
SETTINGS = {
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "width": "hidden_size",
    "ffn_width": "intermediate_size",
    "n_segments": "type_vocab_size",
    "dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
    "activation": "hidden_act",
    "initializer_std": "initializer_range",
    "layernorm_eps": "layer_norm_eps",
}
"""Fields of EncoderConfig, and what ``config.json`` calls them."""
PRECISIONS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
"""How weights may be stored."""
DEFAULTS: dict[str, Any] = {
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "type_vocab_size": 2,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
}
"""What `transformers` takes for a setting that ``config.json`` leaves out, the same for all of these layouts."""


@dataclass(frozen=True)
class Layout:
    """One kind of encoder in `transformers`.

    Attributes:
        name: how ``config.json`` calls it (``model_type``).
        also: other names of the same layout there.
        prefix: what stands before the encoder's weights in models that have a head.
        outer: our modules outside the layers, and theirs below the prefix.
        layer: our modules in a layer, and theirs in a layer: several are stacked in one of ours.
        head: our modules and weights of the MLM head, and theirs.
        architectures: their classes, by what is there beside the encoder: nothing, or an MLM head.
        pad: their id of the padding symbol where ``config.json`` does not say it.
        positions_from: the position of the first token: their rows before it belong to no token.
        shape: fields of EncoderConfig that all encoders of this layout have in common.
        layers: how the weights of layer {} begin.
        interleaved: whether rotary positions turn neighbours (x_2i, x_2i+1) instead of (x_i, x_i+half): rows of
            query and key are then in another order.
        head_activations: activations of the encoder with which the MLM head is ours: RoBERTa's is always GELU.
    """

    name: str
    prefix: str
    outer: Mapping[str, str]
    layer: Mapping[str, tuple[str, ...]]
    head: Mapping[str, str]
    architectures: Mapping[str, str]
    also: tuple[str, ...] = ()
    pad: int = 0
    positions_from: int = 0
    shape: Mapping[str, Any] = field(default_factory=dict)
    layers: str = "encoder.layer.{}."
    interleaved: bool = False
    head_activations: tuple[str, ...] = ("gelu", "relu")

    # Settings

    def encoder_config(self, config: Mapping[str, Any], vocab_size: int) -> EncoderConfig:
        """Return our settings of an encoder with their ``config``.

        Args:
            config: the contents of ``config.json``.
            vocab_size: the number of our symbols, which need not be that of their rows.

        Raises:
            UserError: a setting that our encoder cannot follow, by its name.
        """
        theirs = {**DEFAULTS, **{k: v for k, v in config.items() if v is not None}}
        if theirs.get("position_embedding_type", "absolute") != "absolute":
            raise _unsupported("position_embedding_type", theirs["position_embedding_type"], "absolute")
        if theirs["hidden_act"] not in ("gelu", "relu"):
            raise _unsupported("hidden_act", theirs["hidden_act"], "gelu or relu")
        if self.positions_from and theirs.get("pad_token_id", self.pad) != self.positions_from - 1:
            raise _unsupported("pad_token_id", theirs["pad_token_id"], f"{self.positions_from - 1} in this layout")
        for name in ("is_decoder", "add_cross_attention", "rotary_value"):
            if theirs.get(name):
                raise _unsupported(name, theirs[name], "false")
        longest = theirs["max_position_embeddings"]
        if isinstance(longest, bool) or not isinstance(longest, int):
            raise _unsupported("max_position_embeddings", longest, "a whole number of positions")
        ours = {name: theirs[their] for name, their in SETTINGS.items()}
        ours |= {"embedding_std": ours["initializer_std"], **self.shape, "vocab_size": vocab_size}
        ours["max_positions"] = longest - self.positions_from
        return EncoderConfig.from_dict(ours, SETTINGS)

    def config(
        self, encoder: EncoderConfig, vocab_size: int, head: bool, base: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return their ``config.json`` for an encoder.

        Args:
            encoder: our settings.
            vocab_size: the number of rows of their embedding.
            head: whether the MLM head is there.
            base: the ``config.json`` that the encoder was read with, whose other settings stay.
        """
        theirs: dict[str, Any] = dict(base or {"model_type": self.name, "pad_token_id": self.pad})
        for name, their in SETTINGS.items():
            value = getattr(encoder, name)
            # RoBERTa's encoders have a row of token types even where it says nothing.
            value = max(value, 1) if name == "n_segments" else value
            if base is None or theirs.get(their, DEFAULTS[their]) != value:
                theirs[their] = value
        theirs["max_position_embeddings"] = encoder.max_positions + self.positions_from
        theirs["vocab_size"] = vocab_size
        if base is None:
            theirs["architectures"] = [self.architectures["mlm" if head else "encoder"]]
        return theirs

    # Weights

    def names(self, encoder: EncoderConfig) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the name of each of our weights, and those of theirs, which stand below each other in ours.

        Their names are without the prefix.
        """
        there = {
            "embed_positions.weight": encoder.positions == "learned",
            "embed_segments.weight": encoder.n_segments > 0,
            "embed_norm": encoder.embedding_layernorm,
            "final_norm": encoder.normalize_before,
            "lm_dense": encoder.lm_head_transform,
            "lm_norm": encoder.lm_head_transform,
            "lm_bias": encoder.lm_head_bias,
        }
        for ours, theirs in self.outer.items():
            if there.get(ours, True):
                yield from _named(ours, (theirs,))
        for number in range(encoder.layers):
            for ours, modules in self.layer.items():
                below = self.layers.format(number)
                yield from _named(f"layers.{number}.{ours}", tuple(below + module for module in modules))
        for ours, theirs in self.head.items():
            if there[ours]:
                yield from _named(ours, (theirs,))

    def prefixed(self, name: str) -> str:
        """The name of one of their weights in a model with a head."""
        return name if OUTSIDE.match(name) else self.prefix + name

    def bare(self, name: str) -> str:
        """The name of one of their weights without the prefix of a model, and with its present name."""
        for old, new in OLD_NAMES:
            name = old.sub(new, name)
        return name.removeprefix(self.prefix)

    def in_head(self, name: str) -> bool:
        """Whether one of their weights, without the prefix, belongs to the MLM head."""
        return name.startswith(tuple(self.head.values()))

    def ours(self, theirs: Mapping[str, Tensor], encoder: EncoderConfig, rows: Rows | None = None) -> Ours:
        """Return our weights, what has no place in our encoder, and which names do not agree.

        A symbol without a row (``rows`` has None) gets the mean of all rows.

        Args:
            theirs: their weights by name, with or without the prefix; each is read once, so they may be on disk.
            rows: by our id, the row in their table; None where the order is the same.

        Raises:
            UserError: a weight of another shape than the settings say, or an output layer that is not tied to the
                embeddings, by its name.
        """
        found = {self.bare(name): name for name in theirs}
        result = Ours({}, {}, [], [])
        for ours, names in self.names(encoder):
            missing = [name for name in names if name not in found]
            result.missing += missing
            tensors = [_single(theirs[at := found.pop(name)], at) for name in names if name in found]
            if missing:
                result.absent.append(ours)
                continue
            if len({tensor.shape for tensor in tensors}) > 1:
                shapes = " and ".join(str(tuple(tensor.shape)) for tensor in tensors)
                raise UserError(f"{', '.join(names)} have the shapes {shapes}", remedy="Copy the folder again")
            if self.interleaved and len(tensors) == 3:
                tensors = [*(turned(t, encoder.heads, back=True) for t in tensors[:2]), tensors[2]]
            value = tensors[0] if len(tensors) == 1 else torch.cat(tensors)
            if ours == "embed_positions.weight" and self.positions_from:
                result.kept[names[0]] = value[: self.positions_from].clone()
                value = value[self.positions_from :]
            if ours in VOCABULARY and rows is not None:
                value = _chosen(value, rows, names[0], result.kept)
            result.weights[ours] = value.contiguous()
        for name in sorted(found):
            if DERIVED.fullmatch(name):
                continue
            if OUTPUT.fullmatch(name):
                output = _single(theirs[found[name]], found[name])
                self._check_tied(output, result.weights.get("embed_tokens.weight"), rows, found[name])
            elif name.startswith(KEPT):
                result.kept[name] = _single(theirs[found[name]], found[name])
            else:
                result.unexpected.append(found[name])
        return result

    def theirs(
        self,
        ours: Mapping[str, Tensor],
        kept: Mapping[str, Tensor],
        encoder: EncoderConfig,
        rows: Rows | None = None,
        prefixed: bool = True,
    ) -> dict[str, Tensor]:
        """Return their weights for ours: what :meth:`ours` undoes.

        Args:
            ours: our weights, as the encoder's ``state_dict`` names them; of the head, those that are there.
            kept: what :meth:`ours` returned as ``kept``; rows that are not there are zeros.
            rows: as for :meth:`ours`, with a row for every symbol that is to go out.
            prefixed: whether the encoder is part of a model with a head.
        """
        result: dict[str, Tensor] = {}
        for name, names in self.names(encoder):
            if name not in ours:
                continue
            value = ours[name]
            if name == "embed_positions.weight" and self.positions_from:
                ahead = kept.get(names[0])
                value = torch.cat(
                    (value.new_zeros(self.positions_from, value.shape[1]) if ahead is None else ahead, value)
                )
            if name in VOCABULARY and rows is not None:
                value = _placed(value, rows, kept.get(names[0]))
            parts = value.chunk(len(names))
            if self.interleaved and len(names) == 3:
                parts = (*(turned(part, encoder.heads) for part in parts[:2]), parts[2])
            result |= zip(names, parts, strict=True)
        result |= {name: value for name, value in kept.items() if name not in result}
        segments = self.outer["embed_segments.weight"]
        if segments not in result:
            result[segments] = torch.zeros(1, encoder.width)
        return {self.prefixed(k) if prefixed else k: v.contiguous() for k, v in result.items()}

    @staticmethod
    def _check_tied(output: Tensor, embedding: Tensor | None, rows: Rows | None, name: str) -> None:
        """Compare their output layer [R, D] with our embeddings [V, D], some rows at a time."""
        if embedding is None:
            return
        pairs = [(i, row) for i, row in enumerate(range(len(embedding)) if rows is None else rows) if row is not None]
        for start in range(0, len(pairs), COMPARED):
            own, their = torch.tensor(pairs[start : start + COMPARED]).T
            if not torch.equal(embedding[own], output[their]):
                raise UserError(
                    f"{name} is not the embedding table: the output layer is not tied to it",
                    remedy="Models with a tied MLM head are supported, as BERT, XLM-RoBERTa and RoBERTa have it",
                )


@dataclass
class Ours:
    """What :meth:`Layout.ours` makes of their weights.

    Attributes:
        weights: by our names.
        kept: what our encoder has no place for, by their names without the prefix.
        missing: names of theirs that are not there, without the prefix.
        unexpected: names of theirs that nothing is known of, as they stand there.
        absent: names of ours that ``missing`` leaves without a value.
    """

    weights: dict[str, Tensor]
    kept: dict[str, Tensor]
    missing: list[str]
    unexpected: list[str]
    absent: list[str] = field(default_factory=list)


def _named(ours: str, theirs: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The weights of a module, or the one weight where the name is a weight's."""
    if ours.endswith((".weight", "_bias")):
        yield ours, theirs
        return
    for kind in ("weight", "bias"):
        yield f"{ours}.{kind}", tuple(f"{module}.{kind}" for module in theirs)


def _single(value: Tensor, name: str) -> Tensor:
    """A weight in float32 where it was in half precision: nothing is lost.

    Raises:
        UserError: numbers that stand for others (quantised weights), or that are not finite.
    """
    if value.dtype not in PRECISIONS:
        kind = str(value.dtype).removeprefix("torch.")
        what = f"{name} is stored as {kind}: quantised weights mean nothing without their scales"
        raise UserError(what, remedy="Use weights in float32, float16 or bfloat16")
    single = value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
    if single.numel() and not all(bound.isfinite() for bound in single.aminmax()):  # without a copy of the table
        raise UserError(f"{name} has values that are not finite", remedy="The model is damaged: get it again")
    return single


def turned(value: Tensor, heads: int, back: bool = False) -> Tensor:
    """Rows of query or key [D, ...] for rotary positions of neighbours instead of halves of a head, or ``back``."""
    shape = (heads, -1, 2) if back else (heads, 2, -1)
    return value.unflatten(0, shape).transpose(1, 2).flatten(0, 2)


def _chosen(table: Tensor, rows: Rows, name: str, kept: dict[str, Tensor]) -> Tensor:
    """The rows of their table [R, ...] in our order [V, ...]; those that no symbol uses are added to ``kept``."""
    used = [row for row in rows if row is not None]
    if used and max(used) >= len(table):
        raise UserError(
            f"{name} has {len(table)} rows, but the tokenizer's largest id is {max(used)}",
            remedy="The tokenizer is not that of the weights: copy the folder again",
        )
    unused = torch.ones(len(table), dtype=torch.bool)
    unused[used] = False
    if unused.any():
        kept[name] = table[unused]
    result = table[torch.tensor([0 if row is None else row for row in rows])]
    if len(used) < len(rows):
        result[torch.tensor([row is None for row in rows])] = (table.sum(0) - table[unused].sum(0)) / len(used)
    return result


def _placed(values: Tensor, rows: Rows, kept: Tensor | None) -> Tensor:
    """Our rows [V, ...] in their order [R, ...], with ``kept`` where no symbol of ours has a row."""
    places = torch.tensor([row for row in rows if row is not None])
    from_ours = torch.tensor([i for i, row in enumerate(rows) if row is not None])
    size = max(int(places.max()) + 1, len(places) + (0 if kept is None else len(kept)))
    free = torch.ones(size, dtype=torch.bool)
    free[places] = False
    result = values.new_zeros(size, *values.shape[1:])
    result[places] = values[from_ours]
    if kept is not None:
        result[free] = kept
    return result


def _unsupported(name: str, value: Any, supported: str) -> UserError:
    return UserError(f"{name} is {value!r}", remedy=f"Our encoder has {supported}")
