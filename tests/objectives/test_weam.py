"""WEAM's loss: the hand-computed case in every reading of the paper, a dense float64 reference, gradients."""

import types
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from fairseq_xalign.models.encoder import Encoder, EncoderConfig
from fairseq_xalign.models.output import token_losses
from fairseq_xalign.objectives.batch import pack, pad
from fairseq_xalign.objectives.combined import combined_loss
from fairseq_xalign.objectives.objective import Context, Weighted
from fairseq_xalign.objectives.preset import PRESETS
from fairseq_xalign.objectives.registry import OBJECTIVES
from fairseq_xalign.objectives.tlm import TranslationLM
from fairseq_xalign.objectives.weam import (
    AGGREGATES,
    ExchangeHead,
    ExchangeOptions,
    WordExchange,
    exchanged,
)

D7 = torch.tensor([[9, 9], [1, 0], [0, 1], [8, 8], [2, 4], [4, 0], [7, 7]], dtype=torch.float64)
D7_LINKS = torch.tensor([[1, 1], [4, 5]])
D7_EMBEDDINGS = torch.tensor([[1, 0], [0, 1], [1, 1]], dtype=torch.float64)
D7_BATCH = replace(
    pack([[0] * 7]), masked=torch.tensor([1, 2, 5]), targets=torch.tensor([0, 1, 2]), links=D7_LINKS
)  # fmt: skip


class Given(torch.nn.Module):
    """An encoder with given vectors and embeddings, whose MLM head is Eq. 3 with W_1 the identity and no bias."""

    def __init__(self, vectors, embeddings):
        super().__init__()
        self.vectors = torch.nn.Parameter(vectors.clone())
        self.embed_tokens = torch.nn.Embedding.from_pretrained(embeddings, freeze=False)
        self.config = types.SimpleNamespace(layernorm_eps=1e-5)

    def forward(self, batch):
        return self.vectors

    def token_losses(self, features, targets):
        return self.vector_losses(F.gelu(features), targets)

    def vector_losses(self, vectors, targets, biased=True):
        return token_losses(vectors @ self.embed_tokens.weight.T, targets)


def identity_head(width):
    head = ExchangeHead(width).double()
    with torch.no_grad():
        for layer in (head.exchange, head.dense, head.linear):
            layer.weight.copy_(torch.eye(width))
            layer.bias.zero_()
    return head


def total_of_d7(weight=1.0, **options):
    """The mean of the whole loss, and the losses of the two parts."""
    objectives = [Weighted(TranslationLM()), Weighted(WordExchange(ExchangeOptions(**options)), weight)]
    context = Context(modules={"weam": identity_head(2)})
    total, size, losses = combined_loss(objectives, Given(D7, D7_EMBEDDINGS), {"bitext": D7_BATCH}, context)
    return total.item() / size, losses


def test_exchanged_vectors_of_d7():
    everywhere = torch.arange(7)
    moved, count = exchanged(D7, D7_LINKS, everywhere)
    assert moved.tolist() == [[0, 0], [6, 4], [0, 0], [0, 0], [1, 0], [1, 0], [0, 0]]
    assert count.tolist() == [0, 2, 0, 0, 1, 1, 0]
    assert exchanged(D7, D7_LINKS, everywhere, "mean")[0][1].tolist() == [3, 2]
    assert exchanged(D7, D7_LINKS.flip(1), everywhere, "first")[0][1].tolist() == [2, 4]


def test_the_terms_of_d7():
    _, losses = total_of_d7(weam_unlinked="bias")
    assert losses["tlm"].terms[0].tolist() == pytest.approx([0.8883563231, 0.8883563231, 0.7022644711], abs=1e-10)
    assert losses["weam"].sum.item() == pytest.approx(4.0204567272 + 1.0986122887 + 0.8883563231, abs=1e-9)
    _, losses = total_of_d7(weam_link_agg="mean")
    assert losses["weam"].sum.item() == pytest.approx(2.1298171658 + 0.8883563231, abs=1e-9)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 2.4625967225),
        ({"weam_unlinked": "bias"}, 8.4864024563 / 3),
        ({"weam_reduction": "mean-each"}, 3.2807322309),
        ({"weam_reduction": "mean-each", "weam_link_agg": "mean"}, 2.3354124502),
    ],
)
def test_the_total_of_d7_in_every_reading(options, expected):
    assert total_of_d7(**options)[0] == pytest.approx(expected, abs=1e-9)


