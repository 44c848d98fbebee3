"""Readers of published translations: Wikidata's dump, WikiMatrix, Tatoeba's exports, in their true forms."""

import bz2
import gzip
import json

import pytest

from preprocess import pairs
from preprocess.__main__ import main


def item(number, labels, descriptions):
    """An item as the dump has it; no label at all is an empty array there."""

    def texts(values):
        return {language: {"language": language, "value": value} for language, value in values.items()} or []

    return {
        "type": "item", "id": f"Q{number}", "labels": texts(labels), "descriptions": texts(descriptions), "aliases": [],
        "claims": {}, "sitelinks": {"enwiki": {"site": "enwiki", "title": "x", "badges": []}}, "lastrevid": 1,
    }  # fmt: skip


ITEMS = [
    item(42, {"en": "Douglas Adams", "hi": "डग्लस ऐडम्स"}, {"en": "English writer", "hi": "अंग्रेज़ी लेखक"}),
    item(1, {"en": "universe", "hi": "ब्रह्माण्ड"}, {"en": "totality of space"}),  # no description in Hindi
    item(2, {"en": "X", "hi": "X"}, {"en": "Y", "hi": "Y"}),  # the same text
    item(3, {}, {"en": "a", "hi": "b"}),
    item(4, {"en": "Paris", "fr": "Paris"}, {"en": "capital", "fr": "capitale"}),
    item(5, {"hi": "पृथ्वी", "en": "Earth"}, {"hi": "एक ग्रह", "en": "third\nplanet https://x.org/a ."}),
]
EXPECTED = [
    ("Douglas Adams English writer", "डग्लस ऐडम्स अंग्रेज़ी लेखक"),
    ("Earth third planet https://x.org/a .", "पृथ्वी एक ग्रह"),
]


def dump(items=ITEMS):
    rows = [json.dumps(i, ensure_ascii=False, separators=(",", ":")) for i in items]
    return ("[\n" + ",\n".join(rows) + "\n]\n").encode()


def made(tmp_path, *options, source="en", target="hi"):
    """The pairs that the command writes."""
    out = tmp_path / "out"
    arguments = [*options, "--source", source, "--target", target, "--output", out]
    assert main(["pairs", *map(str, arguments)]) == 0
    names = [value.partition("=")[0] for value in (source, target)]
    sides = [(tmp_path / f"out.{name}").read_text("utf-8").splitlines() for name in names]
    return list(zip(*sides, strict=True))


@pytest.mark.parametrize("packed", [bytes, gzip.compress, bz2.compress], ids=["plain", "gz", "bz2"])
def test_wikidata_gives_label_and_description_of_items_that_have_both_in_two_languages(tmp_path, packed):
    file = tmp_path / "latest-all.json"
    file.write_bytes(packed(dump()))
    assert made(tmp_path, "--format", "wikidata", "--input", file, "--workers", 1) == EXPECTED


