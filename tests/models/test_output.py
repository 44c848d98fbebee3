"""Losses of an output layer of which only a few rows of scores exist at once equal those of all scores."""

import pytest
import torch
import torch.nn.functional as F

from fairseq_xalign.models import output
from fairseq_xalign.models.encoder import Encoder, EncoderConfig
from fairseq_xalign.models.output import chunked_losses, is_large
from fairseq_xalign.objectives.batch import pack
from fairseq_xalign.objectives.translation import TranslationBatch, translation_loss
from tests.support.translation import small_model

V, D, N = 23, 6, 11


@pytest.fixture(params=[1, 3, 11, 100], ids=lambda rows: f"{rows} rows at once")
def few_rows(request, monkeypatch):
    monkeypatch.setattr(output, "LARGEST", request.param * V)


def drawn(bias=True, dtype=torch.float64):
    torch.manual_seed(1)
    parts = [torch.randn(N, D), torch.randn(V, D), torch.randn(V) if bias else None]
    parts = [None if part is None else part.to(dtype).requires_grad_() for part in parts]
    return parts, torch.tensor([0, 22, 3, 3, 9, 1, 2, 22, 7, 7, 7])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_values_and_gradients_are_those_of_all_scores(few_rows, bias, smoothing):
    (features, weight, offset), targets = drawn(bias)
    outer = torch.linspace(0.5, 2.0, N, dtype=torch.float64)
    found, expected = [], []
    for results, losses in (
        (found, chunked_losses(features, weight, offset, targets, smoothing)),
        (expected, translation_loss(F.linear(features, weight, offset), targets, smoothing)),
    ):
        assert losses[0].requires_grad and not losses[1].requires_grad
        inputs = [part for part in (features, weight, offset) if part is not None]
        results += [*losses, *torch.autograd.grad((losses[0] * outer).sum(), inputs)]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


def test_gradients_are_those_of_finite_differences(few_rows):
    inputs, targets = drawn()
    assert torch.autograd.gradcheck(lambda *parts: chunked_losses(*parts, targets, 0.1)[0], inputs)


def test_in_half_precision_gradients_of_many_chunks_add_up_in_float32(monkeypatch):
    """600 rows of one gradient: in bfloat16 the sum would stop to grow long before the end."""
    monkeypatch.setattr(output, "LARGEST", V)
    torch.manual_seed(2)
    features, weight = torch.randn(1, D).expand(600, D), torch.randn(V, D, requires_grad=True)
    targets = torch.full((600,), 5)
    with torch.autocast("cpu", torch.bfloat16):
        losses, _ = chunked_losses(features, weight, None, targets)
    assert losses.dtype == torch.float32
    (found,) = torch.autograd.grad(losses.sum(), weight)
    (exact,) = torch.autograd.grad(F.cross_entropy(features @ weight.T, targets, reduction="sum"), weight)
    assert found.dtype == torch.float32 and (found - exact).norm() < 0.02 * exact.norm()


@pytest.mark.parametrize("compiled", [False, True])
def test_an_encoder_and_a_translation_model_choose_chunks_by_the_number_of_scores(monkeypatch, compiled):
    """What is compiled needs none: there, no copy of the scores in float32 exists."""
    torch.manual_seed(3)
    encoder = Encoder(EncoderConfig(V, layers=0, heads=1, width=D, ffn_width=4)).double().eval()
    features, targets = torch.randn(N, D, dtype=torch.float64), torch.randint(0, V, (N,))
    whole = encoder.token_losses(features, targets), encoder.vector_losses(features, targets, biased=False)
    model = small_model().eval()
    source, target = pack([[7, 8, 2], [9, 2]]), pack([[2, 5], [2, 6, 6]])
    batch = TranslationBatch(source, target, None, torch.zeros(2, dtype=torch.int64))
    translated = model.losses(model(batch), target.tokens.roll(-1), 0.1)
    assert not is_large(features, encoder.embed_tokens.weight)
    calls = []
    monkeypatch.setattr(output, "LARGEST", 2 * V)
    for module in ("lm_head", "translation"):
        monkeypatch.setattr(f"fairseq_xalign.models.{module}.chunked_losses",
                            lambda *a: calls.append(1) or chunked_losses(*a))  # fmt: skip
    if compiled:
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    found = encoder.token_losses(features, targets), encoder.vector_losses(features, targets, biased=False)
    torch.testing.assert_close(found, whole, rtol=1e-12, atol=1e-12)
    assert len(calls) == (0 if compiled else 2)
    again = model.losses(model(batch), target.tokens.roll(-1), 0.1)
    torch.testing.assert_close(again, translated, rtol=1e-12, atol=1e-12)
    assert len(calls) == (1 if compiled else 3)