def test_lambda_weighs_the_cross_lingual_part():
    mp = (0.8883563231 + 0.8883563231 + 0.7022644711) / 3
    cp = (4.0204567272 + 0.8883563231) / 3
    assert total_of_d7(weight=0.25)[0] == pytest.approx(mp + 0.25 * cp, abs=1e-9)


def test_the_figures_count_linked_and_predicted_tokens():
    _, losses = total_of_d7()
    found = losses["weam"]
    assert found.count == 3 and found.others["loss"][1] == 2
    assert (int(found.others["linked"][0]), found.others["linked"][1]) == (2, 3)
    assert total_of_d7(weam_unlinked="bias")[1]["weam"].others["loss"][1] == 3


# -- random batches against the formulas with a dense A ------------------------------------------------------


def random_batch(seed=1, vocabulary=40, rate=0.4):
    """Five sequences of different lengths, with a few links within each, and hidden tokens."""
    draw = torch.Generator().manual_seed(seed)
    lengths = [7, 3, 11, 5, 9]
    batch = pack([torch.randint(5, vocabulary, (n,), generator=draw) for n in lengths])
    links = []
    for start, n in zip(batch.starts.tolist(), lengths):
        half = n // 2
        found = {(int(a), int(b)) for a, b in zip(torch.randint(0, half, (half + 1,), generator=draw),
                                                  torch.randint(half, n, (half + 1,), generator=draw))}  # fmt: skip
        links += [(start + a, start + b) for a, b in sorted(found)]
    masked = (torch.rand(len(batch.tokens), generator=draw) < rate).nonzero()[:, 0]
    return replace(batch, masked=masked, targets=batch.tokens[masked], links=torch.tensor(links).T.contiguous())


def dense_reference(rows, batch, head, embeddings, bias, options):
    """L_cp by Eqs. 5 to 10, sequence by sequence over padded rows [B, S, D], with A [m, m] of each."""
    total, predicted = torch.zeros((), dtype=torch.float64), 0
    for number, (a, b) in enumerate(zip(batch.starts.tolist(), batch.starts[1:].tolist())):
        m = rows.shape[1]
        matrix = torch.zeros(m, m, dtype=torch.float64)
        for i, j in batch.links.T.tolist():
            if a <= i < b:
                matrix[i - a, j - a] = matrix[j - a, i - a] = 1
        if options.weam_link_agg == "first":
            matrix = matrix * (matrix.cumsum(0) == 1)
        moved = matrix.T @ rows[number]
        if options.weam_link_agg == "mean":
            moved = moved / matrix.sum(0).clamp(min=1)[:, None]
        for place, target in zip(batch.masked.tolist(), batch.targets.tolist()):
            if a <= place < b and (options.weam_unlinked == "bias" or matrix[:, place - a].any()):
                h = head.exchange.weight @ moved[place - a] + head.exchange.bias
                h = F.gelu(head.dense.weight @ h + head.dense.bias)
                h = head.linear.weight @ h + head.linear.bias if head.linear is not None else head.norm(h)
                total = total - (embeddings @ h + bias).log_softmax(0)[target]
                predicted += 1
    return total, predicted


def config(**changes):
    return EncoderConfig(40, layers=2, heads=2, width=32, ffn_width=48, dropout=0.0, attention_dropout=0.0, **changes)


