"""`load_encoder` opens a folder of transformers directly, and computes what that library computes."""

import numpy as np
import pytest
import torch

import fairseq_xalign
from tests.support.small_tokenizers import model_file

transformers = pytest.importorskip("transformers")
TEXTS = ["The old house stands on the hill.", "No", "A walk in the garden behind it", ""]
TOLERANCE = 1e-5


def small_bert(folder):
    """Save a BERT of two layers with random weights, and a WordPiece vocabulary."""
    tokenizer = transformers.BertTokenizer(str(model_file("wordpiece")), do_lower_case=True)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    config = transformers.BertConfig(vocab_size=len(tokenizer), initializer_range=0.2, **shape)
    torch.manual_seed(1)
    transformers.BertForMaskedLM(config).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    small_bert(folder)
    return folder


@pytest.fixture(scope="module")
def theirs(folder):
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    return model, transformers.AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_pieces_have_the_vectors_of_transformers(folder, theirs, layer):
    model, tokenizer = theirs
    encoder = fairseq_xalign.load_encoder(folder)
    with torch.no_grad():
        batch = tokenizer(TEXTS, return_tensors="pt", padding=True)
        hidden = model(**batch, output_hidden_states=True).hidden_states[layer]
    for i, found in enumerate(encoder.token_features(TEXTS, layer=layer, special_tokens=True)):
        expected = hidden[i, : int(batch["attention_mask"][i].sum())].numpy()
        assert found.vectors.shape == expected.shape
        assert np.abs(found.vectors - expected).max() < TOLERANCE
    mask = batch["attention_mask"][..., None]
    pooled = ((hidden * mask).sum(1) / mask.sum(1)).numpy()
    assert np.abs(encoder.encode(TEXTS, layer=layer, pooling="mean_all") - pooled).max() < TOLERANCE


def test_hidden_pieces_have_the_probabilities_of_transformers(folder, theirs):
    model, tokenizer = theirs
    with torch.no_grad():
        ids = tokenizer("the [MASK] on the hill", return_tensors="pt")
        logits = model(**ids).logits[0, ids["input_ids"][0] == tokenizer.mask_token_id]
    best = logits[0].softmax(-1).topk(5)
    (found,) = fairseq_xalign.load_encoder(folder).fill_mask("the [MASK] on the hill", mask="[MASK]")
    assert [one.probability for one in found] == pytest.approx(best.values.tolist(), abs=TOLERANCE)
    symbols = {"[PAD]": "<pad>", "[UNK]": "<unk>", "[CLS]": "<s>", "[SEP]": "</s>", "[MASK]": "<mask>"}
    names = tokenizer.convert_ids_to_tokens(best.indices.tolist())
    assert [one.piece for one in found] == [symbols.get(name, name) for name in names]
