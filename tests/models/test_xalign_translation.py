"""The translation model in fairseq: what options mean, what contradicts, what a checkpoint restores."""

import argparse
from dataclasses import asdict
from types import SimpleNamespace

import pytest
import torch
from fairseq.models import ARCH_MODEL_REGISTRY

from fairseq_xalign.errors import UserError
from fairseq_xalign.models.checkpoint import read_encoder, read_translator
from fairseq_xalign.models.presets import TRANSLATION
from fairseq_xalign.models.translation import TranslationModel
from fairseq_xalign.models.xalign_translation import (
    XAlignTranslationConfig,
    XAlignTranslationModel,
    resolve_configs,
)
from tests.support.small_tokenizers import small
from tests.support.translation import small_configs, translation_batch

V = 40


def options(arch: str = "mmte_tiny", **changes) -> XAlignTranslationConfig:
    cfg = XAlignTranslationConfig(**changes)
    cfg._name = arch
    return cfg


def test_every_preset_is_an_arch():
    for name in TRANSLATION:
        assert ARCH_MODEL_REGISTRY[name] is XAlignTranslationModel
        encoder, decoder = resolve_configs(options(name), V)
        assert (encoder.layers, decoder.layers) == (TRANSLATION[name]["layers"],) * 2


def test_options_change_the_shape_and_the_decoder_follows_the_encoder():
    cfg = options(encoder_layers=4, encoder_embed_dim=64, encoder_ffn_embed_dim=96, encoder_attention_heads=2)
    encoder, decoder = resolve_configs(cfg, V)
    assert (encoder.layers, encoder.width, encoder.ffn_width, encoder.heads) == (4, 64, 96, 2)
    assert (decoder.layers, decoder.width, decoder.ffn_width, decoder.heads) == (2, 64, 96, 2)
    cfg = options(decoder_layers=1, decoder_ffn_embed_dim=32, dropout=0.3, positions="learned", max_positions=50)
    encoder, decoder = resolve_configs(cfg, V)
    assert (decoder.layers, decoder.ffn_width, decoder.dropout, decoder.positions) == (1, 32, 0.3, "learned")
    assert (encoder.layers, encoder.ffn_width, encoder.dropout, encoder.longest) == (2, 512, 0.3, 50)


@pytest.mark.parametrize(
    ("changes", "tying"),
    [
        ({}, "all"),
        ({"share_all_embeddings": True}, "all"),
        ({"no_share_all_embeddings": True}, "none"),
        ({"share_decoder_input_output_embed": True}, "decoder"),
        ({"no_share_all_embeddings": True, "share_decoder_input_output_embed": True}, "decoder"),
    ],
)
def test_options_of_sharing(changes, tying):
    assert resolve_configs(options(**changes), V)[1].tying == tying


def test_norms_come_before_or_after():
    assert all(c.normalize_before for c in resolve_configs(options(), V))
    assert not any(c.normalize_before for c in resolve_configs(options(no_normalize_before=True), V))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"encoder_layers": 0}, ["--encoder-layers 0"]),
        ({"decoder_attention_heads": 3}, ["128", "--decoder-attention-heads 3"]),
        ({"share_all_embeddings": True, "no_share_all_embeddings": True}, ["--share-all-embeddings", "exclude"]),
        ({"no_normalize_before": True, "decoder_normalize_before": True}, ["--decoder-normalize-before", "exclude"]),
        ({"dropout": 1.0}, ["--dropout is 1.0"]),
        ({"positions": "none"}, ["--positions", "'none'", "rotary"]),
    ],
)
def test_wrong_options_are_named(changes, words):
    with pytest.raises(UserError) as error:
        resolve_configs(options(**changes), V)
    assert all(word in str(error.value) for word in words), error.value


def test_a_checkpoint_fixes_the_shape():
    start = tuple(asdict(c) for c in resolve_configs(options(encoder_layers=3, decoder_layers=1), V))
    again = resolve_configs(options(encoder_layers=3, decoder_layers=1, dropout=0.4), V, start)
    assert again[0].layers == 3 and again[1].layers == 1 and again[1].dropout == 0.4
    with pytest.raises(UserError, match="--decoder-layers 2: the checkpoint has 1"):
        resolve_configs(options(encoder_layers=3, decoder_layers=2), V, start)
    with pytest.raises(UserError, match="--arch mmte_tiny has layers 2: the checkpoint has 3"):
        resolve_configs(options(), V, start)
    with pytest.raises(UserError, match="share embeddings.* none: the checkpoint has all"):
        resolve_configs(options(encoder_layers=3, decoder_layers=1, no_share_all_embeddings=True), V, start)
    with pytest.raises(UserError, match="vocabulary 41: the checkpoint has 40"):
        resolve_configs(options(encoder_layers=3, decoder_layers=1), V + 1, start)


def test_the_model_is_built_with_its_size_in_the_log_and_computes_both_ways(caplog):
    caplog.set_level("INFO")
    task = SimpleNamespace(tokenizer=range(V), start_encoder=None, start_decoder=None)
    torch.manual_seed(0)
    model = XAlignTranslationModel.build_model(options(), task).eval()
    whole = sum(p.numel() for p in model.parameters())
    assert f"{whole / 1e6:.1f}M parameters with one matrix for source, target and output" in caplog.text
    batch = translation_batch()
    assert torch.equal(model(batch), model(lambda inner, b: inner.decoder(b.target, inner.encode(b.source)), batch))
    assert model.max_positions()[0] > 10**6


def test_a_checkpoint_with_other_shapes_is_refused_and_modules_of_objectives_come_and_go():
    one, other = XAlignTranslationModel(*small_configs()), XAlignTranslationModel(*small_configs())
    one.objectives["queue"] = torch.nn.Linear(2, 2)
    other.objectives["head"] = torch.nn.Linear(3, 3)
    other.load_state_dict(one.state_dict(), strict=True)
    assert torch.equal(other.decoder.layers[0].qkv.weight, one.decoder.layers[0].qkv.weight)
    with pytest.raises(UserError, match=r"\(40,.* in the checkpoint, \(50,"):
        XAlignTranslationModel(*small_configs(vocab_size=50)).load_state_dict(one.state_dict(), strict=True)


@pytest.mark.parametrize("tying", ["all", "decoder", "none"])
def test_a_checkpoint_translates_and_gives_its_encoder(tmp_path, tying):
    words = small("trained")
    torch.manual_seed(0)
    encoder, decoder = small_configs(tying, vocab_size=len(words))
    model = TranslationModel(encoder, decoder).eval()
    state = {
        "format": 1, "encoder": asdict(encoder), "decoder": asdict(decoder), "languages": ["en", "de"],
        "tokenizer": words.state(), "target_token": "separate", "directions": ["en-de"], "input": "eos",
    }  # fmt: skip
    file = tmp_path / "checkpoint_best.pt"
    torch.save({"model": model.state_dict(), "task_state": state, "args": argparse.Namespace()}, file)
    loaded, tokenizer, task = read_translator(tmp_path)
    batch = translation_batch(apart=True)
    assert torch.equal(loaded(batch), model(batch)) and not loaded.training
    assert loaded.target_token == "separate" and task["directions"] == ["en-de"] and len(tokenizer) == len(words)
    alone, _, _ = read_encoder(tmp_path)
    assert torch.equal(alone(batch.source), model.encoder(batch.source))
    del state["decoder"]
    torch.save({"model": model.state_dict(), "task_state": state}, file)
    with pytest.raises(UserError, match="does not translate: it has no decoder"):
        read_translator(tmp_path)
