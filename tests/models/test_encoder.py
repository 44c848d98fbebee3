"""The encoder: its attention paths agree, RoBERTa's and BERT's layouts are met, mistakes are named."""

from dataclasses import asdict, replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from fairseq_xalign.constants import MASK, PAD
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.attention import attend
from fairseq_xalign.models.attention import plan as plan_module
from fairseq_xalign.models.encoder import Encoder, EncoderConfig
from fairseq_xalign.models.presets import PRESETS, preset
from fairseq_xalign.objectives.batch import PackedBatch, pack

V = 60
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
RAGGED = (3, 1, 7, 2, 9, 9, 4, 12, 1, 6, 5)


@pytest.fixture(autouse=True)
def several_buckets(monkeypatch):
    """Buckets small enough that the few short sequences of these tests need several."""
    monkeypatch.setattr(plan_module, "BUCKET_PADDING", 5)


def config(**changes) -> EncoderConfig:
    small = {"layers": 2, "heads": 4, "width": 16, "ffn_width": 24, "max_positions": 16, "initializer_std": 0.2}
    off = {"dropout": 0.0, "attention_dropout": 0.0}
    return EncoderConfig(**{"vocab_size": V, "embedding_std": 0.3, **small, **off, **changes})


def ragged_batch(lengths=RAGGED, seed=0, languages=0, segments=0) -> PackedBatch:
    draw = torch.Generator().manual_seed(seed)
    batch = pack([torch.randint(5, V, (n,), generator=draw) for n in lengths])
    total = batch.tokens.numel()
    batch.masked = torch.arange(0, total, 3)
    batch.targets = batch.tokens[batch.masked].clone()
    batch.tokens[batch.masked] = MASK
    if languages:
        batch.languages = torch.randint(1, languages + 1, (total,), generator=draw)
    if segments:
        batch.segments = torch.randint(0, segments, (total,), generator=draw)
    return batch


def mlm_loss(encoder: Encoder, batch: PackedBatch) -> Tensor:
    return F.cross_entropy(encoder.lm_logits(encoder(batch)[batch.masked]), batch.targets, reduction="sum")


def values_and_gradients(encoder: Encoder, batch: PackedBatch, attention: str) -> list[Tensor]:
    encoder.attention = attention
    encoder.zero_grad()
    features = encoder(batch)
    mlm_loss(encoder, batch).backward()
    return [features.detach(), *(p.grad.clone() for p in encoder.parameters() if p.grad is not None)]


def assert_paths_agree(encoder: Encoder, batch: PackedBatch, dtype: torch.dtype) -> None:
    encoder = encoder.to(dtype)
    fused = values_and_gradients(encoder, batch, "auto")
    plain = values_and_gradients(encoder, batch, "plain")
    assert len(fused) == len(plain) > 10
    for a, b in zip(fused, plain):
        scale = max(1.0, b.abs().max().item())
        torch.testing.assert_close(a, b, rtol=0, atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("extras", [{}, {"n_languages": 3, "n_segments": 2}])
@pytest.mark.parametrize("normalize_before", [False, True])
@pytest.mark.parametrize("positions", ["learned", "rotary", "sinusoidal"])
def test_fused_attention_equals_plain_in_values_and_gradients(positions, normalize_before, extras, dtype):
    torch.manual_seed(1)
    encoder = Encoder(config(positions=positions, normalize_before=normalize_before, **extras))
    batch = ragged_batch(languages=extras.get("n_languages", 0), segments=extras.get("n_segments", 0))
    assert_paths_agree(encoder, batch, dtype)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(1, 16), min_size=1, max_size=20), seed=st.integers(0, 99))
def test_paths_agree_for_any_lengths(lengths, seed):
    torch.manual_seed(seed)
    assert_paths_agree(Encoder(config(positions="rotary")), ragged_batch(lengths, seed), torch.float64)


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_a_sequence_has_the_same_features_alone_and_in_any_batch(positions):
    torch.manual_seed(2)
    encoder = Encoder(config(positions=positions)).double().eval()
    batch = ragged_batch()
    whole = encoder(batch)
    for first, last in zip(batch.starts[:-1].tolist(), batch.starts[1:].tolist()):
        alone = encoder(pack([batch.tokens[first:last]]))
        torch.testing.assert_close(whole[first:last], alone, rtol=0, atol=1e-10)


