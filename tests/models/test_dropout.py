"""Our dropout on CPU has the distribution of torch's, the same zeros forwards and backwards, and torch's seeds."""

import pytest
import torch

from fairseq_xalign.models.dropout import STEPS, drawn_seeds, dropout, hashed_dropout, hashed_keep, keep_mask

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


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_a_hash_keeps_the_share_wanted_and_no_element_depends_on_its_neighbours_or_the_last_draw(p):
    """Every correlation is within five standard deviations of what independent draws have."""
    torch.manual_seed(1)
    count = 1 << 20
    kept = torch.stack([hashed_keep(count, drawn_seeds(torch.device("cpu")), p) for _ in range(4)]).double() - (1 - p)
    variance, limit = p * (1 - p), 5 / count**0.5
    assert (kept.mean(1).abs() < limit * variance**0.5).all()
    assert all((kept[i] * kept[j]).mean().abs() < limit * variance for i in range(4) for j in range(i))
    for distance in (1, 2, 3, 8, 64, 768, 1024, 3072):
        products = kept[:, distance:] * kept[:, :-distance]
        assert (products.mean(1).abs() < 1.05 * limit * variance).all(), distance


def test_hashed_dropout_scales_what_it_keeps_and_drops_the_same_from_the_gradient():
    torch.manual_seed(2)
    x = torch.randn(50, 40, dtype=torch.float64, requires_grad=True)
    y = hashed_dropout(x, 0.25)
    y.sum().backward()
    kept = y.detach() != 0
    torch.testing.assert_close(y[kept], x[kept] / 0.75)
    torch.testing.assert_close(x.grad, kept.double() / 0.75)
    assert not torch.equal(hashed_dropout(x, 0.25) != 0, kept)


def test_seeds_are_drawn_from_all_integers():
    seeds = torch.cat([drawn_seeds(torch.device("cpu")) for _ in range(4000)]).double()
    assert seeds.min() < -0.99 * 2**31 and seeds.max() > 0.99 * 2**31 and seeds.mean().abs() < 2**31 * 0.05
