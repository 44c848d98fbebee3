"""The aligner eflomal (Östling and Tiedemann 2016), where it is installed: a Python package that compiles C."""

from __future__ import annotations

from pathlib import Path

from fairseq_xalign import files
from fairseq_xalign.data.formats import pharaoh
from preprocess.aligners.symmetrize import SYMMETRIZE
from preprocess.words import lowered, word_pairs


def link(source: str, target: str, output: str, words: str) -> None:
    """Write links as `xalign-preprocess links` does, one file for each way to combine directions: OUTPUT.gdfa, ..."""
    import eflomal

    pairs = [(lowered(one), lowered(other)) for one, other in word_pairs(source, target, words)]
    used = [number for number, (one, other) in enumerate(pairs) if one and other]
    sides = [[" ".join(pairs[number][side]) for number in used] for side in (0, 1)]
    names = f"{output}.forward", f"{output}.backward"
    eflomal.Aligner().align(*sides, links_filename_fwd=names[0], links_filename_rev=names[1], quiet=True)
    there, back = (dict(zip(used, pharaoh.read(name))) for name in names)
    for how, combine in SYMMETRIZE.items():
        with files.atomic_file(f"{output}.{how}") as stream:
            for number in range(len(pairs)):
                stream.write(pharaoh.line_of(combine(there.get(number, set()), back.get(number, set()))) + "\n")
    for name in names:
        Path(name).unlink()
