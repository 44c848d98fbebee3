"""``xalign-preprocess binarize`` into a folder that exists: streams are added, replaced and repaired."""

import json
import re

import pytest

from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.errors import UserError
from preprocess import binarize
from preprocess.__main__ import main
from tests.support.binarizing import assert_no_leftovers, everything, run
from tests.support.samples import sentences, write_lines


def test_streams_are_added_and_languages_appended(texts, subword):
    data = texts / "data"
    assert run(subword, data, "--mono", f"en={texts}/text.en") == 0
    first = everything(data)
    assert run(data, data, "--mono", f"de={texts}/text.de", "--split", "valid", workers=2) == 0
    assert run(subword, data, "--bitext", f"bb-aa={texts}/text.en,{texts}/text.de") == 0
    folder = DataFolder.open(data)
    assert folder.languages == ["en", "de", "bb", "aa"]
    assert list(folder.mono("train")) == ["en"]
    assert list(folder.mono("valid")) == ["de"]
    assert {k: v for k, v in everything(data).items() if k in first and k != "manifest.json"} == {
        k: v for k, v in first.items() if k != "manifest.json"
    }
    assert_no_leftovers(data)


def test_a_stream_is_replaced_and_the_old_files_go(texts, subword, capsys):
    data = texts / "data"
    names = []
    for count in (300, 300, 100, 50):
        write_lines(texts / "text.en", sentences("en", count))
        assert run(subword, data, "--mono", f"en={texts}/text.en", "--mono", f"de={texts}/text.de") == 0
        folder = DataFolder.open(data)
        assert {name: len(mapped) for name, mapped in folder.mono("train").items()} == {"en": count, "de": 300}
        assert_no_leftovers(data)
        names.append(next(iter(folder.manifest["streams"][0]["files"])))
    plain, numbered = "mono/train.en.bin", "mono/train.en.1.bin"
    assert names == [plain, plain, numbered, plain]
    assert "mono train en replaces the one in" in capsys.readouterr().err


def test_a_damaged_stream_is_repaired_by_binarizing_it_again(texts, subword):
    data = texts / "data"
    assert run(subword, data, "--mono", f"en={texts}/text.en") == 0
    before = everything(data)
    (data / "mono/train.en.bin").write_bytes(b"")
    assert run(subword, data, "--mono", f"en={texts}/text.en") == 0
    assert everything(data) == before


def dictionary_of(folder, tokenizer, source, target):
    header = json.dumps({"source": source, "target": target})
    entry = f"{tokenizer.piece(5)}\t{tokenizer.piece(7)}\t1"
    return write_lines(folder / "d", [f"#xalign-dictionary\t{header}", entry])


def test_codes_with_hyphens_are_languages_and_their_pairs_read_back(texts, subword, tokenizer):
    en, de = texts / "text.en", texts / "text.de"
    words = dictionary_of(texts, tokenizer, "zh-TW", "pt-BR")
    data = texts / "data"
    mono = ["--mono", f"zh-TW={en}", "--mono", f"pt-BR={de}", "--mono", f"sr_Latn={de}"]
    assert run(subword, data, *mono, "--bitext", f"zh-TW-pt-BR={en},{de}", "--dictionary", f"zh-TW-pt-BR={words}") == 0
    # The folder knows its languages now; a colon needs nobody who does.
    more = ["--bitext", f"pt-BR-sr_Latn={de},{de}", "--bitext", f"zh-Hant-TW:zh-TW={en},{en}"]
    assert run(subword, data, *more) == 0
    folder = DataFolder.open(data)
    assert folder.languages == ["zh-TW", "pt-BR", "sr_Latn", "zh-Hant-TW"]
    pairs = [("zh-TW", "pt-BR"), ("pt-BR", "sr_Latn"), ("zh-Hant-TW", "zh-TW")]
    assert list(folder.bitext("train")) == pairs
    assert folder.dictionaries() == {pairs[0]: data / "dictionary/zh-TW--pt-BR.tsv"}
    assert (data / "bitext/train.zh-TW--pt-BR.zh-TW.bin").exists() and (data / "mono/train.zh-TW.bin").exists()
    assert list(folder.require("bitext", "train", ["zh-TW-pt-BR", "zh-Hant-TW:zh-TW"])) == [pairs[0], pairs[2]]
    with pytest.raises(UserError, match=r"--bitext pt-BR:zh-TW=FILE,FILE"):
        folder.require("bitext", "train", ["pt-BR:zh-TW"])
    assert main(["check", str(data)]) == 0


