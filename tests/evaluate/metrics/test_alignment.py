"""Alignment and retrieval: a case worked out by hand, brute force, zero rows, memory in chunks."""

import numpy as np
import pytest
import torch

from fairseq_xalign.evaluate.metrics import alignment
from fairseq_xalign.evaluate.metrics.retrieval import retrieval_accuracy, text_numbers
from fairseq_xalign.evaluate.metrics.word_pairs import (
    Pairs,
    alignment_report,
    dictionary_pairs,
    heldout_queries,
    mean_rows,
)

E1 = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 0.2]])
E2 = torch.tensor([[0.9, 0.1], [0.8, 0.9], [0.1, 1.0], [-1.0, 0.0]])


class NotDoubled:
    """As much of a tokenizer as pairs need: one without copies."""

    derived_ids = range(0)


class Doubled:
    """Four pieces (5 to 8) with copies (9 to 12), the third of them shared by both languages."""

    natural_ids, derived_ids = range(5, 9), range(9, 13)

    def shift(self, ids):
        return [7 if i == 7 else i + 4 for i in ids]


def random_rows(n, d, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_the_printed_case_of_the_alignment_score():
    gold = torch.arange(4)
    assert alignment.nearest(E1, E2)[:, 0].tolist() == [0, 2, 1, 3]
    assert alignment.alignment_score(E1, E2, gold) == 50.0
    assert alignment.alignment_score(E2, E1, gold) == 50.0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_score_does_not_depend_on_the_length_of_vectors(dtype):
    scales = torch.tensor([1e-6, 1.0, 1e6, 3.0])[:, None]
    assert alignment.alignment_score((E1 * scales).to(dtype), E2.to(dtype), torch.arange(4)) == 50.0


def test_very_small_and_very_large_rows_keep_their_direction():
    source = torch.tensor([[1e-30, 0.0], [0.0, 3e38]])
    assert alignment.alignment_score(source, torch.eye(2), torch.arange(2)) == 100.0


def test_zero_rows_never_match():
    source = torch.tensor([[0.0, 0.0], [0.0, -1.0]])
    target = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    # A zero query has no neighbour; a zero candidate is not nearest, though every other cosine is negative.
    assert alignment.nearest(source, target, k=2).tolist() == [[-2, -2], [1, -2]]
    assert alignment.alignment_score(source, target, torch.tensor([0, 0])) == 0.0
    assert alignment.alignment_score(torch.zeros(2, 2), torch.zeros(2, 2), torch.arange(2)) == 0.0


def test_padding_of_several_answers_never_matches_a_missing_neighbour():
    neighbours = alignment.nearest(torch.zeros(1, 2), torch.eye(2), k=3)
    assert alignment.precision_at(neighbours, torch.tensor([[0, alignment.NO_ANSWER]]), 3) == 0.0


def test_chunks_do_not_change_anything(monkeypatch):
    source, target = random_rows(57, 8, 1), random_rows(91, 8, 2)
    for csls in (None, 10):
        whole = alignment.nearest(source, target, 5, csls)
        with monkeypatch.context() as patch:
            patch.setattr(alignment, "SIMILARITIES_AT_ONCE", 100)
            assert torch.equal(alignment.nearest(source, target, 5, csls), whole)


def test_cosine_and_csls_neighbours_equal_brute_force():
    source, target = random_rows(30, 6, 3).double(), random_rows(40, 6, 4).double()
    x = source.numpy() / np.linalg.norm(source.numpy(), axis=1, keepdims=True)
    y = target.numpy() / np.linalg.norm(target.numpy(), axis=1, keepdims=True)
    cosine = x @ y.T
    to_target = np.sort(cosine, axis=1)[:, -10:].mean(axis=1)
    to_source = np.sort(cosine, axis=0)[-10:].mean(axis=0)
    csls = 2 * cosine - to_target[:, None] - to_source[None]
    for mode, scores in ((None, cosine), (10, csls)):
        expected = np.argsort(-scores, axis=1)[:, :7]
        assert alignment.nearest(source, target, 7, mode).numpy().tolist() == expected.tolist()


def test_precision_grows_with_k_and_counts_any_right_answer():
    neighbours = torch.tensor([[3, 1, 0], [2, 0, 1]])
    gold = torch.tensor([[1, 0], [1, alignment.NO_ANSWER]])
    assert [alignment.precision_at(neighbours, gold, k) for k in (1, 2, 3)] == [0.0, 50.0, 100.0]


def test_embeddings_that_diverged_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        alignment.alignment_score(torch.tensor([[float("nan"), 1.0]]), E2, torch.tensor([0]))


def test_mean_cosine_of_pairs():
    assert alignment.mean_cosine(
        torch.tensor([[1.0, 0], [1, 1], [1, 0]]), torch.tensor([[1.0, 0], [1, 0], [-1, 0]])
    ) == (pytest.approx(0.2357022604, abs=1e-7))


def test_authors_subset_is_a_fixed_share_without_repeats():
    rows = alignment.authors_subset(1000, 0.4)
    assert len(rows) == len(set(rows.tolist())) == 400
    assert torch.equal(rows, alignment.authors_subset(1000, 0.4))
    assert not torch.equal(rows, alignment.authors_subset(1000, 0.4, seed=43))


def test_several_pieces_are_averaged():
    table = torch.tensor([[1.0, 0.0], [0.0, 1.0], [4.0, 4.0]])
    assert mean_rows(table, [(0, 1), (2,)]).tolist() == [[0.5, 0.5], [4.0, 4.0]]
    assert mean_rows(table, [(2,), (0,)]).tolist() == [[4.0, 4.0], [1.0, 0.0]]


def test_pairs_of_a_natural_dictionary_keep_all_answers_and_distinct_candidates():
    pairs = dictionary_pairs([[5], [6], [5]], [[8], [8], [9, 10]], NotDoubled())
    assert pairs.source == [(5,), (6,)]
    assert pairs.target == [(8,), (9, 10)]
    assert pairs.gold.tolist() == [[0, 1], [0, alignment.NO_ANSWER]]
    assert pairs.candidates == "dictionary-targets"


def test_a_dictionary_of_copies_is_scored_against_all_copies_in_use():
    pairs = dictionary_pairs([[6]], [[10]], Doubled())
    assert pairs.target == [(9,), (10,), (12,)]
    assert pairs.gold.tolist() == [[1]]
    assert pairs.candidates == "derived-pieces"


def test_held_out_queries_are_those_whose_sides_the_dictionary_never_saw():
    pairs = dictionary_pairs([[5], [6], [7], [8]], [[15], [16], [17], [18]], NotDoubled())
    assert heldout_queries(pairs, [[5], [30]], [[40], [17]]).tolist() == [1, 3]


def test_report_scores_all_held_out_and_the_authors_subsets_with_language_embeddings():
    # Copies are the natural rows plus a shift that a language embedding takes out again.
    natural, shift = random_rows(60, 16, 5), torch.full((16,), 30.0)
    table = torch.cat([natural, natural + shift])
    pairs = Pairs(
        [(i,) for i in range(60)], [(60 + i,) for i in range(60)], torch.arange(60)[:, None], "derived-pieces"
    )
    report = alignment_report(table, pairs, torch.tensor([0, 1, 2]), authors=True, additions=(shift, torch.zeros(16)))
    assert report["pairs"] == {"all": 60, "heldout": 3, "authors_40": 24, "authors_90": 54}
    assert report["alignment"]["authors_40_language"] == report["alignment"]["authors_90_language"] == 100.0
    assert report["alignment"]["all"] < 100.0
    assert report["alignment"]["all"] == report["precision"]["cosine"]["1"] <= report["precision"]["cosine"]["10"]
    assert report["candidates"] == 60
    assert "csls:10" in report["signature"] and "seed:42" in report["signature"]


def test_csls_takes_out_a_hub_that_cosine_falls_for():
    source = torch.eye(8)
    hub = torch.full((1, 8), 1.0)
    target = torch.cat([0.3 * torch.eye(8) - 0.25 * (1 - torch.eye(8)), hub])
    assert alignment.precision_at(alignment.nearest(source, target, csls=3), torch.arange(8), 1) == 100.0


def test_retrieval_counts_both_directions():
    result = retrieval_accuracy(torch.eye(4), torch.eye(4)[[0, 1, 2, 2]])
    # Forward: rows 0, 1 and 2 find themselves (2 the first of two equals), row 3 finds nothing near.
    assert (result.forward, result.backward) == (75.0, 75.0)
    assert result.mean == 75.0


def test_centring_takes_out_what_marks_a_language():
    meaning = random_rows(50, 8, 6)
    source, target = meaning, meaning + 50 * random_rows(1, 8, 7)
    assert retrieval_accuracy(source, target).mean < 50.0
    assert retrieval_accuracy(source, target, centre=True).mean == 100.0


def test_retrieval_refuses_sides_that_are_not_parallel():
    with pytest.raises(ValueError, match="one shape"):
        retrieval_accuracy(torch.eye(3), torch.eye(4))


@pytest.mark.parametrize(
    ("source", "target", "answers", "forward", "backward"),
    [
        ("abab", "wxwx", "wxwx", 100.0, 100.0),  # every pair twice: either copy is right
        ("ab", "wx", "xw", 0.0, 0.0),
        ("aab", "wxy", "wxy", 100.0, 100.0),  # one sentence with two translations: both are right
        ("abc", "wwx", "wwx", 100.0, 100.0),
        ("abcd", "wxyz", "wxzy", 50.0, 50.0),
    ],
)
def test_an_answer_is_right_if_it_translates_the_query_anywhere(source, target, answers, forward, backward):
    """``answers`` are the target texts whose vectors the source rows have: what is nearest to each."""
    one_hot = torch.eye(26)
    numbers = {letter: one_hot[i] for i, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
    vectors = [torch.stack([numbers[letter] for letter in text]) for text in (answers, target)]
    found = retrieval_accuracy(*vectors, texts=(text_numbers(source), text_numbers(target)))
    assert (found.forward, found.backward) == (forward, backward)
