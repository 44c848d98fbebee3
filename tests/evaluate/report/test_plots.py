"""`xalign-evaluate plot`: what is drawn says what the runs say, nothing overlaps, mistakes are named."""

import itertools
import sys

import pytest
from matplotlib.image import imread

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.evaluate.report import plots, results
from fairseq_xalign.evaluate.report.rows import group_over_seeds
from tests.support.runs import grid, result


def rows(tmp_path, *changes, **first):
    grid(tmp_path, **first)
    for change in changes:
        grid(tmp_path, **change)
    return group_over_seeds(results.read_runs([tmp_path]))


def overlaps(figure, texts):
    """Pairs of drawn texts whose boxes overlap."""
    figure.draw_without_rendering()
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts if t.get_text() and t.get_visible()]
    return [(a, b) for (a, x), (b, y) in itertools.combinations(boxes, 2) if x.overlaps(y)]


def test_bars_carry_their_values_and_deviations(tmp_path):
    figure = plots.transfer(rows(tmp_path))
    (axis,) = figure.axes
    heights = [round(bar.get_height(), 1) for bar in axis.patches]
    # mlm, xlm, dict_mlm, align_mlm twice; SUP, then ZS (mean of two seeds that differ by 2).
    assert heights == [88.5, 89.0, 86.0, 88.0, 87.0, 15.0, 18.0, 49.0, 59.0, 28.0]
    assert {text.get_text() for text in axis.texts} == {f"{h:.1f}" for h in heights}
    assert [label.get_text().split("\n")[0] for label in axis.get_xticklabels()] == [
        "mlm",
        "xlm",
        "dict_mlm",
        "align_mlm",
        "align_mlm",
    ]


def test_one_panel_each_pair_and_transformation_and_no_text_on_another(tmp_path):
    changes = [{"transform": "Trans", "pair": "en-en_trans"}, {"transform": "Trans∘Syn", "seeds": (1,)}]
    figure = plots.transfer(rows(tmp_path, *changes))
    panels = [axis for axis in figure.axes if axis.get_title()]
    assert [axis.get_title() for axis in panels] == [
        "pos, en-en_trans, Trans",
        "pos, en-en_transinv, Trans∘Inv",
        "pos, en-en_transinv, Trans∘Syn",
    ]
    texts = [t for axis in panels for t in [*axis.texts, *axis.get_xticklabels(), axis.title]]
    assert overlaps(figure, texts) == []


def test_bars_of_equal_height_keep_their_values_apart(tmp_path):
    for number, name in enumerate(["mlm", "xlm", "tlm", "dict_mlm", "align_mlm", "weam", "tpp", "moco"]):
        (tmp_path / name).mkdir()
        results.write(tmp_path / name, result(name, "MUSE, 25 % of the vocabulary", sup=100.0, zs=99.9, seed=number))
    figure = plots.transfer(group_over_seeds(results.read_runs([tmp_path])))
    (axis,) = figure.axes
    assert overlaps(figure, [*axis.texts, *axis.get_xticklabels(), axis.title]) == []


def test_alignment_plot_names_the_rank_correlation(tmp_path):
    figure = plots.alignment(rows(tmp_path, {"task": "ner"}))
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    # Alignment ranks xlm, mlm, random, dict, frequent; gap ranks mlm, xlm, random, dict, frequent downwards.
    assert titles == [f"{task}\nSpearman -0.900 (n = 5, p = 0.037)\nwith ZS - SUP +0.900" for task in ("ner", "pos")]
    keys = [text.get_text() for text in figure.legends[0].get_texts()]
    assert keys == [
        "mlm",
        "xlm",
        "dict_mlm, 25 % frequent",
        "align_mlm, 25 % frequent",
        "align_mlm, 25 % random",
    ]


LONG = "align_mlm_with_contrast_of_the_layers"


@pytest.mark.parametrize("tasks", [("pos",), ("pos", "ner")])
def test_title_and_legend_of_the_alignment_plot_are_whole_and_apart(tmp_path, tasks):
    runs = [result(LONG, "MUSE, 25 % of the vocabulary", task=task, align=1.0) for task in tasks]
    runs += [result(f"objective{i}", task=task, zs=10.0 + i, align=i) for i in range(20) for task in tasks]
    figure = plots.alignment(group_over_seeds(runs))
    figure.draw_without_rendering()
    (keys,) = figure.legends
    titles = [axis.title.get_window_extent() for axis in figure.axes]
    for box in [*titles, keys.get_window_extent()]:
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1
    assert not any(keys.get_window_extent().overlaps(box) for box in titles)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(titles, 2))


