"""Word links of parallel text, checked against its words and written as links between its pieces.

A link joins two words; what an encoder reads are pieces. ``all`` links every piece of one word with every piece of
the other, ``first`` and ``last`` one piece of each, and ``in-order`` the first piece of one with the first of the
other, the second with the second, and so on, as far as both words have pieces.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fairseq_xalign.data.formats.pharaoh import Links, links_of
from fairseq_xalign.data.links import LINK_TYPE, MOST_PIECES
from fairseq_xalign.data.words import WORD_KINDS, word_spans
from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.spans import piece_ranges
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

PieceLinks = Iterator[tuple[int, int]]
Ranges = tuple[range, range]
"""The pieces of a source word and of the target word that it is linked with."""


def _all(words: Ranges) -> PieceLinks:
    return ((i, j) for i in words[0] for j in words[1])


def _first(words: Ranges) -> PieceLinks:
    return iter([(words[0][0], words[1][0])])


def _last(words: Ranges) -> PieceLinks:
    return iter([(words[0][-1], words[1][-1])])


def _in_order(words: Ranges) -> PieceLinks:
    return zip(*words)


LINK_PIECES: dict[str, Callable[[Ranges], PieceLinks]] = {
    "all": _all,
    "first": _first,
    "last": _last,
    "in-order": _in_order,
}
"""Which pieces of two linked words are linked."""
FROM_ONE = "Words are counted from 0, and these links seem to count from 1: subtract 1 from both numbers of every link"
SWAPPED = (
    "These links would fit if the target came first: swap the numbers of every link, or name the pair and its files "
    "the other way round"
)
OTHERS = "Give the text that was linked, and links that count its words from 0"


@dataclass(frozen=True)
class LinkSettings:
    """How word links are read.

    Attributes:
        pieces: one of :data:`LINK_PIECES`.
        words: what counts as a word, one of ``data.words.WORD_KINDS``.
    """

    pieces: str = "all"
    words: str = "split"


@dataclass
class EncodedLinks:
    """The links of some pairs: ``flat`` (source place, target place, source place, ...) and the length of each item.

    Attributes:
        read: word links that were read, also of pairs that are left out.
        zeros: how many of them have a 0.
        dropped: links that could not be kept, by the reason.
    """

    flat: np.ndarray
    lengths: np.ndarray
    read: int = 0
    zeros: int = 0
    dropped: dict[str, int] = field(default_factory=dict)


def encode_links(
    tokenizer: Tokenizer,
    settings: LinkSettings,
    texts: tuple[Sequence[str], Sequence[str]],
    lines: Sequence[str],
    kept: Sequence[int],
    path: str,
    first_line: int,
) -> EncodedLinks:
    """Read the links of some lines, and give those of the pairs ``kept`` (numbers of lines from 0) between pieces.

    Args:
        texts: the lines of both sides.
        lines: the lines of links.
        path, first_line: where they come from, for messages.

    Raises:
        UserError: with file and line, for a line of another form and for a link to a word that is not there.
    """
    found, rows = EncodedLinks(np.zeros(0, LINK_TYPE), np.zeros(0, np.int32)), []
    wanted, dropped = set(kept), Counter[str]()
    for number, line in enumerate(lines):
        links = links_of(line, path, first_line + number)
        words = tuple(word_spans(side[number], settings.words) if links else [] for side in texts)
        if any(s >= len(words[0]) or t >= len(words[1]) for s, t in links):
            pair = texts[0][number], texts[1][number]
            counts = {kind: _word_counts(pair, kind) for kind in WORD_KINDS}
            raise out_of_range(links, counts, settings.words, path, first_line + number)
        found.read, found.zeros = found.read + len(links), found.zeros + sum(0 in link for link in links)
        if number in wanted:
            rows.append(_between_pieces(tokenizer, settings.pieces, (texts[0][number], texts[1][number]), words, links,
                                        dropped))  # fmt: skip
    found.lengths = np.array([2 * len(row) for row in rows], dtype=np.int32)
    found.flat = np.array([place for row in rows for link in row for place in link], dtype=LINK_TYPE)
    found.dropped = dict(dropped)
    return found


def _between_pieces(
    tokenizer: Tokenizer,
    pieces: str,
    texts: tuple[str, str],
    words: tuple[list[tuple[int, int]], ...],
    links: Links,
    dropped: Counter[str],
) -> list[tuple[int, int]]:
    """The links of one pair between its pieces, in ascending order, each once."""
    if not links:
        return []
    ranges = [
        [range(a, b) for a, b in piece_ranges(tokenizer.encode_with_spans(text)[1], np.array(spans)).tolist()]
        for text, spans in zip(texts, words)
    ]
    choose = LINK_PIECES[pieces]
    found: set[tuple[int, int]] = set()
    for s, t in links:
        linked = ranges[0][s], ranges[1][t]
        if not (linked[0] and linked[1]):
            dropped["without pieces"] += 1
        elif max(linked[0].stop, linked[1].stop) > MOST_PIECES:
            dropped["too far"] += 1
        else:
            found.update(choose(linked))
    return sorted(found)


def _word_counts(pair: tuple[str, str], kind: str) -> tuple[int, int]:
    return len(word_spans(pair[0], kind)), len(word_spans(pair[1], kind))


def out_of_range(
    links: Links, counts: Mapping[str, tuple[int, int]], words: str, path: str | Path, line: int
) -> UserError:
    """The error for links of a line some of which are to words that are not there, with what explains it.

    Args:
        counts: how many words both sides have, for each kind of words that the links may count.
        words: the kind that they are taken to count.
        path, line: where the links stand.
    """

    def fit(changed: Links, kind: str = words) -> bool:
        source, target = counts[kind]
        return all(0 <= s < source and 0 <= t < target for s, t in changed)

    source, target = counts[words]
    wrong = next((s, t) for s, t in sorted(links) if s >= source or t >= target)
    remedies = []
    if fit({(s - 1, t - 1) for s, t in links}):
        remedies.append(FROM_ONE)
    remedies += [
        f"They fit with --link-words {kind}, if that is how words were counted"
        for kind in counts
        if kind != words and fit(links, kind)
    ]
    if fit({(t, s) for s, t in links}):
        remedies.append(SWAPPED)
    return UserError(
        f"the link {wrong[0]}-{wrong[1]} is to a word that is not there: this pair has {source} and {target} words",
        path,
        line,
        "; or: ".join(remedies) or OTHERS,
    )
