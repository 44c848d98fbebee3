"""What the benchmarks compute around what they time: pairs and rows of the lengths they say, operations, intervals."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("benchmarks.throughput", reason="no benchmarks beside this package")

from benchmarks.eflomal_links import link
from benchmarks.throughput import interval, training_flops
from benchmarks.translation_pairs import LENGTHS, make_pairs
from fairseq_xalign.constants import EOS, FIRST_PIECE
from fairseq_xalign.models.encoder import EncoderConfig
from tests.support.samples import sentences, write_lines


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.integers(0, 3))
def test_every_length_of_real_translations_is_about_as_frequent_in_made_up_pairs(count, seed):
    pairs = make_pairs(count, 50, seed)
    lengths = Counter(f"{len(source) - 1}:{len(target)}" for source, target in pairs)
    every = LENGTHS.split()
    assert lengths.keys() <= set(every) and lengths.total() == count
    expected = count / len(every)
    assert all(abs(lengths[name] - expected) < 1 for name in every)
    for ids in (ids for pair in pairs for ids in pair):
        assert ids[-1] == EOS and FIRST_PIECE <= ids[:-1].min() and ids.max() < 50
    assert all(torch.equal(a, b) for one, other in zip(pairs, make_pairs(count, 50, seed)) for a, b in zip(one, other))


def test_operations_of_a_training_pass_are_those_counted_by_hand():
    config = EncoderConfig(vocab_size=10, layers=1, heads=1, width=2, ffn_width=4, max_positions=8)
    row = (torch.zeros(3, dtype=torch.long), torch.zeros(1, dtype=torch.long))
    projections = 2 * 3 * 2 * 2 * 3  # queries, keys and values: 2 operations, 3 matrices of 2 x 2, 3 tokens
    attention = 2 * 2 * 2 * 3 * 3  # scores and weighted sums: 2 operations, 2 products of width 2, 3 x 3 tokens
    after = 2 * (2 * 2 + 2 * 2 * 4)  # output and feed-forward, at the masked token alone
    head = 2 * (2 * 2 + 2 * 10)
    assert training_flops(config, [row]) == 3 * (projections + attention + after + head)


@settings(deadline=None)
@given(st.lists(st.floats(0.2, 5), min_size=2, max_size=25))
def test_the_interval_of_ratios_is_students_on_their_logarithms_or_wider(ratios):
    stats = pytest.importorskip("scipy.stats")
    middle, low, high = interval(ratios)
    logs = [math.log(ratio) for ratio in ratios]
    mean = sum(logs) / len(logs)
    error = math.sqrt(sum((x - mean) ** 2 for x in logs) / (len(logs) - 1) / len(logs))
    half = stats.t.ppf(0.975, len(logs) - 1) * error
    assert min(ratios) <= middle <= max(ratios)
    assert low <= math.exp(mean - half) * 1.01 and high >= math.exp(mean + half) * 0.99
    if len(ratios) in (2, 5, 10):
        assert math.log(high / low) == pytest.approx(2 * half, rel=2e-3, abs=1e-9)


def test_one_ratio_has_no_interval():
    middle, low, high = interval([1.5])
    assert middle == 1.5 and math.isnan(low) and math.isnan(high)


def test_eflomal_links_words_and_leaves_the_lines_of_empty_sentences_empty(tmp_path):
    pytest.importorskip("eflomal")
    lines = sentences("en", 40)
    lines[7] = ""
    source = write_lines(tmp_path / "source", lines)
    link(str(source), str(source), str(tmp_path / "links"), "split")
    found = (tmp_path / "links.gdfa").read_text().split("\n")
    assert len(found) == 41 and found[7] == ""
    assert not list(tmp_path.glob("*ward"))
