"""Windows and batches: nothing twice, nothing left out, budgets kept, sequences as documented."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.data.batching import Budget
from fairseq_xalign.data.collate import Collater, unit_names
from fairseq_xalign.data.mixture import stream_probabilities
from fairseq_xalign.data.windows import Planner, draws_per_window, one_pass, repetitions
from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.batch import PackedBatch
from tests.support.toy import V, bitext, collater, mono, planner


def units_of(streams, plan, windows):
    """(stream, unit) of everything drawn in some windows, in the order of batches."""
    place, drawn = plan.start(), []
    for _ in range(windows):
        window = plan.plan(place)
        for batch in window.batches:
            for q in batch:
                for d in range(window.sequences[q], window.sequences[q + 1]):
                    drawn.append((int(window.stream[d]), int(window.unit[d])))
        place = window.following
    return drawn


@pytest.mark.parametrize("mode", ["eos", "complete", "none"])
def test_every_unit_comes_once_before_any_comes_twice(tmp_path, mode):
    streams = [mono(tmp_path, "en", [5] * 96, mode=mode), mono(tmp_path, "de", [7] * 32, mode=mode)]
    sizes = [len(s) for s in streams]
    plan = planner(streams, [s / sum(sizes) for s in sizes], window=sum(sizes) // 4 or 1)
    drawn = units_of(streams, plan, 8)
    for s, size in enumerate(sizes):
        ours = [u for stream, u in drawn if stream == s]
        full = len(ours) // size
        assert full >= 1
        counts = np.bincount(ours, minlength=size)
        assert counts.min() >= full and counts.max() <= full + 1


@given(st.integers(8, 60), st.integers(1, 8), st.integers(2, 9))
@settings(max_examples=40, deadline=None)
def test_no_unit_is_twice_in_a_batch_that_lies_within_one_pass(tmp_path_factory, units, batch, passes):
    stream = mono(tmp_path_factory.mktemp("text"), "en", [3 + n % 4 for n in range(units)], mode="eos")
    budget = Budget(sequences=batch)
    plan = Planner([stream], np.ones(1), units * passes + 3, budget, 1, apart=True)
    window = plan.plan(plan.start())
    assert sum(len(chosen) for chosen in window.batches) == units * passes + 3
    sizes = window.lengths.sum(axis=1)
    assert all((np.diff(sizes[chosen]) <= 0).all() for chosen in window.batches)
    # Only the last batch of what comes for the nth time, which begins with what comes once more, may have one twice.
    drawn = [window.unit[window.sequences[chosen]].tolist() for chosen in window.batches]
    assert sum(len(set(units)) < len(units) for units in drawn) <= passes


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), max_size=40))
def test_repetitions_count_what_was_drawn_before(drawn):
    stream, unit = (np.array([pair[k] for pair in drawn], dtype=np.int64) for k in (0, 1))
    assert repetitions(stream, unit).tolist() == [drawn[:n].count(pair) for n, pair in enumerate(drawn)]


@pytest.mark.parametrize(
    ("asked", "sizes", "shares", "draws"),
    [
        (4096, [51], [1.0], 51),
        (4096, [5000], [1.0], 4096),
        (4096, [4096], [1.0], 4096),
        (4096, [30, 90], [0.25, 0.75], 120),
        (4096, [100, 4000], [0.5, 0.5], 600),  # three passes of the small one, 200 draws each
        (4096, [2000, 9000], [0.5, 0.5], 4000),
        (16, [5, 1000], [0.5, 0.5], 20),
        (4096, [10, 1000], [0.0, 1.0], 1000),
        (1, [7], [1.0], 1),
        (4096, [0, 50], [0.5, 0.5], 100),
        (4096, [0], [1.0], 4096),
    ],
)
def test_a_window_ends_a_pass_over_the_text_that_ends_one_first(asked, sizes, shares, draws):
    assert draws_per_window(asked, sizes, np.array(shares)) == draws


def test_each_pass_over_a_small_text_is_a_window_and_reads_everything_once(tmp_path):
    streams = [bitext(tmp_path, ("en", "de"), [2 + n % 5 for n in range(51)])]
    plan = planner(streams, [1.0], window=draws_per_window(4096, [51], np.ones(1)), sequences=8)
    drawn = units_of(streams, plan, 3)
    for begin in (0, 51, 102):
        assert sorted(unit for _, unit in drawn[begin : begin + 51]) == list(range(51))


def test_the_rest_of_a_text_that_fills_no_block_is_the_only_thing_left_out(tmp_path):
    stream = mono(tmp_path, "en", [10] * 10, limit=16, mode="none")
    assert len(stream) == 100 // 15 and stream.lengths(np.arange(6)).tolist() == [[15]] * 6


def test_a_block_is_called_by_the_sentences_it_covers(tmp_path):
    """Sentences of 10, 5, 30 and 3 tokens in blocks of 15: the first two, the third's halves."""
    blocks = mono(tmp_path, "en", [10, 5, 30, 3], limit=16, mode="none")
    whole = mono(tmp_path, "de", [10, 5], mode="eos")
    named = unit_names([blocks, whole], {"mono": torch.tensor([[0, 0], [0, 1], [0, 2], [1, 1]])})
    assert named == ["mono/en numbers 0 to 1", "mono/en number 2", "mono/en number 2", "mono/de number 1"]


