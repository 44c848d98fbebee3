"""The residual stream in the precision of matrix products: what changes, and that little does."""

import pytest
import torch

from fairseq_xalign.models.config import FULL, HALF
from fairseq_xalign.models.encoder import Block, Encoder, EncoderConfig
from fairseq_xalign.models.transformer import normalized
from fairseq_xalign.objectives.batch import pack
from tests.support.translation import small_model, translation_batch

SHAPE = {"layers": 3, "heads": 2, "width": 32, "ffn_width": 64, "dropout": 0.0, "attention_dropout": 0.0}


def streams(encoder, batch) -> list[torch.Tensor]:
    """What every layer was given."""
    seen: list[torch.Tensor] = []
    before = Block.before
    try:
        Block.before = lambda self, x, angles: seen.append(x) or before(self, x, angles)  # type: ignore[method-assign]
        encoder(batch)
    finally:
        Block.before = before  # type: ignore[method-assign]
    return seen


@pytest.mark.parametrize("normalize_before", [True, False])
@pytest.mark.parametrize("residual", [FULL, HALF])
def test_every_layer_reads_the_stream_in_the_precision_that_was_asked_for(normalize_before, residual):
    encoder = Encoder(EncoderConfig(40, normalize_before=normalize_before, **SHAPE))
    encoder.residual = residual
    batch = pack([[5, 7, 9, 2], [8, 2]])
    with torch.autocast("cpu", torch.bfloat16):
        found = {x.dtype for x in streams(encoder, batch)} | {encoder(batch).dtype}
    assert found == {torch.bfloat16 if residual == HALF else torch.float32}
    assert {x.dtype for x in streams(encoder, batch)} == {torch.float32}, "without autocast there is one precision"


@pytest.mark.parametrize("normalize_before", [True, False])
def test_values_and_gradients_stay_near_those_of_a_stream_in_float32(normalize_before):
    torch.manual_seed(1)
    encoder = Encoder(EncoderConfig(40, normalize_before=normalize_before, **SHAPE))
    batch = pack([torch.randint(9, 40, (n,)) for n in (30, 7, 22)])
    results = []
    for encoder.residual, mixed in ((FULL, False), (FULL, True), (HALF, True)):
        encoder.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            losses = encoder.token_losses(encoder(batch)[::2], batch.tokens[::2])
        losses.mean().backward()
        gradients = torch.cat([p.grad.flatten() for p in encoder.parameters() if p.grad is not None])
        results.append((losses.detach(), gradients))
    exact, *rounded = results
    for found in rounded:
        for value, expected in zip(found, exact):
            assert value.dtype == torch.float32 and (value - expected).norm() < 0.02 * expected.norm()
    assert not torch.equal(rounded[0][0], rounded[1][0])


def test_translation_has_the_stream_in_encoder_and_decoder():
    torch.manual_seed(2)
    model, batch = small_model().float().train(), translation_batch()
    losses = []
    for residual in (FULL, HALF):
        model.encoder.residual = model.decoder.residual = residual
        with torch.autocast("cpu", torch.bfloat16):
            features = model(batch)
            losses.append(model.losses(features, batch.target.tokens)[0].mean())
    assert losses[0] != losses[1] and losses[1].item() == pytest.approx(losses[0].item(), rel=0.02)


def test_decoding_step_by_step_has_the_stream_of_the_whole_sentence():
    torch.manual_seed(3)
    model, batch = small_model().float().eval(), translation_batch()
    first = batch.target.starts[:-1]
    for residual in (FULL, HALF):
        model.encoder.residual = model.decoder.residual = residual
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            memory = model.encode(batch.source)
            whole = model.decoder(batch.target, memory)
            step = model.decoder.step(batch.target.tokens[first], model.decoder.begin(memory))
        assert step.dtype == whole.dtype == (torch.bfloat16 if residual == HALF else torch.float32)
        torch.testing.assert_close(step, whole[first], rtol=0.05, atol=0.05)


def test_layer_norm_computes_in_float32_and_gives_what_it_takes():
    """Near 256, bfloat16 has steps of 2: a variance computed in it would be far off."""
    norm = torch.nn.LayerNorm(4)
    x = torch.tensor([[256.0, 258.0, 254.0, 256.0]])
    with torch.autocast("cpu", torch.bfloat16):
        found = normalized(norm, x.bfloat16())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), norm(x), rtol=0.01, atol=0.01)
