"""Logits, MLM loss and gradients equal those of transformers' RoBERTa and BERT with the same weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fairseq_xalign.models.encoder import Encoder, EncoderConfig
from fairseq_xalign.objectives.batch import PackedBatch
from tests.models.test_encoder import V, ragged_batch

transformers = pytest.importorskip("transformers")

SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "initializer_range": 0.2}
OFFSET = 2  # RoBERTa's positions begin at padding_idx + 1


def roberta():
    config = transformers.RobertaConfig(
        vocab_size=V,
        max_position_embeddings=16 + OFFSET,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        pad_token_id=1,
        **SHAPE,
        **NO_DROPOUT,
    )
    return transformers.RobertaForMaskedLM(config)


def bert():
    config = transformers.BertConfig(
        vocab_size=V,
        max_position_embeddings=16,
        type_vocab_size=2,
        layer_norm_eps=1e-12,
        pad_token_id=1,
        **SHAPE,
        **NO_DROPOUT,
    )
    return transformers.BertForMaskedLM(config)


def pairs(ours: Encoder, theirs: nn.Module, kind: str):
    """(our parameter, their parameters to be stacked) with equal gradients, and the module tree they come from."""
    if kind == "roberta":
        body, dense, norm = theirs.roberta, theirs.lm_head.dense, theirs.lm_head.layer_norm
        bias = theirs.lm_head.bias
    else:
        body, transform = theirs.bert, theirs.cls.predictions.transform
        dense, norm, bias = transform.dense, transform.LayerNorm, theirs.cls.predictions.bias
    embeddings = body.embeddings
    found = [
        (ours.embed_tokens.weight, [embeddings.word_embeddings.weight]),
        (ours.lm_bias, [bias]),
    ]
    modules = [(ours.embed_norm, [embeddings.LayerNorm]), (ours.lm_dense, [dense]), (ours.lm_norm, [norm])]
    for mine, layer in zip(ours.layers, body.encoder.layer):
        own = layer.attention.self
        modules += [
            (mine.qkv, [own.query, own.key, own.value]),
            (mine.attention_out, [layer.attention.output.dense]),
            (mine.attention_norm, [layer.attention.output.LayerNorm]),
            (mine.ffn_in, [layer.intermediate.dense]),
            (mine.ffn_out, [layer.output.dense]),
            (mine.ffn_norm, [layer.output.LayerNorm]),
        ]
    for mine, others in modules:
        found += [(mine.weight, [o.weight for o in others]), (mine.bias, [o.bias for o in others])]
    return found, embeddings


@torch.no_grad()
def copy_weights(ours: Encoder, theirs: nn.Module, kind: str) -> None:
    for parameter in theirs.parameters():  # biases and layer norms that are not 0 and 1
        parameter.add_(0.1 * torch.randn_like(parameter))
    found, embeddings = pairs(ours, theirs, kind)
    for mine, others in found:
        mine.copy_(torch.cat(others))
    offset = OFFSET if kind == "roberta" else 0
    ours.embed_positions.weight.copy_(embeddings.position_embeddings.weight[offset:])
    if kind == "roberta":  # its only segment is added to every position
        ours.embed_positions.weight.add_(embeddings.token_type_embeddings.weight)
    else:
        ours.embed_segments.weight.copy_(embeddings.token_type_embeddings.weight)


def padded(batch: PackedBatch, values: torch.Tensor, fill: int) -> torch.Tensor:
    rows = values.split(batch.lengths.tolist())
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=fill)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 2e-4)])
@pytest.mark.parametrize("kind", ["roberta", "bert"])
def test_logits_loss_and_gradients_equal_transformers(kind, dtype, tolerance):
    torch.manual_seed(0)
    theirs = (roberta() if kind == "roberta" else bert()).to(dtype).eval()
    shape = {"layers": 2, "heads": 4, "width": 16, "ffn_width": 24, "max_positions": 16}
    bert_only = {"n_segments": 2, "layernorm_eps": 1e-12} if kind == "bert" else {}
    ours = Encoder(EncoderConfig(vocab_size=V, **shape, **bert_only)).to(dtype).eval()
    copy_weights(ours, theirs, kind)

    batch = ragged_batch(segments=2 if kind == "bert" else 0)
    labels = torch.full_like(batch.tokens, -100)
    labels[batch.masked] = batch.targets
    inputs = {"input_ids": padded(batch, batch.tokens, 1), "labels": padded(batch, labels, -100)}
    inputs["attention_mask"] = padded(batch, torch.ones_like(batch.tokens), 0)
    if kind == "bert":
        inputs["token_type_ids"] = padded(batch, batch.segments, 0)
    expected = theirs(**inputs)
    expected.loss.backward()

    features = ours(batch)
    logits = ours.lm_logits(features)
    loss = F.cross_entropy(logits[batch.masked], batch.targets)
    loss.backward()

    real = inputs["attention_mask"].bool()
    torch.testing.assert_close(logits, expected.logits[real], rtol=0, atol=tolerance)
    torch.testing.assert_close(loss, expected.loss, rtol=0, atol=tolerance)
    found, embeddings = pairs(ours, theirs, kind)
    for mine, others in found:
        torch.testing.assert_close(mine.grad, torch.cat([o.grad for o in others]), rtol=0, atol=tolerance)
    offset = OFFSET if kind == "roberta" else 0
    gradient = embeddings.position_embeddings.weight.grad[offset:]
    torch.testing.assert_close(ours.embed_positions.weight.grad, gradient, rtol=0, atol=tolerance)
