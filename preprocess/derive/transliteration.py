"""Transliteration: every piece of a word is written as one reserved symbol (ALIGN-MLM, appendix F).

The symbols stand for a copy of the vocabulary: reading them gives the natural ids plus the number
of pieces. A word that the tokenizer's normalisation changes (``…`` to ``...``) comes back as the
tokenizer spells it; how many do is counted. Characters for which the tokenizer has no ids at all
(joiners, zero-width spaces, direction marks) are kept where they stand between pieces.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from preprocess.readers.words import Counts, SpacedText

if TYPE_CHECKING:
    from fairseq_xalign.tokenizer.tokenizer import Tokenizer

CACHED_WORDS = 1 << 16
CACHED_CHARACTERS = 1 << 12
RESPELLED = "words respelled by the tokenizer"
LOST = "characters without ids lost within pieces"
SOUND, BREAK, NOTHING = "sound", "break", "nothing"
"""What the tokenizer makes of a character: ids, the border of two words, or nothing."""


class Transliteration:
    """Writes words in the derived script and back. A "word" may be a form with white space inside.

    Args:
        tokenizer: of a doubled vocabulary.
        counts: where :data:`RESPELLED` and :data:`LOST` are counted.
    """

    def __init__(self, tokenizer: Tokenizer, counts: Counts) -> None:
        self.tokenizer, self.counts = tokenizer, counts
        self.derived = lru_cache(CACHED_WORDS)(self._derived)
        self.natural = lru_cache(CACHED_WORDS)(self._natural)
        self._kind = lru_cache(CACHED_CHARACTERS)(self._kind_of)

    def normal(self, word: str) -> str:
        """A natural word as it will come back from the derived script."""
        spelling = self.natural(self.derived(word))
        if spelling != word:
            self.counts[RESPELLED] += 1
        return spelling

    def _derived(self, word: str) -> str:
        # A word of characters that normalisation removes has no pieces; it stays, to keep the number of words.
        spaced = SpacedText(word)
        return spaced.with_words([self._each_part(part, self._with_symbols) or part for part in spaced.words])

    def _natural(self, word: str) -> str:
        spaced = SpacedText(word)
        return spaced.with_words(
            [self._each_part(part, self.tokenizer.untransliterate) or part for part in spaced.words]
        )

    def _each_part(self, word: str, change: Callable[[str], str]) -> str:
        """The parts of a word that the tokenizer takes for words, each changed; what stands between them is kept."""
        if word.isascii() and word.isprintable():
            return change(word)
        groups = itertools.groupby(word, key=lambda character: self._kind(character) == BREAK)
        return "".join(
            "".join(part) if between else self._sounding_part(list(part), change) for between, part in groups
        )

    def _sounding_part(self, part: list[str], change: Callable[[str], str]) -> str:
        """A part changed, but for characters without ids before it: the tokenizer would not see where it begins."""
        silent = "".join(itertools.takewhile(lambda character: self._kind(character) == NOTHING, part))
        return silent + change("".join(part[len(silent) :])) if len(silent) < len(part) else silent

    def _with_symbols(self, word: str) -> str:
        """A word in reserved symbols, characters that have no ids at the place between the pieces where they were."""
        kinds = [SOUND] * len(word) if word.isascii() and word.isprintable() else [self._kind(c) for c in word]
        if NOTHING not in kinds:
            return self.tokenizer.transliterate(word)
        sounding = "".join(character for character, kind in zip(word, kinds) if kind == SOUND)
        written = self.tokenizer.transliterate(sounding)
        insertions: list[tuple[int, str]] = []
        before = ""
        for character, kind in zip(word, kinds):
            if kind == SOUND:
                before += character
                continue
            symbols = self.tokenizer.transliterate(before) if before else ""
            if written.startswith(symbols):
                insertions.append((len(symbols), character))
            else:
                self.counts[LOST] += 1
        for place, character in reversed(insertions):
            written = written[:place] + character + written[place:]
        return written

    def _kind_of(self, character: str) -> str:
        encode = self.tokenizer.encode
        if encode(character) or self.tokenizer.untransliterate(character) != character:
            return SOUND
        return BREAK if encode(f"a{character}a") == encode("a") * 2 else NOTHING
