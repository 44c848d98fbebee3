"""Choose the pairs of a parallel corpus that are worth training on, and count what is left out.

Lengths are counted in pieces of a subword folder, without special symbols. The defaults are those of PPA (Pan et al.
2021, section 3.1), which leaves out a pair if either side has fewer than 10 pieces, or both together more than 128, and
takes the first N pairs that remain. Pairs that came before are left out too, and empty sides always are.

Lines are written as they are read. The result depends on the files and the options alone, not on --workers. Memory
grows with the number of pairs that are kept, by some 60 bytes each, unless --duplicates keep is given.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fairseq_xalign.cli import progress, say
from fairseq_xalign.data.folder import load_tokenizer
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics.identification import Identifier, base_language
from fairseq_xalign.files import atomic_file
from fairseq_xalign.inputs import regular
from fairseq_xalign.options import add_sides, at_least, different_languages, named_sides
from fairseq_xalign.outputs import refuse_to_replace
from preprocess.encoding import CHUNK_BYTES, Chunk, chunk_texts, cut, equal_lines
from preprocess.parallel import available_cores, map_in_order

LEAST_PIECES, MOST_PIECES = 10, 128
"""PPA, section 3.1: fewest pieces of a side, most pieces of both sides together."""
KEPT, EMPTY, SHORT, LONG, LANGUAGE, DUPLICATE = "kept", "empty", "short", "long", "language", "duplicate"
REASONS = {
    EMPTY: "with an empty side",
    SHORT: "too short",
    LONG: "too long",
    LANGUAGE: "in another language",
    DUPLICATE: "that came before",
}
"""Why a pair is left out, in the order in which this is found."""
DUPLICATES = DROP, KEEP = "drop", "keep"

EXAMPLE = """examples:
  xalign-preprocess bitext --source en=europarl.en --target de=europarl.de --subword SUB --first 600000 \\
    --output ppa.en-de
  xalign-preprocess bitext --source en=news.en.gz --target hi=news.hi.gz --subword SUB --check-language \\
    --least 1 --output clean"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_sides(parser)
    parser.add_argument(
        "--subword", required=True, metavar="DIR", help="Subword folder that counts pieces; a data folder works too."
    )
    parser.add_argument(
        "--output", required=True, metavar="PREFIX", help="The chosen text is written to PREFIX.XX and PREFIX.YY."
    )
    parser.add_argument(
        "--least",
        type=int,
        default=LEAST_PIECES,
        metavar="N",
        help="Leave out pairs with a side of fewer pieces (default: %(default)s).",
    )
    parser.add_argument(
        "--most",
        type=int,
        default=MOST_PIECES,
        metavar="N",
        help="Leave out pairs of more pieces on both sides together (default: %(default)s).",
    )
    parser.add_argument("--first", type=int, metavar="N", help="Stop after N chosen pairs (default: take all).")
    parser.add_argument(
        "--read", type=int, metavar="N", help="Look at the first N pairs of the corpus only (default: all)."
    )
    parser.add_argument(
        "--duplicates",
        choices=DUPLICATES,
        default=DROP,
        help="What to do with a pair that was chosen before (default: %(default)s).",
    )
    parser.add_argument(
        "--check-language",
        action="store_true",
        help="Leave out pairs in which py3langid identifies one side as written in the other side's language, for "
        "instance untranslated lines. Pairs that it cannot decide are kept.",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=available_cores(),
        metavar="N",
        help="Number of processes that encode (default: the available cores, here %(default)s).",
    )
    parser.add_argument("--json", action="store_true", help="Print the report as JSON on stdout.")


def run(args: argparse.Namespace) -> int:
    """Filter the corpus that the command line names."""
    source, target = named_sides(args)
    rules = Rules(args.subword, (source[0], target[0]), args.least, args.most, args.check_language)
    report = choose(
        (source[1], target[1]),
        args.output,
        rules,
        first=args.first,
        read=args.read,
        keep_duplicates=args.duplicates == KEEP,
        workers=args.workers,
    )
    if args.json:
        json.dump(report, sys.stdout, indent=2)
        print()
    return 0


@dataclass(frozen=True)
class Rules:
    """What decides about a pair by itself.

    Attributes:
        subword: the subword folder whose pieces are counted.
        languages: of the two sides.
        least, most: limits in pieces, of a side and of both sides together.
        check_language: whether a side in the other side's language is left out.
    """

    subword: str | Path
    languages: tuple[str, str]
    least: int = LEAST_PIECES
    most: int = MOST_PIECES
    check_language: bool = False

    def __post_init__(self) -> None:
        at_least(0, least=self.least)
        at_least(1, most=self.most)
        if 2 * self.least > self.most:
            raise UserError(
                f"--least {self.least} and --most {self.most} leave out every pair: both sides together have at least "
                f"{2 * self.least} pieces",
                remedy="Lower the one or raise the other",
            )
        different_languages(*self.languages)
        if self.check_language:
            _check_known(self.languages)


