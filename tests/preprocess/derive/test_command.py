"""``xalign-preprocess derive``: options, manifest, the way back, pipes, and memory."""

import json
import os
import threading
import tracemalloc

import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from preprocess import derive as command
from preprocess.__main__ import main
from preprocess.derive.manifest import parse_transforms
from tests.support.deriving import COMPOSITIONS
from tests.support.samples import sentences, write_lines


def derive(place, *options, source="text", output="out", data_format="text"):
    files = ["--format", data_format, "--input", str(place / source), "--output", str(place / output)]
    return main(["derive", *files, *options])


def vocabulary(place, output="sub2"):
    return ["--subword", str(place / "sub"), "--output-subword", str(place / output)]


@pytest.mark.parametrize("transform", COMPOSITIONS)
def test_reverse_takes_all_from_the_manifest(place, transform):
    script = vocabulary(place) if "trans" in transform else []
    seed = [] if transform == "inv" else ["--seed", "3"]
    assert derive(place, "--transform", transform, *seed, *script) == 0
    assert (place / "out").read_bytes() != (place / "text").read_bytes()
    assert derive(place, "--reverse", *script[:2], source="out", output="back") == 0
    assert (place / "back").read_bytes() == (place / "text").read_bytes()


def test_reverse_without_manifest_or_transformations_names_the_input(place, capsys):
    assert derive(place, "--reverse") == 1
    assert f"{place}/text: no manifest says how it was derived" in capsys.readouterr().err


def test_words_come_first_however_the_list_is_written(place):
    assert derive(place, "--transform", "trans,inv", *vocabulary(place), output="a") == 0
    assert derive(place, "--transform", "inv,trans", *vocabulary(place), output="b") == 0
    assert (place / "a").read_bytes() == (place / "b").read_bytes()
    assert json.loads((place / "a.manifest.json").read_text())["transforms"] == ["inv", "trans"]


def test_the_manifest_says_how_the_file_was_made(place):
    from fairseq_xalign.files import sha256

    options = ["--transform", "inv,trans", "--overlap", "0.25", "--seed", "5"]
    assert derive(place, *options, *vocabulary(place)) == 0
    doubled = Tokenizer.load(place / "sub2")
    assert len(doubled.derived["kept"]) == round(0.25 * doubled.pieces)
    manifest = json.loads((place / "out.manifest.json").read_text())
    assert manifest == {
        "format": 1,
        "kind": "derived",
        "reverse": False,
        "transforms": ["inv", "trans"],
        "inv_split": "all-final",
        "data_format": "text",
        "seed": 5,
        "overlap": 0.25,
        "input": {"name": "text", "sha256": sha256(place / "text")},
        "output": {"name": "out", "sha256": sha256(place / "out")},
        "subword_sha256": doubled.sha256,
        "counts": manifest["counts"],
    }
    assert manifest["counts"]["examples"] == 50


def test_a_vocabulary_that_is_there_is_reused_if_it_agrees(place, capsys):
    options = ["--transform", "trans", "--overlap", "0.5"]
    assert derive(place, *options, "--seed", "1", *vocabulary(place), output="a") == 0
    before = {p.name: p.stat().st_mtime_ns for p in (place / "sub2").iterdir()}
    assert derive(place, *options, "--seed", "1", *vocabulary(place), output="b") == 0
    assert before == {p.name: p.stat().st_mtime_ns for p in (place / "sub2").iterdir()}
    assert derive(place, "--transform", "trans", "--subword", str(place / "sub2"), output="c") == 0
    assert (place / "a").read_bytes() == (place / "b").read_bytes() == (place / "c").read_bytes()
    assert json.loads((place / "c.manifest.json").read_text())["overlap"] == 0.5
    capsys.readouterr()
    assert derive(place, *options, "--seed", "2", *vocabulary(place), output="d") == 1
    assert "it has overlap 0.5, seed 1" in capsys.readouterr().err
    assert not (place / "d").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--transform", "syn"], "syn needs the order of another language"),
        (["--transform", "trams"], "unknown transformation 'trams'. Did you mean 'trans'?"),
        (["--transform", "inv,inv"], "twice"),
        ([], "--transform is missing"),
        (["--transform", "trans"], "trans needs a vocabulary"),
        (["--transform", "inv", "--subword", "x"], "are for trans"),
        (["--transform", "inv", "--overlap", "0"], "are for trans"),
        (["--transform", "inv", "--seed", "0"], "--seed is for perm, syn and --overlap"),
        (["--transform", "trans", "--inv-split", "none"], "--inv-split is for inv, perm, syn"),
        (["--transform", "trans", "--subword", "nowhere"], "nowhere"),
        (["--reverse", "--transform", "inv", "--output-subword", "x"], "writes no vocabulary"),
    ],
)
def test_wrong_options_are_one_line_and_leave_nothing(place, capsys, options, message):
    assert derive(place, *options) == 1
    error = capsys.readouterr().err
    assert message in error.splitlines()[-1]
    assert not (place / "out").exists()


@pytest.mark.parametrize(
    ("data_format", "content"),
    [
        ("text", []),
        ("text", ["", " "]),
        ("conllu", ["# a comment", ""]),
        ("ner", [""]),
        ("nli", ["premise\thypothesis\tlabel"]),
        ("qa", ['{"data": []}']),
    ],
)
def test_a_file_without_words_is_an_error_and_leaves_nothing(place, capsys, data_format, content):
    write_lines(place / "empty", content)
    assert derive(place, "--transform", "inv", source="empty", data_format=data_format) == 1
    assert f"{place}/empty: no words in it. Give a file of --format {data_format}" in capsys.readouterr().err
    assert not list(place.glob("out*"))


