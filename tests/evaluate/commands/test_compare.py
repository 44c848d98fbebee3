"""`xalign-evaluate compare`: grouping over seeds, the paper's figures beside, all formats."""

import csv
import io
import json
import math

import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.evaluate.commands.compare import compare
from fairseq_xalign.evaluate.report import results, tables
from fairseq_xalign.evaluate.report.rows import group_over_seeds
from tests.support.runs import grid, result


def printed(capsys, *arguments):
    assert main(["compare", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_seeds_become_mean_and_deviation_and_rows_stand_in_the_papers_order(tmp_path, capsys):
    out = printed(capsys, grid(tmp_path)).splitlines()
    assert out[0] == "pos, en-en_transinv, Trans∘Inv (accuracy, %)"
    assert "SUP - ZS" in out[2] and "held-out" in out[2] and "paper" not in out[2]
    assert [line.split()[0] for line in out[4:9]] == ["mlm", "xlm", "dict_mlm", "align_mlm", "align_mlm"]
    # ZS 58 and 60: mean 59, deviation sqrt(2); SUP 88 twice.
    assert "88.0 ± 0.0" in out[7] and "59.0 ± 1.4" in out[7] and "29.0 ± 1.4" in out[7]
    assert "25 % frequent" in out[7] and "25 % random" in out[8]
    assert "accuracy|per:token|n:20|v:0" in out


def test_the_gap_is_paired_by_seed():
    runs = [result(sup=90.0, zs=60.0, seed=1), result(sup=80.0, zs=50.0, seed=2)]
    (row,) = group_over_seeds(runs)
    assert row.values["delta"] == [30.0, 30.0]
    assert row.record(False)["delta_deviation"] == 0.0
    assert row.record(False)["zs_deviation"] == pytest.approx(math.sqrt(50))


def test_a_seed_without_a_score_is_left_out_of_that_column_only():
    runs = [result(seed=1), result(seed=2, scores={"zs": {"accuracy": 40.0}}, retrieval=None)]
    (row,) = group_over_seeds(runs)
    assert row.seeds == [1, 2] and row.values["zs"] == [60.0, 40.0]
    assert row.values["delta"] == [30.0] and row.record(False)["retrieval_n"] == 1


def test_csv_and_json_keep_every_digit(tmp_path, capsys):
    third = 200 / 3
    results.write(tmp_path, result(zs=third))
    (record,) = csv.DictReader(io.StringIO(printed(capsys, tmp_path, "--format", "csv")))
    assert float(record["zs"]) == third and record["zs_deviation"] == "" and record["zs_n"] == "1"
    found = json.loads(printed(capsys, tmp_path, "--format", "json"))
    assert found["rows"][0]["delta"] == 90.0 - third and found["rows"][0]["by_seed"]["zs"] == [third]


def test_the_papers_figures_stand_beside_the_same_cells(tmp_path, capsys):
    grid(tmp_path)
    rows = json.loads(printed(capsys, tmp_path, "--paper", "align_mlm", "--format", "json"))["rows"]
    align = next(row for row in rows if row["objective"] == "align_mlm")
    assert align["metric"] == "chunk_f1" and align["zs"] == 57.0
    assert (align["paper_sup"], align["paper_zs"], align["paper_delta"]) == (95.0, 92.0, 3.0)
    assert align["paper_alignment"] == 95.2
    text = printed(capsys, tmp_path, "--paper", "align_mlm.3")
    assert "paper SUP - ZS" in text and "paper alignment" not in text and "38.5" in text


def paper_columns(tmp_path, capsys, run, *arguments):
    """What `--paper` sets beside one run."""
    results.write(tmp_path, run)
    (row,) = json.loads(printed(capsys, tmp_path, "--paper", *arguments, "--format", "json"))["rows"]
    return row["paper_sup"], row["paper_zs"], row["paper_delta"], row["paper_alignment"]


XLM = {"objective": "xlm"}


@pytest.mark.parametrize(
    ("run", "table", "expected"),
    [
        # Tables 1 and 6: XLM's share of parallel text
        (XLM | {"settings": {"parallel_share": 0.01}}, "align_mlm", (95.0, 66.9, 28.1, None)),
        (XLM | {"settings": {"parallel_share": 1}}, "align_mlm.1", (None, 60.0, 35.1, None)),
        (XLM | {"settings": {"parallel_share": 0.5}}, "align_mlm", (None, None, None, None)),
        # Table 7: overlap
        (XLM | {"settings": {"overlap": 0.25}}, "align_mlm", (95.1, 92.6, 2.4, None)),
        (XLM | {"settings": {"overlap": 0.25, "parallel_share": 0.1}}, "align_mlm", (None, None, None, None)),
        (XLM, "align_mlm.7", (95.0, 61.8, 33.2, None)),
        # Tables 2, 4 and 5: share of the dictionary, which an older result has in its name only
        ({"objective": "dict_mlm", "dictionary": "50 % random"}, "align_mlm", (None, None, 3.4, None)),
        ({"settings": {"dictionary_share": 0.5}}, "align_mlm.2", (None, None, 1.5, None)),
        ({"settings": {"dictionary_share": 0.5}, "transform": "Trans∘Syn"}, "align_mlm.5", (None, None, 0.7, None)),
        # Appendix G.5 tries other alphas and prints no figures for them
        ({"settings": {"alpha": 10}}, "align_mlm", (95.0, 92.0, 3.0, 95.2)),
        ({"settings": {"alpha": 100}}, "align_mlm", (None, None, None, None)),
        # a setting that the objective does not read does not matter
        ({"objective": "mlm", "settings": {"alpha": 1, "parallel_share": 1}}, "align_mlm.3", (95.0, 56.5, 38.5, None)),
        ({}, "align_mlm.1", (None, 92.0, 3.0, None)),
    ],
)
def test_a_printed_figure_stands_beside_runs_of_its_own_setting_only(run, table, expected, tmp_path, capsys):
    assert paper_columns(tmp_path, capsys, result(**run), table) == expected


CLASSES = {"scores": {"sup": {"accuracy": 80.0}, "zs": {"accuracy": 30.0}}, "task": "classification"}


@pytest.mark.parametrize(
    ("run", "figures"),
    [
        (CLASSES | {"settings": {"benchmark": "xnli"}}, (75.5, 68.8, 6.7)),
        (CLASSES | {"settings": {"benchmark": "intents"}}, (None, None, None)),
        (CLASSES, (None, None, None)),
        ({"settings": {"benchmark": "ud-english-ewt"}}, (95.0, 92.0, 3.0)),
        ({"settings": {"benchmark": "brown"}}, (None, None, None)),
    ],
    ids=["xnli", "intents", "classification-of-what", "ud", "brown"],
)
def test_a_printed_figure_stands_beside_runs_of_its_own_task_only(run, figures, tmp_path, capsys):
    *scores, alignment = paper_columns(tmp_path, capsys, result(**run), "align_mlm")
    assert tuple(scores) == figures
    assert alignment == 95.2, "word embeddings are aligned, whatever is learned afterwards"


def test_runs_that_differ_in_a_setting_are_rows_of_their_own_and_say_which(tmp_path, capsys):
    for alpha in (1, 10, 100):
        (tmp_path / str(alpha)).mkdir()
        results.write(tmp_path / str(alpha), result(zs=50.0 + alpha / 10, settings={"alpha": alpha}))
    lines = [line for line in printed(capsys, tmp_path).splitlines() if line.startswith("align_mlm")]
    assert ["alpha 1 " in lines[0], "alpha 10 " in lines[1], "alpha 100 " in lines[2]] == [True] * 3
    assert ["50.1" in lines[0], "51.0" in lines[1], "60.0" in lines[2]] == [True] * 3


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("dictionary_share", (0.25, 0.5), ("dictionary 25 %", "dictionary 50 %")),
        ("benchmark", ("ud-english-ewt", "pud"), ("pud", "ud-english-ewt")),
        ("training", ("joint", None), ("joint", "training not recorded")),
        ("overlap", (0.0, 0.1), ("overlap 0 %", "overlap 10 %")),
        ("parallel_share", (0.25, None), ("parallel text 25 %", "parallel text not recorded")),
        ("alpha", (10, None), ("alpha 10", "alpha not recorded")),
    ],
)
@pytest.mark.parametrize("form", ["text", "markdown", "latex"])
def test_no_two_rows_read_alike_whatever_setting_differs(name, values, said, form, tmp_path, capsys):
    for number, value in enumerate(values):
        (tmp_path / str(number)).mkdir()
        settings = {name: value} if value is not None else {}
        results.write(tmp_path / str(number), result("mlm", settings=settings))
    out = printed(capsys, tmp_path, "--format", form).replace("\\%", "%").replace("\\_", "_")
    lines = [line for line in out.splitlines() if line.strip("| ").startswith("mlm")]
    assert len(lines) == 2 and len(set(lines)) == 2
    assert sorted(text for text in said if any(text in line for line in lines)) == sorted(said)


