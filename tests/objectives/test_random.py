"""The counter-based generator: known values, uniformity, independence of batch and order."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.objectives.random import combine, integers, mix, name_key, permutation_sample, uniform


def signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def test_mix_gives_splitmix64s_published_sequence():
    golden = 0x9E3779B97F4A7C15
    states = torch.tensor([signed(golden * i % 2**64) for i in range(3)])
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert mix(states).tolist() == [signed(v) for v in expected]


def test_uniform_numbers_fill_the_interval_evenly():
    drawn = uniform(name_key("seed"), torch.arange(200_000))
    assert 0 <= drawn.min() and drawn.max() < 1
    counts = torch.histc(drawn, bins=20, min=0, max=1)
    # 20 bins of 10,000 expected: chi-square with 19 degrees of freedom is below 43.8 in 99.9 % of the cases
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 43.8


def test_keys_and_counters_do_not_collide_in_a_million_draws():
    keys = torch.arange(1000).repeat_interleave(1000)
    counters = torch.arange(1000).repeat(1000)
    assert len(combine(mix(keys), counters).unique()) == 1_000_000


@given(st.integers(-(2**63), 2**63 - 1), st.integers(1, 50))
@settings(max_examples=50)
def test_a_draw_does_not_depend_on_what_is_drawn_beside_it(key, count):
    counters = torch.arange(count)
    together = uniform(key, counters)
    alone = torch.stack([uniform(key, counters[i : i + 1])[0] for i in range(count)])
    assert torch.equal(together, alone)


@given(st.integers(1, 300), st.integers(0, 2**31))
@settings(max_examples=50)
def test_integers_stay_below_the_bound(bound, key):
    drawn = integers(key, torch.arange(100), bound)
    assert drawn.min() >= 0 and drawn.max() < bound


def test_a_sample_has_no_repeats():
    assert len(permutation_sample(100, 60, 7).unique()) == 60
