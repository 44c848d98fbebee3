"""Word links in Pharaoh's format: line i holds the links of sentence pair i, ``0-0 1-2``, empty where there are none.

A link is the place of a word in the source, a hyphen, and the place of a word in the target, counted from 0.
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
FORM = "A Pharaoh line is `0-0 1-2`: source word, hyphen, target word, counted from 0"


def read(path: str | Path) -> Iterator[Links]:
    """Yield the links of every line; a line of another form is a :class:`UserError`."""
    for number, line in read_lines(path):
        found = [LINK.fullmatch(part) for part in line.split()]
        if not all(found):
            raise UserError(f"{line.split()[found.index(None)]!r} is not a link", path, number, FORM)
        yield {(int(match[1]), int(match[2])) for match in found if match}


def line_of(links: Links) -> str:
    """The line of a sentence pair's links, in ascending order."""
    return " ".join(f"{source}-{target}" for source, target in sorted(links))