@pytest.mark.parametrize("layers", [0, 1, 3])
@pytest.mark.parametrize("normalize_before", [False, True])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(1, 16), min_size=1, max_size=20), draw=st.randoms(use_true_random=False))
def test_some_tokens_have_the_features_and_gradients_that_they_have_among_all(layers, normalize_before, lengths, draw):
    torch.manual_seed(3)
    encoder = Encoder(config(layers=layers, normalize_before=normalize_before)).double()
    batch = ragged_batch(lengths)
    chosen = torch.tensor(draw.sample(range(sum(lengths)), draw.randint(0, sum(lengths))), dtype=torch.int64)
    weights = torch.randn(len(chosen), encoder.config.width, dtype=torch.float64)
    found = []
    for features in (encoder(batch)[chosen], encoder(batch, tokens=chosen)):
        encoder.zero_grad()
        (features * weights).sum().backward()
        found.append([features.detach(), *(p.grad.clone() for p in encoder.parameters() if p.grad is not None)])
    assert len(found[0]) == len(found[1])
    for expected, value in zip(*found):
        torch.testing.assert_close(value, expected, rtol=0, atol=1e-9)


def test_rotary_attention_depends_on_distances_only():
    encoder = Encoder(config(positions="rotary")).double().eval()
    batch = ragged_batch((7, 5))
    shifted = replace(batch, positions=batch.positions + 40)
    torch.testing.assert_close(encoder(batch), encoder(shifted), rtol=0, atol=1e-9)


@pytest.mark.parametrize("attention", ["auto", "plain"])
def test_dropout_changes_training_but_not_evaluation(attention):
    encoder = Encoder(config(dropout=0.3, attention_dropout=0.3), attention)
    batch = ragged_batch()
    assert not torch.equal(encoder(batch), encoder(batch))
    encoder.eval()
    assert torch.equal(encoder(batch), encoder(batch))


@pytest.mark.parametrize("attention", ["auto", "plain"])
@pytest.mark.parametrize("lengths", [RAGGED, (8, 8, 8)])
def test_attention_dropout_alone_keeps_the_mean(attention, lengths):
    torch.manual_seed(3)
    encoder = Encoder(config(layers=1), attention).double()
    block, batch = encoder.layers[0], ragged_batch(lengths)
    x = torch.randn(batch.tokens.numel(), 16, dtype=torch.float64)
    plan_of = encoder.eval()._plan
    if attention == "auto":  # the plan's order is that of ascending lengths
        order = plan_of(batch, x).order
        x = x if order is None else x[order]
    qkv, plan = block.before(x, None), plan_of(batch, x)
    expected = attend(qkv, plan)
    mean = torch.stack([attend(qkv, plan, 0.4) for _ in range(2000)]).mean(0)
    assert (mean - expected).abs().max() < 0.07 * expected.abs().max()


@pytest.mark.parametrize("attention", ["auto", "plain"])
@pytest.mark.parametrize("positions", ["learned", "rotary", "sinusoidal"])
def test_bfloat16_autocast_stays_near_float32(attention, positions):
    torch.manual_seed(4)
    encoder, batch = Encoder(config(positions=positions), attention), ragged_batch()
    exact = mlm_loss(encoder, batch)
    with torch.autocast("cpu", torch.bfloat16):
        loss = mlm_loss(encoder, batch)
    loss.backward()
    assert abs(loss.item() / exact.item() - 1) < 0.02
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in encoder.parameters())
    assert all(p.grad.isfinite().all() for p in encoder.parameters() if p.grad is not None)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_cuda_fused_attention_stays_near_plain_in_bfloat16(positions):
    torch.manual_seed(5)
    encoder = Encoder(config(positions=positions, width=64, heads=4)).cuda()
    batch = ragged_batch().to("cuda")
    losses = {}
    for attention in ("auto", "plain"):
        encoder.attention = attention
        with torch.autocast("cuda", torch.bfloat16):
            losses[attention] = mlm_loss(encoder, batch).item()
    assert abs(losses["auto"] / losses["plain"] - 1) < 0.01


