"""Several data folders as one: the same sentences in the same place as in one folder, each once per pass, in turn."""

import pickle
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.data.batching import Budget
from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.data.shards import JoinedArray, JoinedTokens, ShardedFolder, open_folder
from fairseq_xalign.data.streams import BitextStream, MonoStream
from fairseq_xalign.data.windows import Planner, in_turn, shuffled
from fairseq_xalign.errors import UserError
from preprocess.__main__ import main
from tests.support.samples import raw_material, sentences, subword_folder, write_lines
from tests.support.toy import write_tokens

LINES = 90


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One folder of 90 sentences in two languages, and two folders of its first 60 and last 30."""
    root = tmp_path_factory.mktemp("shards")
    raw_material(root)
    texts = {name: sentences(name, LINES) for name in ("en", "de")}
    for folder, begin, end in (("whole", 0, 90), ("a", 0, 60), ("b", 60, 90)):
        for name, lines in texts.items():
            write_lines(root / f"{folder}.{name}", lines[begin:end])
        text = [f"{root}/{folder}.{name}" for name in texts]
        command = ["binarize", "--subword", f"{root}/sub", "--output", f"{root}/{folder}", "--workers", "1"]
        mono = ["--mono", f"en={text[0]}", "--bitext", f"en-de={text[0]},{text[1]}"]
        assert main([*command, *mono]) == 0
        assert main([*command, "--mono", f"en={text[0]}", "--split", "valid"]) == 0
    only_b = ["binarize", "--subword", f"{root}/sub", "--output", f"{root}/b", "--workers", "1"]
    assert main([*only_b, "--mono", f"de={root}/b.de", "--dictionary", f"en-de={root}/dictionary"]) == 0
    return root


@pytest.fixture
def joined(made):
    return open_folder(f"{made}/a:{made}/b")


def test_the_texts_are_those_of_one_folder(made, joined):
    whole = DataFolder.open(made / "whole")
    pairs = zip(joined.bitext("train")["en", "de"], whole.bitext("train")["en", "de"])
    for ours, theirs in (*pairs, (joined.mono("train")["en"], whole.mono("train")["en"])):
        assert isinstance(ours, JoinedTokens) and len(ours) == LINES and ours.parts == [60, 30]
        assert [item.tolist() for item in ours] == [item.tolist() for item in theirs]
        for index in (0, 59, 60, 89, -1):
            assert ours[index].tolist() == theirs[index].tolist()
        for name in ("sizes", "starts", "tokens"):
            assert getattr(ours, name)[:].tolist() == np.asarray(getattr(theirs, name)).tolist()
        chosen = np.array([88, 3, 60, 59, 3])
        for found, expected in zip(ours.gather(chosen), theirs.gather(chosen)):
            assert found.tolist() == expected.tolist()
    (stream,) = [s for s in joined.manifest["streams"] if s["kind"] == "bitext"]
    (expected,) = [s for s in whole.manifest["streams"] if s["kind"] == "bitext"]
    for key in ("sentences", "tokens", "longest", "unknown"):
        assert stream[key] == expected[key]
    ours, theirs = (folder.lengths("bitext", "train")["en", "de"] for folder in (joined, whole))
    assert ours.encode() == theirs.encode()


def test_what_only_one_part_has_is_read_from_it_and_validation_is_the_first_parts(made, joined):
    assert joined.languages == ["en", "de"] and len(joined.mono("train")["de"]) == 30
    assert len(joined.mono("valid")["en"]) == 60
    assert list(joined.dictionaries()) == [("en", "de")] and str(made / "b") in str(joined.dictionaries()["en", "de"])
    assert joined.tokenizer.sha256 == DataFolder.open(made / "a").tokenizer.sha256
    with pytest.raises(UserError, match="no mono test de") as error:
        joined.require("mono", "test", ["de"])
    assert "binarize --subword" not in str(error.value.remedy)


def test_the_order_of_parts_is_part_of_the_checksum(made, joined):
    other = open_folder(f"{made}/b:{made}/a")
    assert joined.checksum(["mono"], "train", ["en"]) != other.checksum(["mono"], "train", ["en"])
    again = open_folder(f"{made}/a:{made}/b")
    assert joined.checksum(["mono"], "train", ["en"]) == again.checksum(["mono"], "train", ["en"])


def test_loader_processes_map_the_parts_themselves(joined):
    text = joined.mono("train")["en"]
    copy = pickle.loads(pickle.dumps(text))
    assert len(pickle.dumps(text)) < 2000 and [i.tolist() for i in copy] == [i.tolist() for i in text]


def test_shards_of_other_vocabularies_or_named_twice_are_refused(made, tmp_path):
    subword_folder(tmp_path / "sub", pieces=80)
    command = ["binarize", "--subword", f"{tmp_path}/sub", "--output", f"{tmp_path}/c", "--max-unknown", "1"]
    assert main([*command, "--mono", f"en={made}/a.en", "--workers", "1"]) == 0
    for path, said in (
        (f"{made}/a:{tmp_path}/c", "has another vocabulary than"),
        (f"{made}/a:{made}/b:{made}/../{made.name}/a", "is listed twice"),
        (f"{made}/a:{made}/nowhere", "no such data folder"),
        (f"{made}/a:", "names a data folder without a name"),
    ):
        with pytest.raises(UserError, match=said):
            open_folder(path)


def test_a_folder_with_a_colon_in_its_name_is_one_folder(made, tmp_path):
    shutil.copytree(made / "a", tmp_path / "2024-05-01T10:00")
    assert not isinstance(open_folder(tmp_path / "2024-05-01T10:00"), ShardedFolder)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.data())
@settings(max_examples=200, deadline=None)
def test_joined_arrays_are_indexed_like_one(sizes, data):
    parts = [np.arange(size) * 10 + number for number, size in enumerate(sizes)]
    plain, joined = np.concatenate(parts), JoinedArray(parts)
    assert len(joined) == len(plain) and joined[:].tolist() == plain.tolist()
    begin, end = sorted(data.draw(st.tuples(st.integers(0, 21), st.integers(0, 21))))
    assert joined[begin:end].tolist() == plain[begin:end].tolist()
    if len(plain):
        chosen = np.array(data.draw(st.lists(st.integers(0, len(plain) - 1), max_size=8)), dtype=np.int64)
        assert joined[chosen].tolist() == plain[chosen].tolist()
        assert joined[-1] == plain[-1]
    with pytest.raises(IndexError):
        joined[len(plain)]


def drawn_in_turn(numbers, sizes, key, run):
    """Where a pass sends some of its draws, as the planner has it."""
    parts = []
    for begin, size, part_key in in_turn(sizes, key):
        ours = numbers[(numbers >= begin) & (numbers < begin + size)] - begin
        parts.append(begin + shuffled(ours, size, part_key, run))
    return np.concatenate(parts)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=4), st.integers(0, 3), st.sampled_from([1, 64]))
@settings(max_examples=60, deadline=None)
def test_parts_are_drawn_in_turn_and_every_unit_once(sizes, key, run):
    found = drawn_in_turn(np.arange(sum(sizes)), sizes, key, run)
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    for begin, end in zip(bounds, bounds[1:]):
        assert sorted(found[begin:end]) == list(range(begin, end))
    # Whatever piece of the pass is asked for, the answer is that piece.
    piece = np.arange(sum(sizes) // 3, sum(sizes))
    assert drawn_in_turn(piece, sizes, key, run).tolist() == found[piece].tolist()
    if len(sizes) == 1:
        assert found.tolist() == shuffled(np.arange(sizes[0]), sizes[0], key, run).tolist()


@pytest.mark.parametrize("kind", ["pairs", "halves", "eos", "complete", "none"])
def test_a_pass_over_two_shards_draws_every_unit_once_the_first_shards_first(tmp_path, kind):
    lengths = np.random.default_rng(3).integers(2, 12, 65).tolist()
    sides = [
        JoinedTokens([write_tokens(tmp_path / f"{s}{n}", part) for n, part in enumerate((lengths[:40], lengths[40:]))])
        for s in ("x", "y")
    ]
    if kind in ("pairs", "halves"):
        stream = BitextStream("en", "de", (sides[0], sides[1]), 64, kind)
    else:
        stream = MonoStream("en", sides[0], 16, kind)
    first = -(-sum(lengths[:40]) // 15) if kind == "none" else 40
    assert stream.parts[0] == first and sum(stream.parts) == len(stream)
    planner = Planner([stream], np.ones(1), len(stream), Budget(tokens=500), seed=7)
    window = planner.plan(planner.start())
    assert sorted(window.unit) == list(range(len(stream)))
    small = Planner([stream], np.ones(1), first, Budget(tokens=500), seed=7)
    assert sorted(small.plan(small.start()).unit) == list(range(first))
