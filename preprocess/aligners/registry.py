"""The aligners by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fairseq_xalign.data.formats.pharaoh import Links
from preprocess.aligners import diagonal, fast_align

Aligner = Callable[[str, str, str], Iterator[tuple[Links, Links]]]
"""From two parallel files and what a word is (a key of ``WORD_KINDS``) to both directions' links, line by line."""

ALIGNERS: dict[str, Aligner] = {"diagonal": diagonal.directions, "fast_align": fast_align.directions}
"""The first is the default."""
DEFAULT = "diagonal"
