"""Scores are those of the whole text's features, though a head asks only for the tokens that it reads."""

from types import SimpleNamespace

import pytest
import torch

from fairseq_xalign.labelled.batches import LabelledCollater
from fairseq_xalign.labelled.classification import Classification
from fairseq_xalign.labelled.kind import Example
from fairseq_xalign.labelled.labeller import label_scores
from fairseq_xalign.labelled.pairs import Pairs
from fairseq_xalign.labelled.questions import Questions
from fairseq_xalign.labelled.tagging import Tagging
from fairseq_xalign.models.encoder import Encoder, EncoderConfig
from fairseq_xalign.objectives.batch import PackedBatch

LABELS = ["a", "b", "c"]
LENGTHS = (7, 1, 4, 12, 4)
TEXT = {"head": "linear", "head_hidden": 0}
HEADS = {
    "first subwords": (Tagging(), {"head": "linear", "crf": False}, "words"),
    "<s>": (Classification(), {**TEXT, "pooling": "cls"}, "texts"),
    "<s> and a layer": (Classification(), {**TEXT, "pooling": "cls", "head_hidden": 8}, "texts"),
    "mean": (Classification(), {**TEXT, "pooling": "mean"}, "all"),
    "mmte": (Classification(), {**TEXT, "head": "mmte", "pooling": "max"}, "all"),
    "<s> of pairs": (Pairs(), {**TEXT, "pooling": "cls", "separator": "own"}, "texts"),
    "answers": (Questions(), {"stride": 4, "max_question_length": 8, "max_answer_length": 8}, "all"),
}


class Reading(Encoder):
    """Notes how many tokens it was asked for."""

    def forward(self, batch, layer=None, tokens=None):
        self.asked = len(batch.tokens) if tokens is None else len(tokens)
        return super().forward(batch, layer, tokens)


@pytest.mark.parametrize(("kind", "options", "asked"), HEADS.values(), ids=HEADS)
def test_a_head_reads_no_more_tokens_than_it_needs_and_scores_as_if_it_had_them_all(kind, options, asked):
    torch.manual_seed(1)
    encoder = Reading(EncoderConfig(40, layers=2, heads=2, width=8, ffn_width=16)).double().eval()
    settings = {"labels": LABELS, "head_dropout": 0.0, **kind.head_settings(SimpleNamespace(**options))}
    head = kind.build_head(8, settings).double().eval()
    examples = [Example(list(range(7, 7 + n)), list(range(0, n, 3)), [0] * -(-n // 3), 0) for n in LENGTHS]
    sample = LabelledCollater([], kind, {}, ["en"]).build(examples, ["en"] * len(examples))
    batch = PackedBatch.from_dict(sample["streams"]["labelled"])
    found = label_scores(encoder, head, kind, sample)
    words = sum(len(example.heads) for example in examples)
    assert encoder.asked == {"words": words, "texts": len(LENGTHS), "all": len(batch.tokens)}[asked]
    features = encoder(batch)
    if asked == "words":
        expected = head(features[sample["at"]])
    elif asked == "texts":
        expected = head(features, batch.starts)
    else:
        expected = kind.scores(head, lambda tokens: features, batch.starts, sample)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
