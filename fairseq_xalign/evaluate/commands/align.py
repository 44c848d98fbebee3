"""Measure how well the word embeddings of two languages are aligned.

Prints the alignment score (share of source rows whose nearest target row by cosine is their own
counterpart), precision at 1, 5 and 10 by cosine and by CSLS, and the mean cosine of the pairs; all but the
mean cosine are in per cent. Without --dictionary, the pairs are those of the checkpoint's doubled
vocabulary: every ordinary piece and its transliterated copy, with all copies as candidates. With --dictionary,
the pairs are its entries; the candidates are all copies if every target is a copy, otherwise all its distinct
target words.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from fairseq_xalign.data.dictionary import Dictionary
from fairseq_xalign.errors import UserError, unknown_language, unknown_name
from fairseq_xalign.evaluate.metrics.word_pairs import (
    alignment_report,
    derived_pairs,
    dictionary_pairs,
    heldout_queries,
)
from fairseq_xalign.evaluate.report.tables import json_text, number, text_table
from fairseq_xalign.models.checkpoint import CKPT_HELP, read_encoder
from fairseq_xalign.options import name_list

EXAMPLE = """example:
  xalign-evaluate align --checkpoint run/checkpoint_best.pt --heldout data/dictionary/en-en_inv.tsv
  xalign-evaluate align --checkpoint run --dictionary en-de.test.tsv --heldout en-de.train.tsv --json"""
SUBSETS = ("all", "authors")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate align``."""
    parser.add_argument("--checkpoint", required=True, metavar="CKPT", help=CKPT_HELP)
    parser.add_argument(
        "--dictionary",
        metavar="FILE",
        help="Score the entries of this dictionary (default: the pairs of the doubled vocabulary).",
    )
    parser.add_argument(
        "--heldout",
        metavar="FILE",
        help="Score the pairs that are not in this dictionary, the one used in training, separately, as heldout.",
    )
    parser.add_argument(
        "--subset",
        choices=SUBSETS,
        default="all",
        help="Pieces to score. authors adds what ALIGN-MLM's released scripts score: random 40 %% and 90 %% of the "
        "pieces (seed 42), with and without language embeddings if the model has any (default: %(default)s).",
    )
    parser.add_argument(
        "--languages",
        metavar="XX,YY",
        help="The two languages whose embeddings --subset authors adds (default: the first two of the model).",
    )
    parser.add_argument("--json", action="store_true", help="Print JSON.")


def run(args: argparse.Namespace) -> None:
    """Measure and print."""
    languages = name_list(args.languages) if args.languages else None
    report = align(
        args.checkpoint, dictionary=args.dictionary, heldout=args.heldout, subset=args.subset, languages=languages
    )
    print(json_text(report) if args.json else _text(report), end="")


def align(
    checkpoint: str | Path,
    *,
    dictionary: str | Path | None = None,
    heldout: str | Path | None = None,
    subset: str = "all",
    languages: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Every figure of how well word embeddings are aligned, as ``--json`` prints them.

    Args:
        checkpoint: a ``.pt`` file or its folder.
        dictionary: score its entries; by default the pairs of the doubled vocabulary.
        heldout: the dictionary used in training; pairs that are not in it are also scored separately.
        subset: ``all``, or ``authors`` to add what ALIGN-MLM's released scripts score.
        languages: two whose embeddings ``authors`` adds; by default the model's first two.

    Returns: see ``evaluate/metrics/word_pairs.py``; with a dictionary also its ``source`` and ``target`` languages.
    """
    if subset not in SUBSETS:
        raise unknown_name("subset", subset, SUBSETS)
    encoder, tokenizer, meta = read_encoder(checkpoint)
    embeddings = encoder.embed_tokens.weight.detach().cpu().float()
    sides: dict[str, Any] = {}
    if dictionary is None:
        pairs = derived_pairs(tokenizer)
    else:
        entries = Dictionary.load(dictionary, tokenizer)
        pairs = dictionary_pairs(entries.source, entries.target, tokenizer)
        sides = {"source": entries.source_language, "target": entries.target_language}
    rows = None
    if heldout:
        trained = Dictionary.load(heldout, tokenizer)
        rows = heldout_queries(pairs, trained.source, trained.target)
        if not len(rows):
            raise UserError(
                "contains every pair that is scored, so nothing is held out",
                heldout,
                remedy="Leave --heldout out, or train with a dictionary of a smaller --share",
            )
    additions = None
    if subset == "authors" and getattr(encoder, "embed_languages", None) is not None:
        additions = _language_rows(encoder, list(meta.get("languages") or ()), languages)
    try:
        return sides | alignment_report(embeddings, pairs, rows, subset == "authors", additions)
    except ValueError as error:
        raise UserError(str(error), checkpoint) from None


def _language_rows(encoder: Any, known: list[str], chosen: Sequence[str] | None) -> tuple[Tensor, Tensor]:
    """Language embeddings of two languages, [D] each (row 0 of the table means no language)."""
    weight = encoder.embed_languages.weight.detach().cpu().float()
    names = list(chosen) if chosen else known[:2]
    if len(names) != 2:
        raise UserError(f"two languages are needed, not {len(names)}", remedy="Name them with --languages XX,YY")
    for name in names:
        if name not in known:
            raise unknown_language(name, known, option="--languages")
    first, second = (weight[known.index(name) + 1] for name in names)
    return first, second


def _text(report: dict[str, Any]) -> str:
    rows = [[f"alignment ({name})", number(value, 2)] for name, value in report["alignment"].items()]
    rows += [[f"P@{k} {kind}", number(v, 2)] for kind, at in report["precision"].items() for k, v in at.items()]
    rows += [["mean cosine", number(report["mean_cosine"], 4)]]
    return text_table(["measure", "value"], rows) + "\n" + report["signature"] + "\n"
