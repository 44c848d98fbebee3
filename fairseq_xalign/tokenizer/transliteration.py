"""Transliterated text: the reserved characters, and how words are written with them and read back.

ALIGN-MLM (Tang et al. 2022, after Deshpande et al. 2021) makes a derived language by shifting ids by the
size of the vocabulary. Here a shifted id is one private-use character in the text itself, so that
derived text is ordinary UTF-8 which keeps its words, lines and labels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fairseq_xalign.constants import FIRST_PIECE, RESERVED_FIRST, RESERVED_GAP, RESERVED_LAST, UNK
from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.models import SPACE, SubwordModel

CACHED_WORDS = 1 << 16
CACHED_LENGTH = 32
"""Longer words are rare, or whole clauses of a script without spaces, and not worth remembering."""

UNREADABLE = "\ufffd"
"""What stands for ``<unk>`` where ids are written as transliterated text; it is read as ``<unk>`` again."""
_BELOW_GAP = RESERVED_GAP[0] - RESERVED_FIRST
_GAP = RESERVED_GAP[1] - RESERVED_GAP[0]
RESERVED_SYMBOLS = RESERVED_LAST - RESERVED_FIRST + 1 - _GAP
"""How many pieces can be transliterated: 131,068."""
_RANGES = f"{chr(RESERVED_FIRST)}-{chr(RESERVED_GAP[0] - 1)}{chr(RESERVED_GAP[1])}-{chr(RESERVED_LAST)}"
_ANY_RESERVED = re.compile(f"[{_RANGES}]")
_RUNS = re.compile(f"[{_RANGES}]+|[^{_RANGES}]+")


def reserved_symbol(number: int) -> str:
    """Return the character that stands for natural piece ``number`` (from 0) in transliterated text."""
    if not 0 <= number < RESERVED_SYMBOLS:
        raise ValueError(f"piece {number} has no reserved symbol; there are {RESERVED_SYMBOLS}")
    return chr(RESERVED_FIRST + number + (_GAP if number >= _BELOW_GAP else 0))


def reserved_index(character: str) -> int | None:
    """Return the number of the piece that a reserved symbol stands for; None for any other character."""
    if not _ANY_RESERVED.fullmatch(character):
        return None
    number = ord(character) - RESERVED_FIRST
    return number - _GAP if number >= _BELOW_GAP else number


def has_reserved(text: str) -> bool:
    """Return whether any character of ``text`` is a reserved symbol (of any vocabulary)."""
    return not text.isascii() and _ANY_RESERVED.search(text) is not None


class WordCache(dict[str, Any]):
    """A dictionary of words that empties itself when full: memory does not grow with the text."""

    def keep(self, word: str, value: Any) -> None:
        """Remember ``value``, unless the word is too long to come back."""
        if len(word) <= CACHED_LENGTH:
            if len(self) >= CACHED_WORDS:
                self.clear()
            self[word] = value


class Transliteration:
    """Words of a subword model in reserved symbols.

    Args:
        model: the subword model.
        from_text: our id by the model's id, ``<unk>`` for what does not come out of text.
        foreign: by piece number, the model's id.
        rows: by piece number, the id that its reserved symbol reads back as; empty for a vocabulary
            that is not doubled.
    """

    def __init__(
        self, model: SubwordModel, from_text: Sequence[int], foreign: Sequence[int], rows: Sequence[int]
    ) -> None:
        self._model, self._from_text, self._foreign, self.rows = model, from_text, foreign, rows
        self._row_of = {reserved_symbol(number): row for number, row in enumerate(rows)}
        self._written = WordCache()

    def is_derived(self, word: str) -> bool:
        """Return whether a word is read as transliterated: whether it has a symbol of this doubled vocabulary."""
        return bool(self.rows) and has_reserved(word) and any(character in self._row_of for character in word)

    def write(self, word: str) -> str:
        """See :meth:`Tokenizer.transliterate`."""
        found = self._written.get(word)
        if found is not None:
            return found
        if has_reserved(word):
            raise UserError(
                f"{word!r} holds private-use characters, which stand for transliterated pieces",
                remedy="Transliterate natural text, once; remove private-use characters from it",
            )
        written, any_known = [], False
        for foreign, characters in self._model.parts(word):
            ours = self._from_text[foreign]
            any_known |= ours != UNK
            written.append(characters if ours == UNK else reserved_symbol(ours - FIRST_PIECE))
        # Without any reserved symbol the word is read as a natural one: leave it to be that.
        result = "".join(written) if any_known else word
        self._written.keep(word, result)
        return result

    def read(self, word: str) -> list[int]:
        """Return the ids of a transliterated word; a run of other characters is unknown."""
        return [number for number, _ in self.read_spans(word)]

    def read_spans(self, word: str) -> list[tuple[int, tuple[int, int]]]:
        """Return the ids of a transliterated word, each with the place in it that it stands for."""
        found: list[tuple[int, tuple[int, int]]] = []
        begin = 0  # of the run of characters that have no row
        for place, character in enumerate([*word, None]):
            row = None if character is None else self._row_of.get(character)
            if row is None and character is not None:
                continue
            if begin < place:
                found += [(number, (begin, place)) for number in self._unknowns(word[begin:place])]
            if row is not None:
                found.append((row, (place, place + 1)))
            begin = place + 1
        return found

    def _unknowns(self, run: str) -> list[int]:
        """One ``<unk>``, as SentencePiece has it for a run; WordPiece has one for each word or sign of it.

        What the model makes nothing of has none, in natural text as here: characters that normalisation removes
        (U+200C; accents in an uncased BERT) or takes for a space (U+2581 in SentencePiece).
        """
        if UNREADABLE not in run and not self._model.encode(run):
            return []
        if self._model.merges_unknown:
            return [UNK]
        return [UNK] * max(1, sum(self._from_text[foreign] == UNK for foreign in self._model.encode(run)))

    def spell(self, word: str) -> str:
        """See :meth:`Tokenizer.untransliterate`."""
        texts: list[str] = []
        for run in _RUNS.findall(word):
            numbers = [reserved_index(character) for character in run]
            pieces = [self._model.piece(self._foreign[n]) for n in numbers if n is not None and n < len(self._foreign)]
            texts.append(self._model.spell(pieces, first=not texts) if len(pieces) == len(run) else run)
        return "".join(texts) or SPACE  # a word stays a word
