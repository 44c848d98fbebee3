"""Tables of runs: what a row is called, what a cell says, correlations, and prose that LaTeX does not read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_xalign.evaluate.report.pair_tables import (
    absent_notes,
    cell,
    commented,
    correlations,
    panel_tables,
    signatures,
    varied_settings,
)
from fairseq_xalign.evaluate.report.rows import group_over_seeds
from fairseq_xalign.evaluate.report.tables import NOTHING
from tests.support.runs import result


def rows_of(*settings, **changes):
    return group_over_seeds([result(settings=one, **changes) for one in settings])


def test_a_setting_is_said_where_rows_of_an_objective_differ_in_it():
    rows = rows_of({"overlap": 0.0}, {"overlap": 0.5})
    assert sorted(varied_settings(row, rows) for row in rows) == ["overlap 0 %", "overlap 50 %"]
    assert [varied_settings(row, [row]) for row in rows if row.settings["overlap"] == 0] == [""]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"alpha": 10.0}, ""),
        ({"alpha": 1.0}, "alpha 1"),
        ({"overlap": 0.5, "parallel_share": 1.0}, "overlap 50 %, parallel text 100 %"),
        ({"training": "translate-train"}, "translate-train"),
        ({"benchmark": "xnli"}, ""),
    ],
)
def test_of_a_row_by_itself_only_what_differs_from_the_papers_default_is_said(setting, said):
    (row,) = rows_of(setting)
    assert varied_settings(row, [row]) == said


def test_a_share_of_the_dictionary_is_not_said_twice():
    (words,) = rows_of({"dictionary_share": 0.5}, dictionary="50 % frequent")
    (none,) = rows_of({"dictionary_share": 0.5})
    assert varied_settings(words, [words]) == "" and varied_settings(none, [none]) == "dictionary 50 %"


@pytest.mark.parametrize(
    ("values", "seeds", "said"),
    [
        (None, 2, NOTHING),
        ([], 2, NOTHING),
        ([71.25], 1, "71.2"),
        ([1.0, 3.0], 2, "2.0 ± 1.4"),
        ([1.0, 3.0], 3, "2.0 ± 1.4 (2 of 3 seeds)"),
    ],
)
def test_a_cell_is_mean_and_deviation_and_says_if_seeds_are_missing(values, seeds, said):
    assert cell(values, seeds) == said


def test_the_rank_correlation_of_alignment_and_gap_is_that_computed_by_hand():
    # Ranks of alignment 1 2 3 4, of the gap 4 3 1 2: squares of differences 9 + 1 + 4 + 4, so 1 - 6 * 18 / (4 * 15).
    runs = [
        result(name, align=align, sup=90.0, zs=90.0 - gap)
        for name, align, gap in (("a", 10.0, 40.0), ("b", 20.0, 30.0), ("c", 30.0, 10.0), ("d", 40.0, 20.0))
    ]
    rows = group_over_seeds(runs)
    found = correlations(rows)["pos"]
    assert found["correlation"] == pytest.approx(-0.8) and found["n"] == 4
    assert found["p"] == pytest.approx(0.2, abs=0.15)
    assert correlations(rows[:2]) == {}, "two points lie on a line"
    assert correlations([*rows[:2], *group_over_seeds([result("e", alignment={})])]) == {}


def test_columns_that_no_row_has_are_left_out():
    runs = [result("mlm", alignment={}, retrieval=None), result("xlm", alignment={}, retrieval=None)]
    ((title, header, body, left),) = panel_tables(group_over_seeds(runs))
    assert title == "pos, en-en_transinv, Trans∘Inv (accuracy, %)"
    assert header[: left + 1] == ["objective", "seeds"] and [line[0] for line in body] == ["mlm", "xlm"]
    assert len(header) == len(body[0]) and not any("align" in name.lower() for name in header)


def test_seeds_without_scores_are_named_with_their_reason():
    named = [("mlm", {2: "diverged", 3: "no result"}), ("xlm", {})]
    assert absent_notes(named) == ["mlm: no scores of seed 2 (diverged), 3 (no result)"]


def test_each_signature_is_listed_once_in_the_order_of_the_runs():
    runs = [result(signature={"a": "x|1", "b": "y|1"}), result(signature="y|1"), result(signature=""), result()]
    assert signatures(runs) == ["x|1", "y|1", "accuracy|per:token|n:20|v:0"]


PROSE = st.text(alphabet="ab 5%\\&", max_size=8).filter(lambda text: not text.startswith(("\\begin", "\\end")))
TABLE = st.lists(PROSE, max_size=3).map(lambda rows: ["\\begin{tabular}{l}", *rows, "\\end{tabular}"])


@given(st.lists(st.one_of(PROSE.map(lambda text: [text]), TABLE), max_size=5))
def test_latex_reads_the_tables_as_they_are_and_none_of_the_prose(blocks):
    lines = [line for block in blocks for line in block]
    found = commented("\n".join(lines) + "\n").split("\n")[:-1]
    expected = [line if len(block) > 1 or not line else f"% {line}" for block in blocks for line in block]
    assert found == (expected or [""])
