"""Make a bilingual dictionary over pieces of the vocabulary: of a derived language, word lists or parallel text.

--derived pairs natural pieces with their transliterated copies, one to one: an exact share of the
vocabulary, drawn at random (as the authors of ALIGN-MLM did) or the most frequent pieces. Pieces
that the two languages share and special symbols are never in it.

--muse reads word pairs, one a line, divided by a space or a tab; --csv reads tables with a header
(columns sourceString and targetString, or the two columns after an unnamed one, or two columns).
Several translations of a word are kept. What cannot be used is dropped, counted and reported.

--bitext finds the pairs in parallel text: words that are linked often and are each other's most frequent
partner, spelled as they mostly are, the most frequent first. Memory grows with its distinct linked pairs.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_xalign import cli, files
from fairseq_xalign.constants import FIRST_PIECE
from fairseq_xalign.data.dictionary import DICTIONARY_MARK
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from preprocess import induce
from preprocess.derive.permutation import keyed_order

EXAMPLE = """examples:
  xalign-preprocess dictionary --derived subword-doubled --share 0.25 --choose random --source en --target xx \
      --output en-xx.tsv
  xalign-preprocess dictionary --muse en-de.txt --source en --target de --subword subword --output en-de.tsv
  xalign-preprocess dictionary --bitext pair.en,pair.de --source en --target de --subword subword --output en-de.tsv"""

FORMAT = 1
DEFAULT_SHARE = 0.25
"""ALIGN-MLM, section 4: a quarter of the vocabulary (a half in its ablation)."""
DEFAULT_SEED = 1
PIECES = ("single", "first", "mean")
Ids = list[int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument(
        "--derived", metavar="DIR|MANIFEST", help="a doubled vocabulary, or the manifest of a derived file"
    )
    kind.add_argument("--muse", metavar="FILE", help="word pairs, one a line (.xz is read too)")
    kind.add_argument("--csv", metavar="FILE", help="a table of word pairs (.xz is read too)")
    kind.add_argument("--bitext", metavar="FILE,FILE", help="parallel text, a sentence a line")
    induce.add_arguments(parser)
    parser.add_argument("--subword", metavar="DIR", help="the vocabulary; with --derived DIR that one is taken")
    parser.add_argument("--source", metavar="XX", help="language of the first side (with --derived: natural)")
    parser.add_argument("--target", metavar="YY", help="language of the second side (with --derived: derived)")
    parser.add_argument(
        "--share",
        type=float,
        help=f"with --derived: exact share of the vocabulary, above 0 to 1 (default {DEFAULT_SHARE})",
    )
    parser.add_argument(
        "--choose",
        choices=("frequent", "random"),
        help="with --derived: the most frequent pieces of --text, or a random draw (default random)",
    )
    parser.add_argument("--seed", type=int, help=f"of --choose random (default {DEFAULT_SEED})")
    parser.add_argument(
        "--text",
        action="append",
        metavar="FILE",
        help="with --derived: natural text whose pieces are counted (repeatable); without it frequent takes the "
        "order of the vocabulary",
    )
    parser.add_argument(
        "--pieces",
        choices=PIECES,
        help="for a word of several pieces: single (default) drops its entry, first takes one piece, mean averages all",
    )
    parser.add_argument("--output", required=True, metavar="FILE", help="the dictionary file")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(args: argparse.Namespace) -> int:
    """Make the dictionary and print the report."""
    for option in ("links", "min_count"):
        if getattr(args, option) is not None and not args.bitext:
            raise UserError(f"--{option.replace('_', '-')} is for --bitext")
    if args.derived:
        report = _run_derived(args)
    else:
        report = _run_natural(args)
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


# Of a derived language


def _run_derived(args: argparse.Namespace) -> dict[str, Any]:
    if args.pieces not in (None, "single"):
        raise UserError(f"--pieces {args.pieces} is for word lists: derived entries are single pieces")
    tokenizer, where = _doubled(args.derived, args.subword)
    share = DEFAULT_SHARE if args.share is None else args.share
    choose = args.choose or "random"
    seed = DEFAULT_SEED if args.seed is None else args.seed
    counts = _count_pieces(tokenizer, args.text) if args.text else None
    numbers, eligible = choose_pieces(tokenizer, share, choose, seed, counts)
    if not numbers:
        raise UserError("no piece can be in the dictionary", where, remedy="Raise --share, or lower the overlap")
    first, copies = tokenizer.natural_ids.start, tokenizer.derived_ids.start
    report: dict[str, Any] = {
        "entries": len(numbers),
        "vocabulary": tokenizer.pieces,
        "share of the vocabulary": len(numbers) / tokenizer.pieces,
        "chosen": choose,
        "order of frequency": None if choose == "random" else "counted in --text" if args.text else "the vocabulary's",
        "shared pieces left out": tokenizer.pieces - eligible,
    }
    if counts is not None and counts.sum():
        report["share of the running pieces"] = float(counts[numbers].sum() / counts.sum())
    if choose == "frequent" and counts is None:
        cli.say("no --text was given: the vocabulary's own order is taken for the order of frequency")
    if len(numbers) < round(share * tokenizer.pieces):
        cli.say(f"only {eligible} pieces are not shared: --share {share:g} asked for {round(share * tokenizer.pieces)}")
    made = {"kind": "derived", "share": share, "choose": choose, "seed": seed if choose == "random" else None, **report}
    entries = (([first + number], [copies + number]) for number in numbers)
    names = (args.source or "natural", args.target or "derived")
    _write(Path(args.output), tokenizer, names, "single", made, entries)
    return report


def choose_pieces(
    tokenizer: Tokenizer, share: float, choose: str, seed: int, counts: np.ndarray | None
) -> tuple[list[int], int]:
    """The numbers (from 0) of the pieces in a derived dictionary.

    Args:
        share: of all natural pieces; ``round(share * pieces)`` are taken, without replacement.
        choose: ``random``, or ``frequent``: by ``counts``, ties in the order of the vocabulary.
        counts: [n] how often each natural piece occurs in text; None takes the vocabulary's order.

    Returns:
        the numbers, in the order chosen, and how many pieces were eligible: those that the
        languages do not share (A20).
    """
    if not 0 < share <= 1:
        raise UserError(f"--share is above 0 and at most 1, not {share:g}")
    assert tokenizer.derived is not None
    kept = set(tokenizer.derived["kept"])
    eligible = [number for number in range(tokenizer.pieces) if number not in kept]
    if choose == "random":
        eligible = [eligible[place] for place in keyed_order(len(eligible), "dictionary", seed)]
    elif counts is not None:
        eligible.sort(key=lambda number: -counts[number])
    return eligible[: round(share * tokenizer.pieces)], len(eligible)


def _doubled(derived: str, subword: str | None) -> tuple[Tokenizer, str]:
    """The doubled vocabulary that ``--derived`` names, itself or by the hash in a manifest."""
    if Path(derived).is_dir():
        tokenizer, where = Tokenizer.load(derived), derived
        if subword is not None and Tokenizer.load(subword).sha256 != tokenizer.sha256:
            raise UserError(
                f"not the vocabulary in {derived}",
                subword,
                remedy="Leave --subword out, or give the doubled vocabulary",
            )
    else:
        manifest = files.read_json(derived)
        wanted = manifest.get("subword_sha256") if isinstance(manifest, dict) else None
        if not wanted:
            raise UserError("not the manifest of a transliterated file", derived)
        if subword is None:
            raise UserError("--derived MANIFEST needs --subword with the doubled vocabulary")
        tokenizer, where = Tokenizer.load(subword), subword
        if tokenizer.sha256 != wanted:
            raise UserError(f"not the vocabulary that {derived} was made with", subword)
    if tokenizer.derived is None:
        raise UserError(
            "this vocabulary is not doubled", where, remedy="Give the --output-subword of `xalign-preprocess derive`"
        )
    return tokenizer, where


def _count_pieces(tokenizer: Tokenizer, texts: list[str]) -> np.ndarray:
    """[n] how often each natural piece occurs in natural text."""
    counts = np.zeros(tokenizer.pieces, dtype=np.int64)
    natural = tokenizer.natural_ids
    for path in texts:
        for _, line in cli.progress(read_lines(path), "count"):
            for number in tokenizer.encode(line):
                if number in natural:
                    counts[number - natural.start] += 1
    return counts


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


def _run_natural(args: argparse.Namespace) -> dict[str, Any]:
    for option in ("share", "choose", "seed", "text"):
        if getattr(args, option) is not None:
            raise UserError(f"--{option} is for --derived")
    for option in ("subword", "source", "target"):
        if getattr(args, option) is None:
            raise UserError(f"--{option} is needed with --muse, --csv and --bitext")
    tokenizer = Tokenizer.load(args.subword)
    mode, coverage = args.pieces or "single", Coverage()
    path = args.muse or args.csv or args.bitext
    figures: dict[str, Any] = {}
    pairs: Iterable[tuple[str, str] | None]
    if args.bitext:
        pairs, figures, made = induce.induced(args)
    else:
        pairs = read_muse(path) if args.muse else read_csv(path, args.source, args.target)
        made = {"kind": "muse" if args.muse else "csv", "file": Path(path).name, "sha256": files.sha256(path)}
    # Entries are held: the header, which is written first, says what became of them. A dictionary is small.
    entries = list(usable_entries(cli.progress(pairs, "dictionary"), tokenizer, mode, coverage))
    report = {**figures, **coverage.report()}
    if not coverage.read:
        raise UserError("the file has no word pair", path, remedy="It is empty: give a list of words")
    if not entries:
        reasons = ", ".join(f"{name} {count}" for name, count in report["dropped"].items())
        raise UserError(
            f"no usable entry among {coverage.read}: {reasons}",
            path,
            remedy="Try --pieces first or mean, or a vocabulary trained on both languages",
        )
    if coverage.fragments:
        cli.say(
            f"--pieces first: in {coverage.fragments} of {coverage.usable} entries the first piece stands for a longer "
            "word, and many words may share it; --pieces mean keeps words whole"
        )
    _write(Path(args.output), tokenizer, (args.source, args.target), mode, {**made, **report}, iter(entries))
    return report


def usable_entries(
    pairs: Iterable[tuple[str, str] | None], tokenizer: Tokenizer, mode: str, coverage: Coverage
) -> Iterator[tuple[Ids, Ids]]:
    """The ids of the pairs that can be used; the others (None: a row out of shape) are counted in ``coverage``.

    Identical sides are dropped: their cosine is 1 without a gradient and would only thin the mean.
    """
    for pair in pairs:
        coverage.read += 1
        if pair is None:
            coverage.dropped["a row has more or fewer columns than the header"] += 1
            continue
        source, target = pair
        if not (source.strip() and target.strip()):
            coverage.dropped["a side is empty"] += 1
            continue
        sides = [tokenizer.encode(source), tokenizer.encode(target)]
        if any(not ids or min(ids) < FIRST_PIECE for ids in sides):
            coverage.dropped["a side has unknown characters"] += 1
            continue
        single = all(len(ids) == 1 for ids in sides)
        coverage.both_single += single
        if mode == "single" and not single:
            coverage.dropped["a side has several pieces"] += 1
            continue
        if mode == "first":
            sides = [ids[:1] for ids in sides]
        if sides[0] == sides[1]:
            coverage.dropped["the sides are identical"] += 1
        elif any(set(" \t") & set(tokenizer.piece(number)) for ids in sides for number in ids):
            coverage.dropped["a piece has white space"] += 1
        else:
            coverage.usable += 1
            coverage.fragments += mode == "first" and not single
            yield sides[0], sides[1]


def read_muse(path: str) -> Iterator[tuple[str, str] | None]:
    """Pairs of a MUSE dictionary; phrases are possible where a tab divides the sides."""
    for number, line in read_lines(path):
        if not line.strip():
            continue
        sides = line.split("\t") if "\t" in line else line.split()
        if len(sides) != 2:
            raise UserError(
                f"{len(sides)} words instead of two",
                path,
                number,
                "Divide the sides of phrases with a tab, one pair a line",
            )
        yield sides[0].strip(), sides[1].strip()


def read_csv(path: str, source: str, target: str) -> Iterator[tuple[str, str] | None]:
    """Pairs of a table with a header; ``source`` and ``target`` guard against a file of the other direction.

    A row with more or fewer columns than the header is None: TICO-19's tables have some, with a comma unquoted.
    """
    rows = csv.reader(text + "\n" for _, text in read_lines(path))
    header = next(rows, [])
    first, second = _pair_columns(header, path)
    for row in rows:
        if not row:
            continue
        if len(row) != len(header):
            yield None
            continue
        if "sourceLang" in header and "targetLang" in header:
            found = [_primary(row[header.index(name)]) for name in ("sourceLang", "targetLang")]
            if found == [_primary(target), _primary(source)] and found[0] != found[1]:
                raise UserError(
                    f"the file goes from {found[0]} to {found[1]}", path, rows.line_num, "Swap --source and --target"
                )
        yield row[first], row[second]


def _pair_columns(header: list[str], path: str) -> tuple[int, int]:
    if "sourceString" in header and "targetString" in header:
        return header.index("sourceString"), header.index("targetString")
    if len(header) == 2:
        return 0, 1
    if len(header) == 3 and not header[0]:
        return 1, 2
    raise UserError(
        f"which columns are the words? The header is {','.join(header)!r}",
        path,
        1,
        "Name them sourceString and targetString, or keep two columns",
    )


def _primary(language: str) -> str:
    """``fr`` of ``fr_XX`` and ``fr-FR``."""
    return language.replace("_", "-").split("-")[0].lower()


def _write(
    output: Path,
    tokenizer: Tokenizer,
    languages: tuple[str, str],
    pieces: str,
    made: dict[str, Any],
    entries: Iterator[tuple[Ids, Ids]],
) -> None:
    header = {
        "format": FORMAT,
        "source": languages[0],
        "target": languages[1],
        "pieces": pieces,
        "made": made,
        "vocabulary_sha256": tokenizer.sha256,
    }
    with files.atomic_file(output) as stream:
        stream.write(f"{DICTIONARY_MARK}\t{json.dumps(header, ensure_ascii=False)}\n")
        for source, target in entries:
            stream.write("\t".join((_symbols(tokenizer, source), _symbols(tokenizer, target), "1")) + "\n")


def _symbols(tokenizer: Tokenizer, ids: Ids) -> str:
    return " ".join(tokenizer.piece(number) for number in ids)
