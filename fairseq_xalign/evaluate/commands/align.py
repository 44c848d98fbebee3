"""Measure how well the words of two languages are aligned: their embeddings, or their vectors in context.

Prints the alignment score (share of source rows whose nearest target row by cosine is their own
counterpart), precision at 1, 5 and 10 by cosine and by CSLS, and the mean cosine of the pairs; all but the
mean cosine are in per cent. Without --dictionary, the pairs are those of the checkpoint's doubled
vocabulary: every ordinary piece and its transliterated copy, with all copies as candidates. With --dictionary,
the pairs are its entries; the candidates are all copies if every target is a copy, otherwise all its distinct
target words. A dictionary may also be a plain list of word pairs (MUSE's, or a table whose name ends in .csv), whose
words are the mean of their pieces.

With --bitext and --gold, the words of parallel sentences are linked by their vectors in context, as
load_encoder(...).align does, and the links are compared with those made by people: alignment error rate, precision,
recall and F1. The links of a file are measured by `xalign-evaluate links`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from fairseq_xalign import cli
from fairseq_xalign.api.encoder import TextEncoder
from fairseq_xalign.api.opening import ENCODER_HELP, open_encoder
from fairseq_xalign.data.dictionary import Dictionary, is_dictionary
from fairseq_xalign.data.formats import header, word_list
from fairseq_xalign.errors import UserError, counted, unknown_language, unknown_name
from fairseq_xalign.evaluate.linking import link_report, links_table, read_linked_text
from fairseq_xalign.evaluate.metrics.word_pairs import (
    alignment_report,
    derived_pairs,
    dictionary_pairs,
    heldout_queries,
    listed_pairs,
)
from fairseq_xalign.evaluate.report.tables import json_text, number, text_table
from fairseq_xalign.models.device import DEVICE_HELP, choose_device
from fairseq_xalign.models.sentences import check_layer
from fairseq_xalign.models.word_alignment import METHODS, THRESHOLD, check_method, default_layer
from fairseq_xalign.options import files_between_commas, language_pair, name_list, named_files, without_effect

EXAMPLE = """examples:
  xalign-evaluate align --checkpoint run/checkpoint_best.pt --heldout data/dictionary/en-en_inv.tsv
  xalign-evaluate align --checkpoint run --dictionary en-de.test.tsv --heldout en-de.train.tsv --json
  xalign-evaluate align --checkpoint mBERT --dictionary muse.en-de.txt --languages en,de
  xalign-evaluate align --checkpoint mBERT --bitext ja-en=jaen.src-tgt --gold jaen.gold --one-based"""
SUBSETS = ("all", "authors")
METHOD = METHODS[0]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate align``."""
    parser.add_argument("--checkpoint", required=True, metavar="CKPT", help=ENCODER_HELP)
    parser.add_argument(
        "--dictionary",
        metavar="FILE",
        help="Score the entries of this dictionary or list of word pairs (default: the pairs of the doubled "
        "vocabulary).",
    )
    parser.add_argument(
        "--heldout",
        metavar="FILE",
        help="Score the pairs that are not in this dictionary, the one used in training, separately, as heldout.",
    )
    parser.add_argument(
        "--subset",
        choices=SUBSETS,
        help="Pieces to score. authors adds what ALIGN-MLM's released scripts score: random 40 %% and 90 %% of the "
        "pieces (seed 42), with and without language embeddings if the model has any (default: all).",
    )
    parser.add_argument(
        "--languages",
        metavar="XX,YY",
        help="The two languages: of a list of words, whose columns may be named after them, and those whose embeddings "
        "--subset authors adds (default: the first two of the model).",
    )
    header.add_option(parser, word_list.RECOGNISED)
    links = parser.add_argument_group("links of words in context")
    links.add_argument(
        "--bitext",
        metavar="XX-YY=FILE[,FILE]",
        help="Sentence pairs, words separated by spaces and tabs: a file of `source ||| target` lines, or two files.",
    )
    links.add_argument("--gold", metavar="FILE", help="Links made by people, a line for each pair: 0-0 1-2, or 1p2.")
    links.add_argument("--one-based", action="store_true", help="The gold links count words from 1.")
    links.add_argument(
        "--method",
        choices=METHODS,
        help="How pieces are linked: softmax (awesome-align: both probabilities above --threshold) or argmax "
        f"(SimAlign: mutual nearest neighbours) (default: {METHOD}).",
    )
    links.add_argument(
        "--threshold",
        type=float,
        help=f"With --method softmax: probability that links must exceed in both directions (default: {THRESHOLD}).",
    )
    links.add_argument(
        "--layer", type=int, metavar="L", help="Layer whose vectors are compared (default: at two thirds of the depth)."
    )
    links.add_argument("--device", metavar="DEVICE", help=DEVICE_HELP)
    parser.add_argument("--json", action="store_true", help="Print JSON.")


