"""Sampling: printed probabilities, permutations that visit everything once, quotas that stay exact."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.data.mixture import parse_weights
from fairseq_xalign.data.sampling import Quotas, permute, temperature_probabilities
from fairseq_xalign.data.windows import shuffled
from fairseq_xalign.errors import UserError

# MMTE, section 2.2
D4 = [
    ((1e6, 1e4, 1e2), 1, (0.9900009900, 0.0099000099, 0.0000990001)),
    ((1e6, 1e4, 1e2), 5, (0.6424272485, 0.2557548942, 0.1018178573)),
    ((1e6, 1e4, 1e2), 100, (0.3487962348, 0.3330978183, 0.3181059469)),
    ((2e9, 35e3), 1, (0.9999825003, 0.0000174997)),
    ((2e9, 35e3), 5, (0.8994078098, 0.1005921902)),
    ((2e9, 35e3), 100, (0.5273559294, 0.4726440706)),
]


@pytest.mark.parametrize(("sizes", "temperature", "expected"), D4)
def test_temperature_gives_d4s_probabilities(sizes, temperature, expected):
    assert temperature_probabilities(sizes, temperature) == pytest.approx(expected, abs=1e-10)


@given(st.lists(st.floats(1, 1e12), min_size=1, max_size=20), st.floats(0.1, 100))
def test_probabilities_sum_to_one_and_ratios_follow_the_formula(sizes, temperature):
    found = temperature_probabilities(sizes, temperature)
    assert found.sum() == pytest.approx(1)
    smallest = int(np.argmin(sizes))
    if found[smallest] > 1e-250:
        ratio = (sizes[0] / sizes[smallest]) ** (1 / temperature)
        assert found[0] / found[smallest] == pytest.approx(ratio, rel=1e-6)


@pytest.mark.parametrize("temperature", [1e-3, 1e-9, 5e-324])
def test_near_temperature_zero_the_largest_is_drawn_alone(temperature):
    assert list(temperature_probabilities([300, 300, 100, 0], temperature)) == [0.5, 0.5, 0, 0]


@pytest.mark.parametrize(("sizes", "temperature"), [([1, 2], 0), ([1, 2], -1), ([0, 0], 1), ([1, 2], float("nan"))])
def test_a_temperature_or_sizes_that_mean_nothing_are_refused(sizes, temperature):
    with pytest.raises(UserError):
        temperature_probabilities(sizes, temperature)


@given(st.integers(1, 3000), st.integers(-(2**63), 2**63 - 1))
@settings(max_examples=60)
def test_a_pass_visits_every_unit_exactly_once(size, key):
    visited = permute(torch.arange(size), size, key)
    assert torch.equal(visited.sort().values, torch.arange(size))


@given(st.integers(2, 10**12), st.integers(0, 2**40))
@settings(max_examples=30)
def test_positions_of_huge_passes_are_computed_without_the_rest(size, key):
    some = torch.tensor([0, 1, size // 2, size - 1])
    found = permute(some, size, key)
    assert ((found >= 0) & (found < size)).all() and len(found.unique()) == len(some.unique())
    assert torch.equal(found[2:3], permute(some[2:3], size, key))


@given(st.integers(1, 300), st.integers(1, 70), st.integers(0, 2**32))
@settings(max_examples=60)
def test_runs_move_as_a_whole_and_a_pass_still_visits_everything_once(size, run, key):
    order = shuffled(np.arange(size), size, key, run)
    assert sorted(order.tolist()) == list(range(size))
    whole = size // run * run
    assert (np.diff(order[:whole].reshape(-1, run), axis=1) == 1).all()
    assert order[whole:].tolist() == list(range(whole, size))


def test_passes_have_different_orders():
    first, second = permute(torch.arange(1000), 1000, 1), permute(torch.arange(1000), 1000, 2)
    assert (first == second).float().mean() < 0.02
    correlation = np.corrcoef(first.numpy(), np.arange(1000))[0, 1]
    assert abs(correlation) < 0.15


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=8), st.integers(1, 64), st.integers(1, 40))
@settings(max_examples=60)
def test_every_prefix_of_windows_has_its_share_within_one_draw(weights, window, windows):
    probabilities = np.array(weights) / sum(weights)
    quotas, owed, drawn = Quotas(probabilities, window), np.zeros(len(weights)), np.zeros(len(weights), dtype=np.int64)
    for w in range(1, windows + 1):
        counts, owed = quotas.next(owed, drawn)
        assert counts.sum() == window and (counts >= 0).all()
        drawn = drawn + counts
        assert (np.abs(drawn - w * window * probabilities) < len(weights)).all()


@pytest.mark.parametrize(
    ("text", "said"), [("en:1,xx:2", "unknown name"), ("en:x", "must be a number"), ("en:0", "gives no weight")]
)
def test_weights_by_hand_are_checked(text, said):
    with pytest.raises(UserError, match=said):
        parse_weights(text, "--sampling-weights", ["en", "de"])
    assert parse_weights("en:0", "--sampling-weights", ["en", "de"], others=1) == {"en": 0}
    with pytest.raises(UserError, match="gives no weight"):
        parse_weights("en:0,de:0", "--sampling-weights", ["en", "de"], others=1)


@given(st.lists(st.tuples(st.integers(1, 3000), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=5))
@settings(max_examples=40)
def test_permutations_of_several_sizes_and_keys_at_once_are_those_of_each_alone(permutations):
    """Hundreds of directions are drawn in one call."""
    alone = [permute(torch.arange(min(size, 20)), size, key) for size, key in permutations]
    counts = torch.tensor([len(found) for found in alone])
    sizes, keys = (torch.tensor(column).repeat_interleave(counts) for column in zip(*permutations))
    indices = torch.cat([torch.arange(int(n)) for n in counts])
    assert torch.equal(permute(indices, sizes, keys), torch.cat(alone))