def _check_known(languages: tuple[str, str]) -> None:
    """Refuse to check languages that py3langid cannot tell apart."""
    known = Identifier(languages).candidates
    if len(known) > 1:
        return
    unknown = [language for language in languages if base_language(language) not in known]
    what = f"does not know {' and '.join(unknown)}" if unknown else f"takes {' and '.join(languages)} for one language"
    raise UserError(f"--check-language: py3langid {what}", remedy="Leave the option out")


class PairFilter:
    """Applies rules to chunks of a corpus; each worker has one."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.tokenizer = load_tokenizer(rules.subword)
        self.identifier = Identifier(rules.languages) if rules.check_language else None

    def verdict(self, pair: tuple[str, str]) -> str:
        """KEPT, or why a pair is left out."""
        if any(not text or text.isspace() for text in pair):
            return EMPTY
        lengths = [len(self.tokenizer.encode(text)) for text in pair]
        if not all(lengths):
            return EMPTY  # nothing was left after the tokenizer's normalisation
        if min(lengths) < self.rules.least:
            return SHORT
        if sum(lengths) > self.rules.most:
            return LONG
        if self.identifier is not None:
            for text, language in zip(pair, self.rules.languages):
                if self.identifier.language(text) not in (None, base_language(language)):
                    return LANGUAGE
        return KEPT

    def look(self, chunk: Chunk) -> list[tuple[str, tuple[str, str]]]:
        """The verdict on every pair of a chunk, and the pair."""
        source, target = (chunk_texts(chunk, side) for side in (0, 1))
        return [(self.verdict(pair), pair) for pair in zip(source, target)]


def look(own: PairFilter, chunk: Chunk) -> list[tuple[str, tuple[str, str]]]:
    """:meth:`PairFilter.look` as a function, for worker processes."""
    return own.look(chunk)


def choose(
    files: tuple[str, str],
    output: str | Path,
    rules: Rules,
    *,
    first: int | None = None,
    read: int | None = None,
    keep_duplicates: bool = False,
    workers: int | None = None,
) -> dict[str, Any]:
    """Write the chosen pairs of a corpus, and return the report: pairs read, kept, and left out for each reason.

    Args:
        files: source and target, whose lines are translations of each other.
        output: what the names of both files begin with; ``.`` and the language follow.
        first: stop after so many chosen pairs.
        read: look at so many pairs only.
        keep_duplicates: keep a pair that was chosen before.
        workers: how many processes count pieces; None takes the available cores.

    Raises:
        UserError: the files differ in their number of lines, or no pair is left. Nothing is written then.
    """
    workers = available_cores() if workers is None else workers
    at_least(1, first=first, read=read, workers=workers)
    lines = equal_lines(files)
    outputs = [f"{output}.{language}" for language in rules.languages]
    refuse_to_replace(files, outputs)
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        streams = [stack.enter_context(atomic_file(path)) for path in outputs]
        pairs = stack.enter_context(closing(_with_verdicts(files, rules, min(lines, read or lines), workers)))
        seen: set[int] = set()
        for verdict, pair in pairs:
            if verdict == KEPT and not keep_duplicates:
                name = _name(pair)
                verdict = DUPLICATE if name in seen else KEPT
                seen.add(name)
            counts[verdict] += 1
            if verdict != KEPT:
                continue
            for stream, text in zip(streams, pair):
                stream.write(text + "\n")
            if counts[KEPT] == first:
                break
        report = _report(files, outputs, counts, lines)
        if not counts[KEPT]:
            raise UserError(
                f"no pair is left: {_said(report)}",
                " and ".join(files),
                remedy="Lower --least, raise --most, or look at what the files hold",
            )
    say(f"{', '.join(outputs)}: {report['kept']} pairs of {report['read']} read{_said(report, '; left out: ')}")
    if first is not None and report["kept"] < first:
        why = f"--read {read} looks at no more" if read is not None and read < lines else "the corpus has no more"
        say(f"fewer than --first {first}: {why}")
    return report


def _with_verdicts(
    files: tuple[str, str], rules: Rules, lines: int, workers: int
) -> Generator[tuple[str, tuple[str, str]]]:
    """Every pair with the verdict on it, in order."""
    size = sum(regular(file).stat().st_size for file in files)
    chunks = map_in_order(partial(PairFilter, rules), look, cut(files, CHUNK_BYTES, (0, lines)), workers)
    with closing(chunks):
        for chunk in progress(chunks, "pairs", math.ceil(size / CHUNK_BYTES)):
            yield from chunk


def _name(pair: tuple[str, str]) -> int:
    """A number of 64 bits for a pair of texts; two of ten million pairs share one with a probability of 3e-6."""
    return int.from_bytes(hashlib.blake2b("\n".join(pair).encode(), digest_size=8).digest(), "little")


def _report(files: tuple[str, str], outputs: list[str], counts: Counter[str], lines: int) -> dict[str, Any]:
    return {
        "files": list(files),
        "output": outputs,
        "pairs": lines,
        "read": counts.total(),
        "kept": counts[KEPT],
        "dropped": {reason: counts[reason] for reason in REASONS if counts[reason]},
    }


def _said(report: dict[str, Any], beginning: str = "") -> str:
    dropped = ", ".join(f"{count} {REASONS[reason]}" for reason, count in report["dropped"].items())
    return beginning + dropped if dropped else "" if beginning else "the files are empty"
