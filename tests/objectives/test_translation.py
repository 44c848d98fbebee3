"""Batches of translation and their loss: hand-computed, and equal to fairseq's label smoothing."""

import math

import pytest
import torch
from fairseq.criterions.label_smoothed_cross_entropy import label_smoothed_nll_loss

from fairseq_xalign.objectives.translation import TranslationBatch, translation_loss
from tests.support.translation import translation_batch


def test_loss_of_three_equal_symbols_by_hand():
    logits = torch.tensor([[0.0, 0.0, 0.0], [math.log(2), 0.0, 0.0]], dtype=torch.float64)
    loss, nll = translation_loss(logits, torch.tensor([1, 0]))
    assert torch.equal(loss, nll) and nll.tolist() == pytest.approx([math.log(3), math.log(2)])
    loss, nll = translation_loss(logits, torch.tensor([1, 0]), 0.2)
    assert nll.tolist() == pytest.approx([math.log(3), math.log(2)])
    # the right symbol weighs 0.8, each of the two others 0.1
    assert loss.tolist() == pytest.approx([math.log(3), 0.8 * math.log(2) + 0.1 * 2 * math.log(4)])


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_loss_and_gradient_equal_those_of_fairseq(smoothing):
    torch.manual_seed(0)
    logits = torch.randn(7, 11, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(0, 11, (7,))
    ours, nll = translation_loss(logits, targets, smoothing)
    theirs, their_nll = label_smoothed_nll_loss(logits.log_softmax(-1), targets, smoothing, reduce=False)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(nll, their_nll)
    (a,), (b,) = (torch.autograd.grad(loss.sum(), logits) for loss in (ours, theirs))
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_gradient_is_that_of_finite_differences(smoothing):
    logits = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0, 4, 2])
    assert torch.autograd.gradcheck(lambda z: translation_loss(z, targets, smoothing)[0], logits)
    assert not translation_loss(logits, targets, smoothing)[1].requires_grad


def test_half_precision_is_scored_in_single_precision():
    logits = torch.randn(2, 9).bfloat16()
    loss, nll = translation_loss(logits, torch.tensor([1, 2]), 0.1)
    assert loss.dtype == nll.dtype == torch.float32


@pytest.mark.parametrize("apart", [False, True])
def test_a_batch_survives_a_dictionary(apart):
    batch = translation_batch(apart=apart)
    values = batch.to_dict()
    assert isinstance(values["source"], dict) and isinstance(values["tags"], dict) == apart
    again = TranslationBatch.from_dict(values).to("cpu")
    assert torch.equal(again.source.tokens, batch.source.tokens)
    assert torch.equal(again.target.targets, batch.target.targets)
    assert (again.tags is None) == (not apart) and len(again) == len(batch) == 8
