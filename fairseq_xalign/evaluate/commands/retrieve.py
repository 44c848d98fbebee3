"""Measure sentence retrieval accuracy between two languages.

The two files are parallel, with one sentence per line. A sentence counts as correct if its nearest neighbour by cosine,
among all sentences of the other file, is its translation: the sentence on the same line or, if the sentence is
repeated, on the line of any of its copies. Accuracy is printed in per cent for both directions, with their mean.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fairseq_xalign import cli
from fairseq_xalign.constants import SENTENCE_POOLINGS
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics.retrieval import retrieval_accuracy, text_numbers
from fairseq_xalign.evaluate.report.tables import json_text, number, text_table
from fairseq_xalign.files import read_lines
from fairseq_xalign.models.checkpoint import CKPT_HELP, read_encoder
from fairseq_xalign.models.device import DEVICE_HELP, choose_device
from fairseq_xalign.models.sentences import BATCH_HELP, LAYER_HELP, POOLING_HELP, check_layer, encode_sentences
from fairseq_xalign.options import at_least, named_files, pair_name
from fairseq_xalign.tokenizer.framing import frame_of

EXAMPLE = """example:
  xalign-evaluate retrieve --checkpoint run/checkpoint_best.pt --source en=ntrex.en --target de=ntrex.de"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate retrieve``."""
    parser.add_argument("--checkpoint", required=True, metavar="CKPT", help=CKPT_HELP)
    parser.add_argument(
        "--source", required=True, metavar="XX=FILE", help="Language and file of its sentences, one sentence per line."
    )
    parser.add_argument(
        "--target", required=True, metavar="YY=FILE", help="Language and file of their translations, line by line."
    )
    parser.add_argument("--layer", type=int, metavar="L", help=LAYER_HELP)
    parser.add_argument("--pooling", choices=SENTENCE_POOLINGS, default="mean", help=POOLING_HELP)
    parser.add_argument("--centre", action="store_true", help="Subtract the mean vector of each language first.")
    parser.add_argument("--batch-tokens", type=int, metavar="N", help=BATCH_HELP)
    parser.add_argument("--bf16", action="store_true", help="Compute in bfloat16.")
    parser.add_argument("--device", metavar="DEVICE", help=DEVICE_HELP)
    parser.add_argument("--json", action="store_true", help="Print JSON.")


def run(args: argparse.Namespace) -> None:
    """Measure and print."""
    (source,) = named_files([args.source], "--source")
    (target,) = named_files([args.target], "--target")
    report = retrieve(
        args.checkpoint,
        source,
        target,
        layer=args.layer,
        pooling=args.pooling,
        centre=args.centre,
        batch_tokens=args.batch_tokens,
        bf16=args.bf16,
        device=args.device,
    )
    if any(report["duplicates"].values()):
        counts = " and ".join(f"{count} lines of {name}" for name, count in report["duplicates"].items())
        cli.say(f"{counts} repeat an earlier line: the translation of any copy counts as right")
    if args.json:
        print(json_text(report), end="")
        return
    rows = [
        [f"{source[0]} to {target[0]}", number(report["forward"], 2)],
        [f"{target[0]} to {source[0]}", number(report["backward"], 2)],
        ["mean", number(report["mean"], 2)],
    ]
    print(text_table(["direction", "accuracy"], rows) + "\n" + report["signature"])


def retrieve(
    checkpoint: str | Path,
    source: tuple[str, str | Path],
    target: tuple[str, str | Path],
    *,
    layer: int | None = None,
    pooling: str = "mean",
    centre: bool = False,
    batch_tokens: int | None = None,
    bf16: bool = False,
    device: str | None = None,
) -> dict[str, Any]:
    """Retrieval accuracy between two parallel files, as ``--json`` prints it.

    Args:
        checkpoint: a ``.pt`` file or its folder.
        source, target: (language, file of sentences), line by line translations of each other.
        layer: whose output is pooled; 0 is the embeddings, None the last layer.
        pooling: one of SENTENCE_POOLINGS.
        centre: subtract each language's mean vector first.
        batch_tokens: tokens per batch.
        bf16: compute in bfloat16.
        device: cpu, cuda or cuda:N; by default a GPU where there is one.

    Returns:
        ``source``, ``target`` (languages), ``forward``, ``backward``, ``mean`` (per cent), ``duplicates``
        {side: lines that repeat an earlier line of their file} and ``signature``.
    """
    at_least(1, batch_tokens=batch_tokens)
    sides = parallel_lines(source[1], target[1])
    chosen_device = choose_device(device)
    encoder, tokenizer, meta = read_encoder(checkpoint)
    layers = encoder.config.layers
    check_layer(layer, layers, checkpoint)
    encoder = encoder.to(chosen_device)
    vectors = [
        encode_sentences(
            encoder,
            tokenizer,
            lines,
            pooling,
            batch_tokens,
            layer=layer,
            language=language_place(encoder, meta, language),
            bf16=bf16,
            frame=frame_of(meta),
        )
        for (language, _), lines in zip((source, target), sides)
    ]
    fields = {
        "pooling": pooling,
        "layer": layers if layer is None else layer,
        "pair": pair_name((source[0], target[0])),
    }
    try:
        texts = (text_numbers(sides[0]), text_numbers(sides[1]))
        result = retrieval_accuracy(vectors[0], vectors[1], centre, texts, **fields)
    except ValueError as error:
        raise UserError(str(error), checkpoint) from None
    duplicates = {name: len(lines) - len(set(lines)) for name, lines in zip(("source", "target"), sides)}
    return {"source": source[0], "target": target[0], **vars(result), "duplicates": duplicates}


def parallel_lines(source: str | Path, target: str | Path) -> tuple[list[str], list[str]]:
    """The sentences of two parallel files; refuses files of unequal length, empty lines, and no lines."""
    sides = []
    for path in (source, target):
        side = []
        for number_, text in read_lines(path):
            if not text.strip():
                raise UserError(
                    "an empty line where a sentence should be", path, number_, "Remove the line from both files"
                )
            side.append(text)
        sides.append(side)
    if len(sides[0]) != len(sides[1]):
        raise UserError(
            f"{len(sides[0])} lines, but {target} has {len(sides[1])}",
            source,
            remedy="Line i of one file must be the translation of line i of the other",
        )
    if not sides[0]:
        raise UserError("no sentences: the file is empty", source, remedy="Give one sentence per line")
    return sides[0], sides[1]


def language_place(encoder: Any, meta: dict[str, Any], language: str) -> int | None:
    """The 1-based place of ``language`` in the model's list; None for a model without language embeddings."""
    if getattr(encoder, "embed_languages", None) is None:
        return None
    languages = list(meta.get("languages") or ())
    if language in languages:
        return languages.index(language) + 1
    cli.say(f"the model does not know language {language!r}, so the text is encoded without a language embedding")
    return None
