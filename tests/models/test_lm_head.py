"""The head of masked language modelling: tied, biased by unigram frequencies, its weights named as in checkpoints."""

import pytest
import torch

from fairseq_xalign.errors import UserError
from fairseq_xalign.models.encoder import Encoder, EncoderConfig


def encoder(**changes) -> Encoder:
    shape = {"vocab_size": 6, "layers": 1, "heads": 1, "width": 4, "ffn_width": 4, "max_positions": 8}
    return Encoder(EncoderConfig.from_dict({**shape, **changes}))


def test_scores_are_products_with_the_token_embeddings_plus_a_bias():
    model = encoder(lm_head_transform=False)
    features = torch.tensor([[1.0, 0.0, 2.0, 0.0]])
    with torch.no_grad():
        model.lm_bias.copy_(torch.arange(6.0))
    weight = model.embed_tokens.weight
    assert torch.allclose(model.lm_logits(features)[0], weight[:, 0] + 2 * weight[:, 2] + torch.arange(6.0))


def test_the_bias_starts_at_log_unigram_frequencies_smoothed_by_one():
    model = encoder()
    model.initialize_output_bias(torch.tensor([0, 0, 0, 1, 2, 7]))
    assert torch.allclose(model.lm_bias.exp() * 16, torch.tensor([1.0, 1, 1, 2, 3, 8]))
    with pytest.raises(UserError, match="5 counts for a vocabulary of 6"):
        model.initialize_output_bias(torch.ones(5))


def test_its_weights_keep_the_names_that_they_have_in_checkpoints():
    names = {name for name in encoder().state_dict() if name.startswith("lm_")}
    assert names == {"lm_bias", "lm_dense.weight", "lm_dense.bias", "lm_norm.weight", "lm_norm.bias"}
    assert {name for name in encoder(lm_head_transform=False).state_dict() if name.startswith("lm_")} == {"lm_bias"}
