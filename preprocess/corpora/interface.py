"""Translations of user interfaces by volunteers, under permissive licences: English with many languages.

Sources: Home Assistant (JSON), pretix (only its ``locale`` folder, which is Apache-2.0) and Django (gettext).
"""

from __future__ import annotations

import json
import re
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fairseq_xalign.cli import progress
from fairseq_xalign.constants import SPLITS
from preprocess.corpora.archive import Archive
from preprocess.corpora.cleaning import clean, split_of
from preprocess.corpora.corpus import Corpus, CorpusFolder

HOME_ASSISTANT = Archive(
    "pip",
    "homeassistant",
    "2026.2.3",
    "homeassistant-2026.2.3-py3-none-any.whl",
    51_240_053,
    "8167820cac4b8defe895fd2c36ac23402a445d1fe6028e8cde24caabb935282c",
)
PRETIX = Archive(
    "pip",
    "pretix",
    "2026.8.0",
    "pretix-2026.8.0-py3-none-any.whl",
    39_528_456,
    "a78932e698778d873530d67f25a57c28d1c09b1bfb1a22ec817c00d90397db85",
    python="3.12",
)
DJANGO = Archive(
    "pip",
    "django",
    "6.1.3",
    "django-6.1.3-py3-none-any.whl",
    8_424_610,
    "a0530e3fdac55d34ccc5893c36f6c57d7a7083064f3d414537e51473648b3290",
    python="3.12",
)
VALID, TEST = 20, 40
"""Of a thousand English strings, how many are in ``valid`` and in ``test``."""
FEWEST_PAIRS = 1000
"""A language with fewer pairs is left out."""

# One name for a language or script that the sources write in several ways.
_SAME = {
    "zh-CN": "zh-Hans",
    "zh-TW": "zh-Hant",
    "zh-hans": "zh-Hans",
    "zh-hant": "zh-Hant",
    "sr-latn": "sr-Latn",
    "pt-PT": "pt",
    "nb-NO": "nb",
    "no": "nb",
}
_COMPONENT = re.compile(r"homeassistant/components/([^/]+)/translations/([\w-]+)\.json")
_LOCALE = re.compile(r"(?:pretix|django)/(?:.*/)?locale/([A-Za-z]{2,3}(?:[-_@][A-Za-z]+)?)/LC_MESSAGES/\w+\.mo")
_PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[a-z]|\$?\{[^{}]*\}|https?://\S+")
# Markup, a plural form, a reference to another string: no sentence of a language.
_NOT_PLAIN = re.compile(r"<[^>]*>|&\w+;|\{\w+,|\[%key:")
_LETTERS = re.compile(r"[^\W\d_]+")


def language_of(name: str) -> str:
    """The language code that stands for a source's own name of a language."""
    name = name.replace("_", "-")
    return _SAME.get(name, name)


def english_key(text: str) -> str:
    """An English string without case, digits, punctuation and placeholders: near repetitions share a split."""
    return " ".join(_LETTERS.findall(_PLACEHOLDER.sub(" ", text))).lower()


def usable(english: str, other: str) -> str:
    """Why a pair is left out, or "" for a good one."""
    if english == other:
        return "not translated"
    if _NOT_PLAIN.search(english) or _NOT_PLAIN.search(other):
        return "markup"
    if not english_key(english) or not english_key(other):
        return "no words"
    return ""


