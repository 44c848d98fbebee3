"""The words of parallel text, line by line; what a word is: :mod:`fairseq_xalign.data.words`."""

from __future__ import annotations

from collections.abc import Iterator

from fairseq_xalign.data.words import split_words
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines
from fairseq_xalign.inputs import is_compressed
from preprocess.encoding import count_lines

__all__ = ["check_parallel", "split_words", "word_pairs"]


def word_pairs(source: str, target: str) -> Iterator[tuple[list[str], list[str]]]:
    """The words of each line of two parallel files, either list perhaps empty; memory does not grow with the files.

    Raises:
        UserError: the files have unequal numbers of lines (before anything is read), or what
            :func:`fairseq_xalign.files.read_lines` refuses.
    """
    check_parallel(source, target)
    for (_, one), (_, other) in zip(read_lines(source), read_lines(target)):
        yield split_words(one), split_words(other)


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
