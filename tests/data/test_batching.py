"""How sorted sequences become batches: budgets kept, nothing twice or left out, full where they can be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.data.batching import Budget, cut_batches
from fairseq_xalign.errors import UserError


@given(st.lists(st.integers(2, 40), min_size=1, max_size=120), st.integers(40, 200), st.integers(1, 40))
@settings(max_examples=80)
def test_batches_keep_both_limits_and_hold_every_sequence_once(lengths, tokens, sequences):
    sizes = np.sort(np.array(lengths))[::-1]
    order = np.arange(len(sizes))
    batches = cut_batches(order, sizes, Budget(tokens, sequences))
    assert sorted(i for b in batches for i in b.tolist()) == order.tolist()
    for batch in batches:
        assert sizes[batch].sum() <= tokens and len(batch) <= sequences


def test_equal_blocks_make_full_batches():
    batches = cut_batches(np.arange(256), np.full(256, 64), Budget(sequences=16))
    assert [len(b) for b in batches] == [16] * 16


@pytest.mark.parametrize("tokens", [None, 10_000])
def test_batches_of_226_sequences_at_16_hold_15_or_16(tokens):
    """Not fourteen of 16 and one of 2; a limit of tokens that is never reached changes nothing."""
    batches = cut_batches(np.arange(226), np.full(226, 7), Budget(tokens, 16))
    assert [len(b) for b in batches] == [15] * 14 + [16]


@given(st.lists(st.integers(2, 40), min_size=1, max_size=300), st.integers(1, 40), st.booleans())
@settings(max_examples=100)
def test_under_a_batch_size_batches_differ_by_at_most_one_sequence(lengths, limit, ample):
    sizes = np.sort(np.array(lengths))[::-1]
    batches = cut_batches(np.arange(len(sizes)), sizes, Budget(40 * limit if ample else None, limit))
    counts = [len(b) for b in batches]
    assert len(counts) == -(-len(sizes) // limit) and max(counts) - min(counts) <= 1 and max(counts) <= limit
    assert np.concatenate(batches).tolist() == list(range(len(sizes)))


@pytest.mark.parametrize("limit", [16, 32])
def test_where_the_batch_size_divides_the_window_every_batch_is_full(limit):
    """The published runs were made with such windows: their batches are runs of the sorted sequences, as ever."""
    batches = cut_batches(np.arange(4096), np.full(4096, 9), Budget(sequences=limit))
    assert np.stack(batches).tolist() == np.arange(4096).reshape(-1, limit).tolist()


def test_a_sequence_over_the_token_budget_is_an_error_naming_both_options():
    with pytest.raises(UserError, match="--max-tokens 10.*--tokens-per-sample"):
        cut_batches(np.arange(1), np.array([11]), Budget(tokens=10))


def test_the_budget_of_validation_is_called_by_its_option():
    with pytest.raises(UserError, match="--max-tokens-valid 10. Raise --max-tokens-valid"):
        cut_batches(np.arange(1), np.array([11]), Budget(10, None, "--max-tokens-valid"))


@pytest.mark.parametrize("limits", [(0, None), (None, 0), (-1, 4)])
def test_a_budget_of_nothing_is_refused(limits):
    with pytest.raises(UserError, match="Choose 1 or more"):
        Budget(*limits)


def test_a_batch_without_any_limit_is_refused():
    with pytest.raises(UserError, match="--max-tokens or --batch-size"):
        Budget()