@pytest.mark.parametrize("wrong", [V, 60_000])
def test_ids_that_the_vocabulary_lacks_name_their_stream_and_the_remedy(tmp_path, wrong):
    streams = [mono(tmp_path, "en", [6, 7, 8]), mono(tmp_path, "de", [6, 7, 8])]
    ids = np.fromfile(tmp_path / "mono.de.bin", dtype=np.uint16)
    ids[2] = wrong
    ids.tofile(tmp_path / "mono.de.bin")
    make = collater(streams, {"en": 1, "de": 2}, folder="FOLDER")
    with pytest.raises(UserError, match="FOLDER: mono/de is damaged.*`xalign-preprocess check FOLDER`"):
        for window in one_pass(streams, Budget(tokens=64), 1, 50):
            make(window, 0)


def packed(sample, kind="mono") -> PackedBatch:
    return PackedBatch.from_dict(sample["streams"][kind])


def rows(batch: PackedBatch) -> list[list[int]]:
    starts = batch.starts.tolist()
    return [batch.tokens[a:b].tolist() for a, b in zip(starts, starts[1:])]


def every_sample(streams, build: Collater, **budget):
    for window in one_pass(streams, Budget(**(budget or {"tokens": 64})), 1, 50):
        for b in range(len(window.batches)):
            yield build(window, b)


def test_sentences_are_laid_out_between_s_and_end(tmp_path):
    stream = mono(tmp_path, "en", [4, 9, 3, 30], limit=12)
    build = collater([stream], {"en": 1}, hides=False)
    found = [r for sample in every_sample([stream], build) for r in rows(packed(sample))]
    sentences = [[0, *stream.mapped[i].tolist()] for i in range(4)]
    sentences[3] = [*sentences[3][:11], 2]  # cut to 12 tokens, and it still ends
    assert sorted(found) == sorted(sentences) and stream.count_too_long() == 1


def test_blocks_are_running_text(tmp_path):
    stream = mono(tmp_path, "en", [6, 6, 6, 6], limit=9, mode="none")
    build = collater([stream], {"en": 1}, hides=False)
    found = [r for sample in every_sample([stream], build) for r in rows(packed(sample))]
    text = [t for i in range(4) for t in stream.mapped[i].tolist()]
    assert found == [[0, *text[i : i + 8]] for i in (0, 8, 16)]


@pytest.mark.parametrize("kind", ["mono", "bitext"])
def test_what_shares_a_sequence_is_running_text(tmp_path, kind):
    if kind == "mono":
        stream = mono(tmp_path, "en", [5] * 1000, limit=24, mode="complete")
    else:
        stream = bitext(tmp_path, ("en", "de"), [5] * 1000, limit=48, packing="halves")
    plan = planner([stream], [1.0], window=250, tokens=200)
    place, seen, followed, drawn = plan.start(), [], 0, 0
    for _ in range(4):
        window = plan.plan(place)
        for begin, end in zip(window.sequences[:-1], window.sequences[1:]):
            units = window.unit[begin:end]
            followed, drawn = followed + int((np.diff(units) == 1).sum()), drawn + len(units) - 1
        seen += window.unit.tolist()
        place = window.following
    assert sorted(seen) == list(range(1000))
    assert drawn > 600 and followed / drawn > 0.95
    assert seen[:960] != list(range(960)), "runs of sentences come in random order"


def test_complete_leaves_out_what_fits_no_sequence(tmp_path):
    stream = mono(tmp_path, "en", [5, 24, 23, 6], limit=24, mode="complete")
    build = collater([stream], {"en": 1}, hides=False)
    found = [r for sample in every_sample([stream], build) for r in rows(packed(sample))]
    first, _, third, last = ([*stream.mapped[i].tolist()] for i in range(4))
    assert sorted(found) == sorted([[0, *first], [0, *third], [0, *last]]) and stream.count_too_long() == 1


@given(st.lists(st.integers(2, 20), min_size=2, max_size=40))
@settings(max_examples=25)
def test_complete_packs_whole_sentences_up_to_the_limit(tmp_path_factory, lengths):
    stream = mono(tmp_path_factory.mktemp("complete"), "en", lengths, limit=24, mode="complete")
    build = collater([stream], {"en": 1}, hides=False)
    sentences = []
    for sample in every_sample([stream], build):
        for row in rows(packed(sample)):
            assert len(row) <= 24 and row[0] == 0 and row[-1] == 2
            current = []
            for token in row[1:]:
                current.append(token)
                if token == 2:
                    sentences.append(current)
                    current = []
    assert sorted(sentences) == sorted(stream.mapped[i].tolist() for i in range(len(lengths)))


