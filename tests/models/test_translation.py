"""The translation model: paths agree, nothing is seen that must not be, weights are shared as said."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from fairseq_xalign.constants import EOS
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.attention import plan as plan_module
from fairseq_xalign.models.config import DecoderConfig, EncoderConfig
from fairseq_xalign.models.decoder import Memory
from fairseq_xalign.models.encoder import Encoder
from fairseq_xalign.models.presets import TRANSLATION, preset, translation_preset
from fairseq_xalign.models.translation import TranslationModel, count_parameters, size_line
from fairseq_xalign.objectives.batch import pack
from fairseq_xalign.objectives.translation import TranslationBatch, translation_loss
from tests.support.translation import V, small_configs, small_model, translation_batch

POSITIONS = ["learned", "rotary", "sinusoidal"]


@pytest.fixture(autouse=True)
def several_buckets(monkeypatch):
    monkeypatch.setattr(plan_module, "BUCKET_PADDING", 5)


def values_and_gradients(model: TranslationModel, batch: TranslationBatch, attention: str):
    model.encoder.attention = model.decoder.attention = attention
    model.zero_grad()
    features = model(batch)
    loss, _ = translation_loss(model.logits(features), batch.target.targets, 0.1)
    loss.sum().backward()
    return {"features": features.detach(), **{n: p.grad.clone() for n, p in model.named_parameters()}}


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("normalize_before", [False, True])
@pytest.mark.parametrize("positions", POSITIONS)
def test_fused_attention_equals_plain_in_values_and_gradients(positions, normalize_before, apart):
    model = small_model(positions=positions, normalize_before=normalize_before, seed=1)
    batch = translation_batch(apart=apart)
    fused, plain = (values_and_gradients(model, batch, kind) for kind in ("auto", "plain"))
    assert fused.keys() == plain.keys()  # every parameter has a gradient
    for name, value in fused.items():
        torch.testing.assert_close(value, plain[name], rtol=0, atol=1e-10 * max(1.0, plain[name].abs().max().item()))


@pytest.mark.parametrize("positions", POSITIONS)
def test_a_sentence_has_the_same_features_alone_and_in_any_batch(positions):
    model, batch = small_model(positions=positions).eval(), translation_batch()
    whole = model(batch)
    for i, (first, last) in enumerate(zip(batch.target.starts.tolist(), batch.target.starts[1:].tolist())):
        source = pack([batch.source.tokens[batch.source.starts[i] : batch.source.starts[i + 1]]])
        alone = TranslationBatch(source, pack([batch.target.tokens[first:last]]), None, batch.direction[i : i + 1])
        torch.testing.assert_close(whole[first:last], model(alone), rtol=0, atol=1e-10)


@pytest.mark.parametrize("attention", ["auto", "plain"])
def test_a_position_knows_nothing_of_later_target_tokens(attention):
    model, batch = small_model(attention=attention).eval(), translation_batch()
    before = model(batch)
    changed = batch.target.tokens.clone()
    last = batch.target.starts[1:].long() - 1
    changed[last] = (changed[last] + 1) % V
    after = model(replace(batch, target=replace(batch.target, tokens=changed)))
    unequal = (before != after).any(1).nonzero().flatten()
    assert unequal.tolist() == last.tolist()


@pytest.mark.parametrize("tying", ["all", "decoder", "none"])
@pytest.mark.parametrize("positions", POSITIONS)
def test_one_token_at_a_time_gives_the_features_of_the_whole(positions, tying):
    model = small_model(tying, positions=positions, normalize_before=True).eval()
    batch = translation_batch(targets=[6] * 8)
    whole = model(batch).unflatten(0, (8, 7))
    cache = model.decoder.begin(model.encode(batch.source))
    for step, tokens in enumerate(batch.target.tokens.unflatten(0, (8, 7)).unbind(1)):
        torch.testing.assert_close(model.decoder.step(tokens, cache), whole[:, step], rtol=0, atol=1e-10)


@pytest.mark.parametrize("positions", POSITIONS)
def test_mixed_precision_stays_near_single_precision(positions):
    model, batch = small_model(positions=positions).float(), translation_batch(targets=[6] * 8)
    exact = values_and_gradients(model, batch, "auto")
    with torch.autocast("cpu", torch.bfloat16):
        rounded = values_and_gradients(model, batch, "auto")
        with torch.no_grad():
            cache = model.decoder.begin(model.encode(batch.source))
            steps = [model.decoder.step(t, cache) for t in batch.target.tokens.unflatten(0, (8, 7)).unbind(1)]
    for name in ("features", "decoder.layers.0.qkv.weight", "decoder.layers.1.memory_kv.weight"):
        assert 0 < (rounded[name].float() - exact[name]).norm() < 0.05 * exact[name].norm()
    assert (torch.stack(steps, 1).flatten(0, 1).float() - exact["features"]).norm() < 0.05 * exact["features"].norm()


def test_rows_of_a_beam_go_on_in_another_order_and_without_sentences_that_are_done(monkeypatch):
    monkeypatch.setattr("fairseq_xalign.models.cache.FIRST_SLOTS", 2)
    model = small_model(positions="rotary").eval()
    batch = translation_batch(sources=[3, 5, 2], targets=[1, 1, 1])
    cache = model.decoder.begin(model.encode(batch.source))
    prefixes = torch.tensor([[EOS, 9, 8], [EOS, 7, 7], [EOS, 11, 12], [EOS, 30, 8], [EOS, 9, 9], [EOS, 8, 9]])
    for tokens in prefixes.unbind(1):
        model.decoder.step(tokens, cache)
    rows = torch.tensor([1, 1, 5, 4])  # two of the first sentence, two of the last; the second is done
    cache.reorder(rows, torch.tensor([0, 2]))
    found = model.decoder.step(torch.tensor([20, 21, 22, 23]), cache)
    source = [batch.source.tokens[batch.source.starts[i] : batch.source.starts[i + 1]] for i in (0, 0, 2, 2)]
    target = torch.cat((prefixes[rows], torch.tensor([[20], [21], [22], [23]])), 1)
    whole = model(TranslationBatch(pack(source), pack(list(target)), None, torch.zeros(4)))
    torch.testing.assert_close(found, whole.unflatten(0, (4, 4))[:, -1], rtol=0, atol=1e-10)


def test_a_tag_apart_is_attended_to_together_with_the_source():
    """MMTE, Table 11, sentence by sentence: softmax over the encoded tag and the encoded source at once."""
    model = small_model(layers=1, normalize_before=False, embedding_layernorm=False, positions="sinusoidal").eval()
    batch = translation_batch(apart=True)
    found = model(batch)
    block = model.decoder.layers[0]
    for i in range(len(batch)):
        tokens = batch.target.tokens[batch.target.starts[i] : batch.target.starts[i + 1]]
        tag = model.encoder(pack([batch.tags.tokens[i : i + 1]]))
        source = model.encoder(pack([batch.source.tokens[batch.source.starts[i] : batch.source.starts[i + 1]]]))
        memory = torch.cat((tag, source))  # [1 + S, D]
        target = pack([tokens])
        x = model.decoder._finish(
            model.decoder._place(target.tokens, target.positions, len(tokens), model.decoder.embedding)
        )
        n = len(tokens)
        q, k, v = block.qkv(x).view(n, 3, 4, 4).permute(1, 2, 0, 3)  # [H, n, D / H]
        scores = (q @ k.transpose(1, 2) / 2).masked_fill(torch.ones(n, n).triu(1).bool(), float("-inf"))
        own = block.attention_out((scores.softmax(-1) @ v).transpose(0, 1).flatten(1))
        x = block.attention_norm(x + own)
        q = block.memory_q(x).view(n, 4, 4).transpose(0, 1)
        k, v = block.memory_kv(memory).view(-1, 2, 4, 4).permute(1, 2, 0, 3)
        joint = (q @ k.transpose(1, 2) / 2).softmax(-1) @ v
        x = block.memory_norm(x + block.memory_out(joint.transpose(0, 1).flatten(1)))
        x = block.ffn_norm(x + block.ffn_out(F.gelu(block.ffn_in(x))))
        torch.testing.assert_close(found[batch.target.starts[i] : batch.target.starts[i + 1]], x, rtol=0, atol=1e-10)


def test_joined_memories_keep_the_tokens_of_each_sentence_together():
    tags = Memory(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([0, 1, 2, 3], dtype=torch.int32), 1)
    sources = Memory(torch.arange(10.0, 16.0)[:, None], torch.tensor([0, 2, 3, 6], dtype=torch.int32), 3)
    joined = tags.followed_by(sources)
    assert joined.features.flatten().tolist() == [1, 10, 11, 2, 12, 3, 13, 14, 15]
    assert joined.starts.tolist() == [0, 3, 5, 9] and joined.starts.dtype == torch.int32 and joined.longest == 4


@pytest.mark.parametrize(("tying", "matrices"), [("all", 1), ("decoder", 2), ("none", 3)])
def test_tying_decides_how_many_matrices_of_the_vocabulary_there_are(tying, matrices):
    model = small_model(tying)
    names = [name for name, p in model.named_parameters() if p.shape == (V, 16)]
    assert len(names) == matrices and model.state_dict().keys() == dict(model.named_parameters()).keys()
    own = model.decoder.output.weight if tying == "none" else model.decoder.embedding.weight
    features = torch.randn(3, 16).double()
    assert torch.equal(model.logits(features), features @ own.T)
    assert (model.decoder.embedding is model.encoder.embed_tokens) == (tying == "all")
    half = small_model(tying).half()
    assert half.decoder.embedding.weight.dtype == torch.float16


def test_embeddings_and_outputs_have_the_scale_of_vaswani():
    encoder, decoder = translation_preset("mmte_base", 2000, dropout=0.0)
    torch.manual_seed(0)
    model = TranslationModel(encoder, replace(decoder, layers=1))
    batch = translation_batch([20] * 4, [20] * 4)
    assert 0.9 < model.encoder(batch.source, layer=0).std() < 1.4  # unit embeddings and sinusoids
    logits = model.logits(model(batch))
    assert 0.7 < logits.std() < 1.3
    block = model.decoder.layers[0]
    bound = (6 / (2 * 512)) ** 0.5
    assert 0.98 < block.qkv.weight.abs().max() / (bound * 0.5**0.5) <= 1
    assert 0.98 < block.memory_kv.weight.abs().max() / (bound * 0.5**0.5) <= 1
    assert 0.98 < block.memory_out.weight.abs().max() / bound <= 1
    assert not block.qkv.bias.any()


def test_dropout_and_attention_dropout_reach_the_decoder_in_training_only():
    batch = translation_batch()
    for changes in ({"dropout": 0.3}, {"attention_dropout": 0.3}, {"activation_dropout": 0.3}):
        model = small_model(**changes)
        memory = Memory(torch.randn(len(batch.source.tokens), 16).double(), batch.source.starts, batch.source.longest)
        assert not torch.equal(model.decoder(batch.target, memory), model.decoder(batch.target, memory))
        model.eval()
        assert torch.equal(model.decoder(batch.target, memory), model.decoder(batch.target, memory))


def test_the_presets_have_the_papers_sizes():
    """MMTE, section 2.1: 375M parameters and about 190M in the encoder, with 64k symbols.

    The encoder fits width 1024. One matrix for everything gives 343M, three of them 474M; 375M is what three matrices
    of 32k symbols give, the vocabulary of the Transformer Big that the paper starts from.
    """
    encoder, decoder = translation_preset("mmte_big", 64000)
    assert (encoder.layers, encoder.heads, encoder.width, encoder.ffn_width) == (6, 16, 1024, 8192)
    whole, part = count_parameters(encoder, decoder)
    assert round(part / 1e6) == 191 and round(whole / 1e6, 1) == 342.6
    assert round(count_parameters(encoder, replace(decoder, tying="none"))[0] / 1e6, 1) == 473.7
    smaller = translation_preset("mmte_big", 32000, tying="none")
    assert round(count_parameters(*smaller)[0] / 1e6) == 375
    line = size_line("mmte_big", encoder, decoder)
    assert "342.6M" in line and "191.5M" in line and "473.7M" in line and "375M" in line


def test_every_preset_is_valid_and_has_an_encoder_for_fine_tuning():
    for name in TRANSLATION:
        encoder, _ = translation_preset(name, 100)
        assert preset(f"{name}_encoder", 100) == encoder
        with torch.device("meta"):
            assert not [n for n, _ in Encoder(encoder).named_parameters() if n.startswith("lm_")]
    with pytest.raises(UserError, match="Did you mean 'mmte_tiny'"):
        translation_preset("mmte_tiny2", 100)


def test_the_head_without_weights_scores_by_the_embeddings():
    encoder, _ = translation_preset("mmte_tiny", V)
    model = Encoder(encoder)
    features = torch.randn(3, 128)
    assert torch.equal(model.lm_logits(features), features @ model.embed_tokens.weight.T)
    with pytest.raises(UserError, match="has no bias"):
        model.initialize_output_bias(torch.ones(V))


@pytest.mark.parametrize(
    ("encoder", "decoder", "words"),
    [
        ({}, {"vocab_size": V + 1}, ["40 symbols", "41"]),
        ({"width": 32}, {}, ["width 32", "width 16", "--no-share-all-embeddings"]),
    ],
)
def test_what_cannot_go_together_is_refused(encoder, decoder, words):
    one, other = small_configs()
    with pytest.raises(UserError) as error:
        TranslationModel(replace(one, **encoder), replace(other, **decoder))
    assert all(word in str(error.value) for word in words)


def test_widths_may_differ_without_sharing():
    one, other = small_configs("decoder")
    model = TranslationModel(replace(one, width=32), other).double()
    assert model(translation_batch()).shape[1] == 16


def test_decoder_fields_are_called_by_their_name():
    with pytest.raises(UserError, match="unknown value of decoder field tying: 'both'"):
        DecoderConfig.from_dict({"vocab_size": 9, "tying": "both"})
    with pytest.raises(UserError, match="unknown encoder field 'tying'"):
        EncoderConfig.from_dict({"vocab_size": 9, "tying": "all"})
