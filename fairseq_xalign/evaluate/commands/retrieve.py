"""Sentence retrieval accuracy between two languages.

The two files are parallel, one sentence a line. Each sentence is encoded, and counts as right when its
nearest neighbour by cosine among all sentences of the other file is its own line. Prints per cent in
both directions and their mean.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from torch import Tensor

from fairseq_xalign import cli
from fairseq_xalign.constants import POOLINGS
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics.retrieval import retrieval_accuracy
from fairseq_xalign.evaluate.report.tables import json_text, number, text_table
from fairseq_xalign.files import read_lines
from fairseq_xalign.models.sentences import BATCH_TOKENS, encode_sentences
from fairseq_xalign.options import named_files

EXAMPLE = """example:
  xalign-evaluate retrieve --checkpoint run/checkpoint_best.pt --source en=ntrex.en --target de=ntrex.de"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate retrieve``."""
    parser.add_argument("--checkpoint", required=True, metavar="CKPT", help="a .pt file or the folder around it")
    parser.add_argument("--source", required=True, metavar="XX=FILE", help="language and sentences, one a line")
    parser.add_argument("--target", required=True, metavar="YY=FILE", help="their translations, line by line")
    parser.add_argument(
        "--layer", type=int, metavar="L", help="whose output is pooled: 0 is the embeddings (default: the last layer)"
    )
    parser.add_argument("--pooling", choices=POOLINGS, default="mean", help="sentence vector (default: %(default)s)")
    parser.add_argument("--centre", action="store_true", help="subtract each language's mean vector first")
    parser.add_argument(
        "--batch-tokens", type=int, default=BATCH_TOKENS, metavar="N", help="tokens a batch (default: %(default)s)"
    )
    parser.add_argument("--bf16", action="store_true", help="compute in bfloat16")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    """Encode both sides, search, print."""
    ((source, source_file),) = named_files([args.source], "--source")
    ((target, target_file),) = named_files([args.target], "--target")
    lines = parallel_lines(source_file, target_file)

    from fairseq_xalign.models.checkpoint import load_encoder

    encoder, tokenizer, meta = load_encoder(args.checkpoint)
    layers = encoder.config.layers
    if args.layer is not None and not 0 <= args.layer <= layers:
        raise UserError(
            f"--layer {args.layer}: the model has {layers} layers", args.checkpoint, remedy=f"0 to {layers}"
        )

    def vectors(name: str, side: list[str]) -> Tensor:
        place = language_place(encoder, meta, name)
        return encode_sentences(
            encoder,
            tokenizer,
            side,
            args.pooling,
            args.batch_tokens,
            layer=args.layer,
            language=place,
            bf16=args.bf16,
        )

    first, second = vectors(source, lines[0]), vectors(target, lines[1])
    try:
        layer = layers if args.layer is None else args.layer
        fields = {"pooling": args.pooling, "layer": layer, "pair": f"{source}-{target}"}
        result = retrieval_accuracy(first, second, args.centre, **fields)
    except ValueError as error:
        raise UserError(str(error), args.checkpoint) from None
    if args.json:
        print(json_text({"source": source, "target": target, **vars(result)}), end="")
        return
    rows = [
        [f"{source} to {target}", number(result.forward, 2)],
        [f"{target} to {source}", number(result.backward, 2)],
        ["mean", number(result.mean, 2)],
    ]
    print(text_table(["direction", "accuracy"], rows) + "\n" + result.signature)


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
            f"{len(sides[0])} lines where {target} has {len(sides[1])}", source, remedy="The files must be parallel"
        )
    if not sides[0]:
        raise UserError("no sentences: the file is empty", source, remedy="Give one sentence a line")
    return sides[0], sides[1]


def language_place(encoder: Any, meta: dict[str, Any], language: str) -> int | None:
    """The 1-based place of ``language`` in the model's list; None for a model without language embeddings."""
    if getattr(encoder, "embed_languages", None) is None:
        return None
    languages = list(meta.get("languages") or ())
    if language in languages:
        return languages.index(language) + 1
    cli.say(f"the model does not know language {language!r}: encoded without a language embedding")
    return None
