"""The kernels for training on CPU: gradients by finite differences, equality with torch's, good buckets."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from fairseq_xalign.errors import UserError
from fairseq_xalign.models.attention import (
    BUCKET_PADDING,
    Plan,
    attend,
    choose,
    select_rows,
)
from fairseq_xalign.models.attention.kernels import CpuAttention
from fairseq_xalign.models.attention.plan import bucket_rows

MASKS = {"equal": None, "ragged": torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1], [1, 0, 0, 0]]).bool()[:, None, None]}


def draw(dtype=torch.float64):
    torch.manual_seed(0)
    return torch.randn(3, 3, 2, 4, 6, dtype=dtype, requires_grad=True)  # [3, rows, H, S, D / H]


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_cpu_attention_equals_torch_in_values_and_gradients(mask):
    results = []
    for attention in (CpuAttention.apply, lambda qkv, mask, p: F.scaled_dot_product_attention(*qkv, attn_mask=mask)):
        qkv = draw()
        out = attention(qkv, mask, 0.0)
        (gradient,) = torch.autograd.grad(out.square().sum(), qkv)
        results.append((out.detach(), gradient))
    torch.testing.assert_close(*results, rtol=0, atol=1e-12)


@pytest.mark.parametrize("p", [0.0, 0.4])
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_cpu_attention_has_the_gradient_of_finite_differences(mask, p):
    def with_fixed_draws(qkv):
        torch.manual_seed(7)
        return CpuAttention.apply(qkv, mask, p)

    assert torch.autograd.gradcheck(with_fixed_draws, draw(), fast_mode=False)


@pytest.mark.parametrize("lengths", [(7, 7, 7), (3, 9, 1, 12, 40, 2)])
def test_bfloat16_training_kernel_stays_near_float32(lengths):
    torch.manual_seed(1)
    starts = torch.tensor([0, *sorted(lengths)]).cumsum(0).int()
    plan = Plan.make(starts, max(lengths), "buckets")
    assert (plan.buckets[0].mask is None) == (len(set(lengths)) == 1)
    x = torch.randn(sum(lengths), 3, 4, 8)
    results = []
    for dtype in (torch.float32, torch.bfloat16):
        qkv = x.to(dtype, copy=True).requires_grad_()
        out = attend(qkv, plan)
        out.float().square().sum().backward()
        results.append((out.float().detach(), qkv.grad.float()))
    for exact, rounded in zip(*results):
        assert (exact - rounded).norm() < 0.02 * exact.norm()


@given(lengths=st.lists(st.integers(1, 512), min_size=1, max_size=60))
def test_buckets_hold_every_sequence_and_little_padding(lengths):
    lengths.sort()
    sizes, first = bucket_rows(lengths), 0
    assert sum(sizes) == len(lengths) and min(sizes) > 0
    for size in sizes:
        part = lengths[first : first + size]
        assert size * part[-1] - sum(part) <= BUCKET_PADDING
        first += size


def test_plan_brings_every_token_back():
    lengths = torch.tensor([200, 2, 9, 1, 9, 500])
    starts = F.pad(lengths.cumsum(0), (1, 0)).int()
    plan = Plan.make(starts, 500, "buckets")
    assert len(plan.buckets) > 1
    tokens = torch.arange(int(starts[-1]))
    assert torch.equal(tokens[plan.order][plan.inverse], tokens)
    assert [b.tokens for b in plan.buckets] == [21, 200, 500]


@pytest.mark.parametrize("lengths", [(8, 8, 8), (2, 5, 9)])
def test_nothing_is_moved_where_lengths_are_equal_or_ascend(lengths):
    starts = torch.tensor([0, *lengths]).cumsum(0).int()
    plan = Plan.make(starts, max(lengths), "buckets")
    assert plan.order is None and plan.inverse is None
    assert (plan.buckets[0].mask is None) == (len(set(lengths)) == 1)


def test_selecting_rows_has_the_gradient_of_index_select():
    rows = torch.tensor([4, 0, 2])
    x, weights = torch.randn(5, 3, requires_grad=True), torch.randn(3, 3)
    (ours,) = torch.autograd.grad((select_rows(x, rows) * weights).sum(), x)
    (theirs,) = torch.autograd.grad((x.index_select(0, rows) * weights).sum(), x)
    assert torch.equal(ours, theirs)


def test_kind_of_plan_for_device_and_precision():
    cpu = torch.device("cpu")
    assert choose(cpu, torch.bfloat16, 64) == "buckets"
    assert choose(cpu, torch.bfloat16, 64, "plain") == "plain"
    assert choose(torch.device("cuda"), torch.float32, 64) == "buckets"
    assert choose(torch.device("cuda"), torch.bfloat16, 12) == "buckets"
    assert choose(torch.device("cuda"), torch.bfloat16, 512) == "buckets"
    assert choose(torch.device("cuda"), torch.bfloat16, 64) in ("varlen", "buckets")


CPU, H16 = torch.device("cpu"), 16


def test_a_cpu_has_buckets_and_the_reference_and_refuses_kernels_of_gpus_in_one_line():
    assert choose(CPU, torch.bfloat16, H16) == choose(CPU, torch.float32, H16, "buckets") == "buckets"
    assert choose(CPU, torch.float32, H16, "plain") == "plain"
    said = "needs a GPU of the Ampere .* here 16, is a multiple of 8 up to 256"
    with pytest.raises(UserError, match=rf"^--attention-kernel varlen {said}.* Use --attention-kernel auto$"):
        choose(CPU, torch.bfloat16, H16, "varlen")


def test_a_gpu_has_the_packed_kernel_where_it_takes_the_heads(monkeypatch):
    cuda = torch.device("cuda")
    monkeypatch.setattr(
        "fairseq_xalign.models.attention.plan.has_flash", lambda *key: key == (cuda, torch.bfloat16, 64)
    )
    assert choose(cuda, torch.bfloat16, 64) == choose(cuda, torch.bfloat16, 64, "varlen") == "varlen"
    assert choose(cuda, torch.float32, 64) == "buckets"
