"""Translations beside each other, beside MMTE's Table 1, and drawn."""

import csv
import io
import json
import sys

import pytest
from matplotlib.image import imread

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.evaluate.report import translation_plots
from fairseq_xalign.evaluate.report.translation_tables import printed_bleu, translation_runs
from fairseq_xalign.evaluate.report.translations import Translations
from fairseq_xalign.files import write_json
from tests.evaluate.report.test_translations import DIRECTIONS, entry
from tests.support.runs import grid
from tests.support.samples import fairseq_folders, raw_material


@pytest.fixture
def runs(tmp_path):
    """Two models, of five and of two directions."""
    directions = {"ur-en": entry(25.0, 30), "en-es": entry(30.0, 3_000_000)}
    for name, chosen in (("many", DIRECTIONS | directions), ("two", {"ur-en": entry(26.5), "en-es": entry(33.0)})):
        write_json(tmp_path / name / "bleu.json", Translations(name, chosen).record())
    return tmp_path


def printed(capsys, *arguments):
    assert main(["compare", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_the_papers_figures_are_those_of_table_1():
    assert printed_bleu("ur-en") == {"paper baseline": 27.84, "paper mNMT": 27.24}
    assert printed_bleu("eng-spa_Latn") == {"paper baseline": 35.23, "paper mNMT": 34.35}
    assert printed_bleu("en-de") == {}


def test_models_stand_side_by_side_with_averages_over_what_both_have(runs, capsys):
    lines = printed(capsys, runs, "--paper", "mmte").splitlines()
    cells = {line.split("  ")[0]: line.split() for line in lines}
    columns = ["many BLEU", "two BLEU", "many chrF", "two chrF", "paper baseline", "paper mNMT"]
    assert lines[0].split("  ")[0] == "direction" and all(column in lines[0] for column in columns)
    assert cells["ur-en"][1:] == ["25.0", "26.5", "50.0", "53.0", "27.84", "27.24"]
    assert cells["en-de"][1:] == ["30.0", "–", "60.0", "–", "–", "–"]
    assert cells["average, all (2)"][3:] == ["27.5", "29.8", "55.0", "59.5"]
    assert "paper: mmte.1 as printed" in "\n".join(lines)


def test_csv_and_json_keep_every_digit(runs, capsys):
    rows = list(csv.DictReader(io.StringIO(printed(capsys, runs, "--format", "csv"))))
    assert len(rows) == 9 and {row["model"] for row in rows} == {"many", "two"}
    found = json.loads(printed(capsys, runs, "--format", "json", "--paper", "mmte.1"))
    assert found["translations"][5]["paper_mNMT"] == 27.24 and found["paper"] == ["mmte.1"]


def test_results_of_labels_and_translations_are_two_tables(runs, capsys):
    grid(runs / "labels")
    out = printed(capsys, runs)
    assert out.startswith("pos, en-en_transinv") and "\ndirection " in out
    found = json.loads(printed(capsys, runs, "--format", "json", "--paper", "mmte"))
    assert found["rows"] and len(found["translations"]) == 9 and found["paper"] == []
    assert main(["compare", str(runs), "--format", "csv"]) == 1
    assert "do not fit into one CSV" in capsys.readouterr().err


def test_two_models_of_one_name_are_told_apart_by_their_folders(tmp_path, capsys):
    for folder in ("a", "b"):
        write_json(tmp_path / folder / "bleu.json", Translations("same", {"en-de": entry(1.0)}).record())
    assert "same (a) BLEU  same (b) BLEU" in printed(capsys, tmp_path)


def test_other_references_are_not_compared(tmp_path):
    for folder in ("a", "b"):
        other = {"en-de": entry(1.0, references_sha256=folder)}
        write_json(tmp_path / folder / "bleu.json", Translations(folder, other).record())
    with pytest.raises(UserError, match="en-de: scored against other references"):
        translation_runs([tmp_path])


def test_sizes_are_drawn_from_the_largest_on_a_logarithmic_scale():
    figure = translation_plots.corpus_sizes({"en-de": 100, "en-fr": 3_000, "en-xx": 0, "de-en": 100}, "data")
    (axis,) = figure.axes
    assert [bar.get_height() for bar in axis.patches] == [3000, 100, 100] and axis.get_yscale() == "log"
    assert [label.get_text() for label in axis.get_xticklabels()] == ["en-fr", "en-de", "de-en"]
    assert axis.get_title() == "data: 3 directions, 3,200 pairs"
    many = translation_plots.corpus_sizes({f"en-x{i}": i + 1 for i in range(204)})
    assert many.axes[0].get_xlabel() == "direction, by rank" and len(many.axes[0].patches) == 204


def test_bleu_is_drawn_by_model_with_most_training_pairs_first(runs):
    figure = translation_plots.bleu(translation_runs([runs]))
    (axis,) = figure.axes
    names = [label.get_text() for label in axis.get_xticklabels()]
    assert names[:3] == ["en-es", "en-de", "de-en"] and names[-1] == "de-sw"
    many, two = axis.get_lines()
    assert dict(zip((names[int(x)] for x in two.get_xdata()), two.get_ydata())) == {"en-es": 33.0, "ur-en": 26.5}
    assert (many.get_label(), two.get_label()) == ("many", "two") and len(many.get_xdata()) == 7


def test_the_command_draws_both_kinds(runs, tmp_path, capsys):
    fairseq_folders(tmp_path, raw_material(tmp_path))
    assert main(["plot", "bleu", str(runs), "--output", str(tmp_path / "bleu.svg")]) == 0
    assert "en-es" in (tmp_path / "bleu.svg").read_text()
    assert main(["plot", "corpus-sizes", str(tmp_path / "pair"), "--output", str(tmp_path / "sizes.png")]) == 0
    assert imread(tmp_path / "sizes.png").std() > 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bleu", "nowhere"], "none of the runs has scores of translations"),
        (["corpus-sizes", "a", "b"], "corpus-sizes takes one data folder, not 2"),
        (["bleu", "a", "--metric", "chrf"], "--metric does not go with bleu"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(arguments, message, tmp_path, capsys):
    assert main(["plot", *arguments, "--output", str(tmp_path / "x.png")]) == 1
    assert message in capsys.readouterr().err


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match="plots"):
        translation_plots.corpus_sizes({"en-de": 1})