def test_reverse_refuses_what_the_manifest_contradicts(place, capsys):
    assert derive(place, "--transform", "inv,trans", *vocabulary(place)) == 0
    doubled = ["--subword", str(place / "sub2")]
    cases = [
        (["--transform", "inv", *doubled], "--transform says inv, but the manifest says inv,trans"),
        (["--seed", "9", *doubled], "--seed says 9, but the manifest says 1"),
        (["--inv-split", "none", *doubled], "--inv-split says none"),
    ]
    for options, message in cases:
        assert derive(place, "--reverse", *options, source="out", output="back") == 1
        assert message in capsys.readouterr().err
    Tokenizer.load(place / "sub").doubled(0.5, 1).save(place / "other")
    assert derive(place, "--reverse", "--subword", str(place / "other"), source="out", output="back") == 1
    assert "not the vocabulary that the file was derived with" in capsys.readouterr().err
    with open(place / "out", "a", encoding="utf-8") as stream:
        stream.write("one line more\n")
    assert derive(place, "--reverse", *doubled, source="out", output="back") == 1
    assert "not the one that out.manifest.json describes" in capsys.readouterr().err
    assert not (place / "back").exists()


def test_transliterated_text_is_not_transliterated_again(place, capsys):
    assert derive(place, "--transform", "trans", *vocabulary(place)) == 0
    assert derive(place, "--transform", "trans", *vocabulary(place), source="out", output="twice") == 1
    assert f"{place}/out:1:" in capsys.readouterr().err
    assert not (place / "twice").exists()


def test_memory_does_not_grow_with_the_text(place):
    def peak(lines):
        write_lines(place / "long", sentences("en", 100) * (lines // 100))
        tracemalloc.start()
        assert derive(place, "--transform", "inv,perm", source="long") == 0
        result = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return result

    peak(100)
    assert peak(2000) < peak(200) + 100_000


def test_an_unknown_transformation_names_the_known_ones():
    with pytest.raises(UserError, match=r"inv, perm, syn, trans"):
        parse_transforms("invert")


@pytest.mark.parametrize(
    ("data_format", "content", "choice", "expected"),
    [
        ("classification", "label\ttext\nask\ta b\n", "auto", "label\ttext\nask\tb a\n"),
        ("classification", "label\tsome text\nask\ta b\n", "auto", "label\ttext some\nask\tb a\n"),
        ("classification", "what\tis said\nask\ta b\n", "yes", "what\tis said\nask\tb a\n"),
        ("nli", "premise\thypothesis\tlabel\na b\tc d\tx\n", "no", "premise\thypothesis\tlabel\nb a\td c\tx\n"),
        ("nli", "a b\tc d\tx\na b\tc d\tx\n", "yes", "a b\tc d\tx\nb a\td c\tx\n"),
    ],
)
def test_a_header_passes_through_and_comes_back(tmp_path, capsys, data_format, content, choice, expected):
    (tmp_path / "t").write_text(content)
    options = ["--format", data_format, "--input", f"{tmp_path}/t", "--output", f"{tmp_path}/d"]
    assert main(["derive", "--transform", "inv", *options, "--header", choice]) == 0
    assert (tmp_path / "d").read_text() == expected
    assert ("taken for the names of the columns" in capsys.readouterr().err) == expected.startswith(
        content.partition("\n")[0]
    ) or choice == "no"
    back = ["--format", data_format, "--input", f"{tmp_path}/d", "--output", f"{tmp_path}/b", "--reverse"]
    assert main(["derive", *back]) == 0
    assert (tmp_path / "b").read_text() == content
    assert main(["derive", *back, "--header", "no" if choice != "no" else "yes"]) == 1
    assert "--header says" in capsys.readouterr().err


def test_a_header_of_running_text_is_refused(tmp_path, capsys):
    write_lines(tmp_path / "t", ["a b"])
    options = ["--format", "text", "--input", f"{tmp_path}/t", "--output", f"{tmp_path}/d", "--header", "yes"]
    assert main(["derive", "--transform", "inv", *options]) == 1
    assert "has no header" in capsys.readouterr().err


def test_derive_is_a_function_that_returns_its_counts(tmp_path):
    source = write_lines(tmp_path / "t", ["a b c.", "d e"])
    counts = command.derive(source, tmp_path / "d", "text", transform="inv")
    assert (counts["examples"], counts["words"]) == (2, 5)
    assert (tmp_path / "d").read_text() == "c b a.\ne d\n"
    command.derive(tmp_path / "d", tmp_path / "b", "text", reverse=True)
    assert (tmp_path / "b").read_text() == source.read_text()


def test_an_output_that_is_a_pipe_has_no_manifest_beside_it(tmp_path):
    write_lines(tmp_path / "t", ["a b c."])
    os.mkfifo(tmp_path / "pipe")
    found = []
    reader = threading.Thread(daemon=True, target=lambda: found.append((tmp_path / "pipe").read_text()))
    reader.start()
    command.derive(tmp_path / "t", tmp_path / "pipe", "text", transform="inv")
    reader.join()
    assert found == ["c b a.\n"] and sorted(p.name for p in tmp_path.iterdir()) == ["pipe", "t"]


def test_a_pipe_is_derived_like_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(daemon=True, target=lambda: (tmp_path / "pipe").write_text("a b c.\n"))
    writer.start()
    command.derive(tmp_path / "pipe", tmp_path / "d", "text", transform="inv")
    writer.join()
    assert (tmp_path / "d").read_text() == "c b a.\n"
