"""Pooling equals a loop over sequences; heads give the shapes that they say."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.errors import UserError
from fairseq_xalign.models.heads import ClassificationHead, TaggingHead
from fairseq_xalign.models.pooling import pool

ONE_BY_ONE = {"cls": lambda x: x[0], "mean": lambda x: x.mean(0), "max": lambda x: x.max(0).values}


def starts_of(lengths):
    return torch.tensor([0, *lengths]).cumsum(0).int()


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=12), pooling=st.sampled_from(sorted(ONE_BY_ONE)))
def test_pooling_equals_a_loop_in_values_and_gradients(lengths, pooling):
    features = torch.randn(sum(lengths), 5, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(len(lengths), 5, dtype=torch.float64)
    results = []
    for pooled in (
        pool(features, starts_of(lengths), pooling),
        torch.stack([ONE_BY_ONE[pooling](part) for part in features.split(lengths)]),
    ):
        (gradient,) = torch.autograd.grad((pooled * weights).sum(), features)
        results.append((pooled.detach(), gradient))
    torch.testing.assert_close(results[0], results[1])


def test_mean_of_many_bfloat16_values_does_not_stall():
    features = torch.ones(5000, 1, dtype=torch.bfloat16)
    assert pool(features, starts_of([5000]), "mean").item() == 1.0


@pytest.mark.parametrize("hidden", [None, 7])
@pytest.mark.parametrize("pooling", sorted(ONE_BY_ONE))
def test_classification_head_scores_each_sequence(pooling, hidden):
    head = ClassificationHead(5, 3, pooling, hidden).eval()
    features = torch.randn(9, 5)
    scores = head(features, starts_of([2, 3, 4]))
    assert scores.shape == (3, 3)
    torch.testing.assert_close(scores[1:2], head(features[2:5], starts_of([3])))


def test_tagging_head_scores_each_token_by_itself():
    head, features = TaggingHead(5, 4).eval(), torch.randn(6, 5)
    assert head(features).shape == (6, 4)
    torch.testing.assert_close(head(features)[2:3], head(features[2:3]))


def test_unknown_pooling_is_named():
    with pytest.raises(UserError, match=r"unknown pooling 'avg'.*cls, mean, max"):
        ClassificationHead(5, 3, "avg")
