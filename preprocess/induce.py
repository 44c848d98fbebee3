"""Word pairs from parallel text: words that are linked often and are each other's most frequent partner.

Words are counted in lower case and returned in their most frequent spelling: a German noun with its capital, as a
cased vocabulary has it. The first word of a sentence does not show its usual spelling, so it counts only if the word
occurs nowhere else (as in truecasing). Memory grows with the distinct pairs that are linked and the distinct words.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairseq_xalign import cli, files
from fairseq_xalign.data.formats import pharaoh
from fairseq_xalign.data.formats.pharaoh import Links
from fairseq_xalign.errors import UserError
from fairseq_xalign.inputs import regular
from fairseq_xalign.options import at_least
from preprocess.link_files import USUAL_WORDS, noted_words
from preprocess.links import align
from preprocess.piece_links import out_of_range
from preprocess.words import check_parallel, word_pairs

DEFAULT_MIN_COUNT = 3
SYMMETRIZE = "intersect"
"""Links of both directions: fewer, but those that the other direction confirms."""
SENTENCE_ENDS = frozenset(".!?:…。！？¿¡؟۔।")
Words = list[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that go with --bitext."""
    parser.add_argument(
        "--links",
        metavar="FILE",
        help="With --bitext: file of word links from `xalign-preprocess links`, whose note beside it says what they "
        "count as words; other links count runs of letters and digits (default: links are estimated and intersected).",
    )
    parser.add_argument(
        "--min-count",
        type=int,
        metavar="N",
        help=f"With --bitext: keep pairs that are linked at least N times (default: {DEFAULT_MIN_COUNT}).",
    )


@dataclass
class Spellings:
    """How the words of a language are written, by their lower case."""

    inside: Counter[str] = field(default_factory=Counter)
    at_start: Counter[str] = field(default_factory=Counter)

    def count(self, words: Words) -> None:
        """Count the words of a sentence; what begins a sentence (or follows a colon) is counted apart."""
        start = True
        for word in words:
            if is_word(word):
                (self.at_start if start else self.inside)[word] += 1
                start = False
            elif word in SENTENCE_ENDS:
                start = True

    def usual(self) -> dict[str, str]:
        """The most frequent spelling of every word; ties go to the spelling that sorts last: lower case."""
        best: dict[str, tuple[bool, int, str]] = {}
        for inside, counts in ((True, self.inside), (False, self.at_start)):
            for word, count in counts.items():
                low, found = word.lower(), (inside, count, word)
                best[low] = max(best.get(low, found), found)
        return {low: found[2] for low, found in best.items()}


@dataclass
class Counts:
    """What is counted in parallel text.

    Attributes:
        pairs: how often each pair of lower-cased words is linked.
        spellings: of source and target.
        sentence_pairs, links: how many were read, links of punctuation too.
    """

    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    spellings: tuple[Spellings, Spellings] = field(default_factory=lambda: (Spellings(), Spellings()))
    sentence_pairs: int = 0
    links: int = 0


def is_word(word: str) -> bool:
    """Whether it has a letter: not a number, not punctuation."""
    return any(map(str.isalpha, word))


def count_links(
    pairs: Iterable[tuple[Words, Words]], links: Iterable[Links], where: str, kind: str = USUAL_WORDS
) -> Counts:
    """Count linked words; ``kind`` is what counts as a word.

    Raises:
        UserError: a link to a word that its line does not have; ``where`` names the file of the links.
    """
    counts = Counts()
    for number, ((source, target), found) in enumerate(zip(pairs, links), 1):
        counts.sentence_pairs += 1
        counts.links += len(found)
        for spellings, words in zip(counts.spellings, (source, target)):
            spellings.count(words)
        if any(s >= len(source) or t >= len(target) for s, t in found):
            raise out_of_range(found, {kind: (len(source), len(target))}, kind, where, number)
        for s, t in sorted(found):
            if is_word(source[s]) and is_word(target[t]):
                counts.pairs[source[s].lower(), target[t].lower()] += 1
    return counts


def mutual_best(pairs: Counter[tuple[str, str]], min_count: int) -> Iterator[tuple[str, str]]:
    """The pairs of words that are each other's most frequent partner, at least ``min_count`` times; most frequent
    first. Ties go to the partner that sorts first."""
    order = sorted(pairs, key=lambda pair: (-pairs[pair], pair))
    partner: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for source, target in order:
        partner[0].setdefault(source, target)
        partner[1].setdefault(target, source)
    for source, target in order:
        if pairs[source, target] < min_count:
            return
        if partner[0][source] == target and partner[1][target] == source:
            yield source, target


def induced(
    source: str, target: str, links: str | Path | None = None, min_count: int | None = None
) -> tuple[list[tuple[str, str]], dict[str, Any], dict[str, Any]]:
    """Find the word pairs of two parallel files.

    Args:
        links: a Pharaoh file of their links, which count the words that the note beside it names, or those of running
            text without a note; None estimates them (``intersect``).
        min_count: keep a pair that is linked at least this often; None is :data:`DEFAULT_MIN_COUNT`.

    Returns:
        the pairs as they are usually written, the most frequent first; the figures to report; how they were made.
    """
    least = DEFAULT_MIN_COUNT if min_count is None else min_count
    at_least(1, min_count=least)
    total, words = check_parallel(source, target), USUAL_WORDS
    if links is not None:
        check_parallel(source, str(links))
        words = noted_words(str(links), (source, target)) or words
        found = pharaoh.read(links)
    else:
        found = align(source, target, SYMMETRIZE)
    pairs = word_pairs(source, target, words)
    counts = count_links(cli.progress(pairs, "count", total) if links else pairs, found, str(links or source), words)
    best = list(mutual_best(counts.pairs, least))
    if not best:
        raise UserError(
            f"no two words are linked {least} times: {counts.sentence_pairs} sentence pairs, {counts.links} links",
            f"{source},{target}",
            remedy="Lower --min-count, or give more text" if counts.links else "Nothing is linked: is the text empty?",
        )
    usual = [spellings.usual() for spellings in counts.spellings]
    figures = {"sentence pairs": counts.sentence_pairs, "links": counts.links, "candidate pairs": len(counts.pairs)}
    made: dict[str, Any] = {
        "kind": "bitext",
        "files": [Path(path).name for path in (source, target)],
        "sha256": [files.sha256(regular(path)) for path in (source, target)],
        "linked_by": SYMMETRIZE,
        "min_count": least,
    }
    if links is not None:
        made["linked_by"] = {"file": Path(links).name, "sha256": files.sha256(regular(links))}
    return [(usual[0][s], usual[1][t]) for s, t in best], figures, made
