"""``--optimizer muon``: each step against a plain float64 reference and torch's own Muon, and real runs."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch.nn import Parameter

from fairseq_xalign.errors import UserError
from fairseq_xalign.models.encoder import Encoder
from fairseq_xalign.models.presets import preset, translation_preset
from fairseq_xalign.models.translation import TranslationModel
from fairseq_xalign.optimizers.adamw import AdamWConfig
from fairseq_xalign.optimizers.muon import FusedMuon, MuonAdamW, orthogonalize

SETTINGS = {"lr": 0.1, "betas": (0.9, 0.98), "eps": 1e-8, "weight_decay": 0.01}


def random_matrix(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def orthogonal(matrix):
    """What the iteration gives, from the singular values: each goes through the polynomial five times."""
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    s = s / s.square().sum().sqrt()
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return u @ torch.diag(s) @ v


def plain_muon(weight, gradients, parts, lr, weight_decay):
    """Muon of Jordan et al. 2024 with the scale of Liu et al. 2025, one matrix after the other."""
    weight, momentum = weight.clone(), torch.zeros_like(weight)
    for gradient in gradients:
        momentum = 0.95 * momentum + 0.05 * gradient
        ahead = 0.05 * gradient + 0.95 * momentum
        for matrix, move in zip(weight.chunk(parts), ahead.chunk(parts)):
            matrix.mul_(1 - lr * weight_decay)
            matrix.sub_(lr * 0.2 * math.sqrt(max(matrix.shape)) * orthogonal(move))
    return weight


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 3), (1, 5)])
def test_singular_values_go_through_the_polynomial_and_singular_vectors_stay(shape):
    matrices = torch.stack([random_matrix(*shape, seed=seed) for seed in range(3)])
    expected = torch.stack([orthogonal(m) for m in matrices])
    torch.testing.assert_close(orthogonalize(matrices), expected, rtol=1e-9, atol=1e-9)


def test_singular_values_come_near_1():
    found = torch.linalg.svdvals(orthogonalize(random_matrix(2, 32, 48)))
    assert found.min() > 0.6 and found.max() < 1.25


def test_a_gradient_of_zero_moves_nothing():
    assert orthogonalize(torch.zeros(2, 3, 4)).tolist() == torch.zeros(2, 3, 4).tolist()


@pytest.mark.parametrize(("parts", "shape"), [(1, (6, 4)), (3, (12, 4)), (2, (8, 6)), (1, (4, 9))])
def test_updates_equal_those_of_a_plain_reference(parts, shape):
    start = [random_matrix(*shape, seed=seed) for seed in (1, 2)]
    gradients = [[random_matrix(*shape, seed=10 * k + seed) for k in range(1, 5)] for seed in (1, 2)]
    parameters = [Parameter(w.clone()) for w in start]
    optimizer = MuonAdamW([(p, parts) for p in parameters], [], **SETTINGS)
    for k in range(4):
        for p, own in zip(parameters, gradients):
            p.grad = own[k].clone()
        optimizer.step()
    for p, w, own in zip(parameters, start, gradients):
        torch.testing.assert_close(p.detach(), plain_muon(w, own, parts, 0.1, 0.01), rtol=1e-9, atol=1e-9)


def test_other_parameters_have_the_updates_of_adamw_bit_for_bit():
    ours, theirs, matrix = Parameter(torch.ones(5)), Parameter(torch.ones(5)), Parameter(torch.ones(3, 3))
    optimizer = MuonAdamW([(matrix, 1)], [ours], **SETTINGS)
    adamw = torch.optim.AdamW([theirs], fused=True, **SETTINGS)
    for k in range(4):
        ours.grad = random_matrix(5, seed=k).float()
        theirs.grad, matrix.grad = ours.grad.clone(), random_matrix(3, 3, seed=k).float()
        optimizer.step()
        adamw.step()
    assert torch.equal(ours, theirs)


def test_torchs_muon_gives_the_same_within_bfloat16():
    ours, theirs = (Parameter(random_matrix(16, 24).float()) for _ in range(2))
    optimizer = MuonAdamW([(ours, 1)], [], **SETTINGS)
    peer = torch.optim.Muon([theirs], lr=0.1, weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    for k in range(3):
        ours.grad, theirs.grad = (random_matrix(16, 24, seed=k).float() for _ in range(2))
        optimizer.step()
        peer.step()
    moved = (ours - random_matrix(16, 24).float()).norm()
    assert (ours - theirs).norm() < 0.02 * moved


def test_a_parameter_without_a_gradient_stays_and_gradients_are_kept():
    moved, still = Parameter(random_matrix(4, 4)), Parameter(random_matrix(4, 4))
    before = still.detach().clone()
    optimizer = MuonAdamW([(moved, 1), (still, 1)], [], **SETTINGS)
    moved.grad = random_matrix(4, 4, seed=3)
    optimizer.step()
    assert torch.equal(still, before) and torch.equal(moved.grad, random_matrix(4, 4, seed=3))


def test_a_saved_state_goes_on_bit_for_bit():
    def run(optimizer, parameters, steps):
        for k in steps:
            for p in parameters:
                p.grad = random_matrix(*p.shape, seed=k).float()
            optimizer.step()

    def made():
        parameters = [Parameter(torch.ones(6, 4)), Parameter(torch.ones(4))]
        return parameters, MuonAdamW([(parameters[0], 2)], parameters[1:], **SETTINGS)

    whole, optimizer = made()
    run(optimizer, whole, range(6))
    half, optimizer = made()
    run(optimizer, half, range(3))
    again, other = made()
    for p, found in zip(again, half):
        p.data.copy_(found.data)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    run(other, again, range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(whole, again))


def test_its_matrices_are_the_weights_of_the_layers_and_nothing_else():
    model = TranslationModel(*translation_preset("mmte_tiny", 50, layers=1))
    found = {name: p.matrices for name, p in model.named_parameters() if hasattr(p, "matrices")}
    both = {"qkv": 3, "attention_out": 1, "ffn_in": 1, "ffn_out": 1}
    assert found == {
        **{f"encoder.layers.0.{name}.weight": n for name, n in both.items()},
        **{f"decoder.layers.0.{name}.weight": n for name, n in both.items()},
        "decoder.layers.0.memory_q.weight": 1,
        "decoder.layers.0.memory_kv.weight": 2,
        "decoder.layers.0.memory_out.weight": 1,
    }


def test_copies_of_the_weights_are_refused_with_the_remedy():
    settings = AdamWConfig()
    settings.lr = [0.1]
    copies = [Parameter(p.detach().float()) for p in Encoder(preset("xalign_tiny", 50)).parameters()]
    with pytest.raises(UserError, match="--autocast bf16"):
        FusedMuon(settings, copies)


def test_an_overflow_under_amp_changes_no_weight():
    """A scaler leaves it to fused kernels to skip an update, and matrices have none."""
    matrix, other = (torch.nn.Parameter(torch.ones(shape)) for shape in ((2, 3), (3,)))
    optimizer = MuonAdamW([(matrix, 1)], [other], lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    for scale in (float("inf"), 1.0):
        optimizer.zero_grad()
        scaler.scale((matrix.sum() + other.sum()) * scale).backward()
        scaler.step(optimizer)
        scaler.update()
        assert torch.isfinite(matrix).all() and torch.isfinite(other).all()
        assert bool((matrix == 1).all()) == (scale != 1.0) and bool((other == 1).all()) == (scale != 1.0)
