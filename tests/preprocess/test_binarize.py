"""``xalign-preprocess binarize``: what stands on disk, what is refused, and what a crash leaves."""

import bz2
import gzip
import json
import lzma
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from fairseq_xalign.constants import EOS, UNK
from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.data.mmap import MappedTokens
from fairseq_xalign.errors import UserError
from preprocess import binarize
from preprocess.__main__ import main
from preprocess.encoding import count_lines, cut
from preprocess.staging import FolderUpdate
from tests.support.samples import sentences, subword_folder, write_lines

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def subword(tmp_path_factory):
    path = tmp_path_factory.mktemp("subword") / "sub"
    subword_folder(path)
    return path


@pytest.fixture(scope="module")
def tokenizer(subword):
    from fairseq_xalign.tokenizer.tokenizer import Tokenizer

    return Tokenizer.load(subword)


@pytest.fixture
def texts(tmp_path):
    for language in ("en", "de"):
        write_lines(tmp_path / f"text.{language}", sentences(language, 300))
    return tmp_path


def command(subword, output, *options, workers=1):
    return ["binarize", "--subword", str(subword), "--output", str(output), "--workers", str(workers), *options]


def run(subword, output, *options, workers=1):
    return main(command(subword, output, *options, workers=workers))


def everything(folder):
    """All files of a folder and their bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def assert_no_leftovers(folder):
    """Only what the manifest names and the subword folder has; no staging folder here or beside."""
    manifest = json.loads((folder / "manifest.json").read_text())
    named = {name for stream in manifest["streams"] for name in stream["files"]}
    assert set(everything(folder)) == named | {"manifest.json", "subword.json", "dict.txt", "spm.model"}
    assert not list(folder.parent.glob(".*.partial"))


# What stands on disk


def test_items_are_the_ids_of_a_line_and_an_end_as_fairseq_reads_them(texts, subword, tokenizer):
    from fairseq.data.indexed_dataset import MMapIndexedDataset

    data = texts / "data"
    pair = f"en-de={texts}/text.en,{texts}/text.de"
    assert run(subword, data, "--mono", f"en={texts}/text.en", "--bitext", pair) == 0
    expected = {name: [[*tokenizer.encode(s), EOS] for s in sentences(name, 300)] for name in ("en", "de")}
    folder = DataFolder.open(data)
    assert [item.tolist() for item in folder.mono("train")["en"]] == expected["en"]
    for side, name in zip(folder.bitext("train")["en", "de"], ("en", "de")):
        assert [item.tolist() for item in side] == expected[name]
    theirs = MMapIndexedDataset(str(data / "bitext/train.en-de.de"))
    assert [item.tolist() for item in theirs] == expected["de"]
    assert_no_leftovers(data)


def test_the_manifest_says_what_was_written_and_what_was_dropped(tmp_path, subword, tokenizer, capsys):
    text = write_lines(tmp_path / "a", ["the tree.", "", " \t ", "the house Ω.", "the " * 50])
    assert (
        run(subword, tmp_path / "data", "--mono", f"en={text}", "--max-length", "40", "--max-unknown", "1", "--json")
        == 0
    )
    [stream] = json.loads((tmp_path / "data/manifest.json").read_text())["streams"]
    ids = [[*tokenizer.encode(s), EOS] for s in ("the tree.", "the house Ω.")]
    assert stream["sentences"] == 2
    assert stream["tokens"] == sum(map(len, ids))
    assert stream["longest"] == max(map(len, ids))
    assert stream["unknown"] == sum(i == UNK for s in ids for i in s) == 1
    assert stream["dropped"] == {"empty": 2, "long": 1}
    assert stream["source"] == {"file": str(text), "bytes": text.stat().st_size, "lines": 5}
    report = json.loads(capsys.readouterr().out)["streams"][0]
    assert report["tokens_per_sentence"] == [stream["tokens"] / 2]
    assert report["unknown_share"] == [1 / (stream["tokens"] - 2)]
    assert report["sentences_per_second"] > 0
    assert "lengths" not in report  # a line of numbers that no person reads


def test_the_manifest_counts_lengths_of_both_sides_together(texts, subword, tokenizer):
    pair = f"en-de={texts}/text.en,{texts}/text.de"
    assert run(subword, texts / "data", "--mono", f"de={texts}/text.de", "--bitext", pair) == 0
    en, de = ([len(tokenizer.encode(s)) + 1 for s in sentences(name, 300)] for name in ("en", "de"))
    folder = DataFolder.open(texts / "data")
    counts = folder.lengths("bitext", "train")["en", "de"]
    assert dict(zip(map(tuple, counts.lengths.tolist()), counts.counts.tolist())) == Counter(zip(en, de))
    alone = folder.lengths("mono", "train")["de"]
    assert dict(zip(alone.lengths[:, 0].tolist(), alone.counts.tolist())) == Counter(de)


def test_a_pair_with_an_empty_side_is_dropped_whole_and_the_rest_stay_pairs(tmp_path, subword, tokenizer):
    en = write_lines(tmp_path / "en", ["the tree", "the house", "", "walk"])
    de = write_lines(tmp_path / "de", ["der baum", "", "haus", "gen"])
    assert run(subword, tmp_path / "data", "--bitext", f"en-de={en},{de}") == 0
    folder = DataFolder.open(tmp_path / "data")
    pairs = [(a.tolist()[:-1], b.tolist()[:-1]) for a, b in zip(*folder.bitext("train")["en", "de"])]
    assert pairs == [(tokenizer.encode(a), tokenizer.encode(b)) for a, b in (("the tree", "der baum"), ("walk", "gen"))]
    assert folder.manifest["streams"][0]["dropped"] == {"empty": 2}


@pytest.mark.parametrize(
    "raw, lines",
    [
        (b"the tree\r\nwalk\r\n", ["the tree", "walk"]),
        (b"\xef\xbb\xbfthe tree\nwalk", ["the tree", "walk"]),
        ("the\u2028tree\nwalk\x0cing\n".encode(), ["the tree", "walk ing"]),
        (b"the\rtree\n\nwalk\n", ["the tree", "walk"]),
    ],
    ids=["CRLF", "byte order mark", "U+2028 and form feed", "lone CR"],
)
def test_only_a_line_feed_ends_a_line(tmp_path, subword, tokenizer, raw, lines):
    (tmp_path / "a").write_bytes(raw)
    assert run(subword, tmp_path / "data", "--mono", f"en={tmp_path}/a") == 0
    found = DataFolder.open(tmp_path / "data").mono("train")["en"]
    assert [item.tolist()[:-1] for item in found] == [tokenizer.encode(line) for line in lines]


def test_any_number_of_workers_writes_the_same_bytes(texts, subword, monkeypatch):
    monkeypatch.setattr(binarize, "CHUNK_BYTES", 1000)
    options = ["--mono", f"en={texts}/text.en", "--bitext", f"en-de={texts}/text.en,{texts}/text.de"]
    assert len(list(cut([f"{texts}/text.en"], 1000))) > 8
    for workers in (1, 2, 3):
        assert run(subword, texts / f"data{workers}", *options, workers=workers) == 0
    assert everything(texts / "data1") == everything(texts / "data2") == everything(texts / "data3")


@pytest.mark.parametrize("size", [1, 7, 100, 10**6])
def test_chunks_cover_every_line_once_on_both_sides(tmp_path, size):
    lines = ["x" * (n % 13) for n in range(99)]
    (tmp_path / "a").write_text("\n".join(lines))
    write_lines(tmp_path / "b", lines[::-1])
    chunks = list(cut([str(tmp_path / "a"), str(tmp_path / "b")], size))
    assert sum(chunk.lines for chunk in chunks) == count_lines(tmp_path / "a") == count_lines(tmp_path / "b") == 99
    for side in range(2):
        ranges = [chunk.parts[side] for chunk in chunks]
        assert [0, *(end for _, end in ranges)] == [*(begin for begin, _ in ranges), ranges[-1][1]]
        assert ranges[-1][1] == (tmp_path / "ab"[side]).stat().st_size
    assert [c.first_line for c in chunks] == [1 + sum(d.lines for d in chunks[:i]) for i in range(len(chunks))]


@pytest.mark.parametrize("workers", [1, 2])
def test_compressed_text_and_pipes_give_the_very_items_of_the_plain_text(texts, subword, monkeypatch, workers):
    """Through bytes that are not valid text at the chunk's borders, in spawned workers, and with the lines counted."""
    monkeypatch.setattr(binarize, "CHUNK_BYTES", 1000)
    assert run(subword, texts / "plain", "--mono", f"en={texts}/text.en", "--bitext", pair(texts, "")) == 0
    (texts / "en.z").write_bytes(gzip.compress((texts / "text.en").read_bytes()))
    (texts / "de.z").write_bytes(bz2.compress((texts / "text.de").read_bytes()))
    os.mkfifo(texts / "pipe")
    writer = threading.Thread(target=(texts / "pipe").write_bytes, args=((texts / "text.en").read_bytes(),))
    writer.start()
    options = ["--mono", f"en={texts}/en.z", "--bitext", f"en-de={texts}/pipe,{texts}/de.z"]
    assert run(subword, texts / "packed", *options, workers=workers) == 0
    writer.join()
    plain, packed = everything(texts / "plain"), everything(texts / "packed")
    del plain["manifest.json"], packed["manifest.json"]
    assert plain == packed


