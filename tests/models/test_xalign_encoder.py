"""What fairseq's model takes from a checkpoint."""

import torch

from fairseq_xalign.models.config import EncoderConfig
from fairseq_xalign.models.heads import ClassificationHead
from fairseq_xalign.models.xalign_encoder import XAlignModel


def load(model, state):
    model.upgrade_state_dict_named(state, "")
    model.load_state_dict(state, strict=True)


def test_the_layer_between_the_first_token_and_the_labels_begins_as_berts_pooler():
    """As AutoModelForSequenceClassification does with a BERT; another width or pooling has a layer of its own."""
    published = {"foreign.pooler.dense.weight": torch.randn(8, 8), "foreign.pooler.dense.bias": torch.randn(8)}
    for pooling, hidden, taken in (("cls", 8, True), ("mean", 8, False), ("cls", 6, False)):
        model = XAlignModel(EncoderConfig(vocab_size=20, layers=1, width=8, heads=2, ffn_width=8))
        model.heads["classification"] = ClassificationHead(8, 3, pooling, hidden)
        state = {key: value for key, value in model.state_dict().items() if not key.startswith("heads.")}
        load(model, state | published)
        dense = model.heads["classification"].dense
        assert torch.equal(dense.bias, published["foreign.pooler.dense.bias"]) == taken
        if taken:
            assert torch.equal(dense.weight, published["foreign.pooler.dense.weight"])
            # A head that was trained already stays as it is.
            load(model, {**model.state_dict(), "foreign.pooler.dense.weight": torch.zeros(8, 8)})
            assert torch.equal(dense.weight, published["foreign.pooler.dense.weight"])
