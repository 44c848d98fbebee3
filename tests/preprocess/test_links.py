"""``xalign-preprocess links``: Pharaoh files, words, and links of both directions combined."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.data.formats import pharaoh
from fairseq_xalign.errors import UserError
from preprocess.__main__ import main
from preprocess.aligners import diagonal, numbered_text
from preprocess.aligners.registry import ALIGNERS
from preprocess.aligners.symmetrize import SYMMETRIZE
from preprocess.link_files import read_note
from preprocess.parts import fingerprint
from preprocess.words import split_words
from tests.support.made_up import parallel, vocabulary
from tests.support.samples import write_lines

LINKS = st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)))


def links(source, target, output, *options):
    return main(["links", "--source", f"xx={source}", "--target", f"yy={target}", "--output", str(output), *options])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Das Haus, sagt er.", ["Das", "Haus", ",", "sagt", "er", "."]),
        ("don't 3.5 E-Mail", ["don", "'", "t", "3", ".", "5", "E", "-", "Mail"]),
        ("  \u00a0a\u2003b\t", ["a", "b"]),
        ("हिन्दी नमस्ते", ["हिन्दी", "नमस्ते"]),
        ("e\u0301tude ||| <eps>", ["e\u0301tude", "|", "|", "|", "<", "eps", ">"]),
        ("漢字 abc漢", ["漢", "字", "abc", "漢"]),
        ("می‌خواهم", ["می‌خواهم"]),
        ("", []),
    ],
)
def test_words_are_runs_of_letters_and_digits_and_single_marks(text, words):
    assert split_words(text) == words


@settings(max_examples=60)
@given(st.text(max_size=40))
def test_nothing_but_white_space_is_between_words(text):
    assert "".join("".join(split_words(text)).split()) == "".join(text.split())


@settings(max_examples=60)
@given(st.lists(LINKS, max_size=5))
def test_a_pharaoh_file_is_read_back_as_written(tmp_path_factory, every):
    path = write_lines(tmp_path_factory.mktemp("links") / "links", [pharaoh.line_of(found) for found in every])
    assert list(pharaoh.read(str(path))) == every


def test_a_pharaoh_line_is_ascending():
    assert pharaoh.line_of({(10, 0), (2, 1), (0, 3), (2, 0)}) == "0-3 2-0 2-1 10-0"
    assert pharaoh.line_of(set()) == ""


@pytest.mark.parametrize("line", ["0-0 1", "0:1", "0-1-2", "-1-0", "a-b", "0-²"])
def test_another_form_is_refused_with_its_line(tmp_path, line):
    path = write_lines(tmp_path / "links", ["0-0", "", line])
    with pytest.raises(UserError, match=rf"links:3: '{line.split()[-1]}' is not a link\. A Pharaoh line is"):
        list(pharaoh.read(str(path)))


def test_words_are_prepared_for_another_aligner_line_for_line(tmp_path):
    source = write_lines(tmp_path / "a", ["Ein Haus.", "", "nur  hier"])
    target = write_lines(tmp_path / "b", ["A house.", "x", ""])
    command = ["links", "--source", f"de={source}", "--target", f"en={target}", "--prepare", str(tmp_path / "words")]
    assert main(command) == 0
    assert (tmp_path / "words").read_text() == "ein haus . ||| a house .\n ||| x\nnur hier ||| \n"


def test_files_of_unequal_length_are_refused_by_name(tmp_path, capsys):
    source, target = write_lines(tmp_path / "a", ["x"] * 3), write_lines(tmp_path / "b", ["x"] * 2)
    assert links(source, target, tmp_path / "out") == 1
    assert f"{source} has 3 lines, but {target} has 2. Line i" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("output", ["--output", "--prepare"])
def test_empty_files_are_refused_by_name(tmp_path, capsys, output):
    source, target = (write_lines(tmp_path / name, []) for name in ("source", "target"))
    sides = ["--source", f"xx={source}", "--target", f"yy={target}"]
    assert main(["links", *sides, output, str(tmp_path / "out")]) == 1
    assert f"{source}: no sentences: the file is empty. Give one sentence per line" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("target", "message"), [("xx", "are both 'xx'"), ("y y", "'y y' is not a language code")])
def test_the_languages_of_the_two_sides_differ(tmp_path, capsys, target, message):
    text = write_lines(tmp_path / "text", ["a b"])
    sides = ["--source", f"xx={text}", "--target", f"{target}={text}"]
    assert main(["links", *sides, "--output", str(tmp_path / "out")]) == 1
    assert message in capsys.readouterr().err


def test_text_that_is_not_utf8_is_named(tmp_path, capsys):
    source = write_lines(tmp_path / "a", ["x", "y"])
    (tmp_path / "b").write_bytes(b"x\n\xff\n")
    assert links(source, tmp_path / "b", tmp_path / "out") == 1
    assert f"{tmp_path / 'b'}:2: invalid UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize("aligner", ALIGNERS)
@pytest.mark.parametrize("how", sorted(SYMMETRIZE))
def test_the_translation_of_a_made_up_language_is_linked(tmp_path, how, aligner):
    if aligner == "fast_align":
        pytest.importorskip("systran_align")
    source, target = parallel(tmp_path)
    assert links(source, target, tmp_path / "out", "--symmetrize", how, "--aligner", aligner) == 0
    words, right, wrong, missed = vocabulary(), 0, 0, 0
    found = list(pharaoh.read(str(tmp_path / "out")))
    texts = [[split_words(line) for line in Path(path).read_text().splitlines()] for path in (source, target)]
    assert len(found) == len(texts[0])
    for one, other, pairs in zip(*texts, found):
        true = {(s, t) for s, a in enumerate(one) for t, b in enumerate(other) if words.get(a.lower(), ".") == b}
        right, wrong, missed = right + len(pairs & true), wrong + len(pairs - true), missed + len(true - pairs)
    assert wrong / (right + wrong) < 0.02
    assert missed / (right + missed) < 0.12  # of a word that a sentence has twice, four links are true and two are made


def test_empty_sides_have_empty_lines_and_all_empty_is_no_error(tmp_path):
    source, target = parallel(tmp_path)
    lines = Path(target).read_text().splitlines()
    lines[1] = lines[7] = " "
    write_lines(Path(target), lines)
    assert links(source, target, tmp_path / "out") == 0
    written = (tmp_path / "out").read_text().splitlines()
    assert [number for number, line in enumerate(written) if not line] == [1, 7]
    blank = write_lines(tmp_path / "blank", [""] * 3)
    assert links(blank, blank, tmp_path / "out") == 0
    assert (tmp_path / "out").read_text() == "\n\n\n"


@pytest.mark.parametrize("aligner", ALIGNERS)
def test_the_same_text_gives_the_same_links_on_any_number_of_threads(tmp_path, aligner):
    if aligner == "fast_align":
        pytest.importorskip("systran_align")
    source, target = parallel(tmp_path, 400)
    written = []
    for threads in ("1", "2"):
        command = ["links", "--source", f"xx={source}", "--target", f"yy={target}", "--output", str(tmp_path / "out")]
        command += ["--aligner", aligner]
        environment = {**os.environ, "OMP_NUM_THREADS": threads}
        call = [sys.executable, "-m", "preprocess", *command]
        subprocess.run(call, env=environment, check=True, capture_output=True, cwd=Path(__file__).parents[2])
        written.append((tmp_path / "out").read_bytes())
    assert written[0] == written[1]


def test_the_same_text_gives_the_same_links_in_any_number_of_processes(tmp_path):
    source, target = parallel(tmp_path, 300)
    found = [list(diagonal.directions(source, target, processes=processes)) for processes in (1, 2)]
    assert found[0] == found[1]


def test_a_note_beside_the_links_says_what_they_count_and_how_they_were_made(tmp_path):
    source, target = parallel(tmp_path, 20)
    assert links(source, target, tmp_path / "out", "--words", "space", "--symmetrize", "union") == 0
    note = read_note(tmp_path / "out", fingerprint(tmp_path / "out")[1])
    assert (note["words"], note["aligner"], note["symmetrize"], note["lines"]) == ("space", "diagonal", "union", 20)
    assert note["source"] == {"file": source, "sha256": fingerprint(source)[1]}


def test_the_words_of_tokenized_text_are_those_that_spaces_and_tabs_separate(tmp_path):
    source = write_lines(tmp_path / "a", ["don't  \u3000\tstop", "don't", "stop", "\u3000"] * 5)
    target = write_lines(tmp_path / "b", ["n'arrête 。 pas", "n'arrête", "pas", "。"] * 5)
    assert links(source, target, tmp_path / "out", "--words", "space") == 0
    assert (tmp_path / "out").read_text().splitlines() == ["0-0 1-1 2-2", "0-0", "0-0", "0-0"] * 5
    command = ["links", "--source", f"fr={source}", "--target", f"en={target}", "--words", "space"]
    assert main([*command, "--prepare", str(tmp_path / "words")]) == 0
    assert (tmp_path / "words").read_text().splitlines()[0] == "don't \u3000 stop ||| n'arrête 。 pas"


def test_a_word_that_other_aligners_read_as_the_border_is_refused_for_them(tmp_path, capsys):
    source, target = write_lines(tmp_path / "a", ["x", "a ||| b"]), write_lines(tmp_path / "b", ["x", "y"])
    command = ["links", "--source", f"xx={source}", "--target", f"yy={target}", "--words", "space"]
    assert main([*command, "--prepare", str(tmp_path / "out")]) == 1
    assert f"{source}:2: the word |||" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*command, "--output", str(tmp_path / "out")]) == 0


def test_a_pair_that_is_too_long_has_an_empty_line_and_is_counted(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(numbered_text, "LONGEST", 16)
    source = write_lines(tmp_path / "a", ["a b", "a b c d e", "a"] * 3)
    target = write_lines(tmp_path / "b", ["x y", "x y z w", "x"] * 3)
    assert links(source, target, tmp_path / "out") == 0
    assert (tmp_path / "out").read_text().splitlines() == ["0-0 1-1", "", "0-0"] * 3
    assert "3 sentence pairs left without links, being too long" in capsys.readouterr().err


def test_a_pipe_can_be_linked(tmp_path):
    source, target = parallel(tmp_path, 20)
    assert links(source, target, tmp_path / "out") == 0
    command = f"{sys.executable} -m preprocess links --output {tmp_path}/piped --source xx=<(cat {source})"
    command += f" --target yy={target}"
    subprocess.run(["bash", "-c", command], check=True, capture_output=True, cwd=Path(__file__).parents[2])
    assert (tmp_path / "piped").read_bytes() == (tmp_path / "out").read_bytes()


def test_a_full_disk_for_temporary_files_is_one_line(tmp_path, monkeypatch):
    source, target = parallel(tmp_path, 20)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refuse(*_, **__):
        raise full

    monkeypatch.setattr(numbered_text, "_by_frequency", refuse)
    with pytest.raises(UserError, match="cannot write: No space left on device"):
        list(diagonal.directions(source, target, processes=1))
