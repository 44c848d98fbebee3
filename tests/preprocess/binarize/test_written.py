"""``xalign-preprocess binarize``: what stands on disk, whatever the workers, the compression and the memory."""

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
import threading
from collections import Counter

import pytest

from fairseq_xalign.constants import EOS, UNK
from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.data.mmap import MappedTokens
from preprocess import binarize
from preprocess.__main__ import main
from preprocess.encoding import count_lines, cut
from tests.support.binarizing import ROOT, assert_no_leftovers, command, everything, pair, run
from tests.support.samples import sentences, write_lines


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


def test_a_fault_in_compressed_text_is_said_with_its_line_whatever_the_chunk(texts, subword, capsys, monkeypatch):
    monkeypatch.setattr(binarize, "CHUNK_BYTES", 1000)
    lines = (texts / "text.en").read_bytes().splitlines(keepends=True)
    lines[250] = b"\xff\n"
    (texts / "bad").write_bytes(lzma.compress(b"".join(lines)))
    assert run(subword, texts / "data", "--mono", f"en={texts}/bad", workers=2) == 1
    assert f"{texts}/bad:251: invalid UTF-8" in capsys.readouterr().err


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