def test_a_dictionary_under_another_spelling_names_the_one_that_works(texts, subword, tokenizer, capsys):
    words = dictionary_of(texts, tokenizer, "zh-TW", "pt-BR")
    assert run(subword, texts / "data", "--dictionary", f"zh_TW-pt_BR={words}") == 1
    error = capsys.readouterr().err
    assert "is of zh-TW and pt-BR, not of zh_TW and pt_BR" in error
    assert run(subword, texts / "data", "--mono", f"zh_TW={texts}/text.en", "--mono", f"zh-TW={texts}/text.en") == 0
    assert "zh_TW and zh-TW are treated as two languages" in capsys.readouterr().err
    (remedy,) = re.findall(r"Give it as --dictionary (\S+)", error)
    assert run(subword, texts / "data", "--dictionary", remedy) == 0


def test_a_pair_listed_twice_in_a_dictionary_is_counted_as_dropped(texts, subword, tokenizer, capsys):
    words = dictionary_of(texts, tokenizer, "en", "de")
    write_lines(words, words.read_text().splitlines() + 8 * words.read_text().splitlines()[1:])
    assert run(subword, texts / "data", "--dictionary", f"en-de={words}") == 0
    (stream,) = DataFolder.open(texts / "data").manifest["streams"]
    assert (stream["entries"], stream["dropped"]) == (1, {"duplicate": 8})
    assert "dictionary en-de: 1 entries, dropped 8 duplicate" in capsys.readouterr().err
    assert main(["check", str(texts / "data")]) == 0


def test_a_folder_is_made_from_python(texts, subword):
    files = (str(texts / "text.en"), str(texts / "text.de"))
    mono, bitext = [("zh-TW", files[0])], [("zh-TW:de", files)]
    report = binarize.binarize(texts / "data", subword, mono=mono, bitext=bitext, workers=1)
    assert report["languages"] == ["zh-TW", "de"] and len(report["streams"]) == 2
    assert list(DataFolder.open(texts / "data").bitext("train")) == [("zh-TW", "de")]
    with pytest.raises(UserError, match="unknown --split"):
        binarize.binarize(texts / "data", subword, mono=[("de", files[1])], split="dev")


def test_a_dictionary_is_judged_and_copied(texts, subword, tokenizer, capsys):
    piece = tokenizer.piece
    header = '#xalign-dictionary\t{"source": "en", "target": "de", "pieces": "mean"}'
    good = write_lines(
        texts / "good", [header, f"{piece(5)}\t{piece(7)} {piece(8)}\t0.5", f"{piece(6)}\t{piece(9)}\t1"]
    )
    bad = write_lines(texts / "bad", [header, f"{piece(5)}\tnowhere\t1"])
    data = texts / "data"
    assert run(subword, data, "--dictionary", f"en-de={good}") == 0
    folder = DataFolder.open(data)
    assert folder.dictionaries() == {("en", "de"): data / "dictionary/en-de.tsv"}
    assert (data / "dictionary/en-de.tsv").read_bytes() == good.read_bytes()
    assert folder.manifest["streams"][0]["entries"] == 2
    assert run(subword, data, "--dictionary", f"de-en={good}") == 1
    assert run(subword, data, "--dictionary", f"en-de={bad}") == 1
    errors = capsys.readouterr().err
    assert f"{good}:1: is of en and de, not of de and en. Give it as --dictionary en-de={good}" in errors
    assert f"{bad}:2: piece 'nowhere' is not in the vocabulary" in errors
