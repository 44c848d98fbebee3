"""Gradients under ``--amp`` are divided by the loss scale once."""

from __future__ import annotations

import inspect
import logging

import pytest
import torch

from fairseq_xalign import compat
from tests.support.amp import amp_on_a_cpu

SLOPES = torch.tensor([1e-5, -2e-5, 3e-6])


def trained(scale: float, step=None) -> torch.Tensor:
    """A parameter after two updates of one AdamW with this loss scale; the last gradient must be the true one."""
    compat.apply()
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = amp_on_a_cpu([parameter], scale)
    for _ in range(2):
        optimizer.zero_grad()
        optimizer.backward((parameter * SLOPES).sum())
        optimizer.clip_grad_norm(0.0)
        (step or type(optimizer).step)(optimizer)
    return parameter.detach()


@pytest.mark.parametrize("scale", [1.0, 2.0**7, 2.0**24])
def test_an_update_is_the_same_at_any_loss_scale(scale):
    parameter = torch.nn.Parameter(torch.ones(3))
    plain = torch.optim.AdamW([parameter], lr=0.1, weight_decay=0.0)
    for _ in range(2):
        parameter.grad = SLOPES.clone()
        plain.step()
    torch.testing.assert_close(trained(scale), parameter.detach(), rtol=1e-6, atol=0)


def test_fairseq_alone_divides_twice():
    compat.apply()
    from fairseq.optim.amp_optimizer import AMPOptimizer

    torch.testing.assert_close(trained(2.0**24, AMPOptimizer.step.__wrapped__), torch.ones(3), rtol=0, atol=1e-4)


SUGGESTED = {7: "device may support faster training with --fp16 or --amp", 8: "--autocast bf16"}


@pytest.mark.parametrize("generation", SUGGESTED)
@pytest.mark.parametrize("used", [False, True])
def test_the_trainer_suggests_what_the_gpu_has_where_it_is_not_used(used, generation, caplog, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (generation, 0))
    logger = logging.getLogger("fairseq.trainer")
    compat.suggest_autocast(used)
    with caplog.at_level(logging.INFO):
        logger.info("NOTE: your device may support faster training with --fp16 or --amp")
        logger.info("loading train data for epoch 1")
    *notes, last = (record.getMessage() for record in caplog.records)
    assert last == "loading train data for epoch 1" and len(notes) == (not used)
    assert all(SUGGESTED[generation] in note for note in notes)


def test_the_note_is_fairseqs_own():
    import fairseq.trainer

    assert "NOTE: your device may support faster training" in inspect.getsource(fairseq.trainer)