def test_a_number_written_in_two_ways_is_one_setting(tmp_path):
    for seed, alpha in ((1, 10), (2, 10.0)):
        (tmp_path / str(seed)).mkdir()
        results.write(tmp_path / str(seed), result(seed=seed, settings={"alpha": alpha}))
    (row,) = group_over_seeds(results.read_runs([tmp_path]))
    assert row.seeds == [1, 2]


def test_the_table_says_how_much_parallel_text_training_saw(tmp_path, capsys):
    seen = {"pairs": 100, "left_out": 53, "sentences": 0.118, "tokens": 0.05}
    results.write(tmp_path, result(objective="xlm", settings={"parallel_seen": seen}))
    out = printed(capsys, tmp_path)
    assert "the parallel text seen in training was 11.8 % of the sentences, 5.0 % of all tokens" in out
    (record,) = csv.DictReader(io.StringIO(printed(capsys, tmp_path, "--format", "csv")))
    assert record["parallel_seen_tokens"] == "0.05"


def test_compare_is_a_function_too(tmp_path):
    text = compare([grid(tmp_path)], paper="align_mlm.3", form="markdown")
    assert text.startswith("pos, en-en_transinv") and "| paper ZS |" in text


def test_accuracy_of_pos_is_not_set_beside_the_papers_chunk_f1(tmp_path, capsys):
    rows = json.loads(
        printed(capsys, grid(tmp_path), "--paper", "align_mlm", "--metric", "accuracy", "--format", "json")
    )["rows"]
    assert all(row["paper_sup"] is None for row in rows)
    assert any(row["paper_alignment"] is not None for row in rows)


