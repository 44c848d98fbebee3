"""Resampling: determinism, coverage, and tests that find what is there and nothing else."""

import math

import numpy as np
import pytest
import scipy.stats

from fairseq_xalign.evaluate.metrics.correlation import mean_deviation, ranks, spearman
from fairseq_xalign.evaluate.metrics.labels import Accuracy
from fairseq_xalign.evaluate.metrics.significance import bootstrap, paired_bootstrap, resampled_totals

METRIC = Accuracy()


def coin(n, p, seed):
    """Counts of n items of which a share p is right."""
    right = np.random.default_rng(seed).random(n) < p
    return np.stack([right, np.ones(n)], axis=1).astype(np.int64)


def test_interval_agrees_with_the_binomial_standard_error():
    counts = coin(400, 0.7, seed=1)
    interval = bootstrap(METRIC.score, counts, samples=4000)
    p = counts[:, 0].mean()
    half = 1.96 * 100 * math.sqrt(p * (1 - p) / 400)
    assert interval.score == pytest.approx(100 * p)
    assert interval.low == pytest.approx(100 * p - half, abs=0.6)
    assert interval.high == pytest.approx(100 * p + half, abs=0.6)


def test_equal_seeds_give_equal_intervals_and_block_size_does_not_matter(monkeypatch):
    counts = coin(50, 0.5, seed=2)
    whole = resampled_totals(counts, 40, seed=3)
    monkeypatch.setattr("fairseq_xalign.evaluate.metrics.significance.BLOCK", 120)
    assert (resampled_totals(counts, 40, seed=3) == whole).all()
    assert (resampled_totals(counts, 40, seed=4) != whole).any()
    assert (whole[:, 1] == 50).all()


def test_paired_test_finds_a_real_difference_and_not_one_of_equals():
    n = 300
    weak = coin(n, 0.6, seed=5)
    strong = weak.copy()
    strong[:60, 0] = 1
    found = paired_bootstrap(METRIC.score, strong, weak)
    assert found.difference == pytest.approx(METRIC.score(strong.sum(0)) - METRIC.score(weak.sum(0)))
    assert found.p < 0.01
    assert found.low > 0
    same = paired_bootstrap(METRIC.score, weak, weak)
    assert (same.difference, same.p) == (0.0, 1.0)


def test_p_values_of_systems_that_do_not_differ_are_spread_evenly():
    p = [paired_bootstrap(METRIC.score, coin(80, 0.5, s), coin(80, 0.5, 1000 + s), samples=200).p for s in range(200)]
    assert 0.0 <= np.mean(np.array(p) < 0.05) <= 0.11
    assert 0.35 <= np.mean(p) <= 0.65


def test_paired_test_refuses_different_items():
    with pytest.raises(ValueError, match="same items"):
        paired_bootstrap(METRIC.score, coin(5, 0.5, 1), coin(6, 0.5, 1))


@pytest.mark.parametrize("values", [[3, 1, 2], [1, 1, 2, 2, 2], [5.0, 5.0]])
def test_ranks_share_their_mean_on_ties(values):
    assert ranks(values).tolist() == scipy.stats.rankdata(values).tolist()


def test_spearman_is_scipys_with_ties():
    generator = np.random.default_rng(0)
    for _ in range(20):
        a, b = generator.integers(0, 6, size=(2, 12))
        assert spearman(a, b) == pytest.approx(scipy.stats.spearmanr(a, b).statistic, abs=1e-12)


def test_spearman_without_variation_is_not_a_number():
    assert math.isnan(spearman([1, 1], [1, 2]))
    assert math.isnan(spearman([1], [1]))


def test_one_seed_has_no_deviation_and_several_have_the_sample_deviation():
    assert mean_deviation([2.0]) == (2.0, None)
    mean, deviation = mean_deviation([1.0, 2.0, 4.0])
    assert (mean, deviation) == (pytest.approx(7 / 3), pytest.approx(np.std([1, 2, 4], ddof=1)))
