"""The words of running text, as links count them: one tokenisation for all code that reads or writes word indices.

A word is a run of letters, combining marks and digits, one Chinese character, or any other character that is not white
space (so each mark of punctuation is a word, and nothing but white space is skipped). Scripts that leave no space
between words (Thai, Japanese kana) give runs, not words: segment them first.
"""

from __future__ import annotations

import re

import regex

from fairseq_xalign.errors import unknown_name

WORD = regex.compile(r"(?V1)\p{Han}|[[\p{L}\p{M}\p{N}\u200C\u200D]--\p{Han}]+|\S")
SPACED = re.compile(r"[^ \t]+")
WORD_KINDS = {"split": WORD, "space": SPACED}
"""What links may count as a word: what :func:`split_words` finds, or what spaces and tabs separate.

Another white space may be a word of text that is tokenized already: KFTT's Japanese counts the ideographic space."""
SEPARATOR = "|||"
"""What stands between the two sides of a line of parallel text, as aligners read it."""


def split_words(text: str) -> list[str]:
    """Return the words of a line in their original case; index i of a link is position i in this list."""
    return WORD.findall(text)


def space_words(text: str) -> list[str]:
    """Return the words of a line that is tokenized already: what spaces and tabs separate."""
    return SPACED.findall(text)


def word_spans(text: str, kind: str = "split") -> list[tuple[int, int]]:
    """Return where each word of a line begins and ends, in characters; ``kind`` is one of ``WORD_KINDS``."""
    if kind not in WORD_KINDS:
        raise unknown_name("--words", kind, tuple(WORD_KINDS))
    return [match.span() for match in WORD_KINDS[kind].finditer(text)]
