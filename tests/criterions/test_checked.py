"""Losses that are not finite are refused before the weights change, once per update where looking is waiting."""

import pytest
import torch
from fairseq.criterions import FairseqCriterion

from fairseq_xalign.criterions.checked import CheckedCriterion
from fairseq_xalign.criterions.sums import NonFiniteLoss
from fairseq_xalign.optimizers.clipping import GLOBAL, call_before_clipping, set_clip_mode

ONE = torch.tensor(1.0)
NAN, INFINITE = torch.tensor(float("nan")), torch.tensor(float("inf"))


@pytest.fixture
def waiting(monkeypatch):
    """A criterion that looks once per update, as on a GPU."""
    monkeypatch.setattr(CheckedCriterion, "looks_at_once", lambda self, loss: False)
    return CheckedCriterion(None)


def expect(criterion, *losses, parts=None):
    for number, loss in enumerate(losses):
        criterion.expect_finite(loss, parts or {}, lambda number=number: [f"mono/en number {number}"])


def test_on_a_cpu_and_in_validation_a_loss_is_looked_at_when_it_comes():
    criterion = CheckedCriterion(None)
    assert isinstance(criterion, FairseqCriterion)
    expect(criterion, ONE)
    for training in (True, False):
        criterion.train(training)
        with pytest.raises(NonFiniteLoss, match=r"not finite \(nan\) on: mono/en number 0\. Lower --lr"):
            expect(criterion, NAN)
    assert criterion.train(False).looks_at_once(torch.empty((), device="meta")) is not False
    assert not criterion.train(True).looks_at_once(torch.empty((), device="meta"))


def test_all_losses_of_an_update_are_looked_at_together_and_the_first_wrong_one_is_named(waiting):
    expect(waiting, ONE, ONE, INFINITE, NAN)
    with pytest.raises(NonFiniteLoss, match=r"\(inf\) on: mono/en number 2"):
        waiting.settle()
    waiting.settle()  # nothing is left to look at
    expect(waiting, ONE, parts={})
    waiting.settle()


def test_the_mean_of_each_objective_is_named(waiting):
    parts = {"mlm": (torch.tensor(6.0, requires_grad=True), 3), "align": (NAN, 0)}
    expect(waiting, NAN, parts=parts)
    with pytest.raises(NonFiniteLoss, match=r"\(mlm 2, align nan\)"):
        waiting.settle()


def test_an_update_that_is_tried_again_forgets_the_losses_of_the_first_try(waiting):
    expect(waiting, NAN)
    waiting.train()
    waiting.settle()


def test_losses_are_looked_at_before_gradients_are_clipped(waiting):
    calls = []

    class Optimizer:
        params: list = []
        param_groups: list = []

        def clip_grad_norm(self, limit, aggregate_norm_fn=None):
            calls.append(limit)
            return torch.tensor(3.0)

    optimizer = Optimizer()
    for _ in range(2):  # a training step calls both for every micro-batch
        set_clip_mode(optimizer, GLOBAL, lambda share: None)
        call_before_clipping(optimizer, waiting.settle)
    expect(waiting, NAN)
    with pytest.raises(NonFiniteLoss):
        optimizer.clip_grad_norm(1.0)
    assert calls == []
    assert optimizer.clip_grad_norm(2.0) == 3.0 and calls == [2.0]
