"""`xalign-evaluate plot sentences|words|distances`: the vectors of encoders, before and after."""

import itertools

import numpy as np
import pytest
from matplotlib.image import imread

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.evaluate.picturing import frequent_pairs, stop_words_of
from fairseq_xalign.evaluate.report import projections
from fairseq_xalign.evaluate.report.projections import Space
from tests.support.checkpoints import save, two_layers_state
from tests.support.samples import write_lines

pytest.importorskip("sklearn")
ENGLISH = [
    "the house on the hill",
    "a house in the garden",
    "the garden is old",
    "a walk",
    "the old hill",
    "No 7 walk !",
]
GERMAN = [
    "das Haus auf dem Hügel",
    "ein Haus im Garten",
    "der Garten ist alt",
    "ein Gang",
    "der alte Hügel",
    "Nein 7 Gang !",
]
LINKS = ["0-0 1-1 4-4 2-2", "1-1 4-3", "1-1 3-3 0-0", "1-1", "2-2 1-1", "2-2 1-1 3-3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    for name in ("before", "after"):
        (folder / name).mkdir()
        save(two_layers_state(), folder / name / "checkpoint_best.pt")
    for name, lines in (
        ("en", ENGLISH),
        ("de", GERMAN),
        ("links", LINKS),
        ("stops.en", ["the", "old"]),
        ("stops.de", []),
    ):
        write_lines(folder / name, lines)
    return folder


def draw(folder, kind, output, *options):
    text = ["--source", f"en={folder / 'en'}", "--target", f"de={folder / 'de'}", "--device", "cpu"]
    stops = [part for lang in ("en", "de") for part in ("--stop-words", f"{lang}={folder / f'stops.{lang}'}")]
    runs = [str(folder / "before"), str(folder / "after")]
    more = ["--links", str(folder / "links"), *stops] if kind == "words" else []
    return main(["plot", kind, *runs, "--output", str(output), *text, *more, *options])


@pytest.mark.parametrize("kind", ["sentences", "words", "distances"])
def test_files_are_png_and_svg_and_equal_input_gives_equal_files(folder, tmp_path, kind):
    for name in ("a.svg", "b.svg", "a.png"):
        assert draw(folder, kind, tmp_path / name) == 0
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    image = imread(tmp_path / "a.png")
    assert len({tuple(pixel) for pixel in image[::7, ::7].reshape(-1, image.shape[2]).tolist()}) > 5
    svg = (tmp_path / "a.svg").read_text()
    assert "before" in svg and "after" in svg


def test_the_most_frequent_linked_pairs_have_no_stop_words_numbers_or_marks(folder):
    pairs = frequent_pairs(
        ("en", folder / "en"), ("de", folder / "de"), folder / "links", ({"the", "old"}, set()), most=20
    )
    # house-haus, hill-hügel, garden-garten and walk-gang are linked twice each; "7", "!" and "the" never stand here.
    assert pairs[:3] == [("garden", "garten"), ("hill", "hügel"), ("house", "haus")]
    assert {"the", "old", "7", "!", "a"}.isdisjoint({word for pair in pairs for word in pair})
    assert (
        frequent_pairs(("en", folder / "en"), ("de", folder / "de"), folder / "links", (set(), set()), 3)[2:]
        == pairs[2:3]
    )


def test_links_of_another_text_are_refused(folder, tmp_path):
    sides = ("en", folder / "en"), ("de", folder / "de")
    for lines, message in (
        (LINKS[:3], "links: 3 lines of links, but .*en has 6 lines"),
        ([*LINKS, "0-0"], "links: 7 lines of links, but .*en has 6 lines"),
        (["9-9", *LINKS[1:]], "links:1: a link 9-9"),
    ):
        with pytest.raises(UserError, match=message):
            frequent_pairs(*sides, write_lines(tmp_path / "links", lines), (set(), set()))


@pytest.mark.parametrize(("english", "german"), [(5, 6), (6, 5)])
def test_words_of_texts_of_unequal_length_are_refused(folder, tmp_path, capsys, english, german):
    """The links fit the shorter text, whose lines may be those of other sentences."""
    write_lines(tmp_path / "en", ENGLISH[:english])
    write_lines(tmp_path / "de", GERMAN[:german])
    write_lines(tmp_path / "links", LINKS[:5])
    sides = ["--source", f"en={tmp_path / 'en'}", "--target", f"de={tmp_path / 'de'}"]
    assert draw(folder, "words", tmp_path / "x.png", *sides, "--links", str(tmp_path / "links")) == 1
    assert f"en: {english} lines, but {tmp_path / 'de'} has {german}" in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()


def test_clusters_that_are_far_apart_stay_apart_on_the_plane():
    generator = np.random.default_rng(1)
    source = generator.normal(0, 0.05, (40, 16)) + np.eye(16)[0]
    target = generator.normal(0, 0.05, (40, 16)) + np.eye(16)[1]
    one, other = projections.project(source, target, 10.0, seed=1)
    spread = max(np.linalg.norm(side - side.mean(0), axis=1).max() for side in (one, other))
    assert np.linalg.norm(one.mean(0) - other.mean(0)) > spread


def test_no_pair_of_near_words_is_thrown_apart():
    generator = np.random.default_rng(1)
    source = generator.normal(size=(20, 64))
    one, other = projections.project(source, source + 0.3 * generator.normal(size=source.shape), 5.0, seed=1)
    assert np.linalg.norm(one - other, axis=1).max() < 0.2 * np.ptp(np.concatenate([one, other]), axis=0).max()


def test_labels_of_words_do_not_cover_each_other():
    generator = np.random.default_rng(2)
    vectors = generator.normal(size=(20, 16))
    pairs = [(f"word{i}", f"wort{i}") for i in range(20)]
    figure = projections.words(
        [Space("a", vectors, vectors + generator.normal(size=vectors.shape))], pairs, ("en", "de")
    )
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 40
    assert sum(a.overlaps(b) for a, b in itertools.combinations(boxes, 2)) <= 2


def test_distances_carry_their_means(folder):
    figure = projections.distances([("before", np.full(4, 0.5)), ("after", np.full(4, 0.25))], ("en", "ar"))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["before: mean 0.50", "after: mean 0.25"]

    many = projections.distances([(str(i), np.full(4, 0.1 * i)) for i in range(8)], ("en", "ar"))
    lines = many.axes[0].get_lines()
    assert len({str(line._dash_pattern) for line in lines}) == 8, "told apart without colour"


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("sentences", ["--names", "one"], "1 name for 2 encoders"),
        ("sentences", ["--layer", "3"], "the model has 2 layers"),
        ("sentences", ["--most", "2"], "too few for a figure"),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_nothing_is_written(folder, tmp_path, capsys, kind, options, message):
    assert draw(folder, kind, tmp_path / "x.png", *options) == 1
    assert message in capsys.readouterr().err and not (tmp_path / "x.png").exists()


def test_words_need_links_and_sides_need_text(folder, capsys):
    runs = ["plot", "words", str(folder / "before"), "--output", "x.png"]
    assert main(runs) == 1 and "--source XX=FILE and --target YY=FILE" in capsys.readouterr().err
    assert main([*runs, "--source", f"en={folder / 'en'}", "--target", f"de={folder / 'de'}"]) == 1
    assert "needs the links" in capsys.readouterr().err


def test_stop_words_are_the_users_or_a_collections(folder):
    assert stop_words_of("en", [("en", folder / "stops.en")]) == {"the", "old"}
    pytest.importorskip("stopwordsiso")
    assert {"und", "der"} <= stop_words_of("de-AT", [])
    with pytest.raises(UserError, match="--stop-words xx=FILE"):
        stop_words_of("xx", [])


def test_options_of_vectors_are_refused_for_figures_of_runs(tmp_path, capsys):
    arguments = ["plot", "transfer", str(tmp_path), "--output", str(tmp_path / "x.png")]
    for option, value in (("--pooling", "cls"), ("--most", "5"), ("--seed", "2"), ("--stop-words", "en=x")):
        assert main([*arguments, option, value]) == 1
        assert f"{option} is for sentences, words, distances, not for transfer" in capsys.readouterr().err
