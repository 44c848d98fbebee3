"""The words of running text, as links count them: one tokenisation for all code that reads or writes word indices.

A word is a run of letters, combining marks and digits, one Chinese character, or any other character that is not white
space (so each mark of punctuation is a word, and nothing but white space is skipped). Scripts that leave no space
between words (Thai, Japanese kana) give runs, not words: segment them first.
"""

from __future__ import annotations

import regex

WORD = regex.compile(r"(?V1)\p{Han}|[[\p{L}\p{M}\p{N}\u200C\u200D]--\p{Han}]+|\S")


def split_words(text: str) -> list[str]:
    """Return the words of a line in their original case; index i of a link is position i in this list."""
    return WORD.findall(text)
