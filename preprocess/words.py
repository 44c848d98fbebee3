"""The words of running text, as links count them: one tokenisation for all code that reads or writes word indices.

A word is a run of letters, combining marks and digits, one Chinese character, or any other character that is not white
space (so each mark of punctuation is a word, and nothing but white space is skipped). Scripts that leave no space
between words (Thai, Japanese kana) give runs, not words: segment them first.
"""

from __future__ import annotations

from collections.abc import Iterator

import regex

from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines
from fairseq_xalign.inputs import is_compressed
from preprocess.encoding import count_lines

WORD = regex.compile(r"(?V1)\p{Han}|[[\p{L}\p{M}\p{N}\u200C\u200D]--\p{Han}]+|\S")


def split_words(text: str) -> list[str]:
    """Return the words of a line in their original case; index i of a link is position i in this list."""
    return WORD.findall(text)


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
