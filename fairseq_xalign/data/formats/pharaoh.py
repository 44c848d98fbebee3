"""Word links in Pharaoh's format: line i holds the links of sentence pair i, ``0-0 1-2``, empty where there are none.

A link is the place of a word in the source, a hyphen, and the place of a word in the target, counted from 0. In links
made by people, which may count from 1, ``0p0`` or ``0?0`` is one that is possible but not sure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines

Links = set[tuple[int, int]]
"""(place in the source, place in the target), from 0."""
LINK = re.compile(r"([0-9]+)-([0-9]+)")
GOLD_LINK = re.compile(r"([0-9]+)([-p?])([0-9]+)")
GOLD_FORM = "A line of gold links is `0-0 1p2`: source word, hyphen (sure) or p (possible), target word"
FORM = "A Pharaoh line is `0-0 1-2`: source word, hyphen, target word, counted from 0"


def read(path: str | Path) -> Iterator[Links]:
    """Yield the links of every line; a line of another form is a :class:`UserError`."""
    for number, line in read_lines(path):
        yield links_of(line, path, number)


def links_of(line: str, path: str | Path, number: int) -> Links:
    """The links of line ``number`` of a file; a line of another form is a :class:`UserError`."""
    found = [LINK.fullmatch(part) for part in line.split()]
    if not all(found):
        raise UserError(f"{line.split()[found.index(None)]!r} is not a link", path, number, FORM)
    return {(int(match[1]), int(match[2])) for match in found if match}


def read_gold(path: str | Path, first: int = 0) -> Iterator[tuple[Links, Links]]:
    """Yield the sure and the possible links of every line, counted from 0; the sure ones are possible, too.

    Args:
        first: the number that the file gives to the first word, 0 or 1.

    Raises:
        UserError: with file and line, for a line of another form, and for the place 0 where counting begins at 1.
    """
    for number, line in read_lines(path):
        sure: Links = set()
        possible: Links = set()
        for part in line.split():
            match = GOLD_LINK.fullmatch(part)
            if not match:
                raise UserError(f"{part!r} is not a link", path, number, GOLD_FORM)
            link = (int(match[1]) - first, int(match[3]) - first)
            if min(link) < 0:
                raise UserError(f"{part!r} has the place 0, which no word has", path, number, "Leave --one-based out")
            possible.add(link)
            if match[2] == "-":
                sure.add(link)
        yield sure, possible


def line_of(links: Links) -> str:
    """The line of a sentence pair's links, in ascending order."""
    return " ".join(f"{source}-{target}" for source, target in sorted(links))