def pair(texts, ending):
    return f"en-de={texts}/text.en{ending},{texts}/text.de{ending}"


def test_a_fault_in_compressed_text_is_said_with_its_line_whatever_the_chunk(texts, subword, capsys, monkeypatch):
    monkeypatch.setattr(binarize, "CHUNK_BYTES", 1000)
    lines = (texts / "text.en").read_bytes().splitlines(keepends=True)
    lines[250] = b"\xff\n"
    (texts / "bad").write_bytes(lzma.compress(b"".join(lines)))
    assert run(subword, texts / "data", "--mono", f"en={texts}/bad", workers=2) == 1
    assert f"{texts}/bad:251: invalid UTF-8" in capsys.readouterr().err


# What is refused


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    "bad, message",
    [(b"caf\xe9", "invalid UTF-8 at byte 3 of the line"), (b"a\0b", "a NUL byte")],
    ids=["Latin-1", "NUL"],
)
def test_a_bad_line_is_named_with_its_file_and_number(texts, subword, monkeypatch, capsys, bad, message, workers):
    monkeypatch.setattr(binarize, "CHUNK_BYTES", 1000)
    raw = (texts / "text.de").read_bytes().split(b"\n")
    raw[249] = bad
    (texts / "text.de").write_bytes(b"\n".join(raw))
    pair = f"en-de={texts}/text.en,{texts}/text.de"
    assert run(subword, texts / "data", "--bitext", pair, workers=workers) == 1
    assert f"{texts}/text.de:250: {message}" in capsys.readouterr().err
    assert sorted(p.name for p in texts.iterdir()) == ["text.de", "text.en"]


