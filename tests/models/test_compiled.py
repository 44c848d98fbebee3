"""Compiled training computes what uncompiled training does, without a new graph for every batch."""

import random

import pytest
import torch
import torch._dynamo
import torch._inductor.config

from fairseq_xalign.errors import UserError
from fairseq_xalign.models import compiled
from fairseq_xalign.models import dropout as dropout_module
from fairseq_xalign.models.compiled import eager, missing_compiler, runner
from fairseq_xalign.models.encoder import Encoder, EncoderConfig
from fairseq_xalign.models.output import ALIGNED, aligned, smoothed_losses, token_losses
from fairseq_xalign.models.transformer import finish
from fairseq_xalign.objectives.batch import pack
from fairseq_xalign.objectives.translation import TranslationBatch, translation_loss
from tests.support.translation import small_model

V = 61
CPU = torch.device("cpu")
needs_compiler = pytest.mark.skipif(bool(missing_compiler("cpu")), reason="torch.compile needs a C++ compiler")


@pytest.fixture(autouse=True)
def from_the_start(monkeypatch):
    """Nothing compiled is left of other tests; random numbers are those of uncompiled code."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    monkeypatch.setattr(compiled, "MADE", {})
    with torch._inductor.config.patch(fallback_random=True):
        yield


def graphs() -> int:
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


def drawn_batch(draw: random.Random, longest: int = 30):
    lengths = [draw.randint(2, longest) for _ in range(draw.randint(2, 9))]
    batch = pack([[draw.randrange(9, V) for _ in range(n)] for n in lengths])
    batch.masked = torch.arange(0, len(batch.tokens), 3)
    batch.targets = batch.tokens[batch.masked].clone()
    return batch


def values_and_gradients(encoder, batch, seed):
    torch.manual_seed(seed)
    encoder.zero_grad()
    losses = encoder.token_losses(encoder(batch, tokens=batch.masked), batch.targets)
    losses.sum().backward()
    return [losses.detach(), *(p.grad.clone() for p in encoder.parameters() if p.grad is not None)]


def assert_equal_to_uncompiled(encoder, batch, seed):
    found = {}
    for encoder.compiling in ("off", "on"):
        found[encoder.compiling] = values_and_gradients(encoder, batch, seed)
    for expected, value in zip(found["off"], found["on"]):
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)


SHAPES = {
    "post-norm, learned": {"normalize_before": False},
    "pre-norm, rotary": {"normalize_before": True, "positions": "rotary"},
}


@needs_compiler
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_values_and_gradients_are_those_of_uncompiled_training_in_three_hundred_batches(shape):
    """Lengths are real ones: no two batches have equally many tokens for long. The last 200 make no new graph."""
    changes = {"layers": 3, "heads": 2, "width": 16, "ffn_width": 24, "dropout": 0.0, "attention_dropout": 0.0}
    config = EncoderConfig(V, **{**changes, **shape})
    encoder = Encoder(config)
    draw, made = random.Random(1), 0
    for number in range(300):
        assert_equal_to_uncompiled(encoder, drawn_batch(draw), number)
        if number == 100:
            made = graphs()
    assert graphs() == made > 0
    # None is traced a second time because a number turned out to be a constant.
    assert torch._dynamo.utils.counters["aot_autograd"]["total"] == made


@needs_compiler
def test_dropout_draws_anew_and_keeps_the_mean():
    config = EncoderConfig(V, layers=1, heads=2, width=16, ffn_width=24, dropout=0.3, attention_dropout=0.0)
    encoder, batch = Encoder(config, compiling="on"), drawn_batch(random.Random(3))
    one, same, other = (values_and_gradients(encoder, batch, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    with torch.no_grad():
        dropped = compiled.compiled(finish)(None, torch.ones(2000, 16), 0.3)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.02)
    assert dropped.unique().tolist() == [0.0, pytest.approx(1 / 0.7)]


@needs_compiler
def test_every_rate_is_kept_to_where_one_process_has_several():
    x = torch.ones(4000, 16)
    with torch.no_grad():
        for p in (0.1, 0.4, 0.25, 0.1, *(n / 20 for n in range(1, 12))):
            dropped = compiled.compiled(finish)(None, x, p)
            assert (dropped == 0).float().mean().item() == pytest.approx(p, abs=0.01)
            assert dropped.mean().item() == pytest.approx(1.0, abs=0.02)


@needs_compiler
def test_the_gradient_is_zero_where_an_element_was_dropped():
    x = torch.randn(300, 16, requires_grad=True)
    for p in (0.5, 0.2):
        dropped = compiled.compiled(finish)(None, x, p)
        (gradient,) = torch.autograd.grad(dropped.sum(), x)
        kept = dropped != 0
        assert 0 < kept.sum() < kept.numel()
        torch.testing.assert_close(gradient, kept / (1 - p))


@needs_compiler
def test_the_same_elements_are_dropped_as_in_uncompiled_training_by_the_same_hash(monkeypatch):
    monkeypatch.setattr(dropout_module._Dropout, "apply", dropout_module.hashed_dropout)
    # the compiler draws in an order of its own
    monkeypatch.setattr(dropout_module, "drawn_seeds", lambda device: torch.tensor([7, -8], dtype=torch.int32))
    rates = {"dropout": 0.2, "attention_dropout": 0.0, "activation_dropout": 0.3}
    encoder = Encoder(EncoderConfig(V, layers=3, heads=2, width=16, ffn_width=24, **rates))
    draw = random.Random(4)
    for number in range(5):
        assert_equal_to_uncompiled(encoder, drawn_batch(draw), number)


def drawn_translation(draw: random.Random) -> tuple[TranslationBatch, torch.Tensor]:
    """Pairs of any lengths, and what the decoder is to predict."""
    source = drawn_batch(draw, 12)
    source.tokens.clamp_(max=39)
    target = pack([[draw.randrange(9, 40) for _ in range(draw.randint(2, 12))] for _ in range(len(source))])
    return TranslationBatch(source, target, None, torch.zeros(len(source), dtype=torch.int64)), target.tokens.roll(-1)


@needs_compiler
def test_translation_and_a_head_make_no_new_graph_in_batches_of_other_lengths():
    model = small_model().train()
    head = torch.nn.Linear(16, 3).double()
    model.encoder.compiling = model.decoder.compiling = "on"
    draw, made = random.Random(6), 0
    for number in range(160):
        batch, targets = drawn_translation(draw)
        (model.losses(model(batch), targets, 0.1)[0].sum() + head(model.encoder(batch.source)).sum()).backward()
        if number == 60:
            made = graphs()
    assert graphs() == made > 0


@needs_compiler
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_compiled_translation_model_has_the_losses_and_gradients_of_another(smoothing):
    model = small_model().train()
    batch, targets = drawn_translation(random.Random(5))
    found = {}
    for mode in ("off", "on"):
        model.encoder.compiling = model.decoder.compiling = mode
        model.zero_grad()
        loss, nll = model.losses(model(batch), targets, smoothing)
        loss.sum().backward()
        found[mode] = [loss.detach(), nll, *(p.grad.clone() for p in model.parameters() if p.grad is not None)]
    assert graphs() and not found["on"][1].requires_grad
    for expected, value in zip(*found.values()):
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_further_symbols_of_an_aligned_output_layer_change_nothing(bias, smoothing):
    torch.manual_seed(1)
    weight = torch.randn(V, 8, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(V, dtype=torch.float64, requires_grad=True) if bias else None
    features, targets = torch.randn(5, 8, dtype=torch.float64, requires_grad=True), torch.tensor([0, 60, 3, 3, 9])
    wider, wider_bias = aligned(weight, bias)
    assert wider.shape == (ALIGNED, 8) and wider_bias.shape == (ALIGNED,)
    linear, inputs = torch.nn.functional.linear, [t for t in (features, weight, bias) if t is not None]
    plain, plain_nll = translation_loss(linear(features, weight, bias), targets, smoothing)
    loss, nll = smoothed_losses(linear(features, wider, wider_bias), targets, smoothing, V)
    torch.testing.assert_close([loss, nll], [plain, plain_nll], rtol=1e-12, atol=1e-12)
    gradients = [torch.autograd.grad(value.square().sum(), inputs) for value in (loss, plain)]
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-12)
    assert torch.autograd.gradcheck(
        lambda x: smoothed_losses(linear(x, wider, wider_bias), targets, smoothing, V)[0], features
    )
    by_hand = -linear(features, weight, bias).log_softmax(-1).gather(1, targets[:, None]).squeeze(1)
    torch.testing.assert_close(token_losses(linear(features, wider, wider_bias), targets), by_hand)


def test_an_aligned_output_layer_stays_as_it_is():
    weight = torch.randn(2 * ALIGNED, 3)
    assert aligned(weight, None) == (weight, None)


def test_a_cpu_is_compiled_for_on_request_only():
    assert runner("auto", CPU) is eager and runner("off", torch.device("cuda")) is eager
    with pytest.raises(UserError, match="auto, on, off"):
        runner("yes", CPU)


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_a_missing_compiler_is_one_line_where_it_was_asked_for_and_no_matter_elsewhere(kind, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    missing_compiler.cache_clear()
    try:
        with pytest.raises(UserError, match=r"^--compile on: torch.compile needs .* or use --compile off$"):
            runner("on", torch.device(kind))
        assert runner("auto", torch.device(kind)) is eager
    finally:
        missing_compiler.cache_clear()


def test_validation_is_not_compiled():
    encoder = Encoder(EncoderConfig(V, layers=1, heads=2, width=16, ffn_width=24), compiling="on").eval()
    encoder(drawn_batch(random.Random(1)))
    assert graphs() == 0
