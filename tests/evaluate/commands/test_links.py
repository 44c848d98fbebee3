"""`xalign-evaluate links`: links of a file against links made by people."""

import json
import subprocess
import sys

import pytest

from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.files import read_lines
from preprocess.__main__ import main as preprocess
from tests.support.public_data import public_files
from tests.support.samples import write_lines


@pytest.fixture
def files(tmp_path):
    """Of four sure and one possible link three sure ones and one wrong one are found, and the possible one."""
    write_lines(tmp_path / "text", ["a b c ||| x y", "d ||| z z z"])
    write_lines(tmp_path / "gold", ["1-1 2-2 3p2", "1-1 1-3"])
    write_lines(tmp_path / "links", ["0-0 1-1 2-1 2-0", "0-2"])
    return tmp_path


def measured(files, *options, links="links", gold="gold"):
    return main(["links", "--links", str(files / links), "--gold", str(files / gold), *options])


def test_the_figures_are_och_and_neys(files, capsys):
    bitext = ["--bitext", f"xx-yy={files / 'text'}"]
    assert measured(files, "--one-based", "--json", *bitext) == 0
    report = json.loads(capsys.readouterr().out)
    # |A| = 5, |S| = 4, |A and S| = 3, |A and P| = 4
    expected = {"aer": 100 * (1 - 7 / 9), "precision": 80.0, "recall": 75.0, "f1": 2 * 80 * 75 / 155}
    assert report["scores"] == pytest.approx(expected)
    assert report["links"] == {"found": 5, "sure": 4, "possible": 5} and report["pairs"] == 2
    assert report["signature"].startswith("aer|per:link|n:2|bootstrap:1000|seed:")
    assert measured(files, "--one-based") == 0
    assert "alignment error rate   22.22 [" in capsys.readouterr().out


def test_gold_links_that_seem_to_count_from_one_are_noticed(files, capsys):
    assert measured(files) == 0
    assert "no link has the place 0. If it counts words from 1, add --one-based" in capsys.readouterr().err
    assert measured(files, "--one-based") == 0
    assert capsys.readouterr().err == ""


WRONG = [
    ({"links": ["0-0"]}, "links: 1 line of links, but", 0),
    ({"links": ["0-0", "0-0", ""]}, "links: 3 lines of links, but", 0),
    ({"links": ["0-0", "1:1"]}, "links:2: '1:1' is not a link", 0),
    ({"links": ["0-0", "0-3"]}, "links:2: a link to source word 0 and target word 3 of a pair with 1 and 3 words", 1),
    ({"gold": ["1-1", "1-4"]}, "gold:2: a link to source word 1 and target word 4 of a pair with 1 and 3 words", 1),
    ({"gold": ["0-1", "1-1"]}, "gold:1: '0-1' has the place 0", 0),
    ({"gold": ["", ""]}, "gold: no links: every line is empty", 0),
    ({"text": ["a b c ||| x y"]}, "gold: 2 lines of links for 1 sentence pair", 1),
]


@pytest.mark.parametrize(("changed", "message", "with_text"), WRONG, ids=range(len(WRONG)))
def test_files_that_do_not_fit_are_refused(files, capsys, changed, message, with_text):
    for name, lines in changed.items():
        write_lines(files / name, lines)
    bitext = ["--bitext", f"xx-yy={files / 'text'}"] if with_text else []
    assert measured(files, "--one-based", *bitext) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_links_are_scored_without_torch(files):
    code = "import sys; from fairseq_xalign.evaluate.__main__ import main; assert main(sys.argv[1:]) == 0; "
    code += "assert 'torch' not in sys.modules"
    command = ["links", "--links", str(files / "links"), "--gold", str(files / "gold"), "--one-based"]
    subprocess.run([sys.executable, "-c", code, *command], check=True, capture_output=True)


def test_our_aligner_links_kftt_as_well_as_measured(tmp_path, capsys):
    gold, both = public_files("word-alignment/kftt-ja-en/jaen.*.xz")
    lines = [line.split(" ||| ") for _, line in read_lines(both)]
    for side, name in enumerate(("ja", "en")):
        write_lines(tmp_path / name, [pair[side] for pair in lines])
    command = ["links", "--source", f"ja={tmp_path / 'ja'}", "--target", f"en={tmp_path / 'en'}", "--words", "space"]
    assert preprocess([*command, "--output", str(tmp_path / "links")]) == 0
    assert main(["links", "--links", str(tmp_path / "links"), "--gold", str(gold), "--one-based", "--json",
                 "--bitext", f"ja-en={both}"]) == 0  # fmt: skip
    report = json.loads(capsys.readouterr().out)
    assert report["scores"]["aer"] < 66.5 and report["links"]["sure"] == 13_562
