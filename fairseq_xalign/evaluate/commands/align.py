"""Measure how well the word embeddings of two languages are aligned.

Prints the alignment score (share of source rows whose nearest target row by cosine is their own
counterpart), precision at 1, 5 and 10 by cosine and by CSLS, and the mean cosine of the pairs, in per
cent (the cosine aside). With no --dictionary, the pairs are those of the checkpoint's doubled
vocabulary: every ordinary piece and its transliterated copy, and the candidates all copies. With one, the
pairs are its entries, and the candidates all copies where its targets are copies, else all its distinct
target words.
"""

from __future__ import annotations

import argparse
from typing import Any

from torch import Tensor

from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.evaluate.metrics.word_pairs import (
    alignment_report,
    derived_pairs,
    dictionary_pairs,
    heldout_queries,
)
from fairseq_xalign.evaluate.report.tables import json_text, number, text_table

EXAMPLE = """example:
  xalign-evaluate align --checkpoint run/checkpoint_best.pt --heldout data/dictionary/en-en_inv.tsv
  xalign-evaluate align --checkpoint run --dictionary en-de.test.tsv --heldout en-de.train.tsv --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate align``."""
    parser.add_argument("--checkpoint", required=True, metavar="CKPT", help="a .pt file or the folder around it")
    parser.add_argument(
        "--dictionary", metavar="FILE", help="score these entries (default: the doubled vocabulary's pairs)"
    )
    parser.add_argument(
        "--heldout",
        metavar="FILE",
        help="the dictionary used in training: also score the pairs it does not hold, under the name heldout",
    )
    parser.add_argument(
        "--subset",
        choices=("all", "authors"),
        default="all",
        help="authors: also ALIGN-MLM's released reading, random 40 %% and 90 %% of the pieces (seed 42), with and "
        "without language embeddings where the model has any (default: %(default)s)",
    )
    parser.add_argument(
        "--languages",
        metavar="XX,YY",
        help="whose language embeddings to add for --subset authors (default: the model's first two)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    """Load, measure, print."""
    from fairseq_xalign.data.dictionary import Dictionary
    from fairseq_xalign.models.checkpoint import load_encoder

    encoder, tokenizer, meta = load_encoder(args.checkpoint)
    embeddings = encoder.embed_tokens.weight.detach().cpu().float()
    if args.dictionary:
        dictionary = Dictionary.load(args.dictionary, tokenizer)
        pairs = dictionary_pairs(dictionary.source, dictionary.target, tokenizer)
    else:
        pairs = derived_pairs(tokenizer)
    heldout = None
    if args.heldout:
        trained = Dictionary.load(args.heldout, tokenizer)
        heldout = heldout_queries(pairs, trained.source, trained.target)
        if not len(heldout):
            raise UserError(
                "holds every pair that is scored: nothing is held out",
                args.heldout,
                remedy="Leave --heldout out, or train with a dictionary of a smaller --share",
            )
    additions = None
    if args.subset == "authors" and getattr(encoder, "embed_languages", None) is not None:
        additions = _language_rows(encoder, list(meta.get("languages") or ()), args.languages)
    try:
        report = alignment_report(embeddings, pairs, heldout, args.subset == "authors", additions)
    except ValueError as error:
        raise UserError(str(error), args.checkpoint) from None
    print(json_text(report) if args.json else _text(report), end="")


def _language_rows(encoder: Any, languages: list[str], chosen: str | None) -> tuple[Tensor, Tensor]:
    """Language embeddings of two languages, [D] each (row 0 of the table means no language)."""
    weight = encoder.embed_languages.weight.detach().cpu().float()
    names = [name.strip() for name in chosen.split(",")] if chosen else languages[:2]
    if len(names) != 2:
        raise UserError(f"two languages are needed, not {len(names)}", remedy="Name them with --languages XX,YY")
    for name in names:
        if name not in languages:
            raise unknown_name("language", name, languages)
    first, second = (weight[languages.index(name) + 1] for name in names)
    return first, second


def _text(report: dict[str, Any]) -> str:
    rows = [[f"alignment ({name})", number(value, 2)] for name, value in report["alignment"].items()]
    rows += [[f"P@{k} {kind}", number(v, 2)] for kind, at in report["precision"].items() for k, v in at.items()]
    rows += [["mean cosine", number(report["mean_cosine"], 4)]]
    return text_table(["measure", "value"], rows) + "\n" + report["signature"] + "\n"
