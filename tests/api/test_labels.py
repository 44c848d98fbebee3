"""`load_tagger` and `load_classifier`: the predictions of `predict`, with probabilities."""

import json

import numpy as np
import pytest
import torch

import fairseq_xalign
from fairseq_xalign.api.texts import TruncatedTextWarning
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.commands.predict import predict
from fairseq_xalign.labelled.labeller import load_labeller
from fairseq_xalign.objectives.batch import pack
from tests.support.checkpoints import PRETRAINED, classifier_state, save

FIRST = PRETRAINED.parents[1]
TEXTS = ["the house on the hill", "", "no", "a walk in the garden behind it"]


@pytest.fixture(scope="module")
def tagger():
    return fairseq_xalign.load_tagger(FIRST / "finetuned", device="cpu")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save(classifier_state(), tmp_path_factory.mktemp("run") / "checkpoint_best.pt").parent


def test_tags_are_those_of_predict_and_probabilities_those_of_all_tags(tagger):
    rows = [json.loads(line) for line in (FIRST / "labelled" / "test.en.jsonl").read_text("utf-8").splitlines()]
    expected = list(predict(FIRST / "finetuned", data=FIRST / "labelled", device="cpu"))
    found = tagger.predict([row["tokens"] for row in rows], batch_size=3)
    assert [one.tags for one in found] == [line["prediction"] for line in expected]
    assert [one.words for one in found] == [row["tokens"] for row in rows]
    for one in found:
        assert one.probabilities.shape == (len(one.words), len(tagger.labels)) and one.probabilities.dtype == np.float32
        np.testing.assert_allclose(one.probabilities.sum(1), 1, atol=1e-5)
        assert [tagger.labels[i] for i in one.probabilities.argmax(1)] == one.tags


def test_a_sentence_is_words_between_spaces_and_a_long_one_is_tagged_whole(tagger):
    alone = tagger.predict("the house is old")
    assert alone.words == ["the", "house", "is", "old"] and len(alone.tags) == 4
    same, empty = tagger.predict([["the", "house", "is", "old"], ""])
    assert same.tags == alone.tags and empty.tags == [] and empty.probabilities.shape == (0, len(tagger.labels))
    assert len(tagger.predict("house " * 300).tags) == 300
    with pytest.warns(TruncatedTextWarning, match="words cut to 128 subwords: 1"):
        tagger.predict(["q" * 500])


def test_labels_are_those_of_predict_with_the_heads_probabilities(checkpoint, tmp_path):
    model = fairseq_xalign.load_classifier(checkpoint)
    (tmp_path / "text").write_text("".join(f"{text}\n" for text in TEXTS), "utf-8")
    expected = [line["prediction"] for line in predict(checkpoint, text=tmp_path / "text")]
    counts = []
    found = model.predict(TEXTS, batch_size=1, progress=counts.append)
    assert [one.label for one in found] == expected and sum(counts) == 4
    labeller = load_labeller(checkpoint)
    for text, one in zip(TEXTS, found):
        batch = pack([labeller.frame.around(labeller.tokenizer.encode(text))])
        with torch.no_grad():
            scores = labeller.head(labeller.encoder(batch), batch.starts)[0].softmax(-1)
        np.testing.assert_allclose(one.probabilities, scores.numpy(), atol=1e-5)
        assert one.probability == one.probabilities.max() and model.labels[one.probabilities.argmax()] == one.label
    assert model.predict(TEXTS[0]).label == expected[0]
    with pytest.warns(TruncatedTextWarning, match="texts cut to 32 subwords: 1"):
        model.predict("house " * 30)


def test_a_mistake_is_named(tagger, checkpoint):
    with pytest.raises(UserError, match="was fine-tuned for classification. Use load_classifier"):
        fairseq_xalign.load_tagger(checkpoint)
    with pytest.raises(UserError, match="was fine-tuned for tagging. Use load_tagger"):
        fairseq_xalign.load_classifier(FIRST / "finetuned")
    with pytest.raises(UserError, match="this checkpoint has no labels"):
        fairseq_xalign.load_tagger(FIRST / "pretrained")
    with pytest.raises(UserError, match=r"sentences\[0\] is of type int"):
        tagger.predict([3])
