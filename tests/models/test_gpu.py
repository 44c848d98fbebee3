"""What only a GPU computes: packed flash attention of every kind, and compiled training in half precision."""

import pytest
import torch

from fairseq_xalign.models.attention import DecoderPlan, Plan, attend, attend_memory
from fairseq_xalign.models.compiled import compiled
from fairseq_xalign.models.encoder import Encoder, EncoderConfig
from fairseq_xalign.models.transformer import finish
from fairseq_xalign.objectives.batch import pack

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
H, HEAD = 4, 64
TARGETS, SOURCES = (5, 1, 40, 17, 3, 200), (9, 2, 30, 90, 1, 64)
DTYPES = [torch.bfloat16, torch.float16]


def starts_of(lengths):
    return torch.tensor([0, *lengths], device="cuda").cumsum(0).int()


def drawn(*shape, dtype):
    return torch.randn(*shape, device="cuda", dtype=dtype, requires_grad=True)


def near(found, expected):
    """Whether values computed in half precision are those of float32, within its rounding."""
    return (found.float() - expected.float()).norm() < 0.02 * expected.float().norm()


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_attention_to_ones_own_sequence_is_that_of_the_reference(dtype, causal):
    torch.manual_seed(0)
    qkv, weights = drawn(sum(TARGETS), 3, H, HEAD, dtype=dtype), drawn(sum(TARGETS), H * HEAD, dtype=dtype)
    results = []
    for kind, x in (("varlen", qkv), ("plain", qkv.detach().float().requires_grad_())):
        out = attend(x, Plan.make(starts_of(TARGETS), max(TARGETS), kind, causal))
        (out * weights.to(out.dtype)).sum().backward()
        results.append((out, x.grad))
    assert all(near(*pair) for pair in zip(*results))


@pytest.mark.parametrize("dtype", DTYPES)
def test_attention_to_the_memory_is_that_of_the_reference(dtype):
    torch.manual_seed(0)
    q, kv = drawn(sum(TARGETS), H, HEAD, dtype=dtype), drawn(sum(SOURCES), 2, H, HEAD, dtype=dtype)
    results = []
    for kind, inputs in (("varlen", (q, kv)), ("plain", [x.detach().float().requires_grad_() for x in (q, kv)])):
        plan = DecoderPlan.make(starts_of(TARGETS), max(TARGETS), starts_of(SOURCES), max(SOURCES), kind)
        out = attend_memory(*inputs, plan.memory)
        out.float().square().sum().backward()
        results.append((out, *(x.grad for x in inputs)))
    assert all(near(*pair) for pair in zip(*results))


def test_dropped_attention_weights_keep_the_mean_and_follow_the_seed():
    torch.manual_seed(0)
    qkv, plan = drawn(sum(TARGETS), 3, H, HEAD, dtype=torch.bfloat16), Plan.make(starts_of(TARGETS), 200, "varlen")
    with torch.no_grad():
        exact = attend(qkv, plan).float()
        draws = torch.stack([attend(qkv, plan, 0.25).float() for _ in range(1000)])
        errors = (draws.mean(0) - exact)[draws.std(0) > 0.01] / (draws.std(0)[draws.std(0) > 0.01] / 1000**0.5)
    assert draws.std(0).mean() > 0.05 and abs(errors.mean()) < 0.05 and 0.9 < errors.std() < 1.2
    outs, gradients = [], []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        out = attend(qkv, plan, 0.25)
        gradients.append(torch.autograd.grad(out.float().square().sum(), qkv)[0])
        outs.append(out)
    assert torch.equal(outs[0], outs[1]) and not torch.equal(outs[0], outs[2])
    assert near(gradients[0], gradients[1]) and not near(gradients[0], gradients[2])


def test_the_gradient_drops_the_weights_that_the_output_dropped():
    """The output is linear in the values under one seed, so its product with any vector is that of their gradient."""
    torch.manual_seed(0)
    qkv, plan = drawn(sum(TARGETS), 3, H, HEAD, dtype=torch.bfloat16), Plan.make(starts_of(TARGETS), 200, "varlen")
    out = attend(qkv, plan, 0.25)
    weights = torch.randn_like(out)
    (gradient,) = torch.autograd.grad((out * weights).float().sum(), qkv)
    there, back = (out * weights).double().sum(), (gradient[:, 2] * qkv[:, 2]).double().sum()
    assert abs(there - back) < 0.02 * (out * weights).double().abs().sum().sqrt() + 0.02 * abs(there)


@pytest.mark.parametrize("shape", [{"positions": "learned"}, {"positions": "rotary", "normalize_before": True}])
def test_compiled_training_in_bfloat16_is_near_float32_with_a_vocabulary_of_any_size(shape):
    torch.manual_seed(1)
    config = EncoderConfig(1003, layers=2, heads=2, width=64, ffn_width=128, dropout=0.0, **shape)
    config.attention_dropout = 0.0
    encoder = Encoder(config).cuda()
    batch = pack([torch.randint(9, 1003, (n,)) for n in SOURCES]).to("cuda")
    batch.masked = torch.arange(0, sum(SOURCES), 3, device="cuda")
    results = {}
    for encoder.compiling, half in (("off", False), ("off", True), ("on", True)):
        encoder.zero_grad()
        with torch.autocast("cuda", torch.bfloat16, enabled=half):
            losses = encoder.token_losses(encoder(batch)[batch.masked], batch.tokens[batch.masked])
        losses.mean().backward()
        gradients = torch.cat([p.grad.flatten() for p in encoder.parameters() if p.grad is not None])
        results[encoder.compiling, half] = losses.detach(), gradients
    exact = results.pop(("off", False))
    assert all(near(*pair) for found in results.values() for pair in zip(found, exact))


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_compiled_dropout_has_its_rate_and_its_gradient_drops_the_same(p):
    torch.manual_seed(1)
    x = drawn(3000, 128, dtype=torch.bfloat16)
    dropped = compiled(finish)(None, x, p)
    (gradient,) = torch.autograd.grad(dropped.float().sum(), x)
    kept = dropped != 0
    assert abs(kept.float().mean().item() - (1 - p)) < 0.005
    assert near(dropped, torch.where(kept, x / (1 - p), 0.0)) and torch.equal(gradient != 0, kept)


@pytest.mark.parametrize("compiling", ["off", "on"])
def test_some_tokens_have_the_features_that_they_have_among_all(compiling):
    torch.manual_seed(1)
    config = EncoderConfig(1003, layers=2, heads=2, width=64, ffn_width=128, dropout=0.0, attention_dropout=0.0)
    encoder = Encoder(config, compiling=compiling).cuda()
    batch = pack([torch.randint(9, 1003, (n,)) for n in SOURCES]).to("cuda")
    chosen = torch.randperm(sum(SOURCES), device="cuda")[:50]
    with torch.autocast("cuda", torch.bfloat16):
        assert near(encoder(batch, tokens=chosen), encoder(batch)[chosen])
