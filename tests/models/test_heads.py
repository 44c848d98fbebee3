"""Pooling equals a loop over sequences; heads give the shapes that they say, those of MMTE a plain loop's values."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.errors import UserError
from fairseq_xalign.models.heads import ClassificationHead, MMTEClassificationHead, MMTETaggingHead, TaggingHead
from fairseq_xalign.objectives.pooling import pool

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


def layer(linear, vector):
    """ReLU(W x + b), in plain sums."""
    return [
        max(0.0, sum(w * x for w, x in zip(row, vector)) + b)
        for row, b in zip(linear.weight.tolist(), linear.bias.tolist())
    ]


def reference_classification(head, sequences, before):
    """The scores of each sequence, token by token: 64 units, the maximum over the text's own tokens, 64 units."""
    scores = []
    for tokens in sequences:
        text = tokens[before:-1] or tokens
        rows = [layer(head.token, token) for token in text]
        hidden = layer(head.text, [max(column) for column in zip(*rows)])
        last = zip(head.out.weight.tolist(), head.out.bias.tolist())
        scores.append([sum(w * x for w, x in zip(row, hidden)) + b for row, b in last])
    return torch.tensor(scores, dtype=torch.float64)


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("lengths", [[5, 3, 7], [2, 4], [1, 2, 3]])
def test_mmtes_classification_head_equals_a_plain_loop(before, lengths):
    torch.manual_seed(3)
    head = MMTEClassificationHead(5, 3, before=before).double().eval()
    features = 3 * torch.randn(sum(lengths), 5, dtype=torch.float64)
    sequences = [part.tolist() for part in features.split(lengths)]
    found = head(features, starts_of(lengths))
    torch.testing.assert_close(found.detach(), reference_classification(head, sequences, before))


def test_the_maximum_of_mmtes_head_by_hand():
    head = MMTEClassificationHead(1, 1, before=1).double().eval()
    for linear, weight in ((head.token, 2.0), (head.text, 1 / 64), (head.out, 1 / 64)):
        torch.nn.init.constant_(linear.weight, weight)
        torch.nn.init.zeros_(linear.bias)
    # <s> 9, text -1 and 3, </s> 8: ReLU(2 * 3) = 6 in each unit, and their means after that; then a text of -1 alone
    features = torch.tensor([[9.0], [-1.0], [3.0], [8.0], [9.0], [-1.0], [8.0]], dtype=torch.float64)
    assert head(features, starts_of([4, 3])).tolist() == [[6.0], [0.0]]
    head.before = 0  # x </s>: 9 belongs to the text
    assert head(features, starts_of([4, 3])).tolist() == [[18.0], [18.0]]


def test_the_end_of_a_text_does_not_change_mmtes_scores_and_padding_is_not_there():
    head = MMTEClassificationHead(4, 2).eval()
    features = torch.randn(6, 4)
    other = features.clone()
    other[[0, 5]] = 100.0
    assert torch.equal(head(features, starts_of([6])), head(other, starts_of([6])))


def test_gradients_of_mmtes_heads():
    torch.manual_seed(5)
    classify, tag = MMTEClassificationHead(3, 2, 0.0).double(), MMTETaggingHead(3, 2, 0.0).double()
    features = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: classify(x, starts_of([3, 4])), features)
    assert torch.autograd.gradcheck(tag, features[:2])
    names = {name for head in (classify, tag) for name, _ in head.named_parameters()}
    loss = classify(features, starts_of([3, 4])).square().sum() + tag(features).square().sum()
    loss.backward()
    assert names == {f"{n}.{p}" for n in ("token", "text", "out", "hidden") for p in ("weight", "bias")}
    assert all(p.grad.abs().sum() > 0 for head in (classify, tag) for p in head.parameters())


def test_mmtes_tagging_head_equals_a_plain_loop_and_has_784_units():
    torch.manual_seed(4)
    head = MMTETaggingHead(5, 3).double().eval()
    features = torch.randn(4, 5, dtype=torch.float64)
    assert head.hidden.out_features == 784
    last = list(zip(head.out.weight.tolist(), head.out.bias.tolist()))
    hidden = [layer(head.hidden, token) for token in features.tolist()]
    expected = [[sum(w * x for w, x in zip(row, h)) + b for row, b in last] for h in hidden]
    torch.testing.assert_close(head(features).detach(), torch.tensor(expected, dtype=torch.float64))


def test_mmtes_heads_have_the_papers_sizes():
    def count(head):
        return sum(p.numel() for p in head.parameters())

    assert count(MMTEClassificationHead(1024, 12)) == (1024 + 1) * 64 + (64 + 1) * 64 + (64 + 1) * 12
    assert count(MMTETaggingHead(1024, 17)) == (1024 + 1) * 784 + (784 + 1) * 17
