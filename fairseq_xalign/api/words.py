"""Sentences as words: separated by white space in a string, or listed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fairseq_xalign.api.texts import checked_text, listed
from fairseq_xalign.errors import UserError

Words = Sequence[str]
"""The words of a sentence."""
Sentences = str | Iterable[str | Sequence[str]]
"""One sentence, or several, each a string or the list of its words."""


def word_lists(sentences: Any, name: str = "sentences") -> tuple[list[list[str]], bool]:
    """The words of each sentence, and whether one sentence was given alone.

    Raises:
        UserError: for what is no sentence, and for an empty word in a list.
    """
    if isinstance(sentences, str):
        return [checked_text(sentences, name).split()], True
    return [_words(sentence, f"{name}[{i}]") for i, sentence in enumerate(listed(sentences, name))], False


def _words(sentence: Any, name: str) -> list[str]:
    if isinstance(sentence, str):
        return checked_text(sentence, name).split()
    words = [checked_text(word, f"{name}[{i}]") for i, word in enumerate(listed(sentence, name))]
    if any(not word.strip() for word in words):
        raise UserError(f"{name} has an empty word", remedy="Leave it out")
    return words
