"""The model card of a folder that leaves for `transformers`: what it is, what it was made of, and the proof."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from fairseq_xalign.convert.checkpoints import CONVERTED
from fairseq_xalign.convert.hf.parity import Parity
from fairseq_xalign.convert.hf.write import Leaver
from fairseq_xalign.models.checkpoint import training_options
from fairseq_xalign.version import __version__

CARD_FILE = "README.md"
PIPELINES = {
    "tagging": "token-classification",
    "classification": "text-classification",
    "pairs": "text-classification",
    "qa": "question-answering",
}
SIMPLE_CODE = re.compile(r"[a-z]{2,3}")
SHAPE = ("layers", "heads", "width", "ffn_width", "max_positions", "positions", "normalize_before", "activation")
"""Settings of the encoder that a reader wants to see."""
USAGE = {
    None: 'model = AutoModelForMaskedLM.from_pretrained("DIR")',
    "encoder": 'model = AutoModel.from_pretrained("DIR")',
    "tagging": 'tagger = pipeline("token-classification", "DIR", aggregation_strategy="first")',
    "classification": 'classifier = pipeline("text-classification", "DIR")',
    "pairs": 'classifier = pipeline("text-classification", "DIR")\nclassifier({"text": "...", "text_pair": "..."})',
}
ANSWERS = """import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("DIR")
model = AutoModelForQuestionAnswering.from_pretrained("DIR").eval()
context = "..."
inputs = tokenizer("...", context, truncation="only_second", return_offsets_mapping=True, return_tensors="pt")
places = inputs.pop("offset_mapping")[0]
shown = torch.tensor([part == 1 for part in inputs.sequence_ids()])
with torch.inference_mode():
    scores = model(**inputs)