def test_text_the_tokenizer_fails_on_is_named(texts, subword, monkeypatch, capsys):
    from fairseq_xalign.tokenizer.tokenizer import Tokenizer

    encode = Tokenizer.encode
    monkeypatch.setattr(binarize, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(Tokenizer, "encode", lambda self, text: encode(self, text) if "Ω" not in text else 1 / 0)
    write_lines(texts / "text.en", [*sentences("en", 100), "Ω"])
    assert run(subword, texts / "data", "--mono", f"en={texts}/text.en") == 1
    assert f"{texts}/text.en:101: the tokenizer fails on this line: ZeroDivisionError" in capsys.readouterr().err


def test_files_of_different_length_are_refused_before_anything_is_written(texts, subword, capsys):
    write_lines(texts / "text.de", sentences("de", 299))
    assert run(subword, texts / "data", "--bitext", f"en-de={texts}/text.en,{texts}/text.de") == 1
    assert f"{texts}/text.en has 300 lines, but {texts}/text.de has 299" in capsys.readouterr().err
    assert sorted(p.name for p in texts.iterdir()) == ["text.de", "text.en"]


def test_too_much_unknown_text_is_refused_with_the_ten_worst_pieces(tmp_path, subword, capsys):
    greek = [chr(ord("α") + n) for n in range(12)]
    lines = [f"the {' '.join(greek[n:])} tree" for n in range(12) for _ in range(3)]
    text, fine = write_lines(tmp_path / "a", lines), write_lines(tmp_path / "b", sentences("de", 20))
    options = ["--mono", f"en={text}", "--mono", f"de={fine}"]
    assert run(subword, tmp_path / "data", *options) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    worst = [f"{character} ({3 * (n + 1)})" for n, character in enumerate(greek)][:1:-1]
    assert "of en in mono train en" in message
    assert f"most often {', '.join(worst)}. At most 5.0% may be" in message
    assert "of de" not in message
    assert not (tmp_path / "data").exists()
    assert run(subword, tmp_path / "data", *options, "--max-unknown", "0.9") == 0


def test_another_vocabulary_is_refused_and_both_are_named(texts, subword, tmp_path_factory, capsys):
    other = tmp_path_factory.mktemp("other") / "sub"
    subword_folder(other, pieces=80)
    assert run(subword, texts / "data", "--mono", f"en={texts}/text.en") == 0
    before = everything(texts / "data")
    assert run(other, texts / "data", "--mono", f"de={texts}/text.de") == 1
    message = capsys.readouterr().err
    assert "(90 symbols" in message
    assert f"than {other} (80 symbols" in message
    assert everything(texts / "data") == before


@pytest.mark.parametrize(
    "options, message",
    [
        ([], "nothing to binarize"),
        (["--mono", "en"], "not of the form NAME=VALUE"),
        (["--mono", "zh--Hans=FILE"], "--mono 'zh--Hans' is not a language code"),
        (["--mono", "1a=FILE"], "--mono '1a' is not a language code"),
        (["--mono", "a.b=FILE"], "--mono 'a.b' is not a language code"),
        (["--mono", "en=nowhere"], "nowhere: No such file"),
        (["--mono", "en=FILE", "--mono", "en=FILE"], "mono train en is given twice"),
        (["--bitext", "en-de=FILE"], "does not name two files"),
        (["--bitext", "en=FILE,FILE"], "not a pair of two languages"),
        (["--bitext", "en-en=FILE,FILE"], "not a pair of two languages"),
        (["--bitext", "en-de-fr=FILE,FILE"], "can be split in several ways. Write en:de-fr or en-de:fr"),
        (["--mono", "zh-TW=FILE", "--bitext", "zh-TW=FILE,FILE"], "'zh-TW' is one language here, not a pair"),
        (["--mono", "en=EMPTY"], "no sentence of mono train en is left: 2 lines, dropped 2 empty"),
        (["--mono", "en=FILE", "--workers", "0"], "--workers 0"),
        (["--mono", "en=FILE", "--max-unknown", "5"], "--max-unknown 5.0 is not a share"),
        (["--mono", "en=FILE", "--max-length", "1"], "--max-length 1 is too small. Choose 2 or more"),
        (["--dictionary", "en-de=FILE"], "not a dictionary of ours"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(texts, subword, capsys, options, message):
    write_lines(texts / "empty", ["", " "])
    options = [o.replace("FILE", f"{texts}/text.en").replace("EMPTY", f"{texts}/empty") for o in options]
    assert main(["binarize", "--subword", str(subword), "--output", str(texts / "data"), *options]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert sorted(p.name for p in texts.iterdir()) == ["empty", "text.de", "text.en"]


def test_a_folder_that_is_not_a_data_folder_is_left_alone(texts, subword, capsys):
    assert run(subword, texts, "--mono", f"en={texts}/text.en") == 1
    assert "not a data folder of ours" in capsys.readouterr().err
    assert sorted(p.name for p in texts.iterdir()) == ["text.de", "text.en"]


# Adding and replacing


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


# What a crash leaves


def test_two_processes_cannot_write_one_folder(texts, subword, capsys):
    for data in (texts / "new", texts / "old"):
        if data.name == "old":
            assert run(subword, data, "--mono", f"en={texts}/text.en") == 0
        with FolderUpdate(data, subword):
            assert run(subword, data, "--mono", f"de={texts}/text.de") == 1
            assert "another process is writing this data folder" in capsys.readouterr().err
        assert run(subword, data, "--mono", f"de={texts}/text.de") == 0
        assert_no_leftovers(data)


@pytest.mark.parametrize(
    "lines, limit, full",
    [
        (sentences("de", 6000), 60_000, ["old", "new"]),
        (["er"] * 6000, 40_000, ["old", "new"]),
        (["er"] * 10, 20_000, ["new"]),
    ],
    ids=["ids", "index", "model"],
)
def test_a_full_disk_is_one_line_and_leaves_the_old_folder(texts, subword, lines, limit, full):
    assert run(subword, texts / "old", "--mono", f"en={texts}/text.en") == 0
    before = everything(texts / "old")
    write_lines(texts / "text.de", lines)
    for name in full:
        done = subprocess.run(
            [sys.executable, "-m", "preprocess", *command(subword, texts / name, "--mono", f"de={texts}/text.de")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)),
        )
        assert done.returncode == 1
        assert "cannot write: File too large" in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
    assert everything(texts / "old") == before
    assert not (texts / "new").exists()
    assert not list(texts.glob(".*"))


def marked_processes(mark):
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes():
                found.append(process.name)
        except OSError:
            continue  # it ended meanwhile, or is not ours
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
@pytest.mark.parametrize("existing", [False, True], ids=["new folder", "existing folder"])
def test_killed_at_any_moment_the_folder_is_old_or_new_and_a_rerun_completes(texts, subword, existing):
    data = texts / "data"
    for language in ("en", "de"):
        write_lines(texts / f"long.{language}", sentences(language, 25_000))
    if existing:
        assert run(subword, data, "--mono", f"en={texts}/text.en") == 0
    before = everything(data) if existing else None
    options = ["--mono", f"en={texts}/long.en", "--bitext", f"en-de={texts}/long.en,{texts}/long.de"]
    program = [sys.executable, "-m", "preprocess", *command(subword, data, *options, workers=2)]
    environment = os.environ | {"XALIGN_TEST_MARK": str(texts)}
    outcomes: Counter[str] = Counter()
    for delay in (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0):
        process = subprocess.Popen(program, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        outcomes["killed" if process.wait() == -signal.SIGKILL else "finished"] += 1
        if not data.exists():
            assert not existing
        else:
            folder = DataFolder.open(data)
            if outcomes["finished"] == 0 and existing and len(folder.mono("train")["en"]) == 300:
                assert {k: v for k, v in everything(data).items() if k in before} == before
            else:
                assert len(folder.mono("train")["en"]) == 25_000
    assert outcomes["killed"] > 0
    deadline = time.monotonic() + 10
    while marked_processes(str(texts).encode()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert marked_processes(str(texts).encode()) == [], "workers outlive their parent"
    assert subprocess.run(program, cwd=ROOT).returncode == 0
    assert len(DataFolder.open(data).bitext("train")["en", "de"][1]) == 25_000
    assert_no_leftovers(data)
    assert main(["check", str(data)]) == 0


@pytest.mark.parametrize("step", ["place", "manifest"])
def test_killed_between_the_steps_of_a_change_the_old_folder_stays_and_is_swept(texts, subword, monkeypatch, step):
    data = texts / "data"
    assert run(subword, data, "--mono", f"en={texts}/text.en") == 0
    before = everything(data)
    write_lines(texts / "text.en", sentences("en", 100))
    options = ["--mono", f"en={texts}/text.en", "--mono", f"de={texts}/text.de"]
    program = f"""
import os, signal, sys
from preprocess import staging
from preprocess.__main__ import main
replace, write = os.replace, staging.write_json
def kill_at_place(source, target):
    replace(source, target)
    if str(target).endswith("train.en.1.bin"): os.kill(os.getpid(), signal.SIGKILL)
def kill_at_manifest(path, value):
    if str(path).endswith("data/manifest.json"): os.kill(os.getpid(), signal.SIGKILL)
    write(path, value)
if {step!r} == "place": os.replace = kill_at_place
else: staging.write_json = kill_at_manifest
main({command(subword, data, *options)!r})
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert len(DataFolder.open(data).mono("train")["en"]) == 300
    assert {k: v for k, v in everything(data).items() if k in before} == before
    assert (data / "mono/train.en.1.bin").exists()
    assert run(subword, data, "--mono", f"de={texts}/text.de", "--split", "test") == 0
    assert_no_leftovers(data)
    assert run(subword, data, *options) == 0
    assert {name: len(mapped) for name, mapped in DataFolder.open(data).mono("train").items()} == {"en": 100, "de": 300}
    assert_no_leftovers(data)


def test_memory_does_not_grow_with_the_text(texts, subword):
    write_lines(texts / "once", sentences("en", 30_000))
    (texts / "fourfold").write_bytes((texts / "once").read_bytes() * 4)
    program = f"""
import resource
from preprocess.__main__ import main
def peak(name):
    main({command(subword, texts / "DATA")!r} + ["--mono", "en={texts}/" + name])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(-peak("once") + peak("fourfold"))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 4_000, "kilobytes more for three times the text again (4 MB)"


def test_the_type_follows_the_vocabulary(texts, subword, monkeypatch):
    from preprocess import encoding

    for module in (binarize, encoding):
        monkeypatch.setattr(module, "dtype_for", lambda size: "int32")
    assert run(subword, texts / "wide", "--mono", f"en={texts}/text.en") == 0
    monkeypatch.undo()
    assert run(subword, texts / "narrow", "--mono", f"en={texts}/text.en") == 0
    wide, narrow = (MappedTokens(texts / name / "mono/train.en") for name in ("wide", "narrow"))
    assert (wide.dtype, narrow.dtype) == ("int32", "uint16")
    assert wide.tokens.tolist() == narrow.tokens.tolist()


def test_from_text_to_a_data_folder_by_commands_alone(texts):
    folder = ["--subword", f"{texts}/sub"]
    both = [f"{name}={texts}/text.{name}" for name in ("en", "de")]
    words = write_lines(texts / "words", [f"{a} {b}" for a, b in (("the", "der"), ("tree", "baum"), ("house", "haus"))])
    inputs = [option for text in both for option in ("--input", text)]
    assert main(["subword", *inputs, "--vocab-size", "90", "--output", f"{texts}/sub"]) == 0
    pair = ["--muse", str(words), "--source", "en", "--target", "de"]
    assert main(["dictionary", *pair, *folder, "--output", f"{texts}/en-de.tsv"]) == 0
    options = [option for text in both for option in ("--mono", text)]
    dictionary = ["--dictionary", f"en-de={texts}/en-de.tsv"]
    assert run(texts / "sub", texts / "data", *options, *dictionary, workers=2) == 0
    assert main(["check", f"{texts}/data"]) == 0
