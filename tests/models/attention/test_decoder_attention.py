"""Causal attention and attention to a memory: every kind of plan gives what a loop over sequences gives."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairseq_xalign.models.attention import DecoderPlan, Plan, attend, attend_memory
from fairseq_xalign.models.attention import plan as plan_module
from fairseq_xalign.models.attention.kernels import CpuAttention, CpuMemoryAttention
from fairseq_xalign.models.attention.plan import BUCKET_PADDING, pair_rows
from tests.support.attention import flash_by_loop

H, HEAD = 2, 4
SHAPES = {
    "one sequence": ([5], [3]),
    "one token": ([1], [1]),
    "equal lengths": ([4, 4, 4], [6, 6, 6]),
    "equal targets, other sources": ([4, 4, 4], [6, 1, 2]),
    "very different": ([1, 40, 2, 3, 17, 1], [30, 1, 2, 45, 3, 1]),
    "ascending": ([1, 2, 3], [1, 2, 3]),
}


@pytest.fixture(autouse=True)
def several_buckets(monkeypatch):
    monkeypatch.setattr(plan_module, "BUCKET_PADDING", 5)


def starts_of(lengths):
    return F.pad(torch.tensor(lengths).cumsum(0), (1, 0)).int()


def by_hand(qkv, q, kv, targets, sources):
    """Softmax attention sequence by sequence, as the formula has it; [T, D] of the target and of the memory."""
    own, memory, t, s = [], [], 0, 0
    for n, m in zip(targets, sources):
        mine, theirs = qkv[t : t + n], kv[s : s + m]
        scores = torch.einsum("ihd,jhd->hij", mine[:, 0], mine[:, 1]) / HEAD**0.5
        later = torch.ones(n, n, dtype=torch.bool).triu(1)
        weights = scores.masked_fill(later, float("-inf")).softmax(-1)
        own.append(torch.einsum("hij,jhd->ihd", weights, mine[:, 2]).flatten(1))
        scores = torch.einsum("ihd,jhd->hij", q[t : t + n], theirs[:, 0]) / HEAD**0.5
        memory.append(torch.einsum("hij,jhd->ihd", scores.softmax(-1), theirs[:, 1]).flatten(1))
        t, s = t + n, s + m
    return torch.cat(own), torch.cat(memory)


def by_plan(kind, qkv, q, kv, targets, sources, dropout=0.0):
    plan = DecoderPlan.make(starts_of(targets), max(targets), starts_of(sources), max(sources), kind)
    order = plan.own.order if plan.own.order is not None else torch.arange(sum(targets))
    inverse = plan.own.inverse if plan.own.inverse is not None else order
    memory_order = plan.memory.order if plan.memory.order is not None else torch.arange(sum(sources))
    own = attend(qkv[order], plan.own, dropout)[inverse]
    return own, attend_memory(q[order], kv[memory_order], plan.memory, dropout)[inverse]


def assert_equal_to_the_loop(kind, targets, sources, seed=0):
    torch.manual_seed(seed)
    shapes = [(sum(targets), 3, H, HEAD), (sum(targets), H, HEAD), (sum(sources), 2, H, HEAD)]
    inputs = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes]
    weights = [torch.randn(sum(targets), H * HEAD, dtype=torch.float64) for _ in range(2)]
    results = []
    for outs in (by_hand(*inputs, targets, sources), by_plan(kind, *inputs, targets, sources)):
        loss = sum((o * w).sum() for o, w in zip(outs, weights))
        results.append([*outs, *torch.autograd.grad(loss, inputs)])
    for expected, found in zip(*results):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", ["buckets", "plain"])
@pytest.mark.parametrize("name", SHAPES)
def test_values_and_gradients_equal_those_of_a_loop(name, kind):
    assert_equal_to_the_loop(kind, *SHAPES[name])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pairs=st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=12), seed=st.integers(0, 9)
)
def test_buckets_equal_a_loop_for_any_lengths(pairs, seed):
    assert_equal_to_the_loop("buckets", *map(list, zip(*pairs)), seed=seed)


@pytest.mark.parametrize("name", SHAPES)
def test_the_kernel_with_dropout_has_the_gradients_of_finite_differences(name):
    targets, sources = [min(n, 4) for n in SHAPES[name][0]], [min(n, 4) for n in SHAPES[name][1]]
    torch.manual_seed(0)
    shapes = [(sum(targets), 3, 1, 2), (sum(targets), 1, 2), (sum(sources), 2, 1, 2)]
    inputs = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes]

    def with_fixed_draws(*tensors):
        torch.manual_seed(7)
        return by_plan("buckets", *tensors, targets, sources, dropout=0.4)

    assert torch.autograd.gradcheck(with_fixed_draws, inputs, fast_mode=True)


def test_the_kernels_without_dropout_equal_torch():
    torch.manual_seed(1)
    qkv = torch.randn(3, 5, H, 6, HEAD, dtype=torch.float64)  # [3, rows, H, S, D / H]
    causal = torch.ones(6, 6, dtype=torch.bool).tril()[None, None]
    expected = F.scaled_dot_product_attention(*qkv, is_causal=True)
    torch.testing.assert_close(CpuAttention.apply(qkv, causal, 0.0), expected, rtol=0, atol=1e-12)
    kv = torch.randn(2, 5, H, 3, HEAD, dtype=torch.float64)
    mask = torch.tensor([[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 0, 0]]).bool()[:, None, None]
    expected = F.scaled_dot_product_attention(qkv[0], *kv, attn_mask=mask)
    torch.testing.assert_close(CpuMemoryAttention.apply(qkv[0], kv, mask, 0.0), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["buckets", "plain"])
def test_dropout_keeps_the_mean_of_both_attentions(kind):
    targets, sources = [3, 1, 6], [2, 4, 1]
    torch.manual_seed(0)
    inputs = [torch.randn(10, 3, H, HEAD), torch.randn(10, H, HEAD), torch.randn(7, 2, H, HEAD)]
    inputs = [x.requires_grad_() for x in inputs]
    exact = by_plan(kind, *inputs, targets, sources)
    draws = [by_plan(kind, *inputs, targets, sources, dropout=0.3) for _ in range(300)]
    for expected, found in zip(exact, zip(*draws)):
        found = torch.stack(found)
        assert not torch.equal(found[0], found[1])
        error = found.std(0) / len(found) ** 0.5
        assert bool(((found.mean(0) - expected).abs() < 5 * error + 1e-5).all())


@pytest.mark.parametrize("dtype", [torch.bfloat16])
def test_half_precision_in_training_stays_near_float64(dtype):
    targets, sources = SHAPES["very different"]
    torch.manual_seed(1)
    inputs = [torch.randn(64, 3, H, HEAD), torch.randn(64, H, HEAD), torch.randn(82, 2, H, HEAD)]
    exact = by_hand(*(x.double() for x in inputs), targets, sources)
    rounded = by_plan("buckets", *(x.to(dtype).requires_grad_() for x in inputs), targets, sources)
    for expected, found in zip(exact, rounded):
        assert found.dtype == dtype
        assert (found.double() - expected).norm() < 0.02 * expected.norm()


def test_packed_flash_attention_is_asked_for_the_same(monkeypatch):
    """On a CPU there is no such kernel: a loop with its arguments stands in for it."""
    targets, sources = SHAPES["very different"]

    def loop(q, k, v, starts, key_starts, longest, longest_key, dropout, causal, debug):
        assert longest == max(starts.diff().tolist()) and longest_key == max(key_starts.diff().tolist())
        assert dropout == 0.0 and debug is False and starts.dtype == key_starts.dtype == torch.int32
        return flash_by_loop(q, k, v, starts, key_starts, longest, longest_key, dropout, causal, debug)

    monkeypatch.setattr("fairseq_xalign.models.attention.flash.kernel", lambda: loop)
    torch.manual_seed(0)
    inputs = [torch.randn(64, 3, H, HEAD), torch.randn(64, H, HEAD), torch.randn(82, 2, H, HEAD)]
    for expected, found in zip(by_hand(*inputs, targets, sources), by_plan("varlen", *inputs, targets, sources)):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@given(pairs=st.lists(st.tuples(st.integers(1, 200), st.integers(1, 200)), min_size=1, max_size=60))
def test_pairs_of_buckets_hold_every_pair_and_little_padding(pairs):
    pairs.sort()
    sizes, first = pair_rows(*zip(*pairs)), 0
    assert sum(sizes) == len(pairs) and min(sizes) > 0
    for size in sizes:
        for side in zip(*pairs[first : first + size]):
            assert size * max(side) - sum(side) <= plan_module.BUCKET_PADDING
        first += size
    assert BUCKET_PADDING == 256


def test_a_causal_plan_orders_as_one_that_is_not():
    starts = starts_of([5, 1, 3])
    plans = [Plan.make(starts, 5, "buckets", causal) for causal in (True, False)]
    assert torch.equal(plans[0].order, plans[1].order)
    assert plans[0].causal and not plans[1].causal