def _flat(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """(keys on the way, string) of nested JSON objects."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, (*path, key))
    elif isinstance(value, str):
        yield path, clean(value)


class HomeAssistant:
    """Strings of the integrations: one JSON file per component and language."""

    def __init__(self, path: Path) -> None:
        self.wheel = zipfile.ZipFile(path)
        self.files: dict[str, list[tuple[str, str]]] = {}
        for name in self.wheel.namelist():
            found = _COMPONENT.fullmatch(name)
            if found:
                self.files.setdefault(language_of(found[2]), []).append((found[1], name))
        self.english = dict(self._strings("en"))

    def _strings(self, language: str) -> Iterator[tuple[tuple[str, ...], str]]:
        for component, name in self.files.get(language, ()):
            yield from _flat(json.loads(self.wheel.read(name)), (component,))

    def pairs(self, language: str) -> Iterator[tuple[str, str]]:
        """(English, translation) in the order of the files."""
        for path, text in self._strings(language):
            if path in self.english:
                yield self.english[path], text


class Gettext:
    """Strings of compiled gettext catalogues."""

    def __init__(self, path: Path) -> None:
        self.wheel = zipfile.ZipFile(path)
        self.files: dict[str, list[str]] = {}
        for name in self.wheel.namelist():
            found = _LOCALE.fullmatch(name)
            if found and "Informal" not in found[1]:
                self.files.setdefault(language_of(found[1]), []).append(name)

    def pairs(self, language: str) -> Iterator[tuple[str, str]]:
        """(English, translation) in the order of the files; of plural forms none but the singular."""
        for name in self.files.get(language, ()):
            for message, text in catalogue_entries(self.wheel.read(name)):
                english = clean(message.rpartition("\x04")[2].partition("\0")[0])
                if english:
                    yield english, clean(text.partition("\0")[0])


def catalogue_entries(data: bytes) -> Iterator[tuple[str, str]]:
    """(message, translation) of a compiled gettext catalogue (GNU gettext manual, "The Format of GNU MO Files").

    A context stands before the message and ``\\x04``, plural forms follow after ``\\0``. Read here because Python's
    own reader refuses the whole catalogue for an odd plural rule in its header.
    """
    order = "<" if data[:4] == b"\xde\x12\x04\x95" else ">"
    count, messages, translations = struct.unpack_from(f"{order}3I", data, 8)
    for number in range(count):
        pair = []
        for table in (messages, translations):
            length, offset = struct.unpack_from(f"{order}2I", data, table + 8 * number)
            pair.append(data[offset : offset + length].decode("utf-8"))
        yield pair[0], pair[1]


def build_interface(archives: dict[str, Path], folder: CorpusFolder) -> None:
    """Language by language; of several translations of a string the most frequent is kept, then the first."""
    sources: tuple[HomeAssistant | Gettext, ...] = (
        HomeAssistant(archives[HOME_ASSISTANT.file]),
        Gettext(archives[PRETIX.file]),
        Gettext(archives[DJANGO.file]),
    )
    languages = sorted({language for source in sources for language in source.files})
    pair_counts: dict[str, int] = {}
    for language in progress(languages, "ui", len(languages)):
        if language.partition("-")[0] == "en":
            continue
        found: dict[str, Counter[str]] = {}
        dropped: Counter[str] = Counter()
        for source in sources:
            for english, other in source.pairs(language):
                reason = usable(english, other)
                if reason:
                    dropped[reason] += 1
                else:
                    found.setdefault(english, Counter())[other] += 1
        if len(found) < FEWEST_PAIRS:
            folder.dropped["languages with few pairs"] += 1
            continue
        folder.dropped.update(dropped)
        pair_counts[language] = len(found)
        _write(found, language, folder)
    for source in sources:
        source.wheel.close()
    folder.notes["pairs"] = pair_counts
    folder.notes["split"] = (
        "by English string without case, digits, punctuation and placeholders, alike for all languages"
    )


def _write(found: dict[str, Counter[str]], language: str, folder: CorpusFolder) -> None:
    with ExitStack() as stack:
        files = {
            (split, side): stack.enter_context(folder.open(f"{split}.en-{language}.{side}.txt"))
            for split in SPLITS
            for side in ("en", language)
        }
        for english, translations in found.items():
            split = split_of(english_key(english), VALID, TEST)
            files[split, "en"].line(english)
            files[split, language].line(translations.most_common(1)[0][0])


CORPORA = (
    Corpus(
        name="ui",
        summary="short strings of user interfaces, English paired with over 50 languages",
        kind="parallel",
        languages=("en", "…"),
        licence="Apache-2.0 (Home Assistant, pretix/locale) and BSD-3-Clause (Django)",
        attribution="Home Assistant, pretix and Django translators; packages homeassistant, pretix, django",
        cleaning="NFC, no control characters; pairs with markup, without words or untranslated dropped; each English "
        "string once; placeholders kept",
        archives=(HOME_ASSISTANT, PRETIX, DJANGO),
        build=build_interface,
        working_space=150_000_000,
    ),
)
