"""WikiMatrix (Schwenk et al. 2019): sentences of Wikipedia that margins of LASER's vectors take for translations.

Lines of ``margin TAB text TAB text``. The languages stand in the file's name, in alphabetical order
(``WikiMatrix.en-hi.tsv.gz``). LASER's authors recommend margins of at least 1.04, TPP's released code takes 1.05.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

from fairseq_xalign import cli
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines
from preprocess.pairs.interface import Wanted

MARGIN = 1.05
"""The smallest margin of TPP's released code."""
NAME = re.compile(r"(?i)WikiMatrix\.([\w-]+?)-([\w-]+)(\W.*)?")


def read(files: list[str], wanted: Wanted) -> Iterator[tuple[str, str]]:
    """Yield the pairs of margin ``wanted.margin`` or more; empty lines are skipped.

    Raises:
        UserError: a line that is not of this form, or a file of other languages.
    """
    for path in files:
        backwards = _backwards(path, wanted)
        for number, line in read_lines(path):
            if not line:
                wanted.counts["empty line"] += 1
                continue
            margin, *texts = line.split("\t")
            try:
                score = float(margin)
            except ValueError:
                score = float("nan")
            if len(texts) != 2 or not math.isfinite(score):
                raise UserError(
                    "not a line of WikiMatrix: margin, text and text, separated by tabs", path, number,
                    remedy="Name the file as it was downloaded, WikiMatrix.XX-YY.tsv.gz",
                )  # fmt: skip
            if score < wanted.margin:
                wanted.counts[f"margin below {wanted.margin}"] += 1
                continue
            first, second = texts
            yield (second, first) if backwards else (first, second)


def _backwards(path: str, wanted: Wanted) -> bool:
    """Whether the file has the target language first.

    A file without languages in its name is taken to have the source first, which is said.
    """
    found = NAME.fullmatch(Path(path).name)
    if found is None:
        cli.say(f"{path}: its name has no languages; the first text of each line is taken for {wanted.source}")
        return False
    languages = (found[1], found[2])
    if set(languages) != {wanted.source, wanted.target}:
        raise UserError(
            f"has {languages[0]} and {languages[1]}, not {wanted.source} and {wanted.target}", path,
            remedy="Name the file of this pair; languages that it calls otherwise are written NAME=ITS-NAME",
        )  # fmt: skip
    return languages[0] == wanted.target
