"""A folder with a colon in its name is one folder; shards are split as before."""

from __future__ import annotations

from fairseq import utils

from fairseq_xalign import compat


def test_a_path_that_exists_is_whole_and_any_other_is_split(tmp_path):
    compat.apply()
    place = tmp_path / "2024-05-01T10:00"
    place.mkdir()
    assert utils.split_paths(str(place)) == [str(place)]
    assert utils.split_paths(f"{place}/a:{place}/b") == f"{place}/a:{place}/b".split(":")
    assert utils.split_paths("A:B") == ["A", "B"] and utils.split_paths("A") == ["A"]
    assert utils.split_paths("A,B", ",") == ["A", "B"]
    assert utils.split_paths("manifold://a|manifold://b") == ["manifold://a", "manifold://b"]


def test_fairseq_alone_splits_a_folder_that_exists(tmp_path):
    compat.apply()
    place = tmp_path / "10:00"
    place.mkdir()
    assert utils.split_paths.__wrapped__(str(place)) == str(place).split(":")
