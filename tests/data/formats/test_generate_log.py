"""What fairseq-generate prints is put into the order of the test set; what is missing is named."""

import pytest

from fairseq_xalign.data.formats.generate_log import is_generate_log, read_generate_log
from fairseq_xalign.errors import UserError

LOG = """\
2026-01-01 00:00:00 | INFO | fairseq_cli.generate | {'_name': None}
S-1\t<2de> the house
T-1\tdas Haus
H-1\t-0.25\t▁das ▁Haus
D-1\t-0.25\tdas Haus
P-1\t-0.1 -0.2
H-1\t-0.75\t▁ein ▁Haus
D-1\t-0.75\tein Haus
S-0\t<2de> the dog
T-0\tder\tHund
H-0\t-1e-05\t▁der ▁Hund
D-0\t-1e-05\tder Hund
S-2\t<2de> ...
T-2\t
H-2\t-inf\t
D-2\t-inf\t
Generate test with beam=4: BLEU4 = 1
"""


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_translations_are_in_the_order_of_their_numbers_and_the_best_stands(tmp_path):
    log = read_generate_log(written(tmp_path / "log", LOG))
    assert log.hypotheses == ["der Hund", "das Haus", ""]
    assert log.references == ["der\tHund", "das Haus", ""]


def test_without_detokenized_lines_the_others_stand_and_references_may_be_missing(tmp_path):
    lines = [line for line in LOG.splitlines() if not line.startswith(("D-", "T-"))]
    log = read_generate_log(written(tmp_path / "log", "\n".join(lines)))
    assert (log.hypotheses, log.references) == (["▁der ▁Hund", "▁das ▁Haus", ""], None)


def test_a_log_is_told_from_plain_text():
    assert is_generate_log(LOG.splitlines())
    assert not is_generate_log(["S-1 is a name", "H-2\tnot a score", "a H-1\t-0.5\tb", ""])


@pytest.mark.parametrize(
    ("drop", "message"),
    [
        (("H-", "D-"), r"no translation in it \(no line H- or D-\)"),
        (("D-0",), "sentence 0 of 3 has no translation"),
        (("T-1",), "sentence 1 of 3 has no reference"),
        (("H-2", "D-2"), "sentence 2 of 3 has no translation"),
    ],
)
def test_what_is_missing_is_named(tmp_path, drop, message):
    lines = [line for line in LOG.splitlines() if not line.startswith(drop)]
    with pytest.raises(UserError, match=message):
        read_generate_log(written(tmp_path / "log", "\n".join(lines)))


def test_a_damaged_line_has_its_number(tmp_path):
    with pytest.raises(UserError, match=r"log:3: no score between D-1 and its translation"):
        read_generate_log(written(tmp_path / "log", "H-1\t-1.0\ta\nS-0\tb\nD-1\tb\n"))
