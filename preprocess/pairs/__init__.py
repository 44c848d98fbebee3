"""Read a published collection of translations, and write two files whose lines translate each other.

Wikidata's JSON dump (label and description of each item), WikiMatrix (with a smallest margin) and Tatoeba (sentences
and links, or a file of pairs) are read as they are downloaded, compressed too. Texts are cleaned: NFC, one line, no
control characters. Pairs with a side that is empty are left out and counted. The same input gives the same files.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Iterator
from contextlib import ExitStack

from fairseq_xalign import cli, files
from fairseq_xalign.errors import UserError
from fairseq_xalign.inputs import repeated_file
from fairseq_xalign.options import at_least, language_code
from fairseq_xalign.outputs import refuse_to_replace
from preprocess.corpora.cleaning import clean
from preprocess.pairs import tatoeba, wikidata, wikimatrix
from preprocess.pairs.interface import Reader, Wanted
from preprocess.parallel import available_cores

FORMATS: dict[str, Reader] = {"tatoeba": tatoeba.read, "wikidata": wikidata.read, "wikimatrix": wikimatrix.read}
TATOEBA_CODES = {
    "ar": "ara", "bg": "bul", "cs": "ces", "da": "dan", "de": "deu", "el": "ell", "en": "eng", "es": "spa", "et": "est",
    "eu": "eus", "fa": "pes", "fi": "fin", "fr": "fra", "he": "heb", "hi": "hin", "hu": "hun", "id": "ind", "it": "ita",
    "ja": "jpn", "ka": "kat", "kk": "kaz", "ko": "kor", "lt": "lit", "ml": "mal", "mr": "mar", "nl": "nld", "pl": "pol",
    "pt": "por", "ro": "ron", "ru": "rus", "sv": "swe", "sw": "swh", "ta": "tam", "te": "tel", "th": "tha", "tl": "tgl",
    "tr": "tur", "uk": "ukr", "ur": "urd", "vi": "vie", "zh": "cmn",
}  # fmt: skip
"""Tatoeba's codes (ISO 639-3) of languages that usually have two letters."""
URL = re.compile(r"(?:https?://|www\.)\S+")

EXAMPLE = """examples:
  xalign-preprocess pairs --format wikimatrix --input WikiMatrix.en-hi.tsv.gz --source en --target hi --output wm
  xalign-preprocess pairs --format tatoeba --input sentences.csv --input links.csv --source en --target hi --output tt
  xalign-preprocess pairs --format wikidata --input latest-all.json.gz --source en --target zh=zh-hans --output wd"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--format", required=True, choices=sorted(FORMATS), help="Collection that is read.")
    parser.add_argument(
        "--input", required=True, action="append", metavar="FILE", help="File of the collection. Repeat it for more."
    )
    for side in ("source", "target"):
        parser.add_argument(
            f"--{side}",
            required=True,
            metavar="LANG",
            help=f"Language of the {side}; LANG=CODE where the collection has another code for it.",
        )
    parser.add_argument("--output", required=True, metavar="PREFIX", help="Write PREFIX.LANG for both languages.")
    parser.add_argument(
        "--margin",
        type=float,
        help=f"With --format wikimatrix: smallest margin of a pair (default: {wikimatrix.MARGIN}, as in TPP's released "
        "code; the authors of LASER recommend 1.04).",
    )
    parser.add_argument(
        "--mark-addresses",
        action="store_true",
        help="Write [LF] for line ends within a text and [URL] for addresses, as TPP's released code does.",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=available_cores(),
        metavar="N",
        help="Number of processes that parse Wikidata (default: the available cores, here %(default)s).",
    )
    parser.add_argument("--json", action="store_true", help="Print the counts as JSON on stdout.")


def run(args: argparse.Namespace) -> int:
    """Write the two files that the command line asks for."""
    at_least(1, workers=args.workers)
    if args.margin is not None and args.format != "wikimatrix":
        raise UserError(f"--margin: pairs of {args.format} have none", remedy="Leave it out")
    margin = wikimatrix.MARGIN if args.margin is None else args.margin
    if not math.isfinite(margin):
        raise UserError(f"--margin {margin} is not a number", remedy="Write, for example, --margin 1.05")
    (source, source_code), (target, target_code) = (
        _language(value, f"--{side}", args.format) for side, value in (("source", args.source), ("target", args.target))
    )
    if source == target:
        raise UserError(f"--source and --target are both {source!r}", remedy="Name two languages")
    if source_code == target_code:
        raise UserError(
            f"--source and --target are both {source_code!r} in the collection", remedy="Name two languages"
        )
    if twice := repeated_file(args.input):
        raise UserError("is given twice: every pair would be written twice", twice, remedy="Name it once")
    outputs = (f"{args.output}.{source}", f"{args.output}.{target}")
    refuse_to_replace(args.input, outputs)
    wanted = Wanted(source_code, target_code, margin, args.workers)
    pairs = FORMATS[args.format](args.input, wanted)
    kept = write(pairs, wanted, outputs, args.mark_addresses)
    if args.json:
        print(json.dumps({"pairs": kept, "left_out": dict(wanted.counts)}, ensure_ascii=False))
    return 0


def write(pairs: Iterator[tuple[str, str]], wanted: Wanted, outputs: tuple[str, str], marks: bool = False) -> int:
    """Write pairs into two files, and return how many there are.

    Raises:
        UserError: there is none.
    """
    kept = 0
    with ExitStack() as stack:
        streams = [stack.enter_context(files.atomic_file(path)) for path in outputs]
        for pair in cli.progress(pairs, "pairs", None):
            texts = [tidy(text, marks) for text in pair]
            if not all(texts):
                wanted.counts["empty side"] += 1
                continue
            for stream, text in zip(streams, texts):
                stream.write(f"{text}\n")
            kept += 1
        if not kept:
            raise UserError(
                f"no pair of {wanted.source} and {wanted.target} was found (left out: {_told(wanted)})",
                remedy="Check --source and --target, and for WikiMatrix --margin",
            )
    cli.say(f"{outputs[0]}, {outputs[1]}: {kept} pairs; left out: {_told(wanted)}")
    return kept


def tidy(text: str, marks: bool = False) -> str:
    """A text on one line, cleaned; with ``marks``, line ends and addresses become ``[LF]`` and ``[URL]``."""
    return clean(URL.sub("[URL]", text.replace("\n", " [LF] ")) if marks else text)


def _told(wanted: Wanted) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in wanted.counts.most_common()) or "nothing"


def _language(value: str, option: str, collection: str) -> tuple[str, str]:
    """The language of ``LANG`` or ``LANG=CODE``, and what the collection calls it."""
    name, equals, code = value.partition("=")
    if equals and not code:
        raise UserError(f"{option} {value!r} names no code", remedy=f"Write LANG=CODE, or {option} {name}")
    known = TATOEBA_CODES if collection == "tatoeba" else {}
    return language_code(name, option), code or known.get(name, name)
