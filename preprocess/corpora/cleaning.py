"""How the text of every corpus is cleaned, cut into sentences and split, the same way everywhere.

Guarantees: what :func:`clean` gives back is NFC, on one line, with single spaces and without control, bidirectional,
private use or line separator characters; :func:`split_of` is a function of its key alone.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator

FEWEST_WORDS, MOST_WORDS = 3, 200
"""Sentences of running text outside these limits are dropped (headings, tables, unsplit lists)."""

_TO_SPACE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Soft hyphen, zero-width space, bidirectional marks, word joiner, byte order mark, interlinear marks. The zero-width
# (non-)joiners U+200C and U+200D stay: they are spelling in Persian and in the scripts of India. Private use characters
# go because the planes above the basic one are where derived pieces are written.
_TO_NOTHING = re.compile(
    "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ue000-\uf8ff\U000f0000-\U0010ffff\ud800-\udfff]"
)


def clean(text: str) -> str:
    """``text`` in NFC, on one line, single spaces, without control or private use characters."""
    text = _TO_NOTHING.sub("", _TO_SPACE.sub(" ", text))
    return unicodedata.normalize("NFC", " ".join(text.split()))


# A full stop after one of these, or after a single capital ("U. S."), does not end a sentence; after one of the second
# set only where a number follows ("No. 5").
_ABBREVIATION_LIST = """mr mrs ms dr st hon messrs gen col lt capt maj sgt rep sen gov prof rev jr sr vs cf viz e.g i.e
u.s u.n approx est ed"""
_BEFORE_NUMBERS_LIST = "no nos art sec fig vol pp jan feb mar apr jun jul aug sept oct nov dec"
_ABBREVIATIONS, _BEFORE_NUMBERS = frozenset(_ABBREVIATION_LIST.split()), frozenset(_BEFORE_NUMBERS_LIST.split())
_BOUNDARY = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s+[\"'“‘(\[]*[A-Z0-9])")
_LAST_WORD = re.compile(r"[\w.&'-]+$")
_SPACE = re.compile(r"\s*")
_LONGEST_ABBREVIATION = 40
_LONGEST_LIST_NUMBER = 4


def sentences(paragraph: str) -> Iterator[str]:
    """Yield the sentences of one English paragraph.

    A sentence ends at ``.``, ``!`` or ``?`` (and closing quotes or brackets) before white space and a capital, digit or
    opening quote, unless the stop belongs to an abbreviation, an initial, or a number of a list ("1. The ...").
    """
    begin = 0
    for match in _BOUNDARY.finditer(paragraph):
        after = _SPACE.match(paragraph, match.end()).end()  # type: ignore[union-attr]
        if match.group()[0] == "." and not match.group().startswith(".."):
            found = _LAST_WORD.search(paragraph, max(begin, match.start() - _LONGEST_ABBREVIATION), match.start())
            word = found.group() if found else ""
            is_list_number = found is not None and found.start() == begin and len(word) <= _LONGEST_LIST_NUMBER
            is_initial = len(word) == 1 and word.isupper()
            is_reference = word.lower() in _BEFORE_NUMBERS and paragraph[after].isdigit()
            if is_list_number or is_initial or is_reference or word.lower() in _ABBREVIATIONS:
                continue
        yield paragraph[begin : match.end()]
        begin = after
    if begin < len(paragraph):
        yield paragraph[begin:]


def fits(sentence: str) -> bool:
    """Whether a sentence has a sensible number of words (split at spaces)."""
    return FEWEST_WORDS <= len(sentence.split()) <= MOST_WORDS


def split_of(key: str, valid: int, test: int) -> str:
    """The split of everything that shares ``key``: a hash, so it never depends on order or on the rest.

    Args:
        key: what must not be spread over splits (a chapter, a document, an English string).
        valid, test: how many keys of a thousand go there; the rest is ``train``.
    """
    place = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") % 1000
    return "test" if place < test else "valid" if place < test + valid else "train"
