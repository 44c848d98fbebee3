"""``xalign-preprocess links``: Pharaoh files, words, and links of both directions combined."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.data.formats import pharaoh
from fairseq_xalign.errors import UserError
from preprocess import fast_align
from preprocess.__main__ import main
from preprocess.links import SYMMETRIZE
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


FORWARD, BACKWARD = {(0, 0), (1, 1), (1, 2), (3, 4)}, {(0, 0), (1, 1), (2, 1), (4, 5), (3, 3)}


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("intersect", {(0, 0), (1, 1)}),
        ("union", FORWARD | BACKWARD),
        # (1, 2) and (2, 1) are neighbours of (1, 1), each with one free word; (3, 3) and (3, 4) touch none of these, so
        # of the two the forward one is added at last; (4, 5) is then its diagonal neighbour with both words free
        ("gdfa", {(0, 0), (1, 1), (1, 2), (2, 1), (3, 4), (4, 5)}),
    ],
)
def test_directions_combine_as_published(how, expected):
    forward, backward = set(FORWARD), set(BACKWARD) - {(3, 3)} if how == "gdfa" else set(BACKWARD)
    assert SYMMETRIZE[how](forward, backward) == expected


@settings(max_examples=60)
@given(LINKS, LINKS)
def test_grown_links_lie_between_intersection_and_union(forward, backward):
    grown = SYMMETRIZE["gdfa"](forward, backward)
    assert forward & backward <= grown <= forward | backward
    for side in (0, 1):  # a word that a direction links is left without any only if all its partners have others
        words = {link[side] for link in grown}
        lonely = {link for link in forward | backward if link[side] not in words}
        assert {link[1 - side] for link in lonely} <= {link[1 - side] for link in grown}


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


def test_the_search_takes_the_most_probable_word_or_none():
    import numpy as np

    ids = {"<eps>": 1, "a": 2, "b": 3, "x": 4, "y": 5, "z": 6}
    rows = [("a", "x", 0.9), ("b", "y", 0.9), ("<eps>", "z", 0.9), ("a", "z", 1e-4)]
    given, emitted = (np.array([ids[row[place]] for row in rows]) for place in (0, 1))
    table = fast_align.Table(ids, given, emitted, np.array([row[2] for row in rows], np.float32))
    pairs = [(["a", "b"], ["y", "x", "z"]), ([], ["x"]), (["a"], []), (["b", "a"], ["x"])]
    assert fast_align.best_links(table, pairs) == [{(1, 0), (0, 1)}, set(), set(), {(1, 0)}]
    assert fast_align.best_links(table, []) == []


def test_the_diagonal_is_preferred_and_probabilities_add_to_one():
    chances = fast_align.diagonal(3, 6)
    assert chances.shape == (6, 4)
    assert chances.sum(1) == pytest.approx([1] * 6)
    assert (chances[:, 0] == fast_align.NULL_PROBABILITY).all()
    assert chances[:, 1:].argmax(1)[[0, 1, 3, 5]].tolist() == [0, 0, 1, 2]


def test_words_are_prepared_for_another_aligner_line_for_line(tmp_path):
    source = write_lines(tmp_path / "a", ["Ein Haus.", "", "nur  hier"])
    target = write_lines(tmp_path / "b", ["A house.", "x", ""])
    command = ["links", "--source", f"de={source}", "--target", f"en={target}", "--prepare", str(tmp_path / "words")]
    assert main(command) == 0
    assert (tmp_path / "words").read_text() == "ein haus . ||| a house .\n ||| x\nnur hier ||| \n"


def test_files_of_unequal_length_are_refused_by_name(tmp_path, capsys):
    source, target = write_lines(tmp_path / "a", ["x"] * 3), write_lines(tmp_path / "b", ["x"] * 2)
    pytest.importorskip("systran_align")
    assert links(source, target, tmp_path / "out") == 1
    assert f"{source} has 3 lines, but {target} has 2. Line i" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_the_package_the_remedy_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "systran_align", None)
    source = write_lines(tmp_path / "a", ["x"])
    assert links(source, source, tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert 'pip install "fairseq_xalign[align]"' in error
    assert "3.12" in error and "--prepare" in error
    assert not (tmp_path / "out").exists()


def test_a_failure_of_the_package_is_one_line_with_its_reason(tmp_path):
    pytest.importorskip("systran_align")
    missing = tmp_path / "missing"
    with pytest.raises(UserError, match=f"systran-align failed: RuntimeError: .*{missing}"):
        fast_align._estimate(missing, tmp_path / "forward", tmp_path / "backward")


def test_text_that_is_not_utf8_is_named(tmp_path, capsys):
    pytest.importorskip("systran_align")
    source = write_lines(tmp_path / "a", ["x", "y"])
    (tmp_path / "b").write_bytes(b"x\n\xff\n")
    assert links(source, tmp_path / "b", tmp_path / "out") == 1
    assert f"{tmp_path / 'b'}:2: invalid UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize("how", sorted(SYMMETRIZE))
def test_the_translation_of_a_made_up_language_is_linked(tmp_path, how):
    pytest.importorskip("systran_align")
    source, target = parallel(tmp_path)
    assert links(source, target, tmp_path / "out", "--symmetrize", how) == 0
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
    pytest.importorskip("systran_align")
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


def test_the_same_text_gives_the_same_links_on_any_number_of_threads(tmp_path):
    pytest.importorskip("systran_align")
    source, target = parallel(tmp_path, 400)
    written = []
    for threads in ("1", "2"):
        command = ["links", "--source", f"xx={source}", "--target", f"yy={target}", "--output", str(tmp_path / "out")]
        environment = {**os.environ, "OMP_NUM_THREADS": threads}
        call = [sys.executable, "-m", "preprocess", *command]
        subprocess.run(call, env=environment, check=True, capture_output=True, cwd=Path(__file__).parents[2])
        written.append((tmp_path / "out").read_bytes())
    assert written[0] == written[1]


def test_the_search_agrees_with_the_aligner_of_the_package(tmp_path):
    """Its links are grow-diag-final-and over both directions; the rest is ties and what the table leaves out."""
    package = pytest.importorskip("systran_align")
    source, target = parallel(tmp_path, 300)
    assert links(source, target, tmp_path / "out") == 0
    with open(tmp_path / "words", "w") as stream:
        fast_align.prepare(source, target, stream, empty=False)
    tables = str(tmp_path / "forward"), str(tmp_path / "backward")
    package.generate_alignment_probabilities(
        str(tmp_path / "words"), *tables, favor_diagonal=True, variational_bayes=True, beam_threshold=fast_align.PRUNED
    )
    aligner = package.Aligner(*tables)
    same = of_either = 0
    for line, found in zip((tmp_path / "words").read_text().splitlines(), pharaoh.read(str(tmp_path / "out"))):
        theirs = {tuple(link) for link in aligner.align(*(side.split() for side in line.split("|||")))["alignments"]}
        same, of_either = same + len(theirs & found), of_either + len(theirs | found)
    assert same / of_either > 0.98
