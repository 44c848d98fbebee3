"""Create a derived language: text or labelled data whose words are reordered or transliterated.

inv    reverses the words of each sentence; final punctuation stays last
perm   puts the words in a random order that depends on the seed; final punctuation stays last
syn    puts the dependents of nouns and verbs into the order of another language, drawn from --order-model
trans  replaces each subword piece by a reserved symbol: a copy of the vocabulary with the same grammar

Several transformations, separated by commas, are combined. Words are always reordered first and then transliterated,
whatever the order of the list: trans,inv and inv,trans are both Trans∘Inv of ALIGN-MLM (Tang et al. 2022, Appendix F
and Table 9; the idea is Deshpande et al. 2021). syn follows Wang and Eisner (2016) and needs a parse of each sentence:
treebanks have it, other formats are parsed by --parser once, and the parses kept in INPUT.parses.conllu.

Labels follow their words: ids and heads of CoNLL-U are rewritten, entities remain valid IOB2, and answers move with
their words. A file FILE.manifest.json beside the output records how it was made, and --reverse undoes it.
"""

from __future__ import annotations

import argparse
import importlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fairseq_xalign import cli, files
from fairseq_xalign.data.formats import header
from fairseq_xalign.errors import UserError
from fairseq_xalign.options import without_effect
from fairseq_xalign.outputs import is_special, refuse_to_replace
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from preprocess.derive import manifest
from preprocess.derive.manifest import DEFAULT_OVERLAP, DEFAULT_SEED, Settings
from preprocess.derive.marks import SPLITS
from preprocess.derive.order import OrderOptions
from preprocess.derive.parses import Parsed
from preprocess.derive.pipeline import Pipeline
from preprocess.derive.registry import TRANSLITERATION, WORD_ORDERS
from preprocess.derive.syntax_files import SyntaxFiles
from preprocess.derive.transliteration import LOST, Transliteration
from preprocess.derive.vocabulary import doubled_tokenizer, recorded_tokenizer
from preprocess.readers import FORMATS, WITH_HEADER
from preprocess.readers.words import Change

