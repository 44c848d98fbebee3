"""Negative examples: derangements that reject equal texts and known translations, as functions of keys alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.objectives.fingerprint import KnownPairs, pair_marks
from fairseq_xalign.objectives.negatives import (
    Texts,
    batch_negatives,
    corpus_negatives,
    derangement,
    hard_negatives,
    keeps_second,
)

TEXTS = st.integers(0, 6)
BATCHES = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=9)
"""Pairs of texts of which many are equal."""


def texts_of(pairs, languages=None):
    return Texts(torch.tensor([x for pair in pairs for x in pair]), len(pairs), languages)


def keys_of(pairs, seed=1):
    return torch.arange(len(pairs)) * 7919 + seed * 1_000_003


def all_different(count):
    return [(10 + 2 * i, 11 + 2 * i) for i in range(count)]


def may_replace(pairs, i, j):
    """Whether the first text of pair j may stand beside the second one of pair i, by looking at every pair."""
    s, t = pairs[j][0], pairs[i][1]
    return s not in pairs[i] and not any((s, t) in (pair, pair[::-1]) for pair in pairs)


@given(st.integers(2, 40), st.integers(0, 1000))
def test_different_texts_are_deranged(count, seed):
    """Every pair keeps its second text and takes the first text of another; every first text is taken once."""
    pairs = all_different(count)
    found = batch_negatives(texts_of(pairs), keys_of(pairs, seed))
    assert sorted(found.left.tolist()) == list(range(0, 2 * count, 2))
    assert sorted(found.right.tolist()) == list(range(1, 2 * count, 2))
    assert all(a // 2 != b // 2 for a, b in zip(found.left.tolist(), found.right.tolist()))
    assert (found.wanted, found.rejected, found.dropped) == (count, 0, 0)


@given(BATCHES, st.integers(0, 1000))
@settings(max_examples=300)
def test_no_negative_is_false_and_none_is_dropped_that_the_batch_could_give(pairs, seed):
    found = batch_negatives(texts_of(pairs), keys_of(pairs, seed))
    made = dict(zip((found.right // 2).tolist(), (found.left // 2).tolist()))
    assert len(made) == len(found.left), "one negative per pair"
    for i in range(len(pairs)):
        possible = [j for j in range(len(pairs)) if may_replace(pairs, i, j)]
        assert (i in made) == bool(possible) and (i not in made or made[i] in possible)


@given(st.integers(1, 7).flatmap(lambda n: st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=n,
                                                    max_size=n)))  # fmt: skip
@settings(max_examples=300)
def test_as_few_rows_as_possible_share_a_column(rows):
    """Against a matching found by trying everything."""
    legal = np.array(rows)
    taken, refused = derangement(legal)

    def best(row, used):
        if row == len(legal):
            return 0
        options = [best(row + 1, used)]
        options += [1 + best(row + 1, used | {j}) for j in np.flatnonzero(legal[row]).tolist() if j not in used]
        return max(options)

    assert len({j for j in taken.tolist() if j >= 0}) == best(0, frozenset())
    assert all(legal[row, j] if j >= 0 else not legal[row].any() for row, j in enumerate(taken.tolist()))
    size = len(legal)
    assert refused == sum(not legal[k, (k + 1) % size] for k in range(size))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_several_negatives_of_a_pair_are_different(number):
    pairs = all_different(5)
    found = batch_negatives(texts_of(pairs), keys_of(pairs), number)
    assert len(found.left) == len(set(zip(found.left.tolist(), found.right.tolist()))) == 5 * number


def test_more_negatives_than_other_pairs_are_dropped_and_counted():
    pairs = all_different(3)
    found = batch_negatives(texts_of(pairs), keys_of(pairs), 4)
    assert len(found.left) == 6 and found.wanted == 12 and found.dropped == 6


def test_either_text_is_replaced_by_that_of_the_same_side():
    pairs = all_different(64)
    found = batch_negatives(texts_of(pairs), keys_of(pairs), either=True)
    assert (found.left % 2 == 0).all() and (found.right % 2 == 1).all()
    kept = keeps_second(keys_of(pairs), 0)
    assert 16 < int(kept.sum()) < 48, "both happen"
    kept_texts = {2 * i + int(second) for i, second in enumerate(kept.tolist())}
    assert all(a in kept_texts or b in kept_texts for a, b in zip(found.left.tolist(), found.right.tolist()))


def test_a_batch_of_one_pair_and_one_of_equal_pairs_have_no_negatives():
    for pairs in ([(1, 2)], [(1, 2)] * 6, [(1, 1)] * 3):
        found = batch_negatives(texts_of(pairs), keys_of(pairs))
        assert len(found.left) == 0 and found.dropped == found.rejected == len(pairs)


def test_a_text_of_the_language_beside_it_is_rejected_where_the_pair_has_two():
    """Pairs en-de and de-fr: German may not replace English beside German."""
    pairs = [(1, 2), (3, 4)]
    assert batch_negatives(texts_of(pairs, torch.tensor([1, 2, 2, 3])), keys_of(pairs)).left.tolist() == [0]
    assert batch_negatives(texts_of(pairs, torch.tensor([1, 2, 1, 3])), keys_of(pairs)).dropped == 0
    assert batch_negatives(texts_of(pairs, torch.tensor([1, 1, 1, 1])), keys_of(pairs)).dropped == 0


@given(st.integers(2, 12), st.sets(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=40), st.integers(0, 99))
def test_pairs_of_the_training_text_are_no_negatives_and_nothing_else_is_lost(count, also, seed):
    """``also``: (i, j): the second text of pair i translates the first one of pair j in the training text."""
    pairs = all_different(count)
    marks = torch.tensor([x for pair in pairs for x in pair])
    also = {(i, j) for i, j in also if i < count and j < count and i != j}
    known = KnownPairs(
        np.unique([int(pair_marks(marks[2 * i + 1], marks[2 * j])) for i, j in also] or np.zeros(0, np.int64))
    )
    found = batch_negatives(Texts(marks, count, None, known), keys_of(pairs, seed))
    made = dict(zip((found.right // 2).tolist(), (found.left // 2).tolist()))
    for i in range(count):
        possible = [j for j in range(count) if j != i and (i, j) not in also]
        assert (i in made) == bool(possible) and (i not in made or made[i] in possible)
    if not also:
        assert found.rejected == 0


def test_texts_of_the_corpus_that_translate_each_other_in_the_training_text_are_rejected():
    marks = torch.tensor([10, 11, 12, 13, 50, 51])
    known = KnownPairs(np.unique([int(pair_marks(torch.tensor(50), torch.tensor(x))) for x in (10, 11)]))
    found = corpus_negatives(Texts(marks, 2, None, known), keys_of(all_different(2)))
    assert found.rejected == found.dropped == 1 and {4} & {*found.left.tolist(), *found.right.tolist()} == set()


@given(BATCHES, st.integers(0, 99), st.integers(1, 3))
def test_hard_negatives_are_the_highest_scored_texts_that_are_no_translations(pairs, seed, number):
    scores = np.random.default_rng(seed).normal(size=(len(pairs), len(pairs)))
    found = hard_negatives(texts_of(pairs), scores, number)
    made = sorted(zip((found.right // 2).tolist(), (found.left // 2).tolist()))
    expected = []
    for i in range(len(pairs)):
        possible = [j for j in range(len(pairs)) if may_replace(pairs, i, j)]
        expected += [(i, j) for j in sorted(possible, key=lambda j: -scores[i, j])[:number]]
    assert made == sorted(expected) and found.dropped == len(pairs) * number - len(expected)


def test_a_hard_negative_that_the_training_text_knows_is_passed_over():
    pairs = all_different(3)
    marks = torch.tensor([x for pair in pairs for x in pair])
    known = KnownPairs(np.unique([int(pair_marks(marks[1], marks[2]))]))  # pair 1's first text translates pair 0's
    scores = np.array([[9.0, 3.0, 1.0], [2.0, 9.0, 1.0], [1.0, 2.0, 9.0]])
    found = hard_negatives(Texts(marks, 3, None, known), scores)
    assert sorted(zip(found.right.tolist(), found.left.tolist())) == [(1, 4), (3, 0), (5, 2)]
    assert found.rejected == 1 and found.dropped == 0


def test_choices_are_functions_of_the_keys():
    pairs = all_different(20)
    first, again, other = (batch_negatives(texts_of(pairs), keys_of(pairs, seed)) for seed in (1, 1, 2))
    assert torch.equal(first.left, again.left) and torch.equal(first.right, again.right)
    assert not torch.equal(first.left, other.left)


@pytest.mark.parametrize("any_language", [False, True])
def test_texts_of_the_corpus_follow_the_pairs_and_equal_ones_are_rejected(any_language):
    pairs, keys = all_different(4), keys_of(all_different(4))
    beyond = [100, 101, 12, 11, 15, 100, 101, 102]  # two for each pair; 11 is pair 0's second text, 12 pair 1's first
    texts = Texts(torch.tensor([x for pair in pairs for x in pair] + beyond), 4)
    found = corpus_negatives(texts, keys, 2, any_language)
    assert found.wanted == 8 and found.rejected == found.dropped
    for a, b in zip(found.left.tolist(), found.right.tolist()):
        (extra,) = {a, b} - set(range(8))
        kept = a if b == extra else b
        assert (extra - 8) // 2 == kept // 2, "each text stands beside its own pair's"
        assert beyond[extra - 8] not in pairs[kept // 2]
    rejected = {8 + i for i in range(8)} - set(found.left.tolist()) - set(found.right.tolist())
    assert 10 in rejected  # 12 beside pair 1 is its own text, whichever text is kept
