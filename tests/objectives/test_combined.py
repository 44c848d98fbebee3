"""Any list of objectives: which forward passes are shared, and what each way of mixing sums, against plain formulas."""

from dataclasses import replace

import pytest
import torch

from fairseq_xalign.objectives.align import alignment_loss
from fairseq_xalign.objectives.combined import combined_loss
from fairseq_xalign.objectives.mlm import HiddenTokens
from fairseq_xalign.objectives.objective import Context, Weighted, parse_objectives
from fairseq_xalign.objectives.registry import OBJECTIVES
from tests.objectives.test_objective import CONTEXT, D, TinyEncoder, V, masked_batch, reference


class Counting(TinyEncoder):
    """Looks at nothing outside a sequence; counts its forward passes and the tokens that each of them read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[int] = []

    def features(self, batch):
        self.read.append(len(batch.tokens))
        return self.embed_tokens(batch.tokens) * (1 + batch.positions[:, None])


class Watched(Counting):
    """Notes for how many tokens it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int | None] = []

    def forward(self, batch, tokens=None):
        self.asked.append(None if tokens is None else len(tokens))
        return super().forward(batch, tokens)


class Whole(HiddenTokens):
    """Reads the features of other tokens too."""

    name, stream, hidden_only = "whole", "bitext", False

    def loss(self, encoder, reading, context):
        assert len(reading.features()) == len(reading.batch.tokens)
        return super().loss(encoder, reading, context)


def test_only_hidden_tokens_pass_the_last_layer_unless_an_objective_reads_others():
    alone, beside = Watched(), Watched()
    combined_loss(listed("mlm,tlm"), alone, BATCHES, Context())
    assert alone.asked == [4 + 5]
    objectives = [*listed("mlm,tlm"), Weighted(Whole(), 1.0, "bitext")]
    expected = reference(alone, MONO) + 2 * reference(alone, BITEXT)
    loss, _, _ = combined_loss(objectives, beside, BATCHES, Context())
    assert beside.asked == [None] and loss.item() == pytest.approx(expected.item(), rel=1e-12)


class Again(HiddenTokens):
    """A second objective with the very view of MLM."""

    name, stream = "again", "mono"


def listed(text: str, **batches: str) -> list[Weighted]:
    """``parse_objectives``, and which batch some of them read."""
    known = {**OBJECTIVES, "again": Again}
    return [replace(w, batch=batches.get(w.objective.name, w.batch)) for w in parse_objectives(text, known)]


MONO, OTHER, BITEXT = masked_batch(4, 1), masked_batch(6, 2), masked_batch(5, 3)
BATCHES = {"mono": MONO, "mono/dict": OTHER, "bitext": BITEXT}


def mean(encoder, batch):
    return reference(encoder, batch) / len(batch.masked)


def test_two_views_of_one_stream_are_the_sum_over_both():
    encoder = Counting()
    objectives = listed("mlm,dict:0.5", dict="mono/dict")
    loss, size, losses = combined_loss(objectives, encoder, BATCHES, Context())
    expected = reference(encoder, MONO) + 0.5 * reference(encoder, OTHER)
    assert size == 10 and losses["dict"].count == 6
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    loss, size, _ = combined_loss(objectives, encoder, BATCHES, Context(), "sum")
    expected = mean(encoder, MONO) + 0.5 * mean(encoder, OTHER)
    assert size == 4 and (loss / size).item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize(
    ("objectives", "passes"),
    [
        (listed("mlm"), [6]),
        (listed("mlm,again,align"), [6]),
        (listed("mlm,tlm"), [6 + 7]),
        (listed("mlm,dict", dict="mono/dict"), [6, 8]),
        (listed("mlm,tlm,dict", dict="mono/dict"), [6 + 7, 8]),
    ],
    ids=lambda value: ",".join(w.objective.name for w in value) if isinstance(value[0], Weighted) else None,
)
def test_equal_views_share_one_pass_and_others_get_their_own(objectives, passes):
    encoder = Counting()
    combined_loss(objectives, encoder, BATCHES, CONTEXT)
    assert encoder.read == passes


def test_objectives_of_one_view_have_the_same_terms():
    _, size, losses = combined_loss(listed("mlm,again:2"), Counting(), BATCHES, Context())
    assert torch.equal(losses["mlm"].terms[0], losses["again"].terms[0]) and size == 8