EXAMPLE = """examples:
  xalign-preprocess derive --transform inv,trans --subword subword --output-subword subword-doubled \\
      --format text --input train.en --output train.xx
  xalign-preprocess derive --reverse --subword subword-doubled --format text --input train.xx --output back.en
  xalign-preprocess derive --transform syn --order-model french.json --parser english-parser --format text \\
      --input train.en --output train.en_syn"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--transform",
        metavar="NAME[,NAME...]",
        help=f"Transformations: {', '.join([*WORD_ORDERS, TRANSLITERATION])} (with --reverse: those of the manifest).",
    )
    parser.add_argument("--format", choices=list(FORMATS), required=True, help="Format of the input and the output.")
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
    parser.add_argument("--seed", type=int, help=f"Seed of perm, syn and --overlap (default: {DEFAULT_SEED}).")
    parser.add_argument("--order-model", metavar="FILE", help="With syn: the order of another language, made by order.")
    parser.add_argument(
        "--parser",
        metavar="DIR",
        help="With syn, for all formats but conllu: a folder that parser has written, or stanza (for English) or "
        "stanza:LANGUAGE, whose models are downloaded.",
    )
    parser.add_argument(
        "--parses",
        metavar="FILE",
        help="With syn: parses in CoNLL-U, read if they are there, else made by --parser and kept "
        "(default: INPUT.parses.conllu). With --reverse: those of the natural file, or the natural treebank.",
    )
    parser.add_argument(
        "--inv-split",
        choices=list(SPLITS),
        help="What ends a sentence within an example: . ! or ? (all-final), only . (period), or nothing (none). "
        "Default: all-final for text, qa and classification; none for conllu, ner and nli (ALIGN-MLM's released code).",
    )
    header.add_option(parser, "as label<TAB>text or premise<TAB>hypothesis<TAB>label do, or their common variants")
    parser.set_defaults(header=None)
    parser.add_argument(
        "--reverse",
        action="store_true",
        help="Undo a transformation: --input is the derived file, whose manifest is checked.",
    )


def run(args: argparse.Namespace) -> int:
    """Derive, or undo, the file that the command line names."""
    derive(
        args.input,
        args.output,
        args.format,
        transform=args.transform,
        subword=args.subword,
        output_subword=args.output_subword,
        overlap=args.overlap,
        seed=args.seed,
        inv_split=args.inv_split,
        has_header=args.header,
        reverse=args.reverse,
        syntax=SyntaxFiles(args.order_model, args.parser, args.parses),
    )
    return 0


def derive(
    source: str | Path,
    output: str | Path,
    data_format: str,
    *,
    transform: str | None = None,
    subword: str | None = None,
    output_subword: str | None = None,
    overlap: float | None = None,
    seed: int | None = None,
    inv_split: str | None = None,
    has_header: str | None = None,
    reverse: bool = False,
    syntax: SyntaxFiles | None = None,
) -> Counter[str]:
    """Write the derived language's version of a file, and its manifest beside it; or undo one.

    Args:
        source, output: files of ``data_format``, one of :data:`preprocess.readers.FORMATS`.
        transform: names separated by commas; with ``reverse`` None takes the manifest's, as for all that follow.
        subword, output_subword: with trans, the folder of the vocabulary, and the one for the doubled vocabulary.
        overlap, seed, inv_split: None for the defaults of the command.
        has_header: whether the first row of a table names its columns: auto (the default), yes or no.
        reverse: ``source`` is the derived file.
        syntax: with syn, the model of orders, and the parser or the parses.

    Returns:
        what was counted: examples, words, and what was dropped or respelled.

    Raises:
        UserError: for options that contradict each other, the manifest or the vocabulary, and for malformed input.
    """
    source, output = Path(source), Path(output)
    refuse_to_replace([source], [output])
    if reverse and output_subword:
        raise UserError("--reverse writes no vocabulary", remedy="Leave --output-subword out")
    given = Given(transform, data_format, overlap, seed, inv_split, has_header)
    recorded = manifest.read(source) if reverse else None
    settings = _recorded_settings(given, recorded, source) if recorded else _settings(given, source, reverse)
    counts = Counter[str]()
    tokenizer = None
    if settings.transliterated:
        tokenizer = _tokenizer(given, subword, output_subword, settings, recorded)
        assert tokenizer.derived is not None
        settings = replace(settings, overlap=tokenizer.derived["overlap"])
    elif subword or output_subword or overlap is not None:
        raise UserError("--subword, --output-subword and --overlap are for trans", remedy="Add trans to --transform")
    syntax = syntax or SyntaxFiles()
    options = OrderOptions(settings.split, settings.seed, syntax.model(settings, recorded), counts)
    orders = [WORD_ORDERS[name](options) for name in settings.orders]
    change: Change = Pipeline(orders, Transliteration(tokenizer, counts) if tokenizer else None, reverse)
    if options.order_model is not None:
        change = syntax.with_parses(change, settings, source, reverse, recorded)
    derive_file(settings, source, output, change, counts)
    if is_special(output):
        cli.say(f"{output} is not a regular file, so no manifest is written beside it")
    else:
        sha256 = tokenizer.sha256 if tokenizer else None
        manifest.write(output, source, settings, reverse, sha256, counts, syntax.record(settings, source, reverse))
    done = "reversed" if reverse else "derived"
    figures = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
    cli.say(f"{output}: {done} {'∘'.join(reversed(settings.transforms))}; {figures}")
    if counts[LOST]:
        cli.say(f"warning: {counts[LOST]:,} {LOST}: --reverse cannot bring them back")
    return counts


@dataclass(frozen=True)
class Given:
    """The options that a manifest records too, as the user gave them; None where not."""

    transform: str | None
    data_format: str
    overlap: float | None
    seed: int | None
    inv_split: str | None
    header: str | None


def derive_file(settings: Settings, source: Path, output: Path, change: Change, counts: Counter[str]) -> None:
    """Pass every example of ``source`` through ``change`` into ``output``, which appears whole or not at all."""
    data_format = settings.data_format
    reader = importlib.import_module(FORMATS[data_format])
    examples = reader.read(source, settings.header) if data_format in WITH_HEADER else reader.read(source)
    with files.atomic_file(output) as stream:
        for example in cli.progress(examples, "derive"):
            if getattr(example, "header", False):
                counts["headers kept"] += 1
                cli.say(f"{source}: the first row was taken for the names of the columns and kept; see --header")
            try:
                derived = reader.derive(example, change, counts)
            except UserError as error:
                if error.where is None:
                    raise UserError(error.what, source, example.line, error.remedy) from error
                raise
            counts["examples"] += 1
            reader.write(stream, derived)
        if isinstance(change, Parsed):
            change.finish()
        if not counts["words"]:
            raise UserError("no words in it", source, remedy=f"Give a file of --format {data_format} with examples")


def _settings(given: Given, source: Path, reverse: bool) -> Settings:
    if reverse:
        cli.say(f"{manifest.manifest_path(source)} is missing, so the options cannot be checked")
    if not given.transform:
        known = ", ".join([*WORD_ORDERS, TRANSLITERATION])
        if reverse:
            remedy = f"Name those that made the file, of {known}, or reverse a file that has its manifest beside it"
            raise UserError("no manifest says how it was derived, and --transform is missing", source, remedy=remedy)
        raise UserError("--transform is missing", remedy=f"Name one or more of {known}")
    if given.header is not None and given.data_format not in WITH_HEADER:
        raise UserError(
            f"--header {given.header}: a file of --format {given.data_format} has no header",
            remedy=f"Leave it out; it is for --format {' and '.join(WITH_HEADER)}",
        )
    orders, transliterated = manifest.parse_transforms(given.transform)
    if not orders:
        without_effect(f"is for {', '.join(WORD_ORDERS)}", inv_split=given.inv_split)
    if not (transliterated or any(WORD_ORDERS[name].seeded for name in orders)):
        seeded = ", ".join(name for name, order in WORD_ORDERS.items() if order.seeded)
        without_effect(f"is for {seeded} and --overlap", seed=given.seed)
    by_sentence = importlib.import_module(FORMATS[given.data_format]).SENTENCE_BY_SENTENCE
    return Settings(
        orders,
        transliterated,
        given.inv_split or ("all-final" if by_sentence else "none"),
        given.data_format,
        DEFAULT_SEED if given.seed is None else given.seed,
        DEFAULT_OVERLAP if given.overlap is None else given.overlap,
        given.header or header.AUTO,
    )


def _recorded_settings(given: Given, recorded: dict[str, Any], source: Path) -> Settings:
    transforms = None
    if given.transform:
        orders, transliterated = manifest.parse_transforms(given.transform)
        transforms = [*orders, *([TRANSLITERATION] if transliterated else [])]
    return manifest.settings_for_reverse(recorded, vars(given) | {"transforms": transforms}, source)


def _tokenizer(
    given: Given, subword: str | None, output: str | None, settings: Settings, recorded: dict[str, Any] | None
) -> Tokenizer:
    if recorded is None:
        # With a doubled vocabulary at hand the seed may be meant for a random order.
        of_order = any(WORD_ORDERS[name].seeded for name in settings.orders)
        return doubled_tokenizer(subword, output, given.overlap, given.seed, of_order)
    return recorded_tokenizer(subword, settings.overlap, settings.seed, recorded["subword_sha256"])
