"""Heads as classes of transformers compute them, with layers of torch in place of these; refusals are in test_to_hf.py
as far as a checkpoint leads to them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fairseq_xalign.convert.hf.heads_out import architecture, head_weights, labels
from fairseq_xalign.convert.hf.layouts import LAYOUTS
from fairseq_xalign.errors import UserError

WIDTH, LABELS = 8, 3
TEXTS = {"task": "classification", "head": "linear", "pooling": "cls", "labels": ["a", "b", "c"]}


def random(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


FEATURES = random(50, WIDTH, seed=3) * 3
LINEAR = {"out.weight": random(LABELS, WIDTH), "out.bias": random(LABELS, seed=2)}
ACTIVATIONS = {"tanh": torch.tanh, "gelu": F.gelu, "relu": F.relu}


@pytest.mark.parametrize(
    ("layout", "activation", "theirs", "dense", "out"),
    [
        ("bert", "gelu", "tanh", "pooler.dense", "classifier"),
        ("xlm-roberta", "gelu", "tanh", "classifier.dense", "classifier.out_proj"),
        ("roformer", "gelu", "gelu", "classifier.dense", "classifier.out_proj"),
        ("roformer", "relu", "relu", "classifier.dense", "classifier.out_proj"),
    ],
)
def test_a_linear_head_has_the_same_scores_behind_their_layer_and_activation(layout, activation, theirs, dense, out):
    weights, (note,) = head_weights(LAYOUTS[layout], activation, TEXTS, LINEAR)
    assert weights[f"{dense}.weight"].shape == (WIDTH, WIDTH) and weights[f"{out}.weight"].shape == (LABELS, WIDTH)
    hidden = ACTIVATIONS[theirs](F.linear(FEATURES, weights[f"{dense}.weight"], weights[f"{dense}.bias"]))
    scores = F.linear(hidden, weights[f"{out}.weight"], weights[f"{out}.bias"])
    expected = F.linear(FEATURES, LINEAR["out.weight"], LINEAR["out.bias"])
    torch.testing.assert_close(scores, expected, rtol=1e-5, atol=2e-5)
    assert "written so that they change nothing" in note


def test_a_narrow_tanh_layer_is_filled_up_with_zeros():
    ours = {"dense.weight": random(5, WIDTH), "dense.bias": random(5, seed=2),
            "out.weight": random(LABELS, 5, seed=4), "out.bias": random(LABELS, seed=5)}  # fmt: skip
    weights, notes = head_weights(LAYOUTS["bert"], "gelu", TEXTS, ours)
    hidden = torch.tanh(F.linear(FEATURES, weights["pooler.dense.weight"], weights["pooler.dense.bias"]))
    scores = F.linear(hidden, weights["classifier.weight"], weights["classifier.bias"])
    own = torch.tanh(F.linear(FEATURES, ours["dense.weight"], ours["dense.bias"]))
    torch.testing.assert_close(scores, F.linear(own, ours["out.weight"], ours["out.bias"]))
    assert notes == [] and weights["classifier.weight"][:, 5:].abs().sum() == 0


@pytest.mark.parametrize(("kind", "name"), [("tagging", "classifier"), ("qa", "qa_outputs")])
def test_tags_and_spans_are_one_layer_there_as_here(kind, name):
    task = {"task": kind, "max_length": 384, "stride": 128}
    weights, (note,) = head_weights(LAYOUTS["bert"], "gelu", task, LINEAR)
    assert weights == {f"{name}.weight": LINEAR["out.weight"], f"{name}.bias": LINEAR["out.bias"]}
    assert ("384 subwords, 128 apart" if kind == "qa" else "first piece") in note


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"task": "parsing"}, "heads for parsing have no way out yet"),
        ({"task": "tagging", "crf": True}, "the head of this model is a CRF"),
        ({"task": "tagging", "head": "mmte"}, "the head of this model is mmte"),
        ({**TEXTS, "pooling": "max"}, "this classifier pools by max.*or fine-tune with --pooling cls"),
    ],
)
def test_heads_without_an_equal_are_refused_with_the_ways_that_are_left(task, said):
    with pytest.raises(UserError, match=said) as caught:
        head_weights(LAYOUTS["bert"], "gelu", task, LINEAR)
    assert "--without-head" in str(caught.value) and "fairseq_xalign.load_classifier" in str(caught.value)


def test_names_are_those_of_transformers():
    assert architecture(LAYOUTS["xlm-roberta"], "pairs") == "XLMRobertaForSequenceClassification"
    assert architecture(LAYOUTS["bert"], "qa") == "BertForQuestionAnswering"
    assert labels({"task": "qa", "labels": ["answer"]}) == ["start", "end"]
    assert labels(TEXTS) == ["a", "b", "c"]