@pytest.mark.parametrize("text", ["mlm,tlm", "mlm:2,tlm:0.5,align:10", "align,tlm"])
def test_a_sum_adds_the_mean_of_every_objective(text):
    """ALIGN-MLM, section 3: L_XLM = L_MLM + L_TLM, each a mean over its own hidden tokens."""
    encoder, objectives = Counting(), listed(text)
    loss, size, _ = combined_loss(objectives, encoder, BATCHES, CONTEXT, "sum")
    plain = {"mlm": mean(encoder, MONO), "tlm": mean(encoder, BITEXT),
             "align": alignment_loss(encoder.embed_tokens.weight, CONTEXT.entries)}  # fmt: skip
    expected = sum(w.weight * plain[w.objective.name] for w in objectives)
    assert size == (5 if text.startswith("align") else 4)
    assert (loss / size).item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize(("turn", "name"), [(0, "mlm"), (1, "tlm"), (2, "align"), (3, "mlm"), (10, "tlm")])
def test_alternating_trains_one_objective_per_update_in_turn(turn, name):
    encoder = Counting()
    context = replace(CONTEXT, turn=turn)
    loss, size, losses = combined_loss(listed("mlm,tlm:0.5,align,dict:0"), encoder, BATCHES, context, "alternate")
    read = list(encoder.read)
    plain = {"mlm": mean(encoder, MONO), "tlm": 0.5 * mean(encoder, BITEXT),
             "align": alignment_loss(encoder.embed_tokens.weight, CONTEXT.entries)}  # fmt: skip
    assert losses.keys() == {name} and (loss / size).item() == pytest.approx(plain[name].item(), rel=1e-12)
    assert read == {"mlm": [6], "tlm": [7], "align": []}[name], "only its own text is read"


def test_validation_measures_every_objective_of_an_alternation():
    context = replace(CONTEXT, training=False)
    _, _, losses = combined_loss(listed("mlm,tlm,align"), Counting(), BATCHES, context, "alternate")
    assert losses.keys() == {"mlm", "tlm", "align"}


def test_a_turn_without_its_text_is_zero_and_reaches_the_weights():
    encoder = Counting()
    context = Context(turn=1)
    loss, size, _ = combined_loss(listed("mlm,tlm"), encoder, {"mono": MONO}, context, "alternate")
    loss.backward()
    assert (loss.item(), size) == (0.0, 0) and encoder.embed_tokens.weight.grad.abs().sum() == 0


@pytest.mark.parametrize("turn", [0, 1])
def test_every_weight_has_a_gradient_whoever_has_its_turn(turn):
    """Adam moves a weight whose gradient is 0 and skips one that has none: on any number of workers it must be 0."""
    encoder = Counting()
    encoder.other = torch.nn.Linear(2, 2)
    loss, _, _ = combined_loss(listed("mlm,align"), encoder, BATCHES, replace(CONTEXT, turn=turn), "alternate")
    loss.backward()
    assert all(p.grad is not None for p in encoder.parameters()) and encoder.other.weight.grad.abs().sum() == 0


@pytest.mark.parametrize("mix", ["mixture", "sum", "alternate"])
@pytest.mark.parametrize("turn", [0, 1])
def test_gradients_do_not_depend_on_how_four_micro_batches_are_dealt_out(mix, turn):
    """1 worker x 4, 2 x 2 and 4 x 1 sum the same sums, with two views of one stream too."""
    micro = [{"mono": masked_batch(2 + i, i), "bitext": masked_batch(3 + 2 * i, 9 + i), "mono/dict": masked_batch(4, i)}
             for i in range(4)]  # fmt: skip
    objectives, gradients = listed("mlm,tlm:0.5,dict,align:3", dict="mono/dict"), []
    for groups in ([[0, 1, 2, 3]], [[0, 2], [1, 3]], [[0], [1], [2], [3]]):
        summed, sizes = torch.zeros(V, D, dtype=torch.float64), 0
        for worker in groups:
            encoder = Counting()
            for i in worker:
                loss, size, _ = combined_loss(objectives, encoder, micro[i], replace(CONTEXT, turn=turn), mix)
                loss.backward()
                sizes += size
            summed += encoder.embed_tokens.weight.grad
        gradients.append(summed / sizes)
    assert gradients[0].abs().sum() > 0
    assert torch.allclose(gradients[0], gradients[1], atol=1e-12)
    assert torch.allclose(gradients[0], gradients[2], atol=1e-12)
