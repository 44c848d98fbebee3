"""Word-aligned BERT's loss: numbers worked out by hand, a float64 reference, gradients, and the frozen start."""

import types
from dataclasses import replace

import pytest
import torch

from fairseq_xalign.errors import UserError
from fairseq_xalign.models.encoder import Encoder, EncoderConfig
from fairseq_xalign.objectives.batch import pack
from fairseq_xalign.objectives.combined import combined_loss
from fairseq_xalign.objectives.objective import Context, Weighted
from fairseq_xalign.objectives.wordalign import StartEncoder, WordAlignment, WordAlignOptions, squared_distances

VECTORS = torch.tensor([[1.0, 0], [2, 1], [0, 0], [1, 3], [4, 4], [0, 1]], dtype=torch.float64)
START = torch.tensor([[1.0, 1], [2, 1], [0, 2], [0, 0], [4, 1], [9, 9]], dtype=torch.float64)
BATCH = replace(pack([[0, 0], [0, 0], [0], [0]]), links=torch.tensor([[0, 1, 4], [2, 3, 5]]))
"""Two pairs: tokens 0 and 1 with 2 and 3, token 4 with token 5; |f(s) - f(t)|^2 is 1, 5 and 25."""


class Start(torch.nn.Module):
    """The start as it is written down: the vectors of the sequences that are asked for."""

    def forward(self, batch, layer):
        return START[batch.segments]


def value(**options):
    objective = WordAlignment(WordAlignOptions(**options))
    batch = replace(BATCH, segments=torch.arange(6))  # so that a selection says which tokens it has
    reading = types.SimpleNamespace(batch=batch, features=lambda: VECTORS)
    modules = {"wordalign": Start()} if objective.options.wordalign_hold else {}
    return objective.loss(None, reading, Context(modules=modules))


def test_distances():
    assert squared_distances(VECTORS[[0, 1, 4]], VECTORS[[2, 3, 5]]).tolist() == [1, 5, 25]


@pytest.mark.parametrize(
    ("options", "mean"),
    [
        ({"wordalign_hold": 0.0}, 31 / 3),
        ({}, 31 / 3 + (1 + 0 + 9) / 3),  # tokens 0, 1 and 4 have moved by 1, 0 and 9
        ({"wordalign_hold": 0.5}, 31 / 3 + 0.5 * 10 / 3),
        ({"wordalign_hold_side": "target"}, 31 / 3 + (4 + 10 + 145) / 3),
        ({"wordalign_hold_side": "both"}, 31 / 3 + 169 / 6),
        ({"wordalign_hold_side": "both", "wordalign_reduction": "sum-over-links"}, (31 + 169) / 3),
        ({"wordalign_towards": "start"}, (2 + 5 + 16) / 3 + 10 / 3),
        ({"wordalign_towards": "start", "wordalign_hold_side": "target"}, (5 + 5 + 50) / 3 + 159 / 3),
    ],
)
def test_the_loss_of_two_pairs_in_every_reading(options, mean):
    found = value(**options)
    assert found.count == 3 and found.sum.item() / 3 == pytest.approx(mean, abs=1e-12)


def test_figures_are_the_distance_of_links_and_the_drift_of_tokens():
    found = value(wordalign_hold=7.0).others
    assert [(total.item(), count) for total, count in found.values()] == [(31, 3), (10, 3)]


def config(**changes):
    return EncoderConfig(40, layers=2, heads=2, width=32, ffn_width=48, **changes)


def random_batch(seed=1):
    """Three pairs of different lengths; the last has no link."""
    draw = torch.Generator().manual_seed(seed)
    batch = pack([torch.randint(5, 40, (n,), generator=draw) for n in (5, 7, 3, 4, 6, 2)])
    return replace(batch, links=torch.tensor([[1, 2, 2, 12, 13], [6, 7, 8, 15, 16]]))


@pytest.mark.parametrize("side", ["source", "target", "both"])
@pytest.mark.parametrize("layer", [-1, 1])
def test_packed_batches_equal_texts_read_one_by_one(side, layer):
    torch.manual_seed(1)
    encoder, batch = Encoder(config(dropout=0.0, attention_dropout=0.0), "plain").double(), random_batch()
    options = WordAlignOptions(wordalign_hold_side=side, wordalign_layer=layer)
    objective = WordAlignment(options)
    module = objective.module(encoder)
    objective.begin(module, encoder, 1, None)
    with torch.no_grad():
        for p in encoder.parameters():
            p.add_(0.1 * torch.randn_like(p))
    context = Context(modules={"wordalign": module})
    total, size, _ = combined_loss([Weighted(objective)], encoder, {"bitext": batch}, context)
    assert size == 5

    def vectors(reader):
        texts = [batch.tokens[a:b] for a, b in zip(batch.starts, batch.starts[1:])]
        return [reader(pack([text]), layer=options.layer) for text in texts]

    now, start = vectors(encoder), vectors(module.encoder)
    whole = torch.cat(now)
    apart = sum((whole[i] - whole[j]).pow(2).sum() for i, j in batch.links.T)
    sides = {"source": range(0, 6, 2), "target": range(1, 6, 2), "both": range(6)}[side]
    drift = sum((now[k] - start[k]).pow(2).sum() for k in sides)
    tokens = sum(len(now[k]) for k in sides)
    expected = apart / 5 + drift / tokens
    assert total.item() / size == pytest.approx(expected.item(), abs=1e-10)
    grads = []
    for loss in (total / size, expected):
        encoder.zero_grad()
        loss.backward()
        grads.append({name: p.grad for name, p in encoder.named_parameters() if p.grad is not None and p.grad.any()})
    assert grads[0].keys() == grads[1].keys() and len(grads[0]) > 10
    assert all(torch.allclose(grad, grads[1][name], atol=1e-10) for name, grad in grads[0].items())
    assert all(p.grad is None for p in module.parameters())


def test_gradients():
    x, y = (torch.randn(4, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(squared_distances, (x, y))


def test_the_start_is_neither_trained_nor_dropped_out():
    encoder = Encoder(config(dropout=0.5))
    start = StartEncoder(encoder)
    start.train()
    assert not any(part.training for part in start.modules())
    assert not any(p.requires_grad for p in start.parameters())
    batch = random_batch()
    assert torch.equal(start(batch, None), start(batch, None))
    with torch.no_grad():
        encoder.embed_tokens.weight.add_(1)
    assert not torch.equal(start.encoder.embed_tokens.weight, encoder.embed_tokens.weight)
    start.take(encoder)
    assert torch.equal(start.encoder.embed_tokens.weight, encoder.embed_tokens.weight)


def test_pairs_without_links_count_for_nothing_and_stay_finite():
    encoder, objective = Encoder(config()), WordAlignment()
    batch = replace(random_batch(), links=torch.zeros(2, 0, dtype=torch.int64))
    context = Context(modules={"wordalign": objective.module(encoder)})
    total, size, _ = combined_loss([Weighted(objective)], encoder, {"bitext": batch}, context)
    total.backward()
    assert (total.item(), size) == (0, 0)
    assert all(torch.isfinite(p.grad).all() for p in encoder.parameters())


def test_impossible_options_are_refused():
    with pytest.raises(UserError, match="--wordalign-towards start"):
        WordAlignOptions(wordalign_towards="start", wordalign_hold_side="both")
    with pytest.raises(UserError, match="--wordalign-hold"):
        WordAlignOptions(wordalign_hold=-1)
    with pytest.raises(UserError, match="the encoder has 2 layers"):
        WordAlignment(WordAlignOptions(wordalign_layer=3)).module(Encoder(config()))
