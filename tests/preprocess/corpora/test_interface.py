"""Texts of user interfaces: pairs are parallel, and near repetitions share a split."""

from __future__ import annotations

import json
import struct

from preprocess.corpora import (
    interface,
)
from tests.support.corpora import built, lines, make_zip


def make_catalogue(pairs: list[tuple[str, str]]) -> bytes:
    """A compiled gettext catalogue, as msgfmt writes it (without its hash table)."""
    texts = [text.encode() for side in zip(*pairs, strict=True) for text in side]
    offset, tables, body = 28 + 16 * len(pairs), b"", b""
    for text in texts:
        tables += struct.pack("<2I", len(text), offset + len(body))
        body += text + b"\0"
    header = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    return header + tables + body


def test_ui_pairs_are_parallel_and_share_splits_over_languages(tmp_path, monkeypatch):
    monkeypatch.setattr(interface, "FEWEST_PAIRS", 3)
    words = [
        "turn the light on",
        "Open {name} door",
        "same",
        "go <b>home</b>",
        "never mind",
        "stop now please",
        "one more",
    ]
    home = {
        language: {"a": {str(n): word if language == "en" else f"{language} {word}" for n, word in enumerate(words)}}
        for language in ("en", "de", "zh-Hans")
    }
    home["de"]["a"]["2"] = "same"
    home["fr"] = {"a": {"0": "allume"}}
    members = {
        f"homeassistant/components/x/translations/{language}.json": json.dumps(value)
        for language, value in home.items()
    }
    catalogue = make_catalogue(
        [
            ("", "Plural-Forms: nplurals=2; plural=EXPRESSION;"),
            ("menu\x04File", "Datei"),
            ("%d day\0%d days", "%d Tag\0%d Tage"),
        ]
    )
    pretix = {"pretix/locale/de/LC_MESSAGES/django.mo": catalogue, "pretix/locale/de_Informal/LC_MESSAGES/x.mo": b"-"}
    django = {"django/conf/locale/zh_Hans/LC_MESSAGES/django.mo": make_catalogue([("", ""), ("Sunday", "星期日")])}
    archives = {
        interface.HOME_ASSISTANT.file: make_zip(tmp_path / "h.whl", members),
        interface.PRETIX.file: make_zip(tmp_path / "p.whl", pretix),
        interface.DJANGO.file: make_zip(tmp_path / "d.whl", django),
    }
    folder, about = built("ui", archives, tmp_path)
    assert about["pairs"] == {"de": 7, "zh-Hans": 7}
    assert about["dropped"]["markup"] == 2
    assert not list(folder.glob("*.en-fr.*"))
    pairs, split_by_english = {}, {}
    for split in ("train", "valid", "test"):
        for language in ("de", "zh-Hans"):
            sources, targets = (lines(folder / f"{split}.en-{language}.{side}.txt") for side in ("en", language))
            pairs.setdefault(language, {}).update(zip(sources, targets, strict=True))
            for source in sources:
                assert split_by_english.setdefault(source, split) == split
    assert pairs["de"]["File"] == "Datei" and pairs["de"]["%d day"] == "%d Tag"
    assert pairs["zh-Hans"]["Sunday"] == "星期日" and pairs["zh-Hans"]["same"] == "zh-Hans same"


def test_near_repetitions_of_an_english_string_share_a_split():
    assert interface.english_key("Open {name} 2!") == interface.english_key("open %(x)s.") == "open"
