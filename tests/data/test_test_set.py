"""Test sets: parallel files and bitext of a data folder, in both directions of every pair."""

import shutil

import pytest

from fairseq_xalign.data.corpus_sizes import corpus_sizes
from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.data.shards import open_folder
from fairseq_xalign.data.test_set import FolderTestSet, TextTestSet, chosen_directions
from fairseq_xalign.errors import UserError
from preprocess.__main__ import main
from tests.support.samples import raw_material, sentences, write_lines


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    raw_material(root)
    options = ["--subword", f"{root}/sub", "--output", f"{root}/data", "--workers", "1"]
    for split, first in (("train", 50), ("test", 9)):
        for name in ("en", "de"):
            write_lines(root / f"{split}.{name}", sentences(name, 60)[:first])
        files = f"{root}/{split}.en,{root}/{split}.de"
        assert main(["binarize", *options, "--split", split, "--bitext", f"en-de={files}"]) == 0
    return root / "data"


def test_a_folder_gives_its_bitext_as_text_in_both_directions(data):
    test = FolderTestSet(DataFolder.open(data), "test")
    assert test.directions == [("en", "de"), ("de", "en")] and test.languages == ["en", "de"]
    english, german = sentences("en", 60)[:9], sentences("de", 60)[:9]
    assert test.lines(("en", "de")) == (english, german)
    assert test.lines(("de", "en")) == (german, english)
    assert test.unknown_share(("en", "de")) == 0


def test_the_share_of_unknown_references_is_that_of_the_target_side(tmp_path):
    raw_material(tmp_path)
    write_lines(tmp_path / "x", ["the Ж", "the"])
    write_lines(tmp_path / "y", ["der", "der"])
    options = ["--subword", f"{tmp_path}/sub", "--output", f"{tmp_path}/data", "--split", "test", "--max-unknown", "1"]
    assert main(["binarize", *options, "--bitext", f"en-de={tmp_path}/x,{tmp_path}/y"]) == 0
    test = FolderTestSet(DataFolder.open(tmp_path / "data"), "test")
    assert test.unknown_share(("en", "de")) == 0 < test.unknown_share(("de", "en")) < 0.5


def test_files_give_every_direction_between_their_languages(tmp_path):
    texts = {"en": ["a", "b"], "de": ["A", "B"], "zh-TW": ["甲", "乙"]}
    test = TextTestSet({name: write_lines(tmp_path / name, lines) for name, lines in texts.items()})
    assert len(test.directions) == 6 and ("zh-TW", "de") in test.directions
    assert test.lines(("zh-TW", "de")) == (["甲", "乙"], ["A", "B"])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"en": ["a"]}, "--text names 1 language"),
        ({"en": ["a"], "de": ["b", "c"]}, "de: has 2 lines, but .*en has 1"),
        ({"en": ["a", " "], "de": ["b", "c"]}, "en:2: an empty line"),
        ({"en": [], "de": []}, "en: has no lines"),
        ({"en": ["a"], "4x": ["b"]}, "--text '4x' is not a language code"),
    ],
)
def test_files_that_are_no_test_set_are_refused(tmp_path, texts, message):
    with pytest.raises(UserError, match=message):
        TextTestSet({name: write_lines(tmp_path / name, lines) for name, lines in texts.items()})


def test_all_directions_are_those_of_the_checkpoint_unless_others_are_named(tmp_path):
    test = TextTestSet({name: write_lines(tmp_path / name, ["a"]) for name in ("en", "de", "fr")})
    assert chosen_directions(None, test, ["de-en", "en-xx", "en-fr"]) == [("en", "fr"), ("de", "en")]
    assert chosen_directions(None, test, []) == test.directions
    assert chosen_directions([("de", "fr"), ("de", "fr")], test, ["de-en"]) == [("de", "fr")]
    with pytest.raises(UserError, match="--directions en-xx: not in the test set"):
        chosen_directions([("en", "xx")], test, [])
    with pytest.raises(UserError, match="none of its directions .* trained on \\(en-xx\\)"):
        chosen_directions(None, test, ["en-xx"])


def test_training_pairs_are_counted_by_direction(data):
    assert corpus_sizes(data) == {"en-de": 50, "de-en": 50}


def test_training_pairs_of_several_folders_are_added_up(data, tmp_path):
    shutil.copytree(data, tmp_path / "b")
    assert corpus_sizes(f"{data}:{tmp_path / 'b'}") == {"en-de": 100, "de-en": 100}
    test = FolderTestSet(open_folder(f"{data}:{tmp_path / 'b'}"), "test")
    assert len(test.lines(("de", "en"))[0]) == 9 and test.unknown_share(("de", "en")) == 0
