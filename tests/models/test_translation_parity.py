"""Loss, gradients, and hypotheses and scores of beam search equal those of fairseq's own transformer on equal weights.

This is the only file of the project that imports fairseq's transformer.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from fairseq.criterions.label_smoothed_cross_entropy import label_smoothed_nll_loss
from fairseq.data import Dictionary
from fairseq.models.transformer import TransformerConfig, TransformerModelBase
from fairseq.sequence_generator import SequenceGenerator
from torch import Tensor, nn

from fairseq_xalign.constants import EOS, PAD
from fairseq_xalign.models.attention import plan as plan_module
from fairseq_xalign.models.config import DecoderConfig, EncoderConfig
from fairseq_xalign.models.generate import beam_search
from fairseq_xalign.models.positions import sinusoids
from fairseq_xalign.models.translation import TranslationModel
from fairseq_xalign.models.xalign_generation import for_generation, net_input
from fairseq_xalign.objectives.batch import pad
from fairseq_xalign.objectives.translation import TranslationBatch, translation_loss
from tests.support.translation import V, translation_batch

OFFSET = 2  # fairseq's positions begin at padding_idx + 1
SMOOTHING = 0.1
SHAPES = [
    {"normalize_before": False, "tying": "all", "positions": "learned"},
    {"normalize_before": True, "tying": "decoder", "positions": "learned"},
    {"normalize_before": True, "tying": "all", "positions": "sinusoidal"},
    {"normalize_before": False, "tying": "none", "positions": "sinusoidal", "embedding_layernorm": True},
]
NAMES = ["-".join(map(str, shape.values())) for shape in SHAPES]


@pytest.fixture(autouse=True)
def several_buckets(monkeypatch):
    monkeypatch.setattr(plan_module, "BUCKET_PADDING", 5)


def fairseq_model(shape: dict) -> TransformerModelBase:
    dictionary = Dictionary()
    for i in range(V - len(dictionary)):
        dictionary.add_symbol(f"w{i}")
    assert len(dictionary) == V and (dictionary.pad(), dictionary.eos()) == (PAD, EOS)
    cfg = TransformerConfig()
    for side in (cfg.encoder, cfg.decoder):
        side.embed_dim, side.ffn_embed_dim, side.layers, side.attention_heads = 16, 24, 2, 4
        side.normalize_before, side.learned_pos = shape["normalize_before"], shape["positions"] == "learned"
    cfg.decoder.input_dim = cfg.decoder.output_dim = 16
    cfg.dropout = 0.0
    cfg.max_source_positions = cfg.max_target_positions = 20
    cfg.share_all_embeddings = shape["tying"] == "all"
    cfg.share_decoder_input_output_embed = shape["tying"] in ("all", "decoder")
    cfg.layernorm_embedding = shape.get("embedding_layernorm", False)
    task = SimpleNamespace(source_dictionary=dictionary, target_dictionary=dictionary)
    model = TransformerModelBase.build_model(cfg, task).double()
    with torch.no_grad():
        for p in model.parameters():  # biases and layer norms that are not 0 and 1; ends at different lengths
            p.add_(0.1 * torch.randn_like(p))
        model.decoder.output_projection.weight.mul_(2)
        model.decoder.output_projection.weight[EOS] = 2 * torch.randn(16)
        model.encoder.embed_tokens.weight[PAD] = 0
        model.decoder.embed_tokens.weight[PAD] = 0
    return model


def our_model(shape: dict) -> TranslationModel:
    common = {"vocab_size": V, "layers": 2, "heads": 4, "width": 16, "ffn_width": 24, "max_positions": 20}
    common |= {"embedding_scale": 0.0, "embedding_layernorm": False, "dropout": 0.0, "attention_dropout": 0.0}
    common |= {"activation": "relu", "initializer": "xavier", **shape}
    decoder = DecoderConfig(**common)
    common.pop("tying")
    return TranslationModel(EncoderConfig(**common, lm_head_transform=False, lm_head_bias=False), decoder).double()


def pairs(ours: TranslationModel, theirs: TransformerModelBase) -> list[tuple[Tensor, list[Tensor]]]:
    """(our parameter, their parameters that are stacked in it)."""
    modules: list[tuple[nn.Module | None, list[nn.Module | None]]] = []
    for mine, other in ((ours.encoder, theirs.encoder), (ours.decoder, theirs.decoder)):
        modules += [(mine.embed_norm, [other.layernorm_embedding]), (mine.final_norm, [other.layer_norm])]
        for a, b in zip(mine.layers, other.layers):
            own = b.self_attn
            modules += [
                (a.qkv, [own.q_proj, own.k_proj, own.v_proj]),
                (a.attention_out, [own.out_proj]),
                (a.attention_norm, [b.self_attn_layer_norm]),
                (a.ffn_in, [b.fc1]),
                (a.ffn_out, [b.fc2]),
                (a.ffn_norm, [b.final_layer_norm]),
            ]
            if mine is ours.decoder:
                cross = b.encoder_attn
                modules += [
                    (a.memory_q, [cross.q_proj]),
                    (a.memory_kv, [cross.k_proj, cross.v_proj]),
                    (a.memory_out, [cross.out_proj]),
                    (a.memory_norm, [b.encoder_attn_layer_norm]),
                ]
    found = []
    for mine, others in modules:
        assert (mine is None) == (others[0] is None)
        if mine is not None:
            found += [(mine.weight, [o.weight for o in others]), (mine.bias, [o.bias for o in others])]
    found.append((ours.encoder.embed_tokens.weight, [theirs.encoder.embed_tokens.weight]))
    if ours.decoder.embed_tokens is not None:
        found.append((ours.decoder.embed_tokens.weight, [theirs.decoder.embed_tokens.weight]))
    if ours.decoder.output is not None:
        found.append((ours.decoder.output.weight, [theirs.decoder.output_projection.weight]))
    return found


@torch.no_grad()
def copy_weights(ours: TranslationModel, theirs: TransformerModelBase) -> None:
    found = pairs(ours, theirs)
    for mine, others in found:
        mine.copy_(torch.cat(others))
    copied = {id(mine) for mine, _ in found}
    for mine, other in ((ours.encoder, theirs.encoder), (ours.decoder, theirs.decoder)):
        if mine.embed_positions is not None:
            mine.embed_positions.weight.copy_(other.embed_positions.weight[OFFSET:])
            copied.add(id(mine.embed_positions.weight))
    assert {id(p) for p in ours.parameters()} == copied


def models(shape: dict, seed: int = 0) -> tuple[TranslationModel, TransformerModelBase]:
    torch.manual_seed(seed)
    theirs, ours = fairseq_model(shape), our_model(shape)
    copy_weights(ours, theirs)
    return ours.eval(), theirs.eval()


def moved(batch: TranslationBatch, shape: dict) -> TranslationBatch:
    """Sinusoids of fairseq begin at position 2."""
    if shape["positions"] == "learned":
        return batch
    source, target = (replace(b, positions=b.positions + OFFSET) for b in (batch.source, batch.target))
    return replace(batch, source=source, target=target)


@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_loss_and_gradients_equal_fairseqs_transformer(shape, monkeypatch):
    # fairseq's attention rounds its weights to float32, and so does its table of sinusoids
    monkeypatch.setattr("fairseq.utils.softmax", lambda x, dim, onnx_trace=False: x.softmax(dim))
    tolerance = 1e-9 if shape["positions"] == "learned" else 2e-5
    ours, theirs = models(shape)
    batch = translation_batch()
    padded = net_input(batch)
    targets = pad(batch.target.targets, batch.target.starts, batch.target.longest, PAD)
    scores = theirs(**padded)[0].log_softmax(-1)
    expected, expected_nll = label_smoothed_nll_loss(scores, targets, SMOOTHING, ignore_index=PAD)
    expected.backward()

    features = ours(moved(batch, shape))
    loss, nll = translation_loss(ours.logits(features), batch.target.targets, SMOOTHING)
    loss.sum().backward()

    torch.testing.assert_close(loss.sum(), expected, rtol=tolerance, atol=0)
    torch.testing.assert_close(nll.sum(), expected_nll, rtol=tolerance, atol=0)
    for mine, others in pairs(ours, theirs):
        torch.testing.assert_close(mine.grad, torch.cat([o.grad for o in others]), rtol=0, atol=tolerance)
    for mine, other in ((ours.encoder, theirs.encoder), (ours.decoder, theirs.decoder)):
        if mine.embed_positions is not None:
            gradient = other.embed_positions.weight.grad[OFFSET:]
            torch.testing.assert_close(mine.embed_positions.weight.grad, gradient, rtol=0, atol=tolerance)


def count_from_zero(theirs: TransformerModelBase) -> None:
    """Let fairseq's table of sinusoids begin where ours does; otherwise a search begins at its position 2."""
    for side in (theirs.encoder, theirs.decoder):
        table = side.embed_positions.weights
        ours = sinusoids(torch.arange(len(table) - OFFSET), table.shape[1], torch.float64)
        side.embed_positions.weights = torch.cat((torch.zeros(OFFSET, table.shape[1]).double(), ours))