def test_what_wikidata_leaves_out_is_counted(tmp_path, capsys):
    (tmp_path / "d.json").write_bytes(dump())
    made(tmp_path, "--format", "wikidata", "--input", tmp_path / "d.json", "--workers", 1, "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["pairs"] == 2
    assert found["left_out"] == {pairs.wikidata.NO_TEXT: 3, "the same text in both languages": 1}


def test_several_workers_give_the_same_pairs_in_the_same_order(tmp_path, monkeypatch):
    many = [item(n, {"en": f"e{n}", "hi": f"h{n}"}, {"en": "d", "hi": "d"}) for n in range(60)]
    (tmp_path / "d.json").write_bytes(dump(many))
    monkeypatch.setattr(pairs.wikidata, "CHUNK", 2000)
    found = made(tmp_path, "--format", "wikidata", "--input", tmp_path / "d.json", "--workers", 2)
    assert found == [(f"e{n} d", f"h{n} d") for n in range(60)]


def test_line_ends_and_addresses_are_marked_as_in_the_released_code(tmp_path):
    (tmp_path / "d.json").write_bytes(dump())
    options = ["--format", "wikidata", "--input", tmp_path / "d.json", "--workers", 1, "--mark-addresses"]
    assert made(tmp_path, *options)[1][0] == "Earth third [LF] planet [URL] ."


WIKIMATRIX = "1.0513\tA cat.\tबिल्ली।\n1.0499\tA dog.\tकुत्ता।\n\n1.2\tA  house\tघर\n"


@pytest.mark.parametrize(
    ("margin", "count"), [([], 2), (["--margin", "1.04"], 3), (["--margin", "1.2"], 1)], ids=["default", "1.04", "1.2"]
)
def test_wikimatrix_gives_pairs_of_a_margin_and_goes_on_after_an_empty_line(tmp_path, margin, count):
    file = tmp_path / "WikiMatrix.en-hi.tsv.gz"
    file.write_bytes(gzip.compress(WIKIMATRIX.encode()))
    found = made(tmp_path, "--format", "wikimatrix", "--input", file, *margin)
    assert len(found) == count and found[-1] == ("A house", "घर")


def test_languages_of_wikimatrix_are_in_the_order_of_the_files_name(tmp_path):
    """ar-en: English, the source here, comes second."""
    file = tmp_path / "WikiMatrix.ar-en.tsv.gz"
    file.write_bytes(gzip.compress("1.1\tقطة\tA cat.\n".encode()))
    assert made(tmp_path, "--format", "wikimatrix", "--input", file, target="ar") == [("A cat.", "قطة")]


SENTENCES = "1\teng\tHello!\n2\thin\tनमस्ते!\n3\thin\tनमस्कार!\n4\tfra\tSalut !\n5\teng\tGo.\n6\thin\tजाओ।\n"
LINKS = "1\t2\n2\t1\n1\t3\n3\t1\n1\t4\n4\t1\n6\t5\n"
TATOEBA = [("Hello!", "नमस्ते!"), ("Hello!", "नमस्कार!"), ("Go.", "जाओ।")]


def test_tatoeba_gives_every_link_once_whatever_its_direction(tmp_path, capsys):
    (tmp_path / "sentences.csv").write_text(SENTENCES, "utf-8")
    (tmp_path / "links.csv").write_bytes(bz2.compress(LINKS.encode()))
    files = ["--input", tmp_path / "links.csv", "--input", tmp_path / "sentences.csv"]
    assert made(tmp_path, "--format", "tatoeba", *files, "--json") == TATOEBA
    assert json.loads(capsys.readouterr().out)["left_out"] == {
        "link to no sentence of the two languages": 2, "link that came before, in this or the other direction": 2,
    }  # fmt: skip


def test_tatoeba_by_language_and_with_details(tmp_path):
    """One file per language, and sentences_detailed with its further columns."""
    rows = SENTENCES.splitlines()
    (tmp_path / "eng_sentences.tsv").write_text("\n".join(r for r in rows if "\teng\t" in r) + "\n", "utf-8")
    hindi = [f"{r}\tsomebody\t2020-01-01 10:00:00\t\\N" for r in rows if "\thin\t" in r]
    (tmp_path / "hin_detailed.tsv").write_text("\n".join(hindi) + "\n", "utf-8")
    (tmp_path / "eng-hin_links.tsv").write_text("1\t2\n1\t3\n5\t6\n", "utf-8")
    files = [
        x for name in ("eng_sentences", "hin_detailed", "eng-hin_links") for x in ("--input", tmp_path / f"{name}.tsv")
    ]
    assert made(tmp_path, "--format", "tatoeba", *files) == TATOEBA


def test_tatoeba_as_one_file_of_pairs(tmp_path):
    (tmp_path / "pairs.tsv").write_text("1\tHello!\t2\tनमस्ते!\n5\tGo.\t6\tजाओ।\n", "utf-8")
    assert made(tmp_path, "--format", "tatoeba", "--input", tmp_path / "pairs.tsv") == [TATOEBA[0], TATOEBA[2]]


def test_tatoeba_gives_every_link_once_where_each_direction_is_a_file_of_its_own(tmp_path, capsys):
    (tmp_path / "s.csv").write_text(SENTENCES, "utf-8")
    (tmp_path / "eng-hin.tsv").write_text("1\t2\n1\t3\n5\t6\n", "utf-8")
    (tmp_path / "hin-eng.tsv").write_text("2\t1\n3\t1\n6\t5\n", "utf-8")
    files = [x for name in ("s.csv", "eng-hin.tsv", "hin-eng.tsv") for x in ("--input", tmp_path / name)]
    assert made(tmp_path, "--format", "tatoeba", *files, "--json") == TATOEBA
    assert json.loads(capsys.readouterr().out)["left_out"] == {
        "link that came before, in this or the other direction": 3
    }


def test_sentences_of_tatoeba_that_nothing_links_are_refused_beside_a_file_of_pairs(tmp_path, capsys):
    (tmp_path / "s.csv").write_text(SENTENCES, "utf-8")
    (tmp_path / "p.tsv").write_text("1\tHello!\t2\tनमस्ते!\n", "utf-8")
    files = ["--input", str(tmp_path / "p.tsv"), "--input", str(tmp_path / "s.csv")]
    options = ["--format", "tatoeba", *files, "--source", "en", "--target", "hi", "--output", str(tmp_path / "out")]
    assert main(["pairs", *options]) == 1
    assert "s.csv: sentences without the links between them" in capsys.readouterr().err


def test_a_margin_of_a_collection_without_margins_is_refused(tmp_path, capsys):
    options = ["--input", str(tmp_path / "x"), "--source", "en", "--target", "hi", "--output", str(tmp_path / "out")]
    assert main(["pairs", "--format", "wikidata", *options, "--margin", "1.2"]) == 1
    assert "--margin: pairs of wikidata have none" in capsys.readouterr().err


@pytest.mark.parametrize("margin", ["nan", "inf", "-inf"])
def test_a_margin_that_is_no_number_is_refused(tmp_path, capsys, margin):
    (tmp_path / "x.tsv").write_text("1.1\ta\tb\n", "utf-8")
    options = ["--input", str(tmp_path / "x.tsv"), "--source", "en", "--target", "hi", f"--margin={margin}"]
    assert main(["pairs", "--format", "wikimatrix", *options, "--output", str(tmp_path / "out")]) == 1
    assert f"--margin {margin} is not a number" in capsys.readouterr().err


CUT = dump()[: len(dump()) // 4]
WRONG = {
    "wikidata cut off": ("wikidata", "d.json", CUT, "not an item of a JSON dump of Wikidata"),
    "wikidata another file": ("wikidata", "d.json", b'"en": "hi":\n', "not an item of a JSON dump of Wikidata"),
    "wikimatrix without margin": ("wikimatrix", "x.tsv", b"A cat.\tB\n", "not a line of WikiMatrix"),
    "wikimatrix two tabs more": ("wikimatrix", "x.tsv", b"1.1\ta\tb\tc\n", "not a line of WikiMatrix"),
    "wikimatrix other pair": ("wikimatrix", "WikiMatrix.de-en.tsv", b"1.1\ta\tb\n", "has de and en, not en and hi"),
    "wikimatrix high margin": ("wikimatrix", "x.tsv", b"1.01\ta\tb\n", "1 margin below 1.05"),
    "tatoeba text": ("tatoeba", "x.csv", b"hello\tworld\n", "not an export of Tatoeba"),
    "tatoeba links alone": ("tatoeba", "x.csv", b"1\t2\n", "no sentence of 'eng'"),
    "tatoeba sentences alone": ("tatoeba", "x.csv", SENTENCES.encode(), "no links"),
    "tatoeba damaged links": ("tatoeba", "x.csv", b"1\t2\n3\n", "1 columns are none of Tatoeba's links"),
    "wikimatrix infinite": ("wikimatrix", "x.tsv", b"inf\ta\tb\n", "not a line of WikiMatrix"),
    "empty": ("wikimatrix", "x.tsv", b"", "no pair of en and hi was found (left out: nothing)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_such_file_is_refused_with_a_remedy_and_nothing_is_written(tmp_path, capsys, name):
    kind, file, content, said = WRONG[name]
    (tmp_path / file).write_bytes(content)
    more = []
    if name == "tatoeba damaged links":
        (tmp_path / "s.csv").write_text(SENTENCES, "utf-8")
        more = ["--input", str(tmp_path / "s.csv")]
    options = ["--format", kind, "--input", str(tmp_path / file), *more, "--source", "en", "--target", "hi"]
    assert main(["pairs", *options, "--output", str(tmp_path / "out")]) == 1
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("out*")) and not list(tmp_path.glob(".*"))


def test_codes_of_a_collection_are_given_after_the_language(tmp_path):
    chinese = [item(1, {"en": "a", "zh-hans": "甲"}, {"en": "b", "zh-hans": "乙"})]
    (tmp_path / "d.json").write_bytes(dump(chinese))
    options = ["--format", "wikidata", "--input", tmp_path / "d.json", "--workers", 1]
    assert made(tmp_path, *options, target="zh=zh-hans") == [("a b", "甲 乙")]
    assert main(["pairs", *map(str, options), "--source", "en", "--target", "en", "--output", "x"]) == 1


def refused(capsys, *options, source="en", target="hi"):
    """What the command says when it refuses."""
    capsys.readouterr()
    assert main(["pairs", *map(str, options), "--source", source, "--target", target, "--output", "none"]) == 1
    return capsys.readouterr().err


def test_a_file_that_is_given_twice_is_refused(tmp_path, capsys):
    file, link = tmp_path / "dump.json", tmp_path / "link.json"
    file.write_bytes(dump())
    link.symlink_to(file)
    message = refused(capsys, "--format", "wikidata", "--input", file, "--input", link)
    assert "link.json: is given twice: every pair would be written twice" in message


@pytest.mark.parametrize(
    ("source", "message"), [("de=hi", "are both 'hi' in the collection"), ("en=", "--source 'en=' names no code")]
)
def test_two_languages_are_two_in_the_collection_too(tmp_path, capsys, source, message):
    (tmp_path / "dump.json").write_bytes(dump())
    options = ["--format", "wikidata", "--input", tmp_path / "dump.json"]
    assert message in refused(capsys, *options, source=source)


def test_a_dump_may_begin_with_a_byte_order_mark_and_one_that_is_not_closed_is_named(tmp_path, capsys):
    file = tmp_path / "dump.json"
    file.write_bytes(b"\xef\xbb\xbf" + dump().removesuffix(b"\n]\n"))
    assert made(tmp_path, "--format", "wikidata", "--input", file, "--workers", 1) == EXPECTED
    assert f"{file}: its list is not closed by a line with ]" in capsys.readouterr().err


def test_brackets_within_thousands_of_brackets_are_no_item(tmp_path, capsys):
    (tmp_path / "dump.json").write_text("[\n" + '["en":"hi":' * 5000 + "\n")
    options = ["--format", "wikidata", "--input", tmp_path / "dump.json", "--workers", 1]
    assert "dump.json:2: not an item of a JSON dump of Wikidata" in refused(capsys, *options)


@pytest.mark.parametrize("name", ["wikimatrix.en-hi.tsv", "WikiMatrix.en-hi (1).tsv", "WikiMatrix.en-hi.txt"])
def test_languages_are_read_from_a_name_that_was_changed_a_little(tmp_path, name):
    (tmp_path / name).write_text("1.2\tEnglish\tHindi\n")
    options = ["--format", "wikimatrix", "--input", tmp_path / name]
    assert made(tmp_path, *options, source="hi", target="en") == [("Hindi", "English")]


def test_which_text_comes_first_is_said_where_the_name_does_not_tell(tmp_path, capsys):
    (tmp_path / "mined.tsv").write_text("1.2\tEnglish\tHindi\n")
    assert made(tmp_path, "--format", "wikimatrix", "--input", tmp_path / "mined.tsv") == [("English", "Hindi")]
    assert (
        "mined.tsv: its name has no languages; the first text of each line is taken for en" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1\teng\tGoodbye", "sentences:3: sentence 1 has another text than before"),
        ("9" * 5000 + "\teng\tHello", "sentences:3: '999999999999999999' is not the number of a sentence"),
    ],
)
def test_no_sentence_of_tatoeba_takes_the_place_of_another(tmp_path, capsys, line, message):
    (tmp_path / "sentences").write_text(f"1\teng\tHello\n2\thin\tNamaste\n{line}\n")
    (tmp_path / "links").write_text("1\t2\n")
    options = ["--format", "tatoeba", "--input", tmp_path / "sentences", "--input", tmp_path / "links"]
    assert message in refused(capsys, *options)
