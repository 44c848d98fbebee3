"""Dictionaries from emoji: single words that differ, in the format of MUSE."""

from __future__ import annotations

import json

from preprocess.corpora import (
    dictionaries,
)
from preprocess.corpora.corpus import CorpusFolder
from tests.support.corpora import built, lines, make_tarball, make_zip

ENGLISH = {"🦉": "owl", "🚕": "taxi", "🌧": "rain cloud", "🦌": "deer", "🐑": "ewe", "🐏": "ram"}

GERMAN = {"🦉": "Eule", "🚕": "taxi", "🌧": "Wolke", "🦌": "Hirsch|x", "🐑": "Schaf", "🐏": "Schafs-Bock"}


def test_dictionaries_pair_single_words_that_differ(tmp_path):
    folder = CorpusFolder(tmp_path)
    pairs = dictionaries.one_word_pairs(ENGLISH, GERMAN, folder)
    assert pairs == [("owl", "Eule"), ("ewe", "Schaf"), ("ram", "Schafs-Bock")]
    assert folder.dropped == {"equal in both languages": 1, "more than one word": 2}


def test_emoji_and_cldr_become_muse_dictionaries(tmp_path, monkeypatch):
    monkeypatch.setattr(dictionaries, "FEWEST_PAIRS", 2)
    members = {
        "emoji/unicode_codes/emoji.json": json.dumps(
            {s: {"en": f":{n.replace(' ', '_')}:"} for s, n in ENGLISH.items()}
        )
    }
    for language in dictionaries.EMOJI_LANGUAGES:
        names = GERMAN if language == "de" else {}
        members[f"emoji/unicode_codes/emoji_{language}.json"] = json.dumps({s: f":{n}:" for s, n in names.items()})
    (tmp_path / "1").mkdir()
    folder, about = built("emoji", {dictionaries.EMOJI.file: make_zip(tmp_path / "e.whl", members)}, tmp_path / "1")
    assert list(about["files"]) == ["en-de.txt"]
    assert lines(folder / "en-de.txt") == ["owl Eule", "ewe Schaf", "ram Schafs-Bock"]
    tables = {
        f"package/annotations/{locale}/annotations.json": json.dumps(
            {
                "annotations": {
                    "annotations": {symbol: {"tts": [name], "default": ["x"]} for symbol, name in names.items()}
                }
            }
        )
        for locale, names in (("en", ENGLISH), ("en-GB", ENGLISH), ("de", GERMAN), ("xx", {"🦉": "uh"}))
    }
    (tmp_path / "2").mkdir()
    folder, about = built("cldr", {dictionaries.CLDR.file: make_tarball(tmp_path / "c.tgz", tables)}, tmp_path / "2")
    assert list(about["files"]) == ["en-de.txt"]
    assert lines(folder / "en-de.txt") == ["owl Eule", "ewe Schaf", "ram Schafs-Bock"]