@pytest.mark.parametrize("beam", [1, 2, 4])
@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_beam_search_equals_that_of_fairseqs_transformer(shape, beam):
    lengths = set()
    for seed in range(6):
        ours, theirs = models(shape, seed)
        if shape["positions"] == "sinusoidal":
            count_from_zero(theirs)
        batch = translation_batch(seed=seed)
        sample = {"net_input": {k: v for k, v in net_input(batch).items() if k != "prev_output_tokens"}}
        dictionary = theirs.decoder.dictionary
        options = {"beam_size": beam, "max_len_b": 12, "len_penalty": 1.2}
        expected = SequenceGenerator([theirs], dictionary, **options).generate([theirs], sample)
        wrapped = for_generation([ours])
        found = SequenceGenerator(wrapped, dictionary, **options).generate(wrapped, sample)
        alone = beam_search(ours, batch.source, None, [12] * len(batch), beam, 1.2)
        for theirs_h, ours_h, alone_h in zip(expected, found, alone):
            tokens = [h["tokens"].tolist() for h in theirs_h]
            assert tokens == [h["tokens"].tolist() for h in ours_h] == [h.tokens for h in alone_h]
            scores = pytest.approx([h["score"].item() for h in theirs_h], abs=1e-5)
            assert [h["score"].item() for h in ours_h] == scores
            assert [h.score for h in alone_h] == scores
            for a, b in zip(theirs_h, ours_h):
                torch.testing.assert_close(a["positional_scores"], b["positional_scores"], rtol=0, atol=1e-5)
            lengths |= {len(t) for t in tokens}
    assert len(lengths) > 2  # the searches end at different lengths