start, end = (x[0].masked_fill(~shown, -1e9) for x in (scores.start_logits, scores.end_logits))
sums = start[:, None] + end + torch.full((len(end), len(end)), -1e9).tril(-1)  # no end ahead of its start
first, last = divmod(int(sums.argmax()), len(end))
print(context[places[first][0] : places[last][1]].strip())
"""
"""How a model that answers questions is used: transformers 5 has no pipeline for it any more."""
OPTIONS = ("directions", "mask_prob", "tokens_per_sample", "sampling_temperature", "seed")
"""Options of a training that tell what it learned from."""


def card(
    leaver: Leaver, state: Mapping[str, Any], parity: Parity, vectors: Mapping[str, Any] | None, source: str
) -> str:
    """The text of the model card.

    Args:
        leaver: what was written.
        state: the checkpoint.
        parity: what the comparison found.
        vectors: how sentence vectors are made and how far they differ, if the folder is one of sentence-transformers.
        source: the checkpoint's name.
    """
    task = leaver.task
    sections = [
        _header(leaver, vectors),
        f"# {leaver.config['architectures'][0]} made by fairseq_xalign\n",
        _usage(leaver, vectors),
        "## What it was made of\n",
        _table(_origin(leaver, state, source)),
        "## Shape\n",
        _table({**{name: getattr(leaver.form.encoder, name) for name in SHAPE}, "input": leaver.frame.shown,
                "vocabulary": f"{leaver.config['vocab_size']:,} rows"}),
    ]  # fmt: skip
    if "labels" in task and leaver.head:
        sections += ["## Labels\n", ", ".join(f"`{label}`" for label in task["labels"]) + "\n"]
    scores = _scores(state)
    sections += ["## Scores\n", "Those that the checkpoint holds, on its validation data.\n" if scores else
                 "The checkpoint holds none.\n"]  # fmt: skip
    sections += [_table(scores)] if scores else []
    sections += ["## Notes\n", "".join(f"- {note}\n" for note in leaver.notes)]
    sections += [
        "## Parity\n",
        f"Before this folder appeared, it was opened with transformers {parity.versions['transformers']} (torch "
        f"{parity.versions['torch']}, float32) and compared with the checkpoint: {parity.line()}.\n",
    ]
    if vectors and vectors.get("difference") is not None:
        sections.append(
            f"Opened with sentence-transformers {vectors['version']}, vectors differ by {vectors['difference']:.1e} "
            "at most.\n"
        )
    return "\n".join(sections)


def _header(leaver: Leaver, vectors: Mapping[str, Any] | None) -> str:
    """The metadata that the hub reads."""
    languages = list(leaver.task["languages"])
    pipeline = "fill-mask" if leaver.form.head else "feature-extraction"
    pipeline = PIPELINES.get(leaver.kind or "", "sentence-similarity" if vectors else pipeline)
    values: dict[str, Any] = {
        "library_name": "sentence-transformers" if vectors else "transformers",
        "pipeline_tag": pipeline,
        "tags": ["fairseq_xalign"],
    }
    simple = [name for name in languages if SIMPLE_CODE.fullmatch(name)]
    others = [name for name in languages if name not in simple]
    values |= {key: found for key, found in (("language", simple), ("language_bcp47", others)) if found}
    # JSON is YAML too.
    return "---\n" + "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items()) + "---\n"


def _usage(leaver: Leaver, vectors: Mapping[str, Any] | None) -> str:
    if vectors:
        lines = 'from sentence_transformers import SentenceTransformer\n\nmodel = SentenceTransformer("DIR")\n'
        lines += f'vectors = model.encode(["..."])  # {vectors["pooling"]} over tokens\n'
    elif leaver.kind == "qa":
        lines = ANSWERS
    elif leaver.kind:
        lines = f"from transformers import pipeline\n\n{USAGE[leaver.kind]}\n"
    else:
        line = USAGE[None if leaver.form.head else "encoder"]
        name = line.split("= ")[1].split(".")[0]
        lines = f"from transformers import {name}, AutoTokenizer\n\n"
        lines += f'tokenizer = AutoTokenizer.from_pretrained("DIR")\n{line}\n'
    return f"```python\n{lines}```\n"


def _origin(leaver: Leaver, state: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Program, checkpoint, training, data and languages."""
    task = leaver.task
    cfg = state.get("cfg") or {}
    made = task.get(CONVERTED)
    history = (state.get("optimizer_history") or [{}])[-1]
    values: dict[str, Any] = {
        "program": f"fairseq_xalign {__version__}",
        "checkpoint": source,
        "its form": f"{leaver.form.layout.name}, {leaver.config['architectures'][0]}",
        "made by": f"xalign-convert {made['command']} of {', '.join(made['of'])}" if made else None,
        "began as": ((task.get("foreign") or {}).get("config") or {}).get("_name_or_path"),
        "criterion": (cfg.get("criterion") or {}).get("_name"),
        "updates": history.get("num_updates"),
        "languages": ", ".join(task["languages"]),
        "languages of the labels": ", ".join(task.get("train_languages") or ()),
        "labelled data": task.get("labelled"),
        "task": task.get("task"),
        "tokenizer": f"{leaver.tokenizer.kind}, sha256 {leaver.tokenizer.sha256[:16]}",
    }
    options = cfg.get("task") or {}
    values |= {"data": options.get("data")}
    values |= {f"--{name.replace('_', '-')}": options.get(name) for name in OPTIONS}
    return values | training_options(cfg)


def _scores(state: Mapping[str, Any]) -> dict[str, Any]:
    """What the last validation measured, and the best."""
    extra = state.get("extra_state") or {}
    metric = ((state.get("cfg") or {}).get("checkpoint") or {}).get("best_checkpoint_metric") or "score"
    values = {f"best {metric}": extra.get("best")}
    for group, meters in (extra.get("metrics") or {}).items():
        for _, name, kind, meter in meters if group == "valid" else ():
            if kind == "AverageMeter" and meter.get("count") and name not in ("wpb", "bsz"):
                values[name] = float(meter["sum"]) / float(meter["count"])
    return {k: round(v, 4) for k, v in values.items() if isinstance(v, int | float)}


def _table(values: Mapping[str, Any]) -> str:
    rows = {k: str(v).replace("|", "\\|").replace("\n", " ") for k, v in values.items() if v not in (None, "", [])}
    return "| | |\n| --- | --- |\n" + "".join(f"| {key} | {value} |\n" for key, value in rows.items())
