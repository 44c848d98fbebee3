"""Create a derived language: text or labelled data whose words are reordered or transliterated.

inv    reverses the words of each sentence; final punctuation stays last
perm   puts the words in a random order that depends on the seed; final punctuation stays last
trans  replaces each subword piece by a reserved symbol: a copy of the vocabulary with the same grammar

Several transformations, separated by commas, are combined. Words are always reordered first and then transliterated,
whatever the order of the list: trans,inv and inv,trans are both Trans∘Inv of ALIGN-MLM (Tang et al. 2022, Appendix F
and Table 9; the idea is Deshpande et al. 2021).

Labels follow their words: ids and heads of CoNLL-U are rewritten, entities remain valid IOB2, and answers move with
their words. A file FILE.manifest.json beside the output records how it was made, and --reverse undoes it.
"""

from __future__ import annotations

import argparse
import importlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairseq_xalign import cli, files
from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from preprocess.derive import manifest
from preprocess.derive.manifest import DEFAULT_OVERLAP, DEFAULT_SEED, Settings
from preprocess.derive.marks import SPLITS
from preprocess.derive.order import OrderOptions
from preprocess.derive.pipeline import Pipeline
from preprocess.derive.registry import TRANSLITERATION, WORD_ORDERS
from preprocess.derive.transliteration import Transliteration
from preprocess.derive.vocabulary import doubled_tokenizer, recorded_tokenizer
from preprocess.readers import FORMATS

EXAMPLE = """example:
  xalign-preprocess derive --transform inv,trans --subword subword --output-subword subword-doubled \\
      --format text --input train.en --output train.xx
  xalign-preprocess derive --reverse --subword subword-doubled --format text --input train.xx --output back.en"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--transform",
        metavar="NAME[,NAME...]",
        help=f"Transformations: {', '.join([*WORD_ORDERS, TRANSLITERATION])} (with --reverse: those of the manifest).",
    )
    parser.add_argument("--format", choices=list(FORMATS), required=True, help="Format of input and output.")
    parser.add_argument(
        "--input", required=True, metavar="FILE", help="Natural file (with --reverse: the derived file)."
    )
    parser.add_argument("--output", required=True, metavar="FILE", help="Derived file to write.")
    parser.add_argument("--subword", metavar="DIR", help="With trans: the natural vocabulary, or a doubled one.")
    parser.add_argument(
        "--output-subword",
        metavar="DIR",
        help="With trans: folder for the doubled vocabulary; if it exists already, it must be the same.",
    )
    parser.add_argument(
        "--overlap",
        type=float,
        metavar="SHARE",
        help="With trans: share of the pieces that keep their id, drawn at random without replacement "
        f"(default: {DEFAULT_OVERLAP}).",
    )
    parser.add_argument("--seed", type=int, help=f"Seed of perm and of --overlap (default: {DEFAULT_SEED}).")
    parser.add_argument(
        "--inv-split",
        choices=list(SPLITS),
        help="What ends a sentence within an example: . ! or ? (all-final), only . (period), or nothing (none). "
        "Default: all-final for text, qa and classification; none for conllu, ner and nli (ALIGN-MLM's released code).",
    )
    parser.add_argument(
        "--reverse",
        action="store_true",
        help="Undo a transformation: --input is the derived file, whose manifest is checked.",
    )


def run(args: argparse.Namespace) -> int:
    source, output = Path(args.input), Path(args.output)
    if output.resolve() == source.resolve():
        raise UserError("--output and --input are the same file", output, remedy="Write to another file")
    if args.reverse and args.output_subword:
        raise UserError("--reverse writes no vocabulary", remedy="Leave --output-subword out")
    recorded = manifest.read(source) if args.reverse else None
    settings = _recorded_settings(args, recorded, source) if recorded else _settings(args, source)
    counts = Counter[str]()
    tokenizer = None
    if settings.transliterated:
        tokenizer = _tokenizer(args, settings, recorded)
        assert tokenizer.derived is not None
        settings = replace(settings, overlap=tokenizer.derived["overlap"])
    elif args.subword or args.output_subword or args.overlap:
        raise UserError("--subword, --output-subword and --overlap are for trans", remedy="Add trans to --transform")
    options = OrderOptions(settings.split, settings.seed)
    orders = [WORD_ORDERS[name](options) for name in settings.orders]
    pipeline = Pipeline(orders, Transliteration(tokenizer, counts) if tokenizer else None, args.reverse)
    derive_file(settings.data_format, source, output, pipeline, counts)
    manifest.write(output, source, settings, args.reverse, tokenizer.sha256 if tokenizer else None, counts)
    done = "reversed" if args.reverse else "derived"
    figures = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
    cli.say(f"{output}: {done} {'∘'.join(reversed(settings.transforms))}; {figures}")
    return 0


def derive_file(data_format: str, source: Path, output: Path, pipeline: Pipeline, counts: Counter[str]) -> None:
    """Pass every example of ``source`` through ``pipeline`` into ``output``, which appears whole or not at all."""
    reader = importlib.import_module(FORMATS[data_format])
    with files.atomic_file(output) as stream:
        for example in cli.progress(reader.read(source), "derive"):
            try:
                derived = reader.derive(example, pipeline, counts)
            except UserError as error:
                if error.where is None:
                    raise UserError(error.what, source, example.line, error.remedy) from error
                raise
            counts["examples"] += 1
            reader.write(stream, derived)
        if not counts["words"]:
            raise UserError("no words in it", source, remedy=f"Give a file of --format {data_format} with examples")


def _settings(args: argparse.Namespace, source: Path) -> Settings:
    if args.reverse:
        cli.say(f"{manifest.manifest_path(source)} is missing, so the options cannot be checked against it")
    if not args.transform:
        known = ", ".join([*WORD_ORDERS, TRANSLITERATION])
        raise UserError("--transform is missing", remedy=f"Name one or more of {known}")
    orders, transliterated = manifest.parse_transforms(args.transform)
    by_sentence = importlib.import_module(FORMATS[args.format]).SENTENCE_BY_SENTENCE
    return Settings(
        orders,
        transliterated,
        args.inv_split or ("all-final" if by_sentence else "none"),
        args.format,
        DEFAULT_SEED if args.seed is None else args.seed,
        DEFAULT_OVERLAP if args.overlap is None else args.overlap,
    )


def _recorded_settings(args: argparse.Namespace, recorded: dict[str, Any], source: Path) -> Settings:
    transforms = None
    if args.transform:
        orders, transliterated = manifest.parse_transforms(args.transform)
        transforms = [*orders, *([TRANSLITERATION] if transliterated else [])]
    given = {
        "transforms": transforms,
        "inv_split": args.inv_split,
        "data_format": args.format,
        "seed": args.seed,
        "overlap": args.overlap,
    }
    return manifest.settings_for_reverse(recorded, given, source)


def _tokenizer(args: argparse.Namespace, settings: Settings, recorded: dict[str, Any] | None) -> Tokenizer:
    if recorded is None:
        # With a doubled vocabulary at hand the seed may be meant for a random order.
        of_order = any(WORD_ORDERS[name].seeded for name in settings.orders)
        return doubled_tokenizer(args.subword, args.output_subword, args.overlap, args.seed, of_order)
    return recorded_tokenizer(args.subword, settings.overlap, settings.seed, recorded["subword_sha256"])
