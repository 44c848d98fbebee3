"""What is changed of weights on their way out, worked out by hand; test_to_hf.py compares whole models."""

from __future__ import annotations

import math

import pytest
import torch

from fairseq_xalign.convert.hf.departure import extra_weights, leaving, settings
from fairseq_xalign.models.config import EncoderConfig
from fairseq_xalign.models.encoder import Encoder
from tests.support.leaving import randomized

SHAPE = {"vocab_size": 11, "layers": 1, "heads": 2, "width": 4, "ffn_width": 6, "max_positions": 5}


def made(**changes) -> tuple[EncoderConfig, dict[str, torch.Tensor]]:
    config = EncoderConfig.from_dict({**SHAPE, **changes})
    return config, randomized(Encoder(config))


def test_the_usual_shape_leaves_as_it_is():
    config, weights = made()
    found = leaving(config, weights, head=True)
    assert found.layout.name == "xlm-roberta" and found.encoder == config and found.head and not found.notes
    assert found.weights.keys() == weights.keys() and all(found.weights[k] is weights[k] for k in weights)


def test_without_its_head_no_weight_of_it_leaves():
    config, weights = made()
    found = leaving(config, weights, head=False)
    assert {k for k in weights if k not in found.weights} == {k for k in weights if k.startswith("lm_")} != set()


@pytest.mark.parametrize("segments", [0, 2])
def test_a_languages_embedding_is_added_to_that_of_every_segment(segments):
    config, weights = made(n_languages=2, n_segments=segments)
    before = {name: value.clone() for name, value in weights.items()}
    found = leaving(config, weights, head=True, language="de", languages=["en", "de"])
    row = weights["embed_languages.weight"][2]  # row 0 is no language
    expected = weights["embed_segments.weight"] + row if segments else row[None]
    torch.testing.assert_close(found.weights["embed_segments.weight"], expected, rtol=0, atol=0)
    assert "embed_languages.weight" not in found.weights
    assert (found.encoder.n_languages, found.encoder.n_segments) == (0, max(segments, 1))
    assert all(torch.equal(weights[name], before[name]) for name in before), "the checkpoint's stay as they were"
    (note,) = found.notes
    assert "That of de is added" in note


def test_no_languages_embedding_is_added_where_none_is_asked_for():
    config, weights = made(n_languages=2)
    found = leaving(config, weights, head=True, language="none", languages=["en", "de"])
    assert not {"embed_languages.weight", "embed_segments.weight"} & {*found.weights}


def test_a_factor_on_embeddings_goes_into_their_table_and_out_of_the_output():
    """Width 4: embedding_scale 0 means sqrt(4) = 2."""
    config, weights = made(embedding_scale=0.0)
    found = leaving(config, weights, head=True)
    assert torch.equal(found.weights["embed_tokens.weight"], 2 * weights["embed_tokens.weight"])
    for name in ("lm_norm.weight", "lm_norm.bias"):
        assert torch.equal(found.weights[name], weights[name] / 2)
    assert found.encoder.embedding_scale == 1.0 and "multiplied by 2 when" in found.notes[0]


def test_sinusoids_leave_as_a_table():
    """Position p, width 4: angles p and p / 10000 in this project's order, sines ahead of cosines."""
    config, weights = made(positions="sinusoidal")
    found = leaving(config, weights, head=True)
    table = found.weights["embed_positions.weight"]
    assert table.shape == (5, 4) and found.encoder.positions == "learned" and "a table of 5" in found.notes[0]
    for p in range(5):
        angles = (p, p / 10_000)
        expected = [*map(math.sin, angles), *map(math.cos, angles)]
        assert table[p].tolist() == pytest.approx(expected, abs=1e-6)


def test_a_missing_bias_of_the_output_leaves_as_zeros():
    config, weights = made(lm_head_bias=False)
    found = leaving(config, weights, head=True)
    assert found.weights["lm_bias"].tolist() == [0.0] * 11 and found.encoder.lm_head_bias


def test_the_angles_of_roformer_are_sines_and_then_cosines():
    """Heads of width 2 have the one angle p."""
    config, weights = made(positions="rotary")
    found = leaving(config, weights, head=True)
    (table,) = extra_weights(found).values()
    assert found.layout.name == "roformer"
    for p in range(5):
        assert table[p].tolist() == pytest.approx([math.sin(p), math.cos(p)], abs=1e-6)
    assert extra_weights(leaving(*made(), head=True)) == {}


def test_the_settings_name_our_symbols_unless_the_model_came_with_its_own():
    found = leaving(*made(), head=True)
    ours = settings(found, 11, None)
    assert [ours[f"{name}_token_id"] for name in ("bos", "pad", "eos")] == [0, 1, 2] and ours["vocab_size"] == 11
