"""Heads of labelled tasks as `transformers` has them: which leave as what, exactly, and which cannot.

Tags are scored by a linear layer there as here. Classes of `transformers` for whole texts score the first token and
put a dense layer and an activation ahead of the scores, which our ``linear`` head does not have unless
``--head-hidden`` asks for it. Two ways round are exact to the last digits of float32:

- ahead of tanh (BERT, XLM-RoBERTa, ...): values times 2^-14, which tanh leaves as they are (its error is a third of
  their cube), and weights times 2^14 behind it;
- ahead of GELU or ReLU (RoFormer): the scores themselves, and their negatives, since f(x) - f(-x) = x for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fairseq_xalign.convert.hf.layouts import BERT, MEGATRON_BERT, ROFORMER, Layout
from fairseq_xalign.errors import UserError

SMALL = 2.0**-14
"""By how much values are reduced ahead of a tanh that is to leave them as they are."""
DENSE = {
    BERT.name: ("pooler.dense", "classifier"),
    MEGATRON_BERT.name: ("pooler.dense", "classifier"),
}
"""By layout, the dense layer and the scores of their class for texts, without the prefix; else :data:`OTHERS`."""
OTHERS = ("classifier.dense", "classifier.out_proj")
TAGS, SPANS = "classifier", "qa_outputs"
CLASSES = {
    "tagging": "TokenClassification",
    "classification": "SequenceClassification",
    "pairs": "SequenceClassification",
    "qa": "QuestionAnswering",
}
"""By kind of task, what their classes are called."""
INSTEAD = (
    "Use --without-head, which writes the encoder alone, or fairseq_xalign.load_classifier, load_tagger or load_qa"
)


def architecture(layout: Layout, kind: str) -> str:
    """The name of their class for a kind of task."""
    return f"{layout.architectures['encoder'].removesuffix('Model')}For{CLASSES[kind]}"


def labels(task: Mapping[str, Any]) -> list[str]:
    """The names of a head's outputs, in order."""
    return ["start", "end"] if task["task"] == "qa" else list(task["labels"])


def head_weights(
    layout: Layout, activation: str, task: Mapping[str, Any], ours: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], list[str]]:
    """Return their weights of a head, without the prefix, and what the model card should say of it.

    Args:
        layout: what the encoder leaves as.
        activation: the encoder's.
        task: ``task_state``: ``task`` (the kind), ``head``, ``pooling``, ``labels``.
        ours: the head's weights.

    Raises:
        UserError: a head without an equal there, by its name.
    """
    kind, head = task["task"], task.get("head", "linear")
    if kind not in CLASSES:
        raise UserError(f"heads for {kind} have no way out yet", remedy=INSTEAD)
    if head != "linear":
        raise UserError(f"the head of this model is {head}: classes of transformers have none like it", remedy=INSTEAD)
    if task.get("crf"):
        raise UserError("the head of this model is a CRF: classes of transformers have none", remedy=INSTEAD)
    if kind == "tagging":
        note = 'A word has the tag of its first piece: pipeline(..., aggregation_strategy="first").'
        return {f"{TAGS}.{name}": ours[f"out.{name}"] for name in ("weight", "bias")}, [note]
    if kind == "qa":
        return {f"{SPANS}.{name}": ours[f"out.{name}"] for name in ("weight", "bias")}, [WINDOWS.format(**task)]
    if task["pooling"] != "cls":
        raise UserError(
            f"this classifier pools by {task['pooling']}: classes of transformers read the first token alone",
            remedy=f"{INSTEAD}; or fine-tune with --pooling cls",
        )
    return _text_head(layout, activation, ours)


def _text_head(layout: Layout, activation: str, ours: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    weight, bias = ours["out.weight"], ours["out.bias"]  # [L, D or hidden], [L]
    labels, hidden = weight.shape
    if "dense.weight" in ours:
        dense, dense_bias = ours["dense.weight"], ours["dense.bias"]  # [hidden, D], [hidden]
        width = dense.shape[1]
        if layout is ROFORMER or hidden > width:
            raise UserError(
                f"this classifier has a tanh layer of width {hidden}; that of {layout.name} has width {width} and "
                f"{activation if layout is ROFORMER else 'tanh'}",
                remedy=f"{INSTEAD}; or fine-tune without --head-hidden",
            )
        note = []
    elif layout is ROFORMER:
        width = hidden
        if 2 * labels > width:
            raise UserError(
                f"{labels} labels do not fit {layout.name}'s head of width {width}, which takes {width // 2} here",
                remedy=INSTEAD,
            )
        dense, dense_bias = torch.cat((weight, -weight)), weight.new_zeros(2 * labels)
        weight = torch.cat((torch.eye(labels), -torch.eye(labels)), dim=1)
        note = [LINEAR.format(f"{activation}(x) - {activation}(-x) = x")]
    else:
        width = hidden
        dense, dense_bias, weight = torch.eye(width) * SMALL, torch.zeros(width), weight / SMALL
        note = [LINEAR.format("values times 2^-14, which tanh leaves as they are")]
    names = DENSE.get(layout.name, OTHERS)
    return {
        f"{names[0]}.weight": _padded(dense, width, width),
        f"{names[0]}.bias": _padded(dense_bias[:, None], width, 1)[:, 0],
        f"{names[1]}.weight": _padded(weight, labels, width),
        f"{names[1]}.bias": bias,
    }, note


WINDOWS = (
    "It was trained on windows of a context: sequences of {max_length} subwords, {stride} apart, the question first. A "
    "window without the answer scores its first token highest."
)
LINEAR = (
    "The classifier is one linear layer on the first token. The class of transformers has a dense layer and an "
    "activation ahead of it, which are written so that they change nothing ({}). To fine-tune further, begin with a "
    "fresh head."
)


def _padded(value: Tensor, rows: int, columns: int) -> Tensor:
    """The matrix with zeros below and to the right."""
    result = value.new_zeros(rows, columns)
    result[: value.shape[0], : value.shape[1]] = value
    return result
