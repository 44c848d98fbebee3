"""The float32 weights behind a model in half precision: fairseq's own optimizers, on a CPU."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from fairseq.optim.fp16_optimizer import MemoryEfficientFP16Optimizer
from fairseq.optim.sgd import SGD
from torch.nn import Parameter

from fairseq_xalign.optimizers.adamw import AdamWConfig, FusedAdamW
from fairseq_xalign.optimizers.master_weights import master_weights
from tests.support.amp import amp_on_a_cpu, fp16_on_a_cpu, half_settings


def sgd(parameters):
    return SGD(SimpleNamespace(lr=[2.0**-12], momentum=0.0, weight_decay=0.0), parameters)


def mixed(dtype) -> list[Parameter]:
    """A model in half precision with a module that stays in float32."""
    return [
        Parameter(torch.ones(2, 3, dtype=dtype)),
        Parameter(torch.full((3,), 0.1)),
        Parameter(torch.ones(4, dtype=dtype)),
    ]


def update(optimizer, parameters) -> None:
    """Gradients of 1, 2 and 3."""
    optimizer.zero_grad()
    optimizer.backward(sum((i * p.float().sum() for i, p in enumerate(parameters, 1)), torch.zeros(())))
    optimizer.clip_grad_norm(0.0)
    optimizer.step()


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("bf16", [True, False])
def test_updates_that_half_precision_does_not_show_are_in_them(flat, bf16):
    """Three updates of 2^-12, 2^-11 and 3 * 2^-12 each, as worked out by hand."""
    parameters = mixed(torch.bfloat16 if bf16 else torch.float16)
    optimizer = fp16_on_a_cpu(parameters, sgd, flat, bf16)
    for _ in range(3):
        update(optimizer, parameters)
    found = master_weights(optimizer)
    assert all(a is b for a, b in zip(found, parameters, strict=True))
    for number, (parameter, before) in enumerate(zip(parameters, (1.0, 0.1, 1.0)), 1):
        master = found[parameter]
        assert master.dtype == torch.float32 and master.shape == parameter.shape and not master.requires_grad
        torch.testing.assert_close(master, torch.full_like(master, before - 3 * number * 2.0**-12), rtol=1e-7, atol=0)
        assert torch.equal(parameter, master.to(parameter.dtype))
    if bf16:
        assert bool((parameters[0] == 1).all()), "below the precision of the model"


@pytest.mark.parametrize("flat", [True, False])
def test_they_are_the_optimizers_own_and_no_copies(flat):
    parameters = mixed(torch.float16)
    optimizer = fp16_on_a_cpu(parameters, sgd, flat)
    found = master_weights(optimizer)
    update(optimizer, parameters)
    torch.testing.assert_close(found[parameters[2]], torch.full((4,), 1 - 3 * 2.0**-12), rtol=1e-7, atol=0)


def test_optimizers_that_train_the_models_own_weights_have_none():
    settings = AdamWConfig()
    settings.lr = [0.1]
    parameters = [Parameter(torch.ones(3))]
    halves = [Parameter(torch.ones(3, dtype=torch.float16))]
    efficient = MemoryEfficientFP16Optimizer(
        half_settings(), halves, FusedAdamW(settings, halves), allow_unsupported=True
    )
    for optimizer in (FusedAdamW(settings, parameters), amp_on_a_cpu(parameters, 8.0), efficient):
        assert master_weights(optimizer) == {}
