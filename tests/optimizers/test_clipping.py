"""``--clip-mode``: hand-computed numbers, fairseq's wrappers for mixed precision, and real runs."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from fairseq.optim.fp16_optimizer import MemoryEfficientFP16Optimizer
from fairseq.utils import clip_grad_norm_
from torch import Tensor
from torch.nn import Parameter

from fairseq_xalign.errors import UserError
from fairseq_xalign.optimizers.adamw import AdamWConfig, FusedAdamW
from fairseq_xalign.optimizers.clipping import check_clip_mode, clip_each_, gradients_of, set_clip_mode
from tests.support.amp import amp_on_a_cpu, fp16_on_a_cpu, half_settings

GRADIENTS = ([3.0, 4.0], [0.3, 0.4], [-12.0, 5.0])
"""Norms 5, 0.5 and 13; of all, sqrt(25 + 0.25 + 169)."""
WHOLE = math.sqrt(194.25)
CLIPPED = ([0.6, 0.8], [0.3, 0.4], [-12 / 13, 5 / 13])
"""The same with a limit of 1 per tensor."""


def parameters(dtype=torch.float32) -> list[Parameter]:
    return [Parameter(torch.zeros(2, dtype=dtype)) for _ in GRADIENTS]


def loss_of(params: list[Parameter]) -> Tensor:
    """A loss whose gradients are GRADIENTS."""
    return sum(((p * torch.tensor(g, dtype=p.dtype)).sum() for p, g in zip(params, GRADIENTS)), torch.zeros(()))


def adamw(params) -> FusedAdamW:
    settings = AdamWConfig()
    settings.lr = [0.1]
    return FusedAdamW(settings, params)


def test_each_tensor_is_clipped_by_its_own_norm_as_computed_by_hand():
    gradients = [torch.tensor(g, dtype=torch.float64) for g in GRADIENTS]
    above = clip_each_(gradients, 1.0)
    for gradient, expected in zip(gradients, CLIPPED):
        torch.testing.assert_close(gradient, torch.tensor(expected, dtype=torch.float64), rtol=3e-6, atol=0)
    assert above.tolist() == [True, False, True]
    assert gradients[1].tolist() == [0.3, 0.4], "a small gradient keeps every bit"


def test_a_single_tensor_is_clipped_as_fairseq_clips_the_whole():
    mine, theirs = (torch.randn(50, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    parameter = Parameter(torch.zeros(50))
    parameter.grad = theirs
    clip_grad_norm_([parameter], 2.0)
    clip_each_([mine], 2.0)
    assert torch.equal(mine, theirs) and mine.norm() < 2.0001


def test_a_later_multiplication_is_taken_into_account():
    gradients = [torch.tensor(g) * 8 for g in GRADIENTS]
    clip_each_(gradients, 1.0, 1 / 8)
    for gradient, expected in zip(gradients, CLIPPED):
        torch.testing.assert_close(gradient / 8, torch.tensor(expected))


def test_the_logged_norm_is_that_of_the_whole_gradient_before_clipping():
    params, shares = parameters(), []
    optimizer = adamw(params)
    for _ in range(2):  # setting the mode again must not measure or clip twice
        set_clip_mode(optimizer, "per-tensor", shares.append)
    optimizer.backward(loss_of(params))
    assert optimizer.clip_grad_norm(1.0).item() == pytest.approx(WHOLE, rel=1e-6)
    for parameter, expected in zip(params, CLIPPED):
        torch.testing.assert_close(parameter.grad, torch.tensor(expected))
    assert [share.item() for share in shares] == [pytest.approx(2 / 3)]


def test_global_leaves_the_optimizer_as_fairseq_made_it():
    optimizer = adamw(parameters())
    set_clip_mode(optimizer, "global", print)
    assert vars(optimizer).keys() == vars(adamw(parameters())).keys()


def clipped_update(optimizer, params) -> list[Tensor]:
    """The gradients that the step of an update reads, after the loss scale is gone."""
    set_clip_mode(optimizer, "per-tensor", lambda share: None)
    optimizer.zero_grad()
    optimizer.backward(loss_of(params))
    optimizer.multiply_grads(0.5)  # as the trainer divides by the sample size
    norm = optimizer.clip_grad_norm(0.5)
    assert float(norm) == pytest.approx(WHOLE / 2, rel=2e-3)
    if hasattr(optimizer, "_unscale_grads"):
        optimizer._unscale_grads()
    return [gradient.float() for gradient in gradients_of(optimizer)]


HALVES = [torch.tensor(c) / 2 for c in CLIPPED]


@pytest.mark.parametrize("flat", [True, False])
def test_under_fp16_each_tensor_is_clipped_without_its_loss_scale(flat):
    params = parameters(torch.float16)
    found = clipped_update(fp16_on_a_cpu(params, adamw, flat), params)
    for gradient, expected in zip(found, HALVES, strict=True):
        torch.testing.assert_close(gradient, expected, rtol=2e-3, atol=0)


def test_memory_efficient_fp16_too():
    params = parameters(torch.float16)
    optimizer = MemoryEfficientFP16Optimizer(half_settings(), params, adamw(params), allow_unsupported=True)
    for gradient, expected in zip(clipped_update(optimizer, params), HALVES, strict=True):
        torch.testing.assert_close(gradient, expected, rtol=2e-3, atol=0)


def test_an_overflow_under_fp16_is_found_before_clipping():
    params = parameters(torch.float16)
    optimizer = fp16_on_a_cpu(params, adamw)
    set_clip_mode(optimizer, "per-tensor", lambda share: pytest.fail("clipped"))
    optimizer.backward(loss_of(params) * 60_000)
    with pytest.raises(OverflowError):
        optimizer.clip_grad_norm(1.0)


@pytest.mark.parametrize("scale", [1.0, 2.0**10])
def test_under_amp_each_tensor_is_clipped_without_its_loss_scale(scale):
    params = parameters()
    found = clipped_update(amp_on_a_cpu(params, scale), params)
    for gradient, expected in zip(found, HALVES, strict=True):
        torch.testing.assert_close(gradient, expected)


def test_update_rms_sets_the_limit_of_adafactor_and_clips_no_gradient():
    group = {"clip_threshold": 7.0}
    optimizer = SimpleNamespace(param_groups=[group], clip_grad_norm=lambda limit, aggregate: torch.tensor(limit))
    set_clip_mode(optimizer, "update-rms", print)
    assert optimizer.clip_grad_norm(1.5).item() == 0.0, "fairseq's own clipping has no limit"
    assert group == {"clip_threshold": 1.5}


def test_sharded_tensors_are_refused():
    optimizer = adamw(parameters())
    set_clip_mode(optimizer, "per-tensor", print)
    with pytest.raises(UserError, match="--clip-mode per-tensor needs whole tensors"):
        optimizer.clip_grad_norm(1.0, lambda norm: norm)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("per-tensor", 0.0, "adamw"), "--clip-mode per-tensor has no limit. Add one, as --clip-norm 1.0"),
        (("update-rms", 1.0, "adamw"), "clips the updates of Adafactor, but the optimizer is adamw"),
    ],
)
def test_a_mode_with_nothing_to_do_is_refused(settings, said):
    with pytest.raises(UserError, match=said.replace(".", r"\.")):
        check_clip_mode(*settings)


def test_the_default_is_never_refused():
    check_clip_mode("global", 0.0, "adamw")
    check_clip_mode("update-rms", 1.0, "adafactor")