def run(args: argparse.Namespace) -> None:
    """Measure and print."""
    if args.bitext or args.gold:
        report = align_words(args.checkpoint, **_words_options(args))
        print(json_text(report) if args.json else links_table(report), end="")
        return
    of_links = {name: getattr(args, name) for name in ("one_based", "method", "threshold", "layer", "device")}
    without_effect("is for links in context, which --bitext and --gold measure", **of_links)
    languages = name_list(args.languages) if args.languages else None
    report = align(
        args.checkpoint,
        dictionary=args.dictionary,
        heldout=args.heldout,
        subset=args.subset or SUBSETS[0],
        languages=languages,
        has_header=args.header,
    )
    if report.get("left_out"):
        left_out = counted(report["left_out"], "pair")
        cli.say(f"left out because the vocabulary does not know one of its words: {left_out}")
    print(json_text(report) if args.json else _text(report), end="")


def _words_options(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of :func:`align_words`, after a check of what goes together."""
    if not (args.bitext and args.gold):
        raise UserError("--bitext and --gold go together", remedy="Give the sentences and the links made by people")
    if args.dictionary or args.heldout:
        raise UserError(
            "--gold measures links in context, --dictionary and --heldout embeddings", remedy="Measure them one by one"
        )
    header_row = None if args.header == header.AUTO else args.header
    without_effect(
        "is for embeddings, not for links in context", subset=args.subset, languages=args.languages, header=header_row
    )
    method = args.method or METHOD
    if method != METHOD:
        without_effect(f"is for --method {METHOD}", threshold=args.threshold)
    ((pair, files),) = named_files([args.bitext], "--bitext")
    return {
        "bitext": files_between_commas(files),
        "languages": language_pair(pair, "--bitext"),
        "gold": args.gold,
        "one_based": args.one_based,
        "method": method,
        "threshold": THRESHOLD if args.threshold is None else args.threshold,
        "layer": args.layer,
        "device": args.device,
    }


def align(
    checkpoint: str | Path,
    *,
    dictionary: str | Path | None = None,
    heldout: str | Path | None = None,
    subset: str = "all",
    languages: Sequence[str] | None = None,
    has_header: str = header.AUTO,
) -> dict[str, Any]:
    """Every figure of how well word embeddings are aligned, as ``--json`` prints them.

    Args:
        checkpoint: a ``.pt`` file or its folder, a folder of the transformers library, or a name on the hub.
        dictionary: score its entries, or the pairs of a list of words; by default the pairs of the doubled vocabulary.
        heldout: the dictionary used in training; pairs that are not in it are also scored separately.
        subset: ``all``, or ``authors`` to add what ALIGN-MLM's released scripts score.
        languages: of a list of words; and two whose embeddings ``authors`` adds, by default the model's first two.
        has_header: whether the first row of a list names the columns: auto, yes or no.

    Returns: see ``evaluate/metrics/word_pairs.py``; with a dictionary also its ``source`` and ``target`` languages,
        with a list of words also ``left_out``, the pairs that the vocabulary does not know.
    """
    if subset not in SUBSETS:
        raise unknown_name("subset", subset, SUBSETS)
    listed = dictionary is not None and not is_dictionary(dictionary)
    if not listed:
        header_row = None if has_header == header.AUTO else has_header
        without_effect("is for a list of word pairs, named with --dictionary", header=header_row)
        if subset != "authors":
            without_effect("is for a list of word pairs and for --subset authors", languages=languages)
    encoder, tokenizer, meta = open_encoder(checkpoint)
    embeddings = encoder.embed_tokens.weight.detach().cpu().float()
    sides: dict[str, Any] = {}
    if dictionary is None:
        pairs = derived_pairs(tokenizer)
    elif listed:
        source, target = _two_languages(languages)
        words = _listed_words(dictionary, source, target, has_header)
        try:
            pairs, left_out = listed_pairs(words, tokenizer)
        except UserError as error:
            raise UserError(error.what, dictionary, remedy=error.remedy) from None
        sides = {"source": source, "target": target, "left_out": left_out}
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


def align_words(
    checkpoint: str | Path,
    *,
    bitext: Sequence[str | Path],
    languages: tuple[str, str],
    gold: str | Path,
    one_based: bool = False,
    method: str = METHOD,
    threshold: float = THRESHOLD,
    layer: int | None = None,
    device: str | None = None,
) -> dict[str, Any]:
    """How an encoder's word links agree with links made by people, as ``--json`` prints it.

    Args:
        checkpoint: as for :func:`align`.
        bitext: a file of ``source ||| target`` lines, or the files of the two sides.
        languages: of the sides.
        gold: Pharaoh lines; ``1p2`` is a link that is possible but not sure.
        one_based: whether they count words from 1.
        method, threshold, layer: as in ``TextEncoder.align``.
        device: cpu, cuda or cuda:N; by default a GPU where there is one.

    Returns: see ``evaluate/linking.py``.
    """
    check_method(method, threshold)
    if not 1 <= len(bitext) <= 2:
        raise UserError(f"--bitext names {len(bitext)} files", remedy="Write --bitext XX-YY=FILE or XX-YY=FILE,FILE")
    chosen_device = choose_device(device)
    text = read_linked_text(bitext, gold, one_based)
    encoder, tokenizer, meta = open_encoder(checkpoint)
    check_layer(layer, encoder.config.layers, checkpoint)
    layer = default_layer(encoder.config.layers) if layer is None else layer
    reader = TextEncoder(encoder.to(chosen_device), tokenizer, meta, str(checkpoint))
    return link_report(reader, text, languages, method=method, threshold=threshold, layer=layer)


def _two_languages(languages: Sequence[str] | None) -> tuple[str, str]:
    if languages is None or len(languages) != 2:
        raise UserError(
            "a list of words does not say its languages" if languages is None else "two languages are needed",
            remedy="Name them with --languages XX,YY, in the order of the columns",
        )
    return languages[0], languages[1]


def _listed_words(path: str | Path, source: str, target: str, has_header: str) -> list[tuple[str, str]]:
    """The pairs of a list of words, each once; rows that name columns or have another width are reported."""
    table = ".csv" in Path(path).suffixes  # `words.csv and words.csv.xz
    words: dict[tuple[str, str], None] = {}
    ragged = 0
    for row in (word_list.read_csv if table else word_list.read_muse)(path, source, target, has_header):
        if row.header:
            cli.say(f"{path}: {header.taken(row.header)}")
        elif row.ragged:
            ragged += 1
        elif row.source.strip() and row.target.strip():
            words[row.source.strip(), row.target.strip()] = None
    if ragged:
        cli.say(f"{path}: left out with more or fewer columns than the first row: {counted(ragged, 'row')}")
    if not words:
        raise UserError("no pairs of words in it", path, remedy="Write one pair per line")
    return list(words)


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
    cosines = [["mean cosine of the pairs", number(report["mean_cosine"], 4)]]
    tables = [text_table(["measure", "%"], rows), text_table(["measure", "cosine (-1 to 1)"], cosines)]
    return "\n".join([*tables, report["signature"] + "\n"])
