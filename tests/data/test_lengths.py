"""Counts of lengths: exact for any limit, whatever the order and the pieces in which they were counted."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.data import lengths as module
from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.data.lengths import LengthCounter, LengthCounts, count_lengths
from fairseq_xalign.data.streams import BitextStream, MonoStream
from fairseq_xalign.errors import UserError
from preprocess.__main__ import main
from tests.support.samples import raw_material
from tests.support.toy import write_tokens

PAIRS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 2**31 - 1)), min_size=1, max_size=60)


def counted(pairs, pieces=1):
    counter = LengthCounter(2)
    for piece in np.array_split(np.array(pairs), pieces):
        counter.add(piece)
    return counter.result()


@given(PAIRS, st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_every_pair_of_lengths_is_counted_once_in_ascending_order(pairs, pieces):
    found = counted(pairs, pieces)
    rows = list(map(tuple, found.lengths.tolist()))
    assert rows == sorted(set(pairs))
    assert dict(zip(rows, found.counts.tolist())) == Counter(pairs)


@given(PAIRS, PAIRS)
@settings(max_examples=100, deadline=None)
def test_counts_are_read_back_and_added_up(first, second):
    a, b = counted(first), counted(second)
    back = LengthCounts.decode(a.encode(), 2)
    assert back.lengths.tolist() == a.lengths.tolist() and back.counts.tolist() == a.counts.tolist()
    both, together = a + b, counted(first + second)
    assert both.encode() == together.encode()
    assert a.swapped().lengths.tolist() == a.lengths[:, ::-1].tolist()


@pytest.mark.parametrize(
    "text", ["", "no base64!", "aGVsbG8=", LengthCounts(np.ones((3, 1)), np.ones(3)).encode()[:-8]]
)
def test_what_is_no_counts_is_refused(text):
    with pytest.raises(ValueError):
        LengthCounts.decode(text, 2)


def test_text_of_too_many_different_lengths_has_no_counts(monkeypatch):
    monkeypatch.setattr(module, "MOST_CELLS", 10)
    assert counted([(n, n) for n in range(10)]) is not None
    counter = LengthCounter(2)
    for n in range(12):
        counter.add(np.array([[n, n]]))
    counter.add(np.array([[1, 1]]))
    assert counter.result() is None


@pytest.mark.parametrize("chunk", [1 << 20, 7])
def test_what_does_not_fit_is_the_same_from_the_counts_and_from_all_lengths(tmp_path, monkeypatch, chunk):
    draws = np.random.default_rng(1)
    sides = tuple(write_tokens(tmp_path / name, draws.integers(1, 50, 200).tolist()) for name in ("a", "b"))
    monkeypatch.setattr(module, "CHUNK", chunk)
    pairs, alone = count_lengths(sides), count_lengths(sides[:1])
    sizes = np.stack([side.sizes for side in sides], axis=1)
    for limit in (4, 30, 60, 101, 200):
        expected = {
            "pairs": (sizes.sum(axis=1) > limit - 1).sum(),
            "halves": (sizes > limit // 2 - 1).any(axis=1).sum(),
        }
        for packing, number in expected.items():
            streams = [BitextStream("en", "de", sides, limit, packing, counts) for counts in (None, pairs)]
            assert [stream.count_left_out() for stream in streams] == [number, number]
        for mode, number in (("none", 0), ("eos", (sizes[:, 0] > limit - 1).sum())):
            streams = [MonoStream("en", sides[0], limit, mode, counts) for counts in (None, alone)]
            assert [stream.count_too_long() for stream in streams] == [number, number]


def test_counts_of_the_manifest_are_used_and_no_length_is_read(tmp_path):
    class Unread:
        """A side whose lengths must not be looked at."""

        def __len__(self):
            return 25_000_000_000

    counts = LengthCounts(np.array([[3, 4], [500, 20]]), np.array([24_999_999_000, 1000]))
    assert BitextStream("en", "de", (Unread(), Unread()), 256, "pairs", counts).count_left_out() == 1000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("lengths")
    raw_material(root)
    command = ["binarize", "--subword", f"{root}/sub", "--output", f"{root}/data", "--workers", "1"]
    assert main([*command, "--mono", f"en={root}/en", "--bitext", f"en-de={root}/en,{root}/de"]) == 0
    return DataFolder.open(root / "data")


def test_a_folder_of_an_older_version_opens_without_counts(folder):
    assert list(folder.lengths("bitext", "train")) == [("en", "de")] and list(folder.lengths("mono", "train")) == ["en"]
    assert folder.lengths("mono", "valid") == {}
    older = {
        **folder.manifest,
        "streams": [{k: v for k, v in s.items() if k != "lengths"} for s in folder.manifest["streams"]],
    }
    assert DataFolder(folder.path, older).lengths("bitext", "train") == {}


@pytest.mark.parametrize("lengths", ["?", 7, LengthCounts(np.array([[3]]), np.array([1])).encode()])
def test_counts_that_cannot_be_read_or_are_of_another_text_name_the_manifest(folder, lengths):
    damaged = {**folder.manifest, "streams": [{**s, "lengths": lengths} for s in folder.manifest["streams"]]}
    with pytest.raises(UserError, match="the lengths of mono train en cannot be read") as error:
        DataFolder(folder.path, damaged).lengths("mono", "train")
    assert str(error.value.where).endswith("manifest.json")
