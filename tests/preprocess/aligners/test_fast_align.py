"""`--aligner fast_align`: the tables of systran-align, and the search for the best links in them."""

import sys

import pytest

from fairseq_xalign.data.formats import pharaoh
from fairseq_xalign.errors import UserError
from preprocess.__main__ import main
from preprocess.aligners import fast_align
from preprocess.words import write_words
from tests.support.made_up import parallel
from tests.support.samples import write_lines


def links(source, target, output, *options):
    files = ["--source", f"xx={source}", "--target", f"yy={target}", "--output", str(output)]
    return main(["links", "--aligner", "fast_align", *files, *options])


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


def test_without_the_package_the_remedy_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "systran_align", None)
    source = write_lines(tmp_path / "a", ["x"])
    assert links(source, source, tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert 'pip install "fairseq_xalign[align]"' in error
    assert "Python 3.11" in error and "--aligner diagonal" in error
    assert not (tmp_path / "out").exists()


def test_words_of_tokenized_text_are_not_separated_again(tmp_path):
    pytest.importorskip("systran_align")
    source = write_lines(tmp_path / "a", ["don't stop", "", "don't", "stop"] * 5)
    target = write_lines(tmp_path / "b", ["n'arrête pas", "x", "n'arrête", "pas"] * 5)
    assert links(source, target, tmp_path / "out", "--words", "space") == 0
    assert (tmp_path / "out").read_text().splitlines() == ["0-0 1-1", "", "0-0", "0-0"] * 5


def test_a_failure_of_the_package_is_one_line_with_its_reason(tmp_path):
    pytest.importorskip("systran_align")
    missing = tmp_path / "missing"
    with pytest.raises(UserError, match=f"systran-align failed: RuntimeError: .*{missing}"):
        fast_align._estimate(missing, tmp_path / "forward", tmp_path / "backward")


def test_the_search_agrees_with_the_aligner_of_the_package(tmp_path):
    """Its links are grow-diag-final-and over both directions; the rest is ties and what the table leaves out."""
    package = pytest.importorskip("systran_align")
    source, target = parallel(tmp_path, 300)
    assert links(source, target, tmp_path / "out") == 0
    with open(tmp_path / "words", "w") as stream:
        write_words(source, target, stream, "split", empty=False)
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