def test_state_of_padding_row_and_output_bias_at_the_start():
    encoder = Encoder(config(n_languages=2))
    assert encoder.embed_tokens.weight[PAD].eq(0).all()
    assert encoder.embed_languages.weight[0].eq(0).all()
    assert encoder.embed_tokens.weight.std().item() == pytest.approx(0.3, rel=0.1)
    assert encoder.layers[0].qkv.weight.std().item() == pytest.approx(0.2, rel=0.1)
    counts = torch.arange(V)
    encoder.initialize_output_bias(counts)
    torch.testing.assert_close(encoder.lm_bias.exp(), (counts + 1) / (counts + 1).sum(), rtol=1e-5, atol=0)
    with pytest.raises(UserError, match="7 counts for a vocabulary of 60"):
        encoder.initialize_output_bias(torch.ones(7))


def test_languages_and_segments_move_the_features():
    encoder = Encoder(config(n_languages=3, n_segments=2)).eval()
    batch = ragged_batch()
    none = encoder(batch)
    ones = replace(batch, languages=torch.ones_like(batch.tokens), segments=torch.zeros_like(batch.tokens))
    assert not torch.allclose(none, encoder(ones))
    zeros = replace(batch, languages=torch.zeros_like(batch.tokens), segments=torch.zeros_like(batch.tokens))
    assert torch.equal(none, encoder(zeros)), "no languages is language 0; no segments is segment 0"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"positions": "rotry"}, ["positions", "'rotry'", "Did you mean 'rotary'", "learned"]),
        ({"activation": "swish"}, ["activation", "'swish'", "gelu"]),
        ({"heads": 3}, ["width is 16", "heads 3", "1, 2, 4"]),
        ({"heads": 16, "positions": "rotary"}, ["rotary", "odd head width 1"]),
        ({"dropout": 1.5}, ["dropout is 1.5", "0 <= p < 1"]),
        ({"layers": -1}, ["layers is -1"]),
        ({"max_positions": 0}, ["max_positions is 0"]),
        ({"layernorm_eps": 0.0}, ["layernorm_eps is 0.0", "positive"]),
    ],
)
def test_wrong_fields_are_named_with_value_and_choices(changes, words):
    with pytest.raises(UserError) as error:
        config(**changes).validate()
    assert all(word in str(error.value) for word in words), error.value


def test_config_survives_a_dictionary_and_rejects_unknown_fields():
    start = config(positions="rotary", n_languages=4)
    assert EncoderConfig.from_dict(asdict(start)) == start
    with pytest.raises(UserError, match="Did you mean 'layers'"):
        EncoderConfig.from_dict({"vocab_size": 9, "layer": 3})
    with pytest.raises(UserError, match="vocab_size is missing"):
        EncoderConfig.from_dict({"layers": 3})


def test_too_long_a_sequence_is_reported_and_positions_that_start_again_are_not():
    encoder = Encoder(config(max_positions=8))
    batch = pack([torch.arange(5, 15)])
    with pytest.raises(UserError, match="needs 10 positions, but the model has only 8"):
        encoder(batch)
    again = replace(batch, positions=torch.arange(10) % 5)
    assert encoder(again).shape == (10, 16)


@pytest.mark.parametrize(
    ("name", "vocabulary", "body", "pooler", "extra_rows"),
    [  # sizes of the published bodies, their poolers, rows of theirs that no token gets or that are folded into others
        ("xalign_mbert", 119_547, 177_853_440, 590_592, 0),
        ("xalign_xlmr_base", 250_002, 278_043_648, 590_592, 3),
        ("xalign_xlmr_large", 250_002, 559_890_432, 1_049_600, 3),
    ],
)
def test_presets_have_exactly_the_parameters_of_published_models(name, vocabulary, body, pooler, extra_rows):
    with torch.device("meta"):
        encoder = Encoder(preset(name, vocabulary))
    width = encoder.config.width
    head = width * width + 3 * width + vocabulary
    assert sum(p.numel() for p in encoder.parameters()) == body - pooler - extra_rows * width + head


def test_every_preset_is_valid_and_unknown_ones_are_named():
    for name in PRESETS:
        assert preset(name, 100, dropout=0.0).dropout == 0.0
    with pytest.raises(UserError, match="Did you mean 'xalign_tiny'"):
        preset("xalign_tiny2", 100)


def test_a_model_that_a_gpu_trained_with_its_own_kernel_is_used_on_a_cpu():
    encoder = Encoder(EncoderConfig(20, layers=1, heads=2, width=8, ffn_width=8), "varlen").eval()
    expected = Encoder(encoder.config).eval()
    expected.load_state_dict(encoder.state_dict())
    batch = pack([[5, 6, 2], [7, 2]])
    torch.testing.assert_close(encoder(batch), expected(batch))