@pytest.mark.parametrize("reset", [True, False])
def test_one_pair_a_sequence_with_positions_and_languages_of_each_side(tmp_path, reset):
    stream = bitext(tmp_path, ("en", "de"), [4, 6, 5])
    build = collater([stream], {"en": 1, "de": 2}, hides=False, positions="reset" if reset else "continue")
    seen = 0
    for sample in every_sample([stream], build):
        batch = packed(sample, "bitext")
        units = sample["units"]["bitext"][:, 1].tolist()
        starts = batch.starts.tolist()
        for unit, a, b in zip(units, starts, starts[1:]):
            source, target = (m[unit].tolist() for m in stream.mapped)
            assert batch.tokens[a:b].tolist() == [0, *source, *target]
            first = 1 + len(source)
            assert batch.languages[a:b].tolist() == [1] * first + [2] * len(target)
            second = range(len(target)) if reset else range(first, first + len(target))
            assert batch.positions[a:b].tolist() == [*range(first), *second]
            seen += 1
    assert seen == 3


def test_halves_hold_the_same_pairs_on_both_sides_within_half_the_limit(tmp_path):
    stream = bitext(tmp_path, ("en", "de"), [4, 6, 5, 3, 7, 4, 2, 9, 30], limit=32, packing="halves")
    build = collater([stream], {"en": 1, "de": 2}, hides=False)
    pairs = []
    for sample in every_sample([stream], build):
        batch = packed(sample, "bitext")
        starts = batch.starts.tolist()
        for a, b in zip(starts, starts[1:]):
            tokens, languages = batch.tokens[a:b].tolist(), batch.languages[a:b].tolist()
            half = languages.index(2)
            assert languages == [1] * half + [2] * (b - a - half) and half <= 16 and b - a - half <= 16
            assert tokens[0] == tokens[half] == 0
            assert batch.positions[a:b].tolist() == [*range(half), *range(b - a - half)]
            assert tokens[:half].count(2) == tokens[half:].count(2)
        pairs += sample["units"]["bitext"][:, 1].tolist()
    assert sorted(pairs) == list(range(8)), "the pair with 30 tokens per side fits nowhere and is left out"


def test_swapped_pairs_are_the_same_pairs_the_other_way_round(tmp_path):
    stream = bitext(tmp_path, ("en", "de"), [4, 6, 5] * 20)
    build = collater([stream], {"en": 1, "de": 2}, hides=False, shuffle_order=True)
    swapped = 0
    for sample in every_sample([stream], build):
        batch = packed(sample, "bitext")
        starts = batch.starts.tolist()
        for unit, a, b in zip(sample["units"]["bitext"][:, 1].tolist(), starts, starts[1:]):
            sides = [m[unit].tolist() for m in stream.mapped]
            first = int(batch.languages[a]) - 1
            assert batch.tokens[a:b].tolist() == [0, *sides[first], *sides[1 - first]]
            assert int(batch.languages[b - 1]) == 2 - first
            swapped += first
    assert 15 < swapped < 45


def test_weights_that_leave_nothing_are_refused(tmp_path):
    streams = [mono(tmp_path, "en", [5] * 9), bitext(tmp_path, ("en", "de"), [5] * 9)]
    with pytest.raises(UserError, match="leave nothing to draw"):
        stream_probabilities(streams, 1.0, "en:1,en-de:0", "mono:0,bitext:1")


def test_languages_without_a_weight_have_weight_1_in_a_kind_that_weights_name(tmp_path):
    streams = [mono(tmp_path, name, [5] * 60) for name in ("en", "de", "fr")] + [
        bitext(tmp_path, ("en", "de"), [4] * 60)
    ]
    assert stream_probabilities(streams, 1.0, "en:2") == pytest.approx([0.375, 0.1875, 0.1875, 0.25])
    assert stream_probabilities(streams, 1.0, "en:0") == pytest.approx([0, 0.375, 0.375, 0.25])
    assert stream_probabilities(streams, 1.0, "en-de:3") == pytest.approx([0.25] * 4)


def test_a_kind_that_stream_weights_do_not_name_is_refused(tmp_path):
    streams = [mono(tmp_path, "en", [5] * 9), bitext(tmp_path, ("en", "de"), [5] * 9)]
    with pytest.raises(UserError, match="--stream-weights mono:1 gives no weight to bitext.*Add bitext:1"):
        stream_probabilities(streams, 1.0, None, "mono:1")
    assert stream_probabilities(streams, 1.0, None, "mono:1,bitext:0").tolist() == [1, 0]


def test_shares_between_streams_end_a_pass_together_unless_said_otherwise(tmp_path):
    streams = [mono(tmp_path, "en", [5] * 60), mono(tmp_path, "de", [5] * 20), bitext(tmp_path, ("en", "de"), [4] * 20)]
    assert stream_probabilities(streams, 1.0) == pytest.approx([0.6, 0.2, 0.2])
    assert stream_probabilities(streams, 1.0, None, "mono:3,bitext:1") == pytest.approx([0.5625, 0.1875, 0.25])
    assert stream_probabilities(streams, 1.0, "en:1,de:1") == pytest.approx([0.4, 0.4, 0.2])
    assert stream_probabilities(streams, 1e9, None, "mono:1,bitext:1") == pytest.approx([0.25, 0.25, 0.5])