def test_without_colour_shapes_tell_objectives_apart_and_fillings_transformations(tmp_path):
    figure = plots.alignment(rows(tmp_path, {"transform": "Trans", "pair": "en-en_trans"}))
    (points,) = [axis.containers for axis in figure.axes]
    lines = [point.lines[0] for point in points]
    assert len(lines) == 10
    looks = {(line.get_marker(), line.get_markerfacecolor() == "white") for line in lines}
    assert len(looks) == 10 and len({marker for marker, _ in looks}) == 5
    keys = [text.get_text() for text in figure.legends[0].get_texts()]
    assert keys[-2:] == ["en-en_trans, Trans", "en-en_transinv, Trans∘Inv"]


def test_rows_that_differ_in_a_setting_are_told_apart_in_figures():
    rows = group_over_seeds([result(settings={"dictionary_share": share}) for share in (0.25, 0.5)])
    labels = [label.get_text() for label in plots.transfer(rows).axes[0].get_xticklabels()]
    assert labels == ["align_mlm\ndictionary\n25 %", "align_mlm\ndictionary\n50 %"]
    keys = [text.get_text() for text in plots.alignment(rows).legends[0].get_texts()]
    assert keys == ["align_mlm, dictionary 25 %", "align_mlm, dictionary 50 %"]


def test_figures_count_the_seeds_that_failed():
    whole = [result(seed=seed) for seed in (1, 2, 3, 4)] + [result("mlm", align=1.0), result("xlm", align=2.0)]
    failed = [result(seed=5, scores={}, alignment={}, failed="killed"), result("tpp", scores={}, failed="killed")]
    found = group_over_seeds([*whole, *failed])
    labels = [label.get_text() for label in plots.transfer(found).axes[0].get_xticklabels()]
    assert labels == ["mlm", "xlm", "align_mlm\nn = 4 of 5", "tpp\nn = 0 of 1"]
    assert plots.alignment(found)._supxlabel.get_text().split("\n") == [
        "pos, en-en_transinv, Trans∘Inv, align_mlm: 4 of 5 seeds",
        "pos, en-en_transinv, Trans∘Inv, tpp: 0 of 1 seeds",
    ]


def test_a_bar_of_fewer_seeds_than_its_row_says_so():
    without = result(seed=2, scores={"zs": {"accuracy": 50.0}})
    labels = plots.transfer(group_over_seeds([result(), without])).axes[0].get_xticklabels()
    assert labels[0].get_text() == "align_mlm\nn = 2\nSUP: 1 of 2"


def test_long_names_of_objectives_stay_within_the_axis_and_apart():
    names = [LONG, f"{LONG}_2", "MOCOWITHMANYWIDELETTERSANDNOMARKS", "mlm"]
    figure = plots.transfer(group_over_seeds([result(name, "induced_from_57,000_verses") for name in names]))
    (axis,) = figure.axes
    labels = axis.get_xticklabels()
    assert overlaps(figure, [*labels, *axis.texts, axis.title]) == []
    boxes = [label.get_window_extent() for label in labels]
    assert min(box.x0 for box in boxes) >= axis.bbox.x0 and max(box.x1 for box in boxes) <= axis.bbox.x1
    # Nothing of a name is lost.
    assert labels[3].get_text().replace("\n", "").startswith(f"{LONG}_2")


def test_two_points_have_no_correlation(tmp_path):
    figure = plots.alignment(group_over_seeds([result("mlm"), result("xlm", zs=10.0, align=3.0)]))
    assert "too few points" in figure.axes[0].get_title()


@pytest.mark.parametrize("kind", ["transfer", "alignment"])
def test_files_are_png_and_svg_and_equal_runs_give_equal_files(tmp_path, kind):
    grid(tmp_path / "runs")
    for name in ("a.png", "a.svg", "b.svg", "b.png"):
        assert main(["plot", kind, str(tmp_path / "runs"), "--output", str(tmp_path / name)]) == 0
    image = imread(tmp_path / "a.png")
    assert image.shape[0] > 400 and image.shape[1] > 600
    # Something is drawn: more than white and black.
    assert len({tuple(pixel) for pixel in image[::7, ::7].reshape(-1, image.shape[2]).tolist()}) > 5
    assert (tmp_path / "a.svg").read_text().lstrip().startswith("<?xml")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_missing_matplotlib_names_the_extra(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r"fairseq_xalign\[plots\]"):
        plots.transfer(group_over_seeds([result()]))


def test_runs_without_what_is_drawn_and_unknown_endings_are_refused(tmp_path, capsys):
    only_source = result(scores={"source": {"accuracy": 1.0}}, alignment={})
    for draw in (plots.transfer, plots.alignment):
        with pytest.raises(UserError, match="none of the runs"):
            draw(group_over_seeds([only_source]))
    grid(tmp_path)
    assert main(["plot", "transfer", str(tmp_path), "--output", str(tmp_path / "x.pdf")]) == 1
    assert ".png, .svg" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["plot", "transfer", str(tmp_path / "empty"), "--output", str(tmp_path / "x.png")]) == 1
    assert not list(tmp_path.glob("x.*"))
