"""The criterion of translation against sums written out by hand, in float64."""

import math
from types import SimpleNamespace

import pytest
import torch
from fairseq.logging import metrics

from fairseq_xalign.criterions.mnmt import MnmtConfig, MnmtCriterion
from fairseq_xalign.criterions.sums import NonFiniteLoss
from fairseq_xalign.models.config import DecoderConfig, EncoderConfig
from fairseq_xalign.models.xalign_translation import XAlignTranslationModel
from fairseq_xalign.objectives.batch import PackedBatch, pack
from fairseq_xalign.objectives.translation import TranslationBatch

V, DIRECTIONS = 23, ["en_de", "de_en", "en_fr"]
SHAPE = {
    "vocab_size": V,
    "layers": 1,
    "heads": 2,
    "width": 8,
    "ffn_width": 16,
    "dropout": 0.0,
    "attention_dropout": 0.0,
}


@pytest.fixture
def model():
    torch.manual_seed(1)
    return XAlignTranslationModel(EncoderConfig(**SHAPE), DecoderConfig(**SHAPE), "plain").double()


def criterion(**options) -> MnmtCriterion:
    task = SimpleNamespace(direction_keys=DIRECTIONS, unit_names=lambda sample: ["direction/en-de number 7"])
    return MnmtCriterion(MnmtConfig(**options), task)


def translation() -> dict:
    """Three pairs of two directions; targets of 3, 2 and 4 tokens."""
    targets = [[7, 8, 2], [9, 2], [5, 6, 7, 2]]
    target = pack([[2, *row[:-1]] for row in targets])
    target.targets = torch.tensor([token for row in targets for token in row])
    source = pack([[20, 5, 6, 2], [21, 9, 2], [20, 11, 2]])
    return TranslationBatch(source, target, None, torch.tensor([0, 1, 0])).to_dict()


def hidden(rows, masked, targets) -> PackedBatch:
    batch = pack(rows)
    batch.masked, batch.targets = torch.tensor(masked), torch.tensor(targets)
    return batch


MONO = hidden([[0, 4, 6, 2], [0, 9, 4, 4, 2]], [1, 6, 7], [8, 12, 13])
BITEXT = hidden([[0, 4, 6, 2, 11, 4, 2]], [1, 5], [7, 10])


def sample(translated=True, **streams):
    values = {"streams": {name: batch.to_dict() for name, batch in streams.items()}, "ntokens": 9, "nsentences": 3}
    return {**values, "translation": translation()} if translated else values


def by_hand(model, smoothing: float, mlm: float, tlm: float) -> torch.Tensor:
    """The sum over 9 target tokens, and 9 times the weighted means over 3 and 2 hidden tokens."""
    batch = TranslationBatch.from_dict(translation())
    scores = model.logits(model(batch)).log_softmax(-1)
    wrong = smoothing / (V - 1)
    total = torch.zeros((), dtype=torch.float64)
    for row, target in zip(scores, batch.target.targets.tolist()):
        for symbol in range(V):
            total = total - (1 - smoothing if symbol == target else wrong) * row[symbol]
    for weight, read in ((mlm, MONO), (tlm, BITEXT)):
        logits = model.encoder.lm_logits(model.encoder(read)[read.masked]).log_softmax(-1)
        terms = [-row[target] for row, target in zip(logits, read.targets.tolist())]
        total = total + 9 * weight * sum(terms) / len(terms)
    return total


