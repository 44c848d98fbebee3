"""What is read from a folder of transformers computes what transformers computes, and goes back as it came."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file

from fairseq_xalign.objectives.batch import pack
from tests.support.foreign_models import (
    TOLERANCE,
    Opened,
    batches,
    real_encoder,
    write_bert,
    write_xlmr,
)

KINDS = {
    "mBERT": lambda folder: write_bert(folder),
    "BERT without a head": lambda folder: write_bert(folder, transformers.BertModel),
    "BERT with an MLM head": lambda folder: write_bert(folder, transformers.BertForMaskedLM),
    "BERT with XLM-R's tokenizer": lambda folder: write_bert(folder, transformers.BertModel, "xlmr", more=3),
    "XLM-R": lambda folder: write_xlmr(folder),
    "XLM-R without a head": lambda folder: write_xlmr(folder, transformers.XLMRobertaModel),
}
TIED = {"lm_head.decoder.weight": "roberta.embeddings.word_embeddings.weight", "lm_head.decoder.bias": "lm_head.bias"}
"""Other names under which transformers may list weights that are shared."""
CLASSES = {
    "BertForPreTraining": transformers.BertForPreTraining,
    "BertForMaskedLM": transformers.BertForMaskedLM,
    "BertModel": transformers.BertModel,
    "XLMRobertaForMaskedLM": transformers.XLMRobertaForMaskedLM,
    "XLMRobertaModel": transformers.XLMRobertaModel,
}


@pytest.fixture(scope="module", params=KINDS)
def pair(request, tmp_path_factory):
    """A folder, opened by us and by transformers."""
    folder = KINDS[request.param](tmp_path_factory.mktemp("model") / "theirs")
    ours = Opened(folder)
    cls = CLASSES[ours.task["foreign"]["config"]["architectures"][0]]
    theirs, info = cls.from_pretrained(folder, output_loading_info=True, attn_implementation="eager")
    assert not info["missing_keys"]
    return folder, ours, theirs.eval()


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("two", [False, True], ids=["one segment", "two segments"])
@torch.no_grad()
def test_hidden_states_of_every_layer_agree_on_a_padded_batch(pair, two):
    _, ours, theirs = pair
    if two and ours.config.n_segments < 2:
        pytest.skip("XLM-R has one segment")
    packed, padded = batches(ours, ours.sequences(), two)
    real = padded["attention_mask"].bool()
    hidden = theirs(**padded, output_hidden_states=True).hidden_states
    assert len(hidden) == ours.config.layers + 1
    for layer, expected in enumerate(hidden):
        close(ours.encoder(packed, layer), expected[real])


@pytest.mark.parametrize("two", [False, True], ids=["one segment", "two segments"])
def test_logits_losses_and_gradients_of_the_mlm_head_agree(pair, two):
    _, ours, theirs = pair
    if ours.task["foreign"]["fresh"] or (two and ours.config.n_segments < 2):
        pytest.skip("no head, or one segment")
    packed, padded = batches(ours, ours.sequences(2), two)
    real = padded["attention_mask"].bool()
    ours.encoder.zero_grad()
    theirs.zero_grad()
    output = theirs(**padded)
    expected = (output.prediction_logits if "prediction_logits" in output else output.logits)[real]
    places = torch.tensor([1, 4, 12, 20])
    logits = ours.encoder.lm_logits(ours.encoder(packed))
    close(logits, expected[:, torch.tensor(ours.rows)])
    targets = packed.tokens[places]
    loss = F.cross_entropy(logits[places], targets)
    their_loss = F.cross_entropy(expected[places], torch.tensor(ours.rows)[targets])
    close(loss, their_loss)
    loss.backward()
    their_loss.backward()
    found = ours.gradients()
    for name, parameter in theirs.named_parameters():
        if parameter.grad is not None:
            close(found.pop(TIED.get(name, name)), parameter.grad)
    assert all(not value.any() for value in found.values())  # what theirs does not train: the pooler, and unused rows


def test_what_was_read_goes_back_bit_for_bit(pair):
    folder, ours, _ = pair
    stored = load_file(folder / "model.safetensors")
    prefixed = any(name.startswith(ours.layout.prefix) for name in stored)
    back = ours.theirs(prefixed)
    assert back.keys() == stored.keys()
    assert all(torch.equal(back[name], value) for name, value in stored.items())
    config = ours.task["foreign"]["config"]
    assert ours.layout.config(ours.config, config["vocab_size"], True, config) == config


def test_what_our_encoder_has_no_place_for_is_kept(pair):
    _, ours, _ = pair
    kinds = {name.rpartition(".")[0] for name in ours.kept}
    if ours.layout.name == "xlm-roberta":
        assert kinds - {"pooler.dense"} == {"embeddings.position_embeddings"}  # two rows that no token gets
    else:
        assert kinds <= {"pooler.dense", "cls.seq_relationship", "embeddings.word_embeddings"}


@pytest.mark.parametrize("name", ["minilm", "e5"])
@torch.no_grad()
def test_real_weights_give_the_hidden_states_of_transformers(name):
    folder = real_encoder(name)
    ours = Opened(folder)
    theirs = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts = ["The cat sat on the mat.", "Ein Hund", "नमस्ते दुनिया, यह एक लंबा वाक्य है।", "東京は大きい都市です"]
    padded = tokenizer(texts, return_tensors="pt", padding=True)
    sequences = [[0, *ours.tokenizer.encode(text), 2] for text in texts]
    real = padded["attention_mask"].bool()
    packed = pack(sequences)
    assert ours.tokenizer.to_foreign(packed.tokens.tolist()) == padded["input_ids"][real].tolist()
    hidden = theirs(**padded, output_hidden_states=True).hidden_states
    for layer, expected in enumerate(hidden):
        close(ours.encoder(packed, layer), expected[real])
