"""Which characters of a text its pieces stand for, and which pieces stand for some of its characters.

A normaliser may make several characters of one (NFKC: ``½`` becomes ``1⁄2``, ``㍿`` becomes ``株式会社``), so that
several pieces share a character; a mark of white space has a piece of its own ahead of Chinese or Japanese. Every
piece here stands for at least one character, so that any span of pieces is a span of text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def widened(spans: Sequence[tuple[int, int]], length: int) -> list[tuple[int, int]]:
    """Give pieces without characters those of the next piece that has some, or else of the one before.

    Args:
        spans: where the characters of each piece of a word begin and end.
        length: of the word.

    >>> widened([(0, 0), (0, 0), (0, 1), (1, 3), (3, 3)], 3)
    [(0, 1), (0, 1), (0, 1), (1, 3), (1, 3)]
    """
    result = list(spans)
    following: tuple[int, int] | None = None
    for i in reversed(range(len(result))):
        if result[i][0] < result[i][1]:
            following = result[i]
        elif following is not None:
            result[i] = following
    before = (0, length)
    for i, (begin, end) in enumerate(result):
        if begin < end:
            before = begin, end
        else:
            result[i] = before
    return result


def pieces_of(spans: np.ndarray, begin: int, end: int) -> tuple[int, int] | None:
    """The first and the last piece that stand for some of the characters ``[begin, end)``; None where there are none.

    Args:
        spans: of the pieces of a text, in order, [n, 2].
    """
    covered = np.flatnonzero((spans[:, 0] < end) & (spans[:, 1] > begin))
    return (int(covered[0]), int(covered[-1])) if len(covered) else None


def piece_ranges(spans: np.ndarray, words: np.ndarray) -> np.ndarray:
    """The pieces that stand for some of each word's characters: the first one, and the one after the last.

    Args:
        spans: of the pieces of a text, in order, int64 [n, 2].
        words: where the characters of each word begin and end, in order, int64 [w, 2].

    Returns: int64 [w, 2]; begin and end are equal for a word that no piece stands for.

    >>> piece_ranges(np.array([[0, 2], [2, 5], [6, 7]]), np.array([[0, 5], [5, 6], [6, 7]])).tolist()
    [[0, 2], [2, 2], [2, 3]]
    """
    # Where a normaliser reorders characters, a piece may begin before the one ahead of it.
    begins, ends = np.maximum.accumulate(spans[:, 0]), np.maximum.accumulate(spans[:, 1])
    first = np.searchsorted(ends, words[:, 0], side="right")
    return np.stack([first, np.maximum(first, np.searchsorted(begins, words[:, 1], side="left"))], axis=1)


def characters_of(spans: np.ndarray, first: int, last: int) -> tuple[int, int]:
    """Where the characters of the pieces ``first`` to ``last`` (included) begin and end."""
    return int(spans[first : last + 1, 0].min()), int(spans[first : last + 1, 1].max())
