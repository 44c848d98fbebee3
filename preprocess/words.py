"""The words of parallel text, line by line; what a word is: :mod:`fairseq_xalign.data.words`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from fairseq_xalign.data.words import SEPARATOR, WORD_KINDS, split_words
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines
from fairseq_xalign.inputs import is_compressed
from preprocess.encoding import count_lines

__all__ = ["check_parallel", "lowered", "split_words", "word_pairs", "write_words"]


def word_pairs(source: str, target: str, words: str = "split") -> Iterator[tuple[list[str], list[str]]]:
    """The words of each line of two parallel files, either list perhaps empty; memory does not grow with the files.

    Args:
        words: what a word is, a key of ``WORD_KINDS``.

    Raises:
        UserError: the files have unequal numbers of lines (before anything is read), or what
            :func:`fairseq_xalign.files.read_lines` refuses.
    """
    check_parallel(source, target)
    split = WORD_KINDS[words].findall
    for (_, one), (_, other) in zip(read_lines(source), read_lines(target)):
        yield split(one), split(other)


def write_words(source: str, target: str, stream: IO[str], words: str, empty: bool) -> int:
    """Write ``words ||| words`` lines, lower-cased, to a text stream; return the number of lines written.

    Args:
        words: what a word is, a key of ``WORD_KINDS``.
        empty: whether pairs with an empty side are written, too.

    Raises:
        UserError: a word is the separator itself.
    """
    written = 0
    for number, (one, other) in enumerate(word_pairs(source, target, words), 1):
        for path, side in ((source, one), (target, other)):
            if SEPARATOR in side:
                raise UserError(
                    f"the word {SEPARATOR}, which separates the two sides of a line for aligners",
                    path,
                    number,
                    "Replace it, or use --words split",
                )
        if empty or (one and other):
            stream.write(f"{' '.join(lowered(one))} {SEPARATOR} {' '.join(lowered(other))}\n")
            written += 1
    return written


def lowered(words: list[str]) -> list[str]:
    """The words as an aligner sees them."""
    return [word.lower() for word in words]


def check_parallel(source: str, target: str) -> int:
    """How many lines two parallel files have; if their numbers differ, a :class:`UserError` names both."""
    counts = [_count(path) for path in (source, target)]
    if counts[0] != counts[1]:
        raise UserError(
            f"{source} has {counts[0]} lines, but {target} has {counts[1]}",
            remedy="Line i of one file must belong to line i of the other",
        )
    return counts[0]


def _count(path: str) -> int:
    return sum(1 for _ in read_lines(path)) if is_compressed(path) else count_lines(path)
