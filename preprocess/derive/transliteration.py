"""Transliteration: every piece of a word is written as one reserved symbol (ALIGN-MLM, appendix F).

The symbols stand for a copy of the vocabulary: reading them gives the natural ids plus the number
of pieces. A word that the tokenizer's normalisation changes (``…`` to ``...``) comes back as the
tokenizer spells it; how many do is counted.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from preprocess.readers.words import Counts, SpacedText

if TYPE_CHECKING:
    from fairseq_xalign.tokenizer.tokenizer import Tokenizer

CACHED_WORDS = 1 << 16


class Transliteration:
    """Writes words in the derived script and back. A "word" may be a form with white space inside.

    Args:
        tokenizer: of a doubled vocabulary.
        counts: where ``words respelled by the tokenizer`` are counted.
    """

    def __init__(self, tokenizer: Tokenizer, counts: Counts) -> None:
        self.tokenizer, self.counts = tokenizer, counts
        self.derived = lru_cache(CACHED_WORDS)(self._derived)
        self.natural = lru_cache(CACHED_WORDS)(self._natural)

    def normal(self, word: str) -> str:
        """A natural word as it will come back from the derived script."""
        spelling = self.natural(self.derived(word))
        if spelling != word:
            self.counts["words respelled by the tokenizer"] += 1
        return spelling

    def _derived(self, word: str) -> str:
        # A word of characters that normalisation removes has no pieces; it stays, to keep the number of words.
        spaced = SpacedText(word)
        return spaced.with_words([self.tokenizer.transliterate(part) or part for part in spaced.words])

    def _natural(self, word: str) -> str:
        spaced = SpacedText(word)
        return spaced.with_words([self.tokenizer.untransliterate(part) or part for part in spaced.words])
