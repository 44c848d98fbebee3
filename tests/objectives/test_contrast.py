"""InfoNCE: numbers worked out by hand, an independent float64 reference, gradients, and rows without negatives."""

import itertools
import math

import numpy as np
import pytest
import torch

from fairseq_xalign.objectives.batch import pack
from fairseq_xalign.objectives.contrast import QUEUE_ONLY, WITH_POSITIVE, info_nce, sequence_hashes, shares_text

QUERY, KEY = [[1.0, 0.0]], [[0.8, 0.6]]
QUEUE = [[0.0, 1.0], [-1.0, 0.0]]


def double(rows):
    return torch.tensor(rows, dtype=torch.float64)


def loss(queries, keys, queue, temperature, *options):
    return info_nce(double(queries), double(keys), double(queue), temperature, *options)[0]


@pytest.mark.parametrize(
    ("temperature", "queue", "denominator", "expected"),
    [
        (0.5, QUEUE, WITH_POSITIVE, 0.2063800175),
        (0.5, QUEUE, QUEUE_ONLY, -1.4730719890),
        (0.5, [*QUEUE, *KEY], WITH_POSITIVE, 0.8016518564),
        (0.05, QUEUE, WITH_POSITIVE, 1.1253516874e-7),
        (0.05, QUEUE, QUEUE_ONLY, -15.9999999979),
        (0.05, [*QUEUE, *KEY], WITH_POSITIVE, 0.6931472368),
    ],
)
def test_numbers_worked_out_by_hand(temperature, queue, denominator, expected):
    assert loss(QUERY, KEY, queue, temperature, denominator).item() == pytest.approx(expected, rel=1e-9)


def test_equal_logits_give_the_logarithm_of_how_many_there_are():
    zeros = torch.zeros(32_000, 2)
    assert info_nce(zeros[:1], zeros[:1], zeros, 0.05)[0].item() == pytest.approx(10.3735224313, abs=1e-5)
    assert info_nce(zeros[:1], zeros[:1], zeros, 0.05, QUEUE_ONLY)[0].item() == pytest.approx(10.3734911818, abs=1e-5)


def sample(pairs=5, size=7, width=4, seed=1):
    rng = np.random.default_rng(seed)
    left_out = rng.random((pairs, size)) < 0.4
    left_out[0], left_out[1] = True, False
    return *(rng.normal(size=(n, width)) for n in (pairs, pairs, size)), left_out


def reference(queries, keys, queue, temperature, denominator, left_out):
    """Eq. 3 with plain loops and numpy's own sum of exponentials."""
    result = []
    for i, (q, k) in enumerate(zip(queries, keys)):
        positive = float(q @ k) / temperature
        terms = [float(q @ n) / temperature for n, out in zip(queue, left_out[i]) if not out]
        if not terms:
            result.append(0.0)
            continue
        terms += [positive] if denominator == WITH_POSITIVE else []
        result.append(float(np.logaddexp.reduce(terms)) - positive)
    return result


@pytest.mark.parametrize(("temperature", "denominator"), itertools.product((0.05, 1.0), (WITH_POSITIVE, QUEUE_ONLY)))
def test_it_equals_the_reference(temperature, denominator):
    queries, keys, queue, left_out = sample()
    terms, found = info_nce(*(torch.from_numpy(x) for x in (queries, keys, queue)), temperature, denominator,
                            torch.from_numpy(left_out))  # fmt: skip
    assert terms.tolist() == pytest.approx(reference(queries, keys, queue, temperature, denominator, left_out))
    expected = [all(q @ k > q @ n for n, out in zip(queue, row) if not out)
                for q, k, row in zip(queries, keys, left_out)]  # fmt: skip
    assert found.tolist() == expected


@pytest.mark.parametrize("hardest", [1, 3, 7, 9])
@pytest.mark.parametrize("denominator", [WITH_POSITIVE, QUEUE_ONLY])
def test_the_hardest_negatives_are_those_with_the_highest_scores(denominator, hardest):
    queries, keys, queue, left_out = sample()
    for query, row in zip(queries, left_out):
        score = np.where(row, -np.inf, queue @ query)
        row[np.argsort(-score)[hardest:]] = True
    expected = reference(queries, keys, queue, 0.5, denominator, left_out)
    vectors = [torch.from_numpy(x) for x in (queries, keys, queue)]
    terms, _ = info_nce(*vectors, 0.5, denominator, torch.from_numpy(sample()[3]), hardest)
    assert terms.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("denominator", [WITH_POSITIVE, QUEUE_ONLY])
def test_the_gradient_is_that_of_finite_differences(denominator):
    queries, keys, queue, left_out = (torch.from_numpy(x) for x in sample())
    queries.requires_grad_()
    assert torch.autograd.gradcheck(lambda q: info_nce(q, keys, queue, 0.3, denominator, left_out)[0], queries)


@pytest.mark.parametrize("denominator", [WITH_POSITIVE, QUEUE_ONLY])
@pytest.mark.parametrize("size", [0, 3])
def test_a_query_without_negatives_has_no_loss_and_no_gradient(denominator, size):
    queries = torch.randn(2, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
    everything = torch.ones(2, size, dtype=torch.bool)
    terms, _ = info_nce(queries, queries.detach(), torch.ones(size, 4), 0.05, denominator, everything)
    terms.sum().backward()
    assert terms.tolist() == [0, 0] and queries.grad is not None and not queries.grad.any()


def test_half_precision_and_autocast_are_computed_in_float32():
    queries, keys, queue, _ = (torch.from_numpy(x) for x in sample())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms, _ = info_nce(queries.bfloat16(), keys.bfloat16(), queue.float(), 0.05)
    exact, _ = info_nce(queries.bfloat16().double(), keys.bfloat16().double(), queue.float().double(), 0.05)
    assert terms.dtype == torch.float32 and torch.allclose(terms.double(), exact, atol=1e-4)


def test_huge_similarities_stay_finite():
    big, opposite = [[1e4, 0.0]], [[-1e4, 0.0]]
    assert loss(big, big, opposite, 0.05).item() == 0 and math.isfinite(loss(big, opposite, big, 0.05).item())


def test_equal_texts_have_equal_hashes_wherever_they_stand():
    batch = pack([[0, 7, 8, 2], [0, 8, 7, 2], [0, 7, 8, 2], [0, 7, 8, 9, 2]])
    hashes = sequence_hashes(batch).tolist()
    assert hashes[0] == hashes[2] and len(set(hashes)) == 3
    batch.tokens[1], batch.masked, batch.targets = 4, torch.tensor([1]), torch.tensor([7])
    assert sequence_hashes(batch).tolist() == hashes


def test_a_queued_key_of_a_pair_with_a_common_text_is_found():
    """The positive again, another translation of the query, the query's own text, and none of them."""
    queued = torch.tensor([[5, 2], [1, 6], [7, 1], [8, 9]])
    assert shares_text(torch.tensor([[1, 2], [3, 4]]), queued).tolist() == [[True, True, True, False], [False] * 4]
