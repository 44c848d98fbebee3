"""What ``fairseq-generate`` and ``fairseq-interactive`` print: sources, references and translations by sentence number.

Lines are ``S-n`` (source), ``T-n`` (reference), ``H-n`` (score and translation) and ``D-n`` (the same, detokenized), in
the order in which batches were translated; a tab follows the number. Other lines are messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines

LINE = re.compile(r"(?P<kind>[STHD])-(?P<number>\d+)\t(?P<text>.*)", re.DOTALL)
SCORED = re.compile(r"[HD]-\d+\t-?(?:\d+(?:\.\d*)?(?:e-?\d+)?|inf|nan)(?:\t.*)?", re.DOTALL)
"""A line with a translation: no ordinary text looks like this."""


@dataclass(frozen=True)
class GenerateLog:
    """The sentences of a log, in the order of the test set.

    Attributes:
        hypotheses: the best translation of each sentence, detokenized where the log has it so.
        references: the references, or None if the log has none.
    """

    hypotheses: list[str]
    references: list[str] | None


def is_generate_log(lines: Iterable[str]) -> bool:
    """Whether lines are such a log rather than plain translations."""
    return any(SCORED.fullmatch(line) for line in lines)


def read_generate_log(path: str | Path) -> GenerateLog:
    """Read a log whole; the first translation of a sentence is the best of several (``--nbest``).

    Raises:
        UserError: no translation, a sentence without one, or a damaged line, with its number.
    """
    found: dict[str, dict[int, str]] = {kind: {} for kind in "STHD"}
    for number, line in read_lines(path):
        match = LINE.fullmatch(line)
        if match is None:
            continue
        kind, text = match["kind"], match["text"]
        if kind in "HD":
            if not SCORED.fullmatch(line):
                raise UserError(f"no score between {kind}-{match['number']} and its translation", path, number)
            text = text.partition("\t")[2]
        found[kind].setdefault(int(match["number"]), text)
    chosen = found["D"] or found["H"]
    if not chosen:
        raise UserError("no translation in it (no line H- or D-)", path, remedy="Give the output of fairseq-generate")
    count = max(max(lines, default=-1) for lines in found.values()) + 1
    for lines in (chosen, found["T"]) if found["T"] else (chosen,):
        missing = next((n for n in range(count) if n not in lines), None)
        if missing is not None:
            what = "translation" if lines is chosen else "reference"
            raise UserError(
                f"sentence {missing} of {count} has no {what}", path, remedy="Run fairseq-generate again to its end"
            )
    references = [found["T"][n] for n in range(count)] if found["T"] else None
    return GenerateLog([chosen[n] for n in range(count)], references)
