"""ALIGN-MLM's loss: the hand-computed case, a float64 reference, gradients."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fairseq_xalign.models.output import token_losses
from fairseq_xalign.objectives.align import DictionaryTensors, alignment_loss, entry_cosines
from fairseq_xalign.objectives.batch import PackedBatch, pack
from fairseq_xalign.objectives.combined import combined_loss
from fairseq_xalign.objectives.objective import Context, parse_objectives
from fairseq_xalign.objectives.registry import OBJECTIVES

D8 = torch.tensor([[0.0, 0.0], [1, 0], [1, 0], [1, 1], [1, 0], [1, 0], [-1, 0]], dtype=torch.float64)
ENTRIES = DictionaryTensors.build([[1], [3], [5]], [[2], [4], [6]], padding=0)


def test_the_three_entries_of_d8():
    assert entry_cosines(D8, ENTRIES).tolist() == pytest.approx([1, 0.7071067812, -1], abs=1e-10)
    assert float(alignment_loss(D8, ENTRIES)) == pytest.approx(-0.2357022604, abs=1e-10)


def test_alpha_times_the_alignment_and_the_total_are_those_of_d8():
    """alpha = 10, beside a model that gives all of 80,000 tokens the same probability."""

    class Uniform(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed_tokens = torch.nn.Embedding.from_pretrained(D8)

        def forward(self, batch: PackedBatch, tokens: torch.Tensor) -> torch.Tensor:
            return self.embed_tokens(batch.tokens[tokens])

        def token_losses(self, features: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return token_losses(features.new_full((len(features), 80_000), 0.5), targets)

    batch = replace(pack([[1, 2, 3]]), masked=torch.tensor([0, 2]), targets=torch.tensor([7, 79_999]))
    objectives, context = parse_objectives("mlm,align:10", OBJECTIVES), Context(ENTRIES)
    total, size, losses = combined_loss(objectives, Uniform(), {"mono": batch}, context)
    mlm, align = (float(losses[name].sum) / losses[name].count for name in ("mlm", "align"))
    assert mlm == pytest.approx(11.2897819137, abs=1e-10) and 10 * align == pytest.approx(-2.3570226040, abs=1e-9)
    assert float(total) / size == pytest.approx(8.9327593097, abs=1e-10)


def test_gradients_of_d8():
    embeddings = D8.clone().requires_grad_()
    alignment_loss(embeddings, ENTRIES).backward()
    assert embeddings.grad[3].tolist() == pytest.approx([-0.1178511302, 0.1178511302], abs=1e-10)
    assert embeddings.grad[4].tolist() == pytest.approx([0, -0.2357022604], abs=1e-10)


def reference(embeddings: np.ndarray, source: list[list[int]], target: list[list[int]]) -> float:
    """The formula of section 3, entry by entry."""
    cosines = []
    for a, b in zip(source, target):
        x, y = embeddings[a].mean(axis=0), embeddings[b].mean(axis=0)
        cosines.append(float(x @ y) / (math.sqrt(float(x @ x)) * math.sqrt(float(y @ y))))
    return -sum(cosines) / len(cosines)


def test_entries_of_several_pieces_equal_the_plain_formula():
    rng = np.random.default_rng(42)
    embeddings = rng.normal(size=(50, 8))
    source = [list(map(int, rng.integers(2, 50, rng.integers(1, 5)))) for _ in range(30)]
    target = [list(map(int, rng.integers(2, 50, rng.integers(1, 5)))) for _ in range(30)]
    entries = DictionaryTensors.build(source, target, padding=1)
    found = float(alignment_loss(torch.tensor(embeddings), entries))
    assert found == pytest.approx(reference(embeddings, source, target), abs=1e-12)


def test_gradients_agree_with_finite_differences():
    embeddings = torch.randn(12, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    entries = DictionaryTensors.build([[2], [3, 4]], [[5], [6, 7, 8]], padding=1)
    assert torch.autograd.gradcheck(lambda e: alignment_loss(e, entries), (embeddings,))


def test_identical_sides_are_dropped_and_zero_rows_stay_finite():
    entries = DictionaryTensors.build([[3], [4]], [[3], [5]], padding=1)
    assert len(entries) == 1
    embeddings = torch.zeros(6, 3, requires_grad=True)
    loss = alignment_loss(embeddings, entries)
    loss.backward()
    assert loss.item() == 0 and torch.isfinite(embeddings.grad).all()


def test_low_precision_embeddings_are_compared_in_float32():
    embeddings = torch.randn(10, 512, generator=torch.Generator().manual_seed(1))
    entries = DictionaryTensors.build([[2]], [[3]], padding=1)
    exact = entry_cosines(embeddings.double(), entries)
    assert entry_cosines(embeddings.half() * 200, entries).dtype == torch.float32
    assert torch.allclose(entry_cosines((embeddings * 200).half(), entries).double(), exact, atol=1e-3)


def test_a_sample_is_a_function_of_its_key_and_covers_the_dictionary():
    entries = DictionaryTensors.build([[i] for i in range(2, 52)], [[i] for i in range(52, 102)], padding=1)
    first, again, other = entries.sample(10, 1), entries.sample(10, 1), entries.sample(10, 2)
    assert torch.equal(first.source, again.source) and not torch.equal(first.source, other.source)
    seen = torch.cat([entries.sample(10, k).source for k in range(100)]).unique()
    assert len(seen) == 50 and torch.equal(first.target, first.source + 50)


def test_an_empty_dictionary_gives_zero_with_a_gradient():
    embeddings = torch.randn(5, 2, requires_grad=True)
    alignment_loss(embeddings, DictionaryTensors.build([], [], padding=1)).backward()
    assert embeddings.grad.abs().sum() == 0
