"""Directions: which are trained, what is left out, how often each is drawn, and that nothing is drawn twice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.data import streams as streams_module
from fairseq_xalign.data.batching import Budget
from fairseq_xalign.data.directions import (
    DirectionStream,
    LeftOut,
    Limits,
    available_directions,
    choose_directions,
    direction_counts,
    direction_key,
)
from fairseq_xalign.data.iterator import BatchIterator
from fairseq_xalign.data.lengths import count_lengths
from fairseq_xalign.data.mixture import stream_probabilities
from fairseq_xalign.data.sampling import Quotas, TemperatureSchedule
from fairseq_xalign.data.windows import Planner
from fairseq_xalign.errors import UserError
from tests.support.toy import write_tokens

LANGUAGES = ["en", "de", "fr", "zh-TW"]
TEXTS = {("en", "de"): "ab", ("en", "fr"): "cd", ("zh-TW", "en"): "ef"}


def test_both_directions_of_a_pair_read_one_copy():
    assert available_directions(TEXTS) == {
        ("en", "de"): ("a", "b"), ("de", "en"): ("b", "a"), ("en", "fr"): ("c", "d"), ("fr", "en"): ("d", "c"),
        ("zh-TW", "en"): ("e", "f"), ("en", "zh-TW"): ("f", "e"),
    }  # fmt: skip


def test_a_folder_with_both_orders_of_a_pair_gives_each_direction_its_own_text():
    both = {("en", "de"): ("a", "b"), ("de", "en"): ("c", "d")}
    assert available_directions(both) == both


CHOICES = [
    (None, "en-de de-en en-fr fr-en zh-TW:en en:zh-TW"),
    ("all", "en-de de-en en-fr fr-en zh-TW:en en:zh-TW"),
    ("de-en,en-fr", "de-en en-fr"),
    ("en-any", "en-de en-fr en:zh-TW"),
    ("any-en", "de-en fr-en zh-TW:en"),
    ("en-any,any-en", "en-de en-fr en:zh-TW de-en fr-en zh-TW:en"),
    ("any-any", "en-de de-en en-fr fr-en zh-TW:en en:zh-TW"),
    ("zh-TW-en, en:zh-TW", "zh-TW:en en:zh-TW"),
    ("fr-en,any-en", "fr-en de-en zh-TW:en"),
]


@pytest.mark.parametrize(("text", "expected"), CHOICES)
def test_directions_are_chosen_by_name_and_pattern(text, expected):
    pairs = [tuple(name.replace(":", " ").split()) if ":" in name else tuple(name.split("-")) for name in
             expected.split()]  # fmt: skip
    assert choose_directions(text, list(available_directions(TEXTS)), LANGUAGES, "DATA") == pairs


REFUSED = [
    ("en-de,en-de", "lists en-de twice"),
    ("en-de,en:de", "lists en:de twice"),
    ("en-any,en-any", "lists en-any twice"),
    ("de-fr", "--directions de-fr: there is no train text for it. Choose from en-de, de-en, en-fr"),
    ("en-it", "DATA: --directions: unknown language 'it'. Known: en, de, fr, zh-TW"),
    ("en-en", "a language is not translated into itself"),
    ("en", "is not a pair of two languages"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_directions_that_cannot_be_trained_are_refused(text, message):
    with pytest.raises(UserError) as caught:
        choose_directions(text, list(available_directions(TEXTS)), LANGUAGES, "DATA")
    assert message in str(caught.value)


def test_a_folder_without_bitext_says_what_to_add():
    with pytest.raises(UserError, match="DATA: no bitext to train on.*--bitext XX-YY=FILE,FILE"):
        choose_directions(None, [], LANGUAGES, "DATA")


def test_names_of_figures_end_in_both_languages():
    assert direction_key(("en", "de")) == "en_de"


def stream(folder, pair, lengths, others=None, **limits) -> DirectionStream:
    name = "-".join(pair)
    sides = [write_tokens(folder / f"{name}.{k}", n, seed=k) for k, n in enumerate((lengths, others or lengths))]
    return DirectionStream(*pair, (sides[0], sides[1]), Limits(**limits))


def test_pairs_that_are_too_long_or_empty_are_left_out_and_counted(tmp_path, monkeypatch):
    """Source limit 6 with <2xx>: at most 5 of its own; target limit 7; 10 together. Both reasons count as empty."""
    source, target = [5, 6, 2, 1, 5, 3, 1, 4], [4, 2, 8, 3, 5, 1, 9, 5]
    pairs = stream(tmp_path, ("en", "de"), source, target, source=6, target=7, together=10)
    expected = [True, False, False, False, False, False, False, True]
    lengths = pairs.lengths(np.arange(8))
    assert (lengths[:, 0] >= 0).tolist() == expected and ((lengths >= 0).sum(axis=1) % 2 == 0).all()
    for chunk in (1, 3, 100):
        monkeypatch.setattr(streams_module, "COUNTING_CHUNK", chunk)
        assert pairs.left_out() == LeftOut(empty=3, too_long=3)
    pairs.counted = count_lengths(pairs.mapped)
    assert pairs.left_out() == LeftOut(empty=3, too_long=3)
    assert str(LeftOut(3, 3)) == "left out: 3 pairs with an empty side and 3 pairs over the limits of length"
    said = "1 for --max-source-positions 6, 1 for --max-target-positions 7, 1 for --max-tokens 10"
    assert str(pairs.left_out()).endswith(f"3 pairs over the limits of length ({said})")
    assert str(LeftOut()) == "" and str(LeftOut(too_long=1)) == "left out: 1 pair over the limits of length"


def test_both_directions_of_a_pair_share_its_counts_of_lengths(tmp_path):
    forth = stream(tmp_path, ("en", "de"), [2, 3, 3], [7, 8, 8])
    own = stream(tmp_path, ("fr", "en"), [4, 4, 4], [5, 5, 5])
    back = stream(tmp_path, ("en", "fr"), [6, 6, 6], [7, 7, 7])
    bitext = {s.languages: s.mapped for s in (forth, own, back)}
    counted = {pair: count_lengths(sides) for pair, sides in bitext.items() if pair != ("fr", "en")}
    found = direction_counts(counted, bitext)
    assert list(found) == [("en", "de"), ("de", "en"), ("en", "fr")]  # fr-en is a text of its own, not counted
    assert found["en", "de"].lengths.tolist() == [[2, 7], [3, 8]] and found["en", "de"].counts.tolist() == [1, 2]
    assert found["de", "en"].lengths.tolist() == [[7, 2], [8, 3]] and found["de", "en"].counts.tolist() == [1, 2]


def test_a_pair_costs_the_tokens_of_both_sides_and_its_tag(tmp_path):
    for tagged in (True, False):
        sides = [write_tokens(tmp_path / f"{k}", [4, 5, 6], seed=k) for k in (1, 2)]
        pairs = DirectionStream("en", "de", (sides[0], sides[1]), tagged=tagged)
        plan = Planner([pairs], np.array([1.0]), 3, Budget(tokens=8 + 10 + 12 + 3 * tagged), seed=1)
        assert len(plan.plan(plan.start()).batches) == 1
        plan = Planner([pairs], np.array([1.0]), 3, Budget(tokens=8 + 10 + 12 + 3 * tagged - 1), seed=1)
        assert len(plan.plan(plan.start()).batches) == 2


@pytest.mark.parametrize("temperature", [1, 5, 100])
def test_directions_are_drawn_as_often_as_the_formula_says(tmp_path, temperature):
    """MMTE, section 2.2: D_l is the size of the direction, en-x and x-en alike."""
    sizes = {("en", "de"): 400, ("en", "fr"): 40, ("en", "sw"): 4}
    texts = {}
    for pair, size in sizes.items():
        sides = [write_tokens(tmp_path / f"{pair[1]}{k}", [3] * size, seed=k) for k in (1, 2)]
        texts[pair] = (sides[0], sides[1])
    streams = [DirectionStream(*direction, sides) for direction, sides in available_directions(texts).items()]
    expected = np.repeat([(n / 888) ** (1 / temperature) for n in sizes.values()], 2)
    expected /= expected.sum()
    found = stream_probabilities(streams, temperature)
    assert found == pytest.approx(expected, abs=1e-12)
    plan = Planner(streams, found, 100, Budget(tokens=70), seed=1)
    place, drawn = plan.start(), np.zeros(6)
    for w in range(1, 8):
        window = plan.plan(place)
        drawn += np.bincount(window.stream, minlength=6)
        assert (np.abs(drawn - 100 * w * expected) <= 1).all(), "exact to within one pair, not only on average"
        place = window.following


def test_weights_by_hand_replace_the_temperature(tmp_path):
    streams = [stream(tmp_path, pair, [3] * n) for pair, n in ((("en", "de"), 9), (("de", "en"), 9))]
    assert stream_probabilities(streams, 5.0, "en-de:3,de-en:1").tolist() == [0.75, 0.25]
    assert stream_probabilities(streams, 5.0, "en-de:3").tolist() == [0.75, 0.25], "what is not named has weight 1"


SCHEDULES = [
    ("5:0", [(0, 5), (10**9, 5)]),
    ("1:0,5:1000", [(0, 1), (250, 2), (500, 3), (1000, 5), (10**12, 5)]),
    ("2:100,4:200,3:300", [(0, 2), (100, 2), (150, 3), (200, 4), (250, 3.5), (301, 3)]),
]


@pytest.mark.parametrize(("text", "expected"), SCHEDULES)
def test_a_schedule_changes_the_temperature_linearly_between_its_points(text, expected):
    schedule = TemperatureSchedule.parse(text, "--sampling-temperature-schedule")
    assert [schedule.at(draws) for draws, _ in expected] == pytest.approx([t for _, t in expected])


@pytest.mark.parametrize("text", ["", "1", "0:0", "-1:0", "nan:0", "inf:0", "1:x", "1:-5", "1:10,5:10", "1:10,5:3"])
def test_schedules_that_mean_nothing_are_refused_with_an_example(text):
    with pytest.raises(UserError, match="--sampling-temperature-schedule.*1:0,5:1000000"):
        TemperatureSchedule.parse(text, "--sampling-temperature-schedule")


def scheduled(window: int, sizes=(1000, 10)):
    """Shares that go from T = 1 to T = 5 over 500 draws."""
    schedule = TemperatureSchedule.parse("1:0,5:500", "--sampling-temperature-schedule")

    def shares(number: int) -> np.ndarray:
        weights = np.array(sizes, dtype=float) ** (1 / schedule.at(number * window))
        return weights / weights.sum()

    return shares


def test_quotas_follow_a_schedule_to_within_one():
    shares, owed, drawn, due = scheduled(50), np.zeros(2), np.zeros(2, dtype=np.int64), np.zeros(2)
    quotas = Quotas(shares, 50)
    for number in range(30):
        counts, owed = quotas.next(owed, drawn, number)
        drawn, due = drawn + counts, due + 50 * shares(number)
        assert counts.sum() == 50 and (np.abs(drawn - due) <= 1).all()
    assert drawn[1] / drawn.sum() > 2 * shares(0)[1]


class Recorder:
    """A collater that gives the stream and unit of each pair of a batch."""

    def __call__(self, window, batch):
        return {"units": [[int(window.stream[q]), int(window.unit[q])] for q in window.batches[batch]]}


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    folder = tmp_path_factory.mktemp("three")
    return [
        stream(folder, ("en", "de"), [2 + i % 7 for i in range(60)]),
        stream(folder, ("de", "en"), [3 + i % 5 for i in range(31)]),
        stream(folder, ("fr", "en"), [2 + i % 9 for i in range(7)], source=9),
    ]


def iterator(streams, rank, world, freq, workers, updates=24, schedule=False):
    shares = scheduled(32, (60, 31, 7)) if schedule else stream_probabilities(streams, 5.0)
    plan = Planner(streams, shares, 32, Budget(tokens=60), seed=3)
    return BatchIterator(plan, Recorder(), {}, rank, world, [freq], updates, workers)


def take(streams, state, world, freq, workers, updates, schedule):
    """(units in the global order, the state) of ``updates`` updates from ``state`` on, dealt out to ``world`` ranks."""
    parts, states = [], []
    for rank in range(world):
        it = iterator(streams, rank, world, freq, workers, schedule=schedule)
        if state:
            it.load_state_dict(state)
        taken = it.next_epoch_itr()
        parts.append([next(taken)["units"] for _ in range(updates * freq)])
        taken.close()
        states.append(it.state_dict())
    assert all(s == states[0] for s in states)
    units = [unit for g in range(world * len(parts[0])) for unit in parts[g % world][g // world]]
    return units, states[0]


@given(
    st.lists(st.tuples(st.integers(1, 4), st.sampled_from([(1, 4), (2, 2), (4, 1)]), st.sampled_from([0, 0, 2])),
             min_size=1, max_size=3),
    st.booleans(),
)  # fmt: skip
@settings(max_examples=12)
def test_each_pass_of_a_direction_has_every_pair_once_on_any_workers_loaders_and_restarts(three, legs, schedule):
    state, units = None, []
    for updates, (world, freq), workers in legs:
        found, state = take(three, state, world, freq, workers, updates, schedule)
        units += found
    whole, _ = take(three, None, 1, 4, 0, sum(leg[0] for leg in legs), schedule)
    assert units == whole, "the same order as one run that was never interrupted"
    plan = iterator(three, 0, 1, 4, 0, schedule=schedule).planner
    place, finished = plan.start(), 0
    while place.window < state["place"]["window"]:
        window = plan.plan(place)
        place, finished = window.following, finished + sum(map(len, window.batches))
    for s, pairs in enumerate(three):
        fits = pairs.lengths(np.arange(len(pairs)))[:, 0] >= 0
        counts = np.bincount([u for number, u in units[:finished] if number == s], minlength=len(pairs))
        assert not counts[~fits].any() and np.ptp(counts[fits]) <= 1, "windows that are done hold whole passes"
        assert place.drawn[s] // len(pairs) <= counts[fits].min()


@pytest.mark.parametrize("batches", [0, 1, 5, 17])
def test_what_was_drawn_so_far_is_known_after_every_batch(three, batches):
    it = iterator(three, 0, 1, 1, 0)
    taken = it.next_epoch_itr()
    units = [unit for _ in range(batches) for unit in next(taken)["units"]]
    counts = np.bincount([s for s, _ in units], minlength=3)
    left_out = np.array([0, 0, 2]) * (it.place.drawn[2] // 7)
    assert np.abs(it.drawn() - counts).max() <= max(1, left_out.max()) and (it.drawn() >= counts).all()
