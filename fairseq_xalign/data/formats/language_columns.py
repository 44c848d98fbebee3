"""Which language each column of a word list has, as its header says: by codes, English names or source and target.

A header may name the columns in either order. One that names other languages than those asked for is refused: the words
of the list would be taken for words of the wrong language.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairseq_xalign.errors import UserError

SOURCE_NAMES = frozenset({"source", "src", "source_word", "source word", "sourcestring", "word", "word1", "l1"})
TARGET_NAMES = frozenset(
    {"target", "tgt", "trg", "target_word", "target word", "targetstring", "translation", "word2", "l2"}
)
LANGUAGES = dict(
    pair.split(":")
    for pair in (
        "afrikaans:af albanian:sq amharic:am arabic:ar armenian:hy assamese:as azerbaijani:az basque:eu belarusian:be "
        "bengali:bn bosnian:bs bulgarian:bg burmese:my catalan:ca chinese:zh croatian:hr czech:cs danish:da dutch:nl "
        "english:en estonian:et finnish:fi french:fr galician:gl georgian:ka german:de greek:el gujarati:gu hausa:ha "
        "hebrew:he hindi:hi hungarian:hu icelandic:is igbo:ig indonesian:id irish:ga italian:it japanese:ja "
        "javanese:jv kannada:kn kazakh:kk khmer:km korean:ko kurdish:ku lao:lo latin:la latvian:lv lithuanian:lt "
        "macedonian:mk malay:ms malayalam:ml marathi:mr mongolian:mn nepali:ne norwegian:no pashto:ps persian:fa "
        "polish:pl portuguese:pt punjabi:pa romanian:ro russian:ru serbian:sr sinhala:si slovak:sk slovenian:sl "
        "somali:so spanish:es sundanese:su swahili:sw swedish:sv tagalog:tl tamil:ta telugu:te thai:th turkish:tr "
        "ukrainian:uk urdu:ur uzbek:uz vietnamese:vi welsh:cy xhosa:xh yoruba:yo zulu:zu"
    ).split()
)
"""English names of languages and their codes (ISO 639-1)."""
CODES = {code: name for name, code in LANGUAGES.items()}
RECOGNISED = "the two language codes, English names of languages, or words such as source and target"
Order = tuple[int, int]
"""The places of the source and of the target among two columns."""


def order(row: Sequence[str], source: str, target: str) -> Order | None:
    """Where a row of two fields names the source and the target; None if it is no header.

    Raises:
        ValueError: it is a header, of other languages.
    """
    sides, low = (source, target), [field.strip().lower() for field in row]
    places = [_places(field, sides) for field in low]
    if any(place is None for place in places) or low[0] == low[1]:
        return None
    asked = [any(field in codes(language) for language in sides) for field in low]
    for place, field in enumerate(low):
        # A short word may be some language's code: it is read as one beside an asked language alone.
        if field in CODES and not asked[place] and not asked[1 - place]:
            return None
    first, second = (place or set() for place in places)
    if 0 in first and 1 in second:
        return 0, 1
    if 1 in first and 0 in second:
        return 1, 0
    raise ValueError(f"the columns are named {row[0].strip()} and {row[1].strip()}, not {source} and {target}")


def checked_order(row: Sequence[str], source: str, target: str, path: str | Path, line: int) -> Order | None:
    """What :func:`order` says of the first row of a file; other languages are a :class:`UserError`."""
    try:
        return order(row, source, target)
    except ValueError as error:
        remedy = (
            "Name the languages of this list; --header yes takes its columns for these, --header no the row for words"
        )
        raise UserError(str(error), path, line, remedy) from None


def codes(language: str) -> set[str]:
    """How a column may name a language by its code, in lower case: ``zh-tw``, ``zh_tw``, ``zh``, ``chinese``."""
    low, short = language.lower(), primary(language)
    return {low, low.replace("-", "_"), low.replace("_", "-"), short, CODES.get(short, short)}


def primary(language: str) -> str:
    """``fr`` of ``fr_XX`` and ``fr-FR``."""
    return language.replace("_", "-").split("-")[0].lower()


def _places(field: str, sides: Sequence[str]) -> set[int] | None:
    """The sides that a field can name, perhaps none; None if it names no language."""
    if field in SOURCE_NAMES | TARGET_NAMES:
        return {int(field in TARGET_NAMES)}
    if fits := {place for place, language in enumerate(sides) if field in codes(language)}:
        return fits
    if field in LANGUAGES or field in CODES:  # a code of the user's own choice may be of any language
        return {place for place, language in enumerate(sides) if primary(language) not in CODES}
    return None
