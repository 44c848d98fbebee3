"""Seed dictionaries: the names that people gave to emoji and symbols in many languages (Unicode CLDR)."""

from __future__ import annotations

import json
import re
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from fairseq_xalign.cli import progress
from preprocess.corpora.archive import Archive
from preprocess.corpora.cleaning import clean
from preprocess.corpora.corpus import Corpus, CorpusFolder

EMOJI = Archive(
    "pip",
    "emoji",
    "2.16.0",
    "emoji-2.16.0-py3-none-any.whl",
    610_912,
    "c4230d80640def9071599ff56b1b5950fe13a2a94c0da98c5deab12431b24330",
)
CLDR = Archive(
    "npm",
    "cldr-annotations-full",
    "48.2.0",
    "cldr-annotations-full-48.2.0.tgz",
    6_537_823,
    "28576e51225deb51e3ddd734b0f824a0079682cb5d8c27faa9f68149317a14d1",
)
EMOJI_LANGUAGES = ("ar", "de", "es", "fa", "fr", "id", "it", "ja", "ko", "pt", "ru", "tr", "zh")
FEWEST_PAIRS = 100
"""A language with fewer one-word pairs gets no dictionary."""

_ENGLISH_WORD = re.compile(r"[^\W\d_]+")
_WORD = re.compile(r"(?=.*[^\W\d_])[^\s\d_:|]+")


def one_word_pairs(english: Mapping[str, str], other: Mapping[str, str], folder: CorpusFolder) -> list[tuple[str, str]]:
    """Pairs (English word, word) of symbols with a one-word name in both, in order, each once.

    Equal names are left out: they cannot be told from names that nobody translated.

    Args:
        english, other: symbol -> its name.
    """
    pairs: dict[tuple[str, str], None] = {}
    for symbol, name in english.items():
        translated = other.get(symbol)
        if translated is None:
            continue
        if name == translated:
            folder.dropped["equal in both languages"] += 1
        elif not (_ENGLISH_WORD.fullmatch(name) and _WORD.fullmatch(translated)):
            folder.dropped["more than one word"] += 1
        else:
            pairs[name, translated] = None
    return list(pairs)


def _write(pairs: list[tuple[str, str]], language: str, folder: CorpusFolder) -> None:
    if len(pairs) < FEWEST_PAIRS:
        folder.dropped["pairs of languages with too few"] += len(pairs)
        return
    with folder.open(f"en-{language}.txt") as stream:
        for pair in pairs:
            stream.line(" ".join(pair))


def build_emoji(archives: dict[str, Path], folder: CorpusFolder) -> None:
    """Names are written ``:sun_behind_cloud:`` in the package."""

    def name(alias: str) -> str:
        return clean(alias.strip(":").replace("_", " "))

    with zipfile.ZipFile(archives[EMOJI.file]) as wheel:
        table = json.loads(wheel.read("emoji/unicode_codes/emoji.json"))
        english = {symbol: name(about["en"]) for symbol, about in table.items()}
        for language in progress(EMOJI_LANGUAGES, "emoji", len(EMOJI_LANGUAGES)):
            names = json.loads(wheel.read(f"emoji/unicode_codes/emoji_{language}.json"))
            other = {symbol: name(alias) for symbol, alias in names.items()}
            _write(one_word_pairs(english, other, folder), language, folder)


def build_cldr(archives: dict[str, Path], folder: CorpusFolder) -> None:
    """Only short names (``tts``) are translations of each other; the keyword lists are not aligned."""
    with tarfile.open(archives[CLDR.file]) as tarball:
        members = {}
        for member in tarball:
            found = re.fullmatch(r"package/annotations/([\w-]+)/annotations\.json", member.name)
            if found:
                members[found[1]] = member

        def names(locale: str) -> dict[str, str]:
            source = tarball.extractfile(members[locale])
            assert source is not None, "a regular file"
            entries = json.load(source)["annotations"].get("annotations") or {}
            return {symbol: clean(about["tts"][0]) for symbol, about in entries.items() if about.get("tts")}

        english = names("en")
        locales = sorted(locale for locale in members if locale.split("-")[0] != "en")
        for locale in progress(locales, "cldr", len(locales)):
            _write(one_word_pairs(english, names(locale), folder), locale, folder)


_CLEANING = "NFC; only names of one word in both languages; pairs of equal words left out, each pair once"

CORPORA = (
    Corpus(
        name="emoji",
        summary="seed dictionaries from the names of emoji (lower case)",
        kind="dictionary",
        languages=("en", *EMOJI_LANGUAGES),
        licence="BSD-3-Clause (package); names from Unicode CLDR (Unicode-3.0)",
        attribution="package emoji (T. Kim, K. Wurster); Unicode CLDR",
        cleaning=_CLEANING,
        archives=(EMOJI,),
        build=build_emoji,
        working_space=1_000_000,
    ),
    Corpus(
        name="cldr",
        summary="seed dictionaries from the names of emoji and symbols, over 100 languages",
        kind="dictionary",
        languages=("en", "…"),
        licence="Unicode-3.0",
        attribution="Unicode CLDR; package cldr-annotations-full",
        cleaning=_CLEANING + f"; languages of fewer than {FEWEST_PAIRS} pairs left out",
        archives=(CLDR,),
        build=build_cldr,
        working_space=3_000_000,
    ),
)