def test_pairs_and_transformations_have_tables_of_their_own(tmp_path, capsys):
    grid(tmp_path)
    grid(tmp_path, seeds=(1,), transform="Trans", pair="en-en_trans")
    out = printed(capsys, tmp_path)
    assert [line for line in out.splitlines() if line.endswith("(accuracy, %)")] == [
        "pos, en-en_trans, Trans (accuracy, %)",
        "pos, en-en_transinv, Trans∘Inv (accuracy, %)",
    ]


def test_markdown_and_latex_are_well_formed(tmp_path, capsys):
    runs = grid(tmp_path / "runs")
    markdown = printed(capsys, runs, "--format", "markdown").splitlines()
    table = [line for line in markdown if line.startswith("|")]
    assert len(table) == 7 and len({line.count("|") for line in table}) == 1
    assert main(["compare", str(runs), "--format", "latex", "--output", str(tmp_path / "t.tex")]) == 0
    latex = (tmp_path / "t.tex").read_text().splitlines()
    body = [line for line in latex if line and not line.startswith("%")]
    assert body[0].startswith("\\begin{tabular}") and body[-1] == "\\end{tabular}"
    assert any("dict\\_mlm & 25 \\% frequent" in line for line in body)
    assert capsys.readouterr().out == ""


def test_an_unknown_metric_names_the_known_ones_and_the_run(tmp_path):
    results.write(tmp_path, result())
    with pytest.raises(UserError, match="accuracy, chunk_f1"):
        group_over_seeds(results.read_runs([tmp_path]), "f1")


def test_a_table_that_cannot_stand_beside_runs_is_refused(tmp_path, capsys):
    assert main(["compare", str(grid(tmp_path)), "--paper", "tpp.2"]) == 1
    assert "align_mlm.3" in capsys.readouterr().err


def test_text_tables_line_up_with_wide_and_combining_letters():
    lines = tables.text_table(["a", "b"], [["日本", "1"], ["e\u0301", "22"]]).splitlines()
    # Two columns of four (two wide letters) and two, and two spaces between.
    assert [tables.width(line) for line in lines] == [8, 8, 8, 8]


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (-0.04, "0.0"), (-0.06, "-0.1"), (99.96, "100.0")])
def test_figures_are_rounded_for_readers(value, text):
    assert tables.number(value) == text