@pytest.mark.parametrize("aggregate", AGGREGATES)
@pytest.mark.parametrize("unlinked", ["skip", "bias"])
@pytest.mark.parametrize("head_kind", ["literal", "bert"])
def test_lists_of_places_equal_a_dense_matrix_and_packed_equals_padded(aggregate, unlinked, head_kind):
    torch.manual_seed(3)
    options = ExchangeOptions(weam_link_agg=aggregate, weam_unlinked=unlinked, weam_head=head_kind)
    batch, objective = random_batch(), WordExchange(options)
    packed, plain = Encoder(config()).double(), Encoder(config(), "plain").double()
    torch.nn.init.normal_(packed.lm_bias)
    plain.load_state_dict(packed.state_dict())
    head = objective.module(packed).double()
    torch.nn.init.normal_(head.exchange.bias)
    losses = []
    reading = types.SimpleNamespace(batch=batch, features=lambda: packed(batch))
    found = objective.loss(packed, reading, Context(modules={"weam": head}))
    rows = pad(plain(batch), batch.starts, batch.longest, 0.0)
    bias = plain.lm_bias if head_kind == "bert" else 0.0
    expected, predicted = dense_reference(rows, batch, head, plain.embed_tokens.weight, bias, options)
    assert found.others["loss"][1] == predicted > 3
    assert float(found.sum) == pytest.approx(float(expected), abs=1e-10)
    for total, encoder in ((found.sum, packed), (expected, plain)):
        head.zero_grad()
        total.backward()
        losses.append({name: p.grad.clone() for name, p in [*encoder.named_parameters(), *head.named_parameters()]
                       if p.grad is not None})  # fmt: skip
    assert losses[0].keys() == losses[1].keys()
    for name, grad in losses[0].items():
        assert torch.allclose(grad, losses[1][name], atol=1e-10), name


@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_gradients(aggregate):
    torch.manual_seed(5)
    batch = random_batch(rate=0.6)
    head = ExchangeHead(4).double()
    encoder = Given(torch.randn(len(batch.tokens), 4, dtype=torch.float64), torch.randn(40, 4, dtype=torch.float64))
    weights = tuple(
        p.detach().requires_grad_() for p in (encoder.vectors, encoder.embed_tokens.weight, *head.parameters())
    )

    def loss(vectors, embeddings, *own):
        moved, count = exchanged(vectors, batch.links, batch.masked, aggregate)
        named = dict(zip((name for name, _ in head.named_parameters()), own))
        vectors = torch.func.functional_call(head, named, moved[count > 0])
        return token_losses(vectors @ embeddings.T, batch.targets[count > 0]).sum()

    assert torch.autograd.gradcheck(loss, weights)


def test_gradients_reach_the_partner_and_the_embeddings():
    encoder = Given(D7, D7_EMBEDDINGS)
    objective = WordExchange()
    reading = types.SimpleNamespace(batch=D7_BATCH, features=lambda: encoder(D7_BATCH))
    objective.loss(encoder, reading, Context(modules={"weam": identity_head(2)})).sum.backward()
    reached = encoder.vectors.grad.abs().sum(1) > 0
    assert reached.tolist() == [False, True, False, False, True, True, False]  # 1 is the partner of 5
    assert (encoder.embed_tokens.weight.grad.abs().sum(1) > 0).all()


def test_without_a_linked_hidden_token_the_loss_is_0_and_reaches_every_weight():
    encoder = Encoder(config())
    for links in (torch.zeros(2, 0, dtype=torch.int64), torch.tensor([[3], [4]])):
        batch = replace(random_batch(), links=links)
        batch.masked, batch.targets = torch.tensor([0, 9]), torch.tensor([7, 8])
        objective = WordExchange()
        head = objective.module(encoder)
        context = Context(modules={"weam": head})
        total, size, losses = combined_loss([Weighted(objective)], encoder, {"bitext": batch}, context)
        total.backward()
        assert float(total) == 0 and size == 2 and losses["weam"].others["loss"][1] == 0
        for name, p in [*encoder.named_parameters(), *head.named_parameters()]:
            assert p.grad is not None and torch.isfinite(p.grad).all(), name


def test_lambda_0_is_tlm():
    """But for rounding: TLM alone computes less of the last layer."""
    torch.manual_seed(2)
    encoder, batch = Encoder(config()), random_batch()
    grads = []
    for objectives in ([Weighted(TranslationLM())], [Weighted(TranslationLM()), Weighted(WordExchange(), 0.0)]):
        encoder.zero_grad()
        modules = {"weam": WordExchange().module(encoder)} if len(objectives) > 1 else {}
        total, size, _ = combined_loss(objectives, encoder, {"bitext": batch}, Context(modules=modules))
        total.backward()
        grads.append((float(total), size, {name: p.grad.clone() for name, p in encoder.named_parameters()}))
    assert grads[0][0] == pytest.approx(grads[1][0], rel=1e-6) and grads[0][1] == grads[1][1]
    for name, grad in grads[0][2].items():
        torch.testing.assert_close(grads[1][2][name], grad, rtol=1e-4, atol=1e-5)


