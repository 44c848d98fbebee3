"""Write a folder that `transformers` opens, out of a checkpoint of ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from fairseq_xalign.convert.checkpoints import CONVERTED
from fairseq_xalign.convert.hf import departure, heads_out, tokenizer_out
from fairseq_xalign.convert.hf.departure import Departure, leaving
from fairseq_xalign.convert.hf.layouts import Rows
from fairseq_xalign.convert.hf.read import CONFIG, FOREIGN, rows_of
from fairseq_xalign.convert.hf.vocabulary import tokenizer_files as original_files
from fairseq_xalign.convert.hf.weights import SAFE
from fairseq_xalign.models.checkpoint import with_prefix
from fairseq_xalign.models.config import EncoderConfig
from fairseq_xalign.tokenizer.framing import Frame, pair_frame_of
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

MODEL_NOTES = {
    "trained": "The pooler of the model that this one began with is left out: training did not change it, and it would "
    "not fit any more.",
    "fresh": "There is no head of masked language modelling: the model came without one, and none was trained.",
    "task": "There is no head of masked language modelling: fine-tuning did not train it.",
}


@dataclass
class Leaver:
    """A checkpoint on its way out.

    Attributes:
        task: its ``task_state``.
        encoder: the encoder's settings, as they are here.
        weights: the encoder's weights, as they are here.
        head: the weights of the head of its labelled task; empty where there is none that is to leave.
        tokenizer: its tokenizer.
        frame: what the encoder expects around a text.
        rows: by our id, the row in the tables that leave; None where it is the same.
        form: the encoder as it leaves.
        theirs: all weights under their names.
        config: ``config.json``.
        files: the tokenizer's files.
        notes: sentences for the model card.
        language: whose embedding is always added, or None.
    """

    task: dict[str, Any]
    encoder: EncoderConfig
    weights: dict[str, Tensor]
    head: dict[str, Tensor]
    tokenizer: Tokenizer
    frame: Frame
    rows: Rows | None
    form: Departure
    language: str | None = None
    theirs: dict[str, Tensor] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def trained(self) -> bool:
        """Whether its weights are not those that it came with."""
        return self.task.get(CONVERTED, {}).get("command") != "from-hf"

    @property
    def kind(self) -> str | None:
        """The kind of labelled task whose head leaves, or None."""
        return self.task["task"] if self.head else None


def prepare(state: Mapping[str, Any], *, language: str | None = None, with_head: bool = True) -> Leaver:
    """Put a checkpoint into the form in which it leaves; nothing is written.

    Args:
        state: of ``read_checkpoint``; its tensors may be on disk, and most are not copied.
        language: whose embedding to add to every token, see :func:`departure.leaving`.
        with_head: whether the head of a labelled task, or of masked language modelling, leaves too.

    Raises:
        UserError: a shape, a head or a tokenizer that `transformers` does not have, by its name.
    """
    task, model = state["task_state"], {k: v.float() for k, v in state["model"].items() if v.is_floating_point()}
    encoder = EncoderConfig.from_dict(task["encoder"])
    tokenizer, frame = Tokenizer.from_state(task["tokenizer"]), pair_frame_of(task)
    foreign = task.get(FOREIGN)
    weights, kept = with_prefix(model, "encoder."), with_prefix(model, f"{FOREIGN}.")
    labelled = with_head and "labels" in task
    fresh = [name for name in (foreign or {}).get("fresh", []) if name.startswith("lm_")]
    rows = None if foreign is None else rows_of(task)
    original = foreign is not None and bool(foreign["files"]) and rows is not None and None not in rows
    form = leaving(
        encoder,
        weights,
        head=with_head and not labelled and not fresh,
        layout=foreign["layout"] if foreign else None,
        language=language,
        languages=list(task["languages"]),
    )
    head = with_prefix(model, f"heads.{task['task']}.") if labelled else {}
    leaver = Leaver(task, encoder, weights, head, tokenizer, frame, rows if original else None, form, language)
    leaver.notes = list(form.notes)
    _describe_weights(leaver, kept if original else {}, foreign if original else None)
    if foreign is not None and leaver.trained:
        leaver.notes.append(MODEL_NOTES["trained"])
    if labelled or (fresh and with_head):
        leaver.notes.append(MODEL_NOTES["task" if labelled else "fresh"])
    if original:
        leaver.files = original_files(task)
    else:
        leaver.files = tokenizer_out.tokenizer_files(
            tokenizer, frame, encoder.max_positions, form.encoder.n_segments > 1
        )
    leaver.notes += tokenizer_out.differences(tokenizer)
    return leaver


def _describe_weights(leaver: Leaver, kept: Mapping[str, Tensor], foreign: Mapping[str, Any] | None) -> None:
    """Fill in ``theirs`` and ``config``."""
    form, layout = leaver.form, leaver.form.layout
    base = foreign["config"] if foreign else None
    named = ((base or {}).get("architectures") or [layout.architectures["encoder"]])[0]
    prefixed = bool(leaver.head) or form.head or not (leaver.trained or named.endswith("Model"))
    theirs = layout.theirs(form.weights, kept, form.encoder, leaver.rows, prefixed)
    theirs |= {layout.prefixed(k) if prefixed else k: v for k, v in departure.extra_weights(form).items()}
    embeddings = layout.outer["embed_tokens.weight"]
    size = len(theirs[layout.prefixed(embeddings) if prefixed else embeddings])
    config = departure.settings(form, size, base)
    if leaver.head:
        task = leaver.task
        scores, notes = heads_out.head_weights(layout, form.encoder.activation, task, leaver.head)
        theirs |= {layout.prefixed(name): value.contiguous() for name, value in scores.items()}
        leaver.notes += notes
        config["architectures"] = [heads_out.architecture(layout, task["task"])]
        config["id2label"] = {str(i): name for i, name in enumerate(heads_out.labels(task))}
        config["label2id"] = {name: i for i, name in enumerate(heads_out.labels(task))}
    elif leaver.trained or (form.head and named.endswith("Model")):
        config["architectures"] = [layout.architectures["mlm" if form.head else "encoder"]]
    leaver.theirs, leaver.config = theirs, config


def write(leaver: Leaver, folder: Path) -> None:
    """Write settings, weights and tokenizer into an existing folder."""
    from safetensors.torch import save_file

    save_file(leaver.theirs, str(folder / SAFE), metadata={"format": "pt"})
    (folder / CONFIG).write_text(json.dumps(leaver.config, ensure_ascii=False, indent=2) + "\n", "utf-8")
    for name, data in leaver.files.items():
        (folder / name).write_bytes(data)
