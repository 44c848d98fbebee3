"""Predict labels with a fine-tuned checkpoint.

Writes one JSON line an example: id, language, tokens (or text), prediction, gold. `score` reads
them. The checkpoint carries tokenizer and labels; no data folder of pre-training is needed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import torch

from fairseq_xalign import cli
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import atomic_file, read_lines
from fairseq_xalign.labelled.folder import ENCODERS, Encoded, LabelledCollater, LabelledFolder
from fairseq_xalign.labelled.labeller import label_scores, load_labeller
from fairseq_xalign.options import name_list

EXAMPLE = """example:
  xalign-evaluate predict --checkpoint runs/pos --data pos --split test --languages en,de --output pred.jsonl"""

CHUNK = 10_000
"""Examples held at a time; they are sorted by length within it."""
Row = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint", required=True, metavar="CKPT", help=".pt file, or its folder (the best, else the last)"
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", metavar="LABELLED", help="labelled folder")
    source.add_argument("--text", metavar="FILE", help="plain text, one example a line (words separated by spaces)")
    parser.add_argument("--split", default="test", help="split of the labelled folder (default: test)")
    parser.add_argument(
        "--languages", metavar="XX,YY", help="languages (default: all of the split); with --text its one language"
    )
    parser.add_argument("--output", required=True, metavar="PRED.jsonl", help="where the predictions go")
    parser.add_argument("--batch-tokens", type=int, default=8192, metavar="N", help="tokens a batch (default: 8192)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda")


def run(args: argparse.Namespace) -> int:
    encoder, head, tokenizer, state = load_labeller(args.checkpoint)
    encoder, head = encoder.to(args.device), head.to(args.device)
    labels, cut, count = state["labels"], 0, 0
    with atomic_file(args.output) as out:
        for language, rows in _inputs(args, state):
            if encoder.config.n_languages and language not in state["languages"]:
                cli.say(f"{language} has no language embedding in this model; it has {', '.join(state['languages'])}")
            for start, chunk in _chunks(rows):
                encoded = ENCODERS[state["task"]](tokenizer, chunk, labels, language, state["max_length"])
                cut += encoded.cut
                predicted = predict_rows(encoder, head, encoded, state, len(chunk), args)
                for index, (row, chosen) in enumerate(zip(chunk, predicted), start):
                    line = _line(row, language, index, [labels[i] for i in chosen], state["task"])
                    out.write(json.dumps(line, ensure_ascii=False) + "\n")
                count += len(chunk)
    cli.say(f"{args.output}: {count} examples" + (f"; {cut} cut to {state['max_length']} subwords" if cut else ""))
    return 0


def _line(row: dict[str, Any], language: str, index: int, names: list[str], task: str) -> dict[str, Any]:
    head = {"id": row.get("id", f"{language}:{index}"), "language": language}
    if task == "tagging":
        return {**head, "tokens": row["tokens"], "prediction": names, "gold": row.get("gold", row["tags"])}
    return {**head, "text": row["text"], "prediction": names[0], "gold": row["label"]}


def _chunks(rows: Iterable[Row]) -> Iterator[tuple[int, list[Row]]]:
    """The rows in lists of ``CHUNK``, each with the number of its first row."""
    rows, start = iter(rows), 0
    while chunk := list(islice(rows, CHUNK)):
        yield start, chunk
        start += len(chunk)


def _inputs(args: argparse.Namespace, state: dict[str, Any]) -> Iterator[tuple[str, Iterable[Row]]]:
    """(language, rows) of what is to be labelled; without gold labels rows have None for them."""
    if args.text:
        if args.languages and "," in args.languages:
            raise UserError(
                f"--languages {args.languages}: a text has one language", remedy="Predict one file at a time"
            )
        if not any(line.strip() for _, line in read_lines(args.text)):
            raise UserError("no text in it", args.text, remedy="Give a file with one example a line")
        yield args.languages or "text", cli.progress(_text_rows(args.text, state["task"]), "predict")
        return
    folder = LabelledFolder.open(args.data)
    if folder.task != state["task"]:
        raise UserError(
            f"its task is {folder.task}, the checkpoint's {state['task']}",
            args.data,
            remedy="Choose the folder it learned from",
        )
    chosen = name_list(args.languages) if args.languages else folder.languages(args.split)
    if not chosen:
        raise UserError(
            f"no {args.split} examples", args.data, remedy=f"Choose --split: the folder has {folder.contents()}"
        )
    for language in cli.progress(chosen, "predict", len(chosen)):
        if next(folder.rows(args.split, language), None) is None:
            raise UserError(
                f"no {args.split} example in {language}", args.data, remedy="Leave the language out of --languages"
            )
        yield language, folder.rows(args.split, language)


def _text_rows(path: str, task: str) -> Iterator[Row]:
    for _, line in read_lines(path):
        if task == "tagging":
            tokens = line.split()
            yield {"tokens": tokens, "tags": [None] * len(tokens), "gold": None}
        else:
            yield {"text": line, "label": None}


@torch.no_grad()
def predict_rows(
    encoder: Any, head: Any, encoded: Encoded, state: dict[str, Any], rows: int, args: argparse.Namespace
) -> list[list[int]]:
    """The predicted labels of each row, in order; batches are sorted by length."""
    numbers = {name: i for i, name in enumerate(state["languages"], start=1)}
    collater = LabelledCollater([], state["task"], numbers, [encoded.language])
    result: list[list[int]] = [[] for _ in range(rows)]
    order = sorted(range(len(encoded.examples)), key=lambda i: len(encoded.examples[i].ids))
    best: list[list[int]] = [[] for _ in encoded.examples]
    begin = 0
    while begin < len(order):
        end = begin + 1
        while end < len(order) and (end + 1 - begin) * (len(encoded.examples[order[end]].ids) + 2) <= args.batch_tokens:
            end += 1
        examples = [encoded.examples[i] for i in order[begin:end]]
        sample = collater.build(examples, [encoded.language] * len(examples))
        sample["at"] = sample["at"].to(args.device)
        packed = sample["streams"]["labelled"]
        sample["streams"]["labelled"] = {
            k: v.to(args.device) if isinstance(v, torch.Tensor) else v for k, v in packed.items()
        }
        chosen = label_scores(encoder, head, sample).argmax(-1).tolist()
        for i, example in zip(order[begin:end], examples):
            best[i], chosen = chosen[: len(example.labels)], chosen[len(example.labels) :]
        begin = end
    for example, labels in zip(encoded.examples, best):  # a long sentence is several examples, in order
        result[example.row] += labels
    return result