@pytest.mark.parametrize(
    ("smoothing", "mlm", "tlm"), [(0.0, 0.0, 0.0), (0.1, 0.0, 0.0), (0.0, 0.5, 0.0), (0.1, 0.3, 2.0)]
)
def test_objectives_on_the_encoder_enter_as_target_tokens_times_weighted_mean(model, smoothing, mlm, tlm):
    """... so that fairseq's division by the target tokens gives NLL + w * MLM + w' * TLM; gradients too."""
    ours = criterion(label_smoothing=smoothing, mlm_weight=mlm, tlm_weight=tlm)
    streams = {name: batch for name, batch, w in (("mono", MONO, mlm), ("bitext", BITEXT, tlm)) if w}
    loss, size, logs = ours(model, sample(**streams))
    expected = by_hand(model, smoothing, mlm, tlm)
    assert size == logs["sample_size"] == 9
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    parameters = [p for p in model.parameters() if p.requires_grad]
    found, wanted = (torch.autograd.grad(x, parameters, allow_unused=True) for x in (loss, expected))
    for a, b in zip(found, wanted):
        zeros = [torch.zeros(()) if x is None else x for x in (a, b)]
        assert torch.allclose(zeros[0].double(), zeros[1].double(), atol=1e-12)


def test_micro_batches_add_up_to_the_loss_of_their_union(model):
    """Translation alone is a sum over tokens: two halves give the whole."""
    whole = TranslationBatch.from_dict(translation())
    ours = criterion(label_smoothing=0.1)
    total, tokens = 0.0, 0
    for i in range(3):
        a, b = whole.target.starts[i], whole.target.starts[i + 1]
        c, d = whole.source.starts[i], whole.source.starts[i + 1]
        target = pack([whole.target.tokens[a:b]])
        target.targets = whole.target.targets[a:b]
        one = TranslationBatch(pack([whole.source.tokens[c:d]]), target, None, whole.direction[i : i + 1])
        loss, size, _ = ours(model, {**sample(), "translation": one.to_dict()})
        total, tokens = total + loss.item(), tokens + size
    loss, size, _ = ours(model, sample())
    assert tokens == size == 9 and total == pytest.approx(loss.item(), rel=1e-12)


def test_a_batch_without_translation_counts_for_nothing_but_is_logged(model):
    loss, size, logs = criterion(mlm_weight=0.5)(model, sample(translated=False, mono=MONO))
    assert loss.item() == 0 and size == 0 and logs["count_mlm"] == 3 and logs["sum_mlm"] > 0
    loss.backward()
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters() if p.requires_grad)


def test_validation_tells_each_direction_without_smoothing(model):
    ours = criterion(label_smoothing=0.1, mlm_weight=0.5).eval()
    outputs = [ours(model, sample())[2], ours(model, sample(translated=False, mono=MONO))[2]]
    assert outputs[0].keys() == outputs[1].keys(), "ranks and batches can be summed"
    batch = TranslationBatch.from_dict(translation())
    nll = -model.logits(model(batch)).log_softmax(-1).gather(1, batch.target.targets[:, None])[:, 0] / math.log(2)
    with metrics.aggregate() as found:
        ours.reduce_metrics(outputs)
    values = found.get_smoothed_values()
    of_first = torch.cat([nll[:3], nll[5:]])
    assert values["loss_en_de"] == pytest.approx(of_first.mean().item(), abs=5e-4)
    assert values["loss_de_en"] == pytest.approx(nll[3:5].mean().item(), abs=5e-4)
    assert values["nll_loss"] == pytest.approx(nll.mean().item(), abs=5e-4) and "loss_en_fr" not in values
    assert values["ppl_de_en"] == pytest.approx(2 ** values["loss_de_en"], abs=0.05)
    streams = [SimpleNamespace(kind="direction"), SimpleNamespace(kind="mono")]
    ours.task.direction_key = lambda stream: "en_de"
    expected = {"loss", "nll_loss", "ppl", "mlm_loss", "mlm_ppl", "loss_en_de", "ppl_en_de"}
    assert set(ours.validation_metrics(streams)) == expected <= values.keys()


def test_a_loss_that_is_not_finite_names_the_sentences(model):
    with torch.no_grad():
        model.encoder.embed_tokens.weight[7] = float("nan")
    with pytest.raises(NonFiniteLoss, match="not finite .* on: direction/en-de number 7"):
        criterion()(model, sample())
