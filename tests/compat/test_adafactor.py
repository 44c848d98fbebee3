"""fairseq's ``--optimizer adafactor`` is what MMTE needs: equal to a plain float64 reference of the paper."""

from __future__ import annotations

import math

import pytest
import torch
from fairseq.optim.adafactor import Adafactor

from fairseq_xalign import compat

RATE, DECAY, EPS1, EPS2 = 0.01, 0.8, 1e-30, 1e-3


def reference(weights, gradients, beta1=None, scale=False, threshold=1.0):
    """Shazeer and Stern 2018, Algorithms 4 and 5 (and section 5 for beta1), with an external learning rate."""
    weights = weights.clone()
    rows = columns = full = moment = torch.zeros((), dtype=torch.float64)
    for t, gradient in enumerate(gradients, 1):
        beta2 = 1 - t**-DECAY
        squares = gradient**2 + EPS1
        if gradient.dim() == 2:
            rows = beta2 * rows + (1 - beta2) * squares.sum(1)
            columns = beta2 * columns + (1 - beta2) * squares.sum(0)
            second = torch.outer(rows, columns) / rows.sum()
        else:
            second = full = beta2 * full + (1 - beta2) * squares
        update = gradient / second.sqrt()
        update = update / max(1.0, update.square().mean().sqrt().item() / threshold)
        size = max(EPS2, weights.square().mean().sqrt().item()) if scale else 1.0
        update = RATE * size * update
        if beta1 is not None:
            moment = beta1 * moment + (1 - beta1) * update
            update = moment
        weights = weights - update
    return weights


def trained(weights, gradients, step=None, **options):
    """fairseq's, on several parameters at once; the learning rate is set before each update, as a scheduler does."""
    parameters = [torch.nn.Parameter(w.clone()) for w in weights]
    optimizer = Adafactor(parameters, lr=RATE, relative_step=False, **({"scale_parameter": False} | options))
    for of_update in zip(*gradients):
        for parameter, gradient in zip(parameters, of_update):
            parameter.grad = gradient.clone()
        optimizer.param_groups[0]["lr"] = RATE
        (step or type(optimizer).step)(optimizer)
        if step is None:
            assert optimizer.param_groups[0]["lr"] == RATE
    return [p.detach() for p in parameters]


def drawn(seed=1):
    generator = torch.Generator().manual_seed(seed)
    shapes = ((4, 6), (5,), (3, 2))
    weights = [0.3 * torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    gradients = [[torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(7)] for shape in shapes]
    return weights, gradients


@pytest.mark.parametrize("options", [{}, {"beta1": 0.9}, {"scale_parameter": True}, {"clip_threshold": 0.3}])
def test_it_equals_the_paper(options):
    compat.apply()
    weights, gradients = drawn()
    names = {"beta1": "beta1", "scale_parameter": "scale", "clip_threshold": "threshold"}
    expected = [reference(w, g, **{names[k]: v for k, v in options.items()}) for w, g in zip(weights, gradients)]
    for found, wanted in zip(trained(weights, gradients, **options), expected):
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-9)


def test_fairseq_alone_scales_the_rate_of_one_parameter_by_those_before_it():
    compat.apply()
    weights, gradients = drawn()
    unpatched, get_lr = Adafactor.step.__wrapped__, Adafactor._get_lr
    try:
        Adafactor._get_lr = get_lr.__wrapped__
        found = trained(weights, gradients, unpatched, scale_parameter=True)
    finally:
        Adafactor._get_lr = get_lr
    first, _, last = (reference(w, g, scale=True) for w, g in zip(weights, gradients))
    torch.testing.assert_close(found[0], first, rtol=1e-6, atol=1e-9)
    moved, wanted = (found[2] - weights[2]).norm(), (last - weights[2]).norm()
    assert moved < 0.3 * wanted, (moved, wanted)


def test_the_defaults_of_the_command_are_those_of_mmte():
    from argparse import ArgumentParser

    from fairseq.optim.adafactor import FairseqAdafactor

    parser = ArgumentParser()
    FairseqAdafactor.add_args(parser)
    given = vars(parser.parse_args([]))
    assert not given["relative_step"] and not given["scale_parameter"] and given["beta1"] is None
    assert given["clip_threshold"] == 1.0 and given["decay_rate"] == -0.8


def test_first_update_of_a_matrix_by_hand():
    weights = [torch.zeros(1, 2, dtype=torch.float64)]
    (found,) = trained(weights, [[torch.tensor([[3.0, 4.0]], dtype=torch.float64)]])
    # t = 1: beta2 = 0; one row: the factored second moment is exact, so the update is the sign, and its RMS is 1
    torch.testing.assert_close(found, torch.tensor([[-RATE, -RATE]], dtype=torch.float64))
    (found,) = trained([torch.zeros(2, dtype=torch.float64)], [[torch.tensor([3.0, -4.0], dtype=torch.float64)]],
                       clip_threshold=0.5)  # fmt: skip
    torch.testing.assert_close(found, torch.tensor([-RATE / 2, RATE / 2], dtype=torch.float64))
    assert math.isclose(found.norm().item(), RATE / math.sqrt(2))