def test_both_parts_share_one_forward_pass_and_one_count():
    preset = PRESETS["weam"]
    assert [(kind.name, weight) for kind, weight in preset.objectives] == [("tlm", 1.0), ("weam", "weam_weight")]
    assert preset.settings["mask_prob"] == 0.3 and preset.settings["tlm_positions"] == "continue"
    encoder, batch, passes = Encoder(config()), random_batch(), []
    encoder.register_forward_hook(lambda *_: passes.append(1))
    objectives = [Weighted(OBJECTIVES["tlm"]()), Weighted(OBJECTIVES["weam"]())]
    context = Context(modules={"weam": objectives[1].objective.module(encoder)})
    total, size, losses = combined_loss(objectives, encoder, {"bitext": batch}, context)
    assert len(passes) == 1 and size == losses["tlm"].count == losses["weam"].count == len(batch.masked)
    assert float(total) == pytest.approx(float(losses["tlm"].sum + losses["weam"].sum), rel=1e-6)


@pytest.mark.parametrize("mix", ["mixture", "sum"])
def test_beside_mlm_only_a_sum_keeps_the_proportion_of_both_parts(mix):
    """In a mixture, TLM is a share of all hidden tokens; the cross-lingual part is a mean of its own in either."""
    torch.manual_seed(3)
    encoder, mono, bitext = Encoder(config()), random_batch(seed=4, rate=0.2), random_batch()
    objectives = [Weighted(OBJECTIVES[name]()) for name in ("mlm", "tlm", "weam")]
    objectives = [replace(objectives[0], batch="mono"), *(replace(one, batch="bitext") for one in objectives[1:])]
    context = Context(modules={"weam": objectives[2].objective.module(encoder)})
    total, size, parts = combined_loss(objectives, encoder, {"mono": mono, "bitext": bitext}, context, mix)
    mlm, tlm, weam = (parts[name] for name in ("mlm", "tlm", "weam"))
    assert tlm.count == weam.count != mlm.count
    own = weam.sum / weam.count
    mixed = (mlm.sum + tlm.sum) / (mlm.count + tlm.count) + own
    summed = mlm.sum / mlm.count + tlm.sum / tlm.count + own
    assert float(total / size) == pytest.approx(float(mixed if mix == "mixture" else summed), rel=1e-5)
    assert float(mixed) != pytest.approx(float(summed), rel=1e-2)


def test_the_head_of_bert_begins_as_the_encoders_once():
    encoder = Encoder(config())
    objective = WordExchange(ExchangeOptions(weam_head="bert"))
    head = objective.module(encoder)
    torch.nn.init.normal_(encoder.lm_norm.weight)
    objective.begin(head, encoder, 1, None)
    h = torch.randn(3, 32)
    assert torch.allclose(head(h), encoder._transformed(h), atol=1e-6)
    with torch.no_grad():
        head.dense.weight.zero_()
    objective.begin(head, encoder, 1, None)  # a new run from a checkpoint that has been trained so
    assert not head.dense.weight.any()


@pytest.mark.parametrize("precision", ["autocast", "half"])
def test_lower_precision_stays_close(precision):
    torch.manual_seed(4)
    encoder, batch, objective = Encoder(config()), random_batch(), WordExchange()
    head = objective.module(encoder)
    context, values = Context(modules={"weam": head}), []
    for lower in (False, True):
        if lower and precision == "half":
            encoder = encoder.bfloat16()
        reading = types.SimpleNamespace(batch=batch, features=lambda encoder=encoder: encoder(batch))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=lower and precision == "autocast"):
            values.append(objective.loss(encoder, reading, context).sum)
    values[1].backward()
    assert values[1].dtype == torch.float32 and float(values[1]) == pytest.approx(float(values[0]), rel=0.02)
