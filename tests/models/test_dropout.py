"""Our dropout on CPU has the distribution of torch's, the same zeros forwards and backwards, and torch's seeds."""

import pytest
import torch

from fairseq_xalign.models.dropout import STEPS, dropout, keep_mask

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.9])
def test_share_and_scale_of_what_is_kept(p):
    torch.manual_seed(0)
    x = dropout(torch.ones(1000, 1001), p)
    kept = x != 0
    deviations = (kept.float().mean().item() - (1 - p)) / (p * (1 - p) / x.numel()) ** 0.5
    assert abs(deviations) < 4
    assert x[kept].unique().numel() == 1
    assert x[kept][0].item() == pytest.approx(1 / (1 - p), abs=2 / STEPS / (1 - p) ** 2)


def test_elements_are_independent_of_their_neighbours():
    """Four elements share a random word: no two of them, nor of neighbouring words, may go together."""
    torch.manual_seed(1)
    kept = (keep_mask(torch.Size([400_000]), 0.3) != 0).float() - 0.7
    for distance in (1, 2, 3, 4, 5, 8):
        correlation = (kept[:-distance] * kept[distance:]).mean() / kept.var()
        assert abs(correlation.item()) < 5 / 400_000**0.5, distance


def test_masks_are_all_bits_or_none_for_any_size():
    for size in ([0], [1], [3, 5], [2, 3, 7]):
        mask = keep_mask(torch.Size(size), 0.5)
        assert list(mask.shape) == size
        assert set(mask.flatten().tolist()) <= {0, -1}


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_has_the_zeros_and_the_scale_of_the_output(dtype):
    torch.manual_seed(2)
    x = torch.ones(64, 33, dtype=dtype).t().requires_grad_()  # not contiguous
    y = dropout(x, 0.25)
    y.backward(torch.ones_like(y))
    assert torch.equal(x.grad, y.detach())
    assert 0 < (y == 0).sum() < y.numel()
    assert y.dtype == dtype


def test_the_seed_of_torch_decides_and_infinities_can_be_dropped():
    draws = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        draws.append(dropout(torch.full((100,), float("inf")), 0.5))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert not draws[0].isnan().any()


def test_nothing_happens_without_training_or_probability():
    x = torch.randn(5)
    assert dropout(x, 0.5, training=False) is x
    assert dropout(x, 0.0) is x
