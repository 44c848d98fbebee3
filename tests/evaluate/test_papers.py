"""The printed tables: complete, and consistent with each other as far as the papers are."""

import csv
import io
import json

import numpy as np
import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate import papers
from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.evaluate.metrics.correlation import spearman, spearman_p

ROWS = {"tpp": 171, "ppa": 617, "mmte": 399, "weam": 90, "align_mlm": 285}
ROUNDING = 0.1 + 1e-9
"""Two figures rounded to 0.1 may differ by 0.1 from the rounded difference."""
CONDITIONS, OBJECTIVES = ("Trans", "Trans+Inv", "Trans+Syn"), ("mlm", "xlm", "dict_mlm", "align_mlm")
CELLS = [(objective, condition) for condition in CONDITIONS for objective in OBJECTIVES]


@pytest.mark.parametrize(("paper", "rows"), ROWS.items())
def test_every_printed_figure_is_there(paper, rows):
    cells = papers.load(paper)
    assert len(cells) == rows
    assert sum(len(papers.cells(name)) for name in papers.table_names(paper)) == rows
    assert {cell.kind for cell in cells} <= {"score", "average", "delta", "data"}
    assert all(cell.number is not None for cell in cells if cell.kind != "data" and cell.value)


@pytest.mark.parametrize("task", ["pos", "ner", "classification"])
def test_sup_minus_zs_of_table_3_recomputes_within_rounding(task):
    for objective, condition in CELLS:
        printed = papers.printed(["align_mlm.3"], objective, condition, task)
        assert printed["sup"] - printed["zs"] == pytest.approx(printed["delta"], abs=ROUNDING)


@pytest.mark.parametrize(
    ("tables", "task", "expected"),
    [
        (["align_mlm.8"], "classification", -0.7272727273),
        (["align_mlm.3", "align_mlm.8"], "classification", -0.7272727273),
        (["align_mlm.3", "align_mlm.8"], "ner", -0.7810870122),
        (["align_mlm.3", "align_mlm.8"], "pos", -0.7342657343),
    ],
)
def test_spearman_of_alignment_and_gap_is_the_papers_with_the_other_sign(tables, task, expected):
    printed = [papers.printed(tables, objective, condition, task) for objective, condition in CELLS]
    assert spearman([p["alignment"] for p in printed], [p["delta"] for p in printed]) == pytest.approx(
        expected, abs=1e-9
    )


def test_spearman_within_each_transformation():
    for condition, expected in (("Trans+Inv", -1.0), ("Trans", -1.0), ("Trans+Syn", -0.8)):
        printed = [papers.printed(["align_mlm.8"], objective, condition, "classification") for objective in OBJECTIVES]
        found = spearman([p["alignment"] for p in printed], [p["delta"] for p in printed])
        assert found == pytest.approx(expected)


def test_the_sign_of_table_3_stands_where_table_8_has_the_other():
    assert papers.printed(["align_mlm.3", "align_mlm.8"], "xlm", "Trans", "classification")["delta"] == -0.2
    assert papers.printed(["align_mlm.8"], "xlm", "Trans", "classification")["delta"] == 0.2


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("Trans∘Inv", "Trans+Inv"),
        ("inv,trans", "Trans+Inv"),
        ("trans", "Trans"),
        ("Syn + Trans", "Trans+Syn"),
        ("natural", "natural"),
        ("Trans∘Perm", "Trans∘Perm"),
    ],
)
def test_transformations_are_read_in_any_spelling(written, canonical):
    assert papers.condition_of(written) == canonical


def test_cells_that_no_paper_printed_have_no_figures():
    assert papers.printed(["align_mlm.3"], "tpp", "Trans", "pos") == {}
    assert papers.printed(["align_mlm.3"], "mlm", "natural", "pos") == {}


def test_unknown_tables_are_answered_with_the_known_ones():
    with pytest.raises(UserError, match="weam"):
        papers.cells("xlm")
    with pytest.raises(UserError, match=r"tpp\.3"):
        papers.cells("tpp.4")
    with pytest.raises(UserError, match=r"align_mlm\.8"):
        papers.comparable("tpp.2")


def test_the_command_lists_tables_and_prints_one_in_every_format(capsys, tmp_path):
    assert main(["papers"]) == 0
    assert "align_mlm.app-i" in capsys.readouterr().out
    assert main(["papers", "tpp.2", "--format", "csv"]) == 0
    assert len(list(csv.DictReader(io.StringIO(capsys.readouterr().out)))) == 54
    assert main(["papers", "tpp.2", "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 54
    assert main(["papers", "align_mlm.3"]) == 0
    text = capsys.readouterr().out
    assert "ALIGN-MLM, Table 3" in text
    row = next(line for line in text.splitlines() if line.startswith("Trans+Inv") and " ALIGN-MLM " in line)
    assert row.split()[-3:] == ["95.0", "92.0", "3.0"]
    for form in ("markdown", "latex"):
        assert main(["papers", "mmte", "--format", form, "--output", str(tmp_path / form)]) == 0
        assert "MMTE, Table 11" in (tmp_path / form).read_text()
    assert main(["papers", "align"]) == 1
    assert "Did you mean 'align_mlm'" in capsys.readouterr().err


@pytest.mark.parametrize(("task", "expected"), [("classification", 0.0073550288), ("ner", 0.0027), ("pos", 0.0065)])
def test_the_p_value_of_the_papers_correlation_is_below_a_hundredth(task, expected):
    """ALIGN-MLM, section 5 and appendix E: rho 0.73, p (2-tailed) < .01."""
    printed = [papers.printed(["align_mlm.3", "align_mlm.8"], *cell, task) for cell in CELLS]
    rank = spearman([p["alignment"] for p in printed], [p["delta"] for p in printed])
    assert spearman_p(rank, len(printed)) == pytest.approx(expected, rel=0.02 if expected < 0.007 else 1e-8)


@pytest.mark.parametrize("points", [3, 4, 5, 12, 13, 40])
def test_p_values_are_scipys(points):
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(points)
    first, second = generator.normal(size=(2, points))
    expected = stats.spearmanr(first, second)
    assert spearman_p(spearman(first, second), points) == pytest.approx(expected.pvalue, abs=1e-12)


def test_a_mostly_empty_table_is_printed_in_parts_that_fit_a_terminal(capsys):
    assert main(["papers", "tpp.3"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80 and "–" not in out
    assert "TPP, Table 3: NER, zero-shot en->hi\n" in out
    assert all(cell.value in out for cell in papers.cells("tpp.3"))


def test_tables_to_compare_with_are_listed_in_order(capsys):
    assert main(["compare", ".", "--paper", "foo"]) == 1
    assert "align_mlm.1, align_mlm.2, align_mlm.3, align_mlm.4" in capsys.readouterr().err
