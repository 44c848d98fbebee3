"""Make a bilingual dictionary over pieces of the vocabulary: of a derived language, word lists or parallel text.

--derived pairs natural pieces with their transliterated copies, one to one: an exact share of the vocabulary, either
drawn at random (as the authors of ALIGN-MLM did) or the most frequent pieces. Pieces that the two languages share, and
special symbols, are never included.

--muse reads word pairs, one per line, the two words separated by a space or a tab. --csv reads tables with two columns,
and tables whose first row names the columns, either by their languages or as sourceString and targetString; a row that
is taken for column names is reported. A word may have several translations. Pairs that cannot be used, and repeated
pairs, are dropped, counted and reported.

--bitext finds word pairs in parallel text: words that are often linked and are each other's most frequent partner, in
their most frequent spelling, the most frequent pair first. Memory grows with the number of distinct linked pairs.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairseq_xalign import cli, files
from fairseq_xalign.constants import FIRST_PIECE
from fairseq_xalign.data import dictionary
from fairseq_xalign.data.formats import header, word_list
from fairseq_xalign.data.formats.header import taken
from fairseq_xalign.data.formats.word_list import WordPair
from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.inputs import regular
from fairseq_xalign.options import different_languages, flag, two_files, without_effect
from fairseq_xalign.outputs import refuse_to_replace
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from preprocess import induce
from preprocess.derived_dictionary import CHOICES, DEFAULT_SEED, DEFAULT_SHARE, make_derived_dictionary

EXAMPLE = """examples:
  xalign-preprocess dictionary --derived subword-doubled --share 0.25 --choose random --source en --target xx \\
      --output en-xx.tsv
  xalign-preprocess dictionary --muse en-de.txt --source en --target de --subword subword --output en-de.tsv
  xalign-preprocess dictionary --bitext pair.en,pair.de --source en --target de --subword subword --output en-de.tsv"""

PIECES = ("single", "first", "mean")
DUPLICATE = "the pair is repeated"
Ids = list[int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument(
        "--derived",
        metavar="DIR|MANIFEST",
        help="Pair pieces with their copies: a doubled vocabulary, or the manifest of a derived file.",
    )
    kind.add_argument("--muse", metavar="FILE", help="Read word pairs, one per line.")
    kind.add_argument("--csv", metavar="FILE", help="Read a table of word pairs.")
    kind.add_argument(
        "--bitext", metavar="FILE,FILE", help="Find word pairs in parallel text, two files with one sentence per line."
    )
    header.add_option(parser, word_list.RECOGNISED)
    induce.add_arguments(parser)
    parser.add_argument("--subword", metavar="DIR", help="Subword folder; not needed with --derived DIR.")
    parser.add_argument("--source", metavar="XX", help="Language of the first side (with --derived: the natural one).")
    parser.add_argument("--target", metavar="YY", help="Language of the second side (with --derived: the derived one).")
    parser.add_argument(
        "--share",
        type=float,
        help="With --derived: exact share of the vocabulary to take, above 0 and at most 1 "
        f"(default: {DEFAULT_SHARE}, ALIGN-MLM, section 5 and Appendices G.4 and G.5).",
    )
    parser.add_argument(
        "--choose",
        choices=CHOICES,
        help="With --derived: take the most frequent pieces of --text, or draw pieces at random (default: random).",
    )
    parser.add_argument("--seed", type=int, help=f"Seed of --choose random (default: {DEFAULT_SEED}).")
    parser.add_argument(
        "--text",
        action="append",
        metavar="FILE",
        help="With --choose frequent: natural text whose pieces are counted. Repeat it for more files. Without it, the "
        "vocabulary is assumed to be sorted by frequency.",
    )
    parser.add_argument(
        "--pieces",
        choices=PIECES,
        help="What to do with a word of several pieces: single drops its entry, first takes its first piece, mean "
        "averages all of them (default: single).",
    )
    parser.add_argument("--output", required=True, metavar="FILE", help="Dictionary file to write.")
    parser.add_argument("--json", action="store_true", help="Print the report as JSON.")


def run(args: argparse.Namespace) -> int:
    """Make the dictionary and print the report."""
    of_bitext = {"links": args.links, "min_count": args.min_count}
    of_derived = {name: getattr(args, name) for name in ("share", "choose", "seed", "text")}
    for kind, its in (("bitext", of_bitext), ("derived", of_derived)):
        for name, value in its.items():
            if value is not None and not getattr(args, kind):
                raise UserError(f"{flag(name)} is for --{kind}", remedy="Leave it out")
    if args.bitext or args.derived:
        header_row = None if args.header == header.AUTO else args.header
        without_effect("is for --muse and --csv", header=header_row)
    common = {"subword": args.subword, "source": args.source, "target": args.target}
    if args.derived:
        if args.pieces not in (None, "single"):
            raise UserError(
                f"--pieces {args.pieces} is for word lists: derived entries are single pieces", remedy="Leave it out"
            )
        given = {name: value for name, value in of_derived.items() if value is not None}
        report = make_derived_dictionary(args.output, args.derived, **common, **given)
    else:
        for name, value in common.items():
            if value is None:
                raise UserError(f"{flag(name)} is needed with --muse, --csv and --bitext", remedy="Add it")
        lists = {
            "muse": args.muse,
            "csv": args.csv,
            "bitext": args.bitext and two_files(args.bitext, "--bitext ", "--bitext FILE,FILE"),
        }
        kind, files_of = next((kind, value) for kind, value in lists.items() if value)
        pieces = args.pieces or PIECES[0]
        refuse_to_replace([*([files_of] if isinstance(files_of, str) else files_of), args.links], [args.output])
        report = make_dictionary(args.output, kind, files_of, **common, pieces=pieces, header=args.header, **of_bitext)
    if args.json:
        print(json.dumps(report, ensure_ascii=False))
    else:
        for name, value in _flat(report):
            print(f"{name:32} {value:.4f}" if isinstance(value, float) else f"{name:32} {value}")
    return 0


def _flat(report: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in report.items():
        if isinstance(value, dict):
            yield from ((f"{name}: {key}", item) for key, item in value.items())
        elif value is not None:
            yield name, value


# Of word lists


@dataclass
class Coverage:
    """What became of the entries of a word list; ``fragments``: usable, but a first piece stands for a longer word."""

    read: int = 0
    usable: int = 0
    both_single: int = 0
    fragments: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def report(self) -> dict[str, Any]:
        """As printed; shares are of the entries read."""
        read = max(self.read, 1)
        return {
            "entries read": self.read,
            "entries": self.usable,
            "share usable": self.usable / read,
            "share of single pieces": self.both_single / read,
            **({"entries of fragments": self.fragments} if self.fragments else {}),
            "dropped": dict(sorted(self.dropped.items())),
        }


def make_dictionary(
    output: str | Path,
    kind: str,
    file: str | Path | tuple[str, str],
    *,
    subword: str | Path,
    source: str,
    target: str,
    pieces: str = "single",
    header: str = "auto",
    links: str | Path | None = None,
    min_count: int | None = None,
) -> dict[str, Any]:
    """Write the dictionary of a word list or of parallel text, and return its report.

    Args:
        kind: ``muse``, ``csv`` or ``bitext``.
        file: the list, or the two files of parallel text.
        header: whether a list's first row names its columns: ``auto``, ``yes`` or ``no``.
        links, min_count: for ``bitext``, see :func:`preprocess.induce.induced`.

    Raises:
        UserError: for a list that cannot be read, or of which no entry can be used.
    """
    names = different_languages(source, target)
    if pieces not in PIECES:
        raise unknown_name("--pieces", pieces, PIECES)
    tokenizer, coverage = Tokenizer.load(subword), Coverage()
    where = ",".join(file) if isinstance(file, tuple) else str(file)
    figures: dict[str, Any] = {}
    if isinstance(file, tuple):
        found, figures, made = induce.induced(*file, links, min_count)
        pairs: Iterable[WordPair] = (WordPair(number, *pair) for number, pair in enumerate(found, 1))
    else:
        read = word_list.read_muse if kind == "muse" else word_list.read_csv
        pairs = read(file, *names, header)
        made = {"kind": kind, "file": Path(file).name, "sha256": files.sha256(regular(file))}
    # Entries are held: the header, which is written first, says what became of them. A dictionary is small.
    entries = list(usable_entries(cli.progress(pairs, "dictionary"), tokenizer, pieces, coverage))
    report = {**figures, **coverage.report()}
    if not coverage.read:
        raise UserError("the file has no word pair", where, remedy="It is empty: give a list of words")
    if not entries:
        reasons = ", ".join(f"{name} {count}" for name, count in report["dropped"].items())
        raise UserError(
            f"no usable entry among {coverage.read}: {reasons}",
            where,
            remedy="Try --pieces first or mean, or a vocabulary trained on both languages",
        )
    if coverage.fragments:
        cli.say(
            f"--pieces first: in {coverage.fragments} of {coverage.usable} entries the first piece stands for a longer "
            "word, and many words may share it; --pieces mean keeps words whole"
        )
    dictionary.write(output, tokenizer, names, pieces, {**made, **report}, iter(entries))
    return report


def usable_entries(
    pairs: Iterable[WordPair], tokenizer: Tokenizer, mode: str, coverage: Coverage
) -> Iterator[tuple[Ids, Ids]]:
    """Yield the ids of the pairs that can be used, each once; all others are counted in ``coverage``.

    Identical sides are dropped: their cosine is 1 without a gradient and would only thin the mean. A pair that occurs
    several times would count several times in the loss.
    """
    seen: set[tuple[tuple[int, ...], ...]] = set()
    for pair in pairs:
        if pair.header:
            cli.say(taken(pair.header))
            continue
        coverage.read += 1
        reason, ids, single = _judged(pair, tokenizer, mode)
        coverage.both_single += single
        key = tuple(map(tuple, ids))
        if reason is None and key in seen:
            reason = DUPLICATE
        if reason is not None:
            coverage.dropped[reason] += 1
            continue
        seen.add(key)
        coverage.usable += 1
        coverage.fragments += mode == "first" and not single
        yield ids[0], ids[1]


def _judged(pair: WordPair, tokenizer: Tokenizer, mode: str) -> tuple[str | None, list[Ids], bool]:
    """Why a pair is not used (None: it is), the ids of its sides, and whether both are single pieces."""
    if pair.ragged:
        return "a row has more or fewer columns than the first", [], False
    if not (pair.source.strip() and pair.target.strip()):
        return "a side is empty", [], False
    sides = [tokenizer.encode(pair.source), tokenizer.encode(pair.target)]
    if any(not ids or min(ids) < FIRST_PIECE for ids in sides):
        return "a side has unknown characters", sides, False
    single = all(len(ids) == 1 for ids in sides)
    if mode == "single" and not single:
        return "a side has several pieces", sides, single
    if mode == "first":
        sides = [ids[:1] for ids in sides]
    if sides[0] == sides[1]:
        return "the sides are identical", sides, single
    if any(set(" \t") & set(tokenizer.piece(number)) for ids in sides for number in ids):
        return "a piece has white space", sides, single
    return None, sides, single
