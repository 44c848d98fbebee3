"""ALIGN-MLM's alignment of word embeddings (Tang et al. 2022, section 3).

L_ALIGN = -(1 / |B|) sum_i cos(E[B_i1], E[B_i2]) over the entries of a bilingual dictionary B, with E the input word
embeddings (tied to the output layer). A side of several pieces stands for the mean of their embeddings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.objective import Context, Figure, Loss, Objective, Reading, Resources, option
from fairseq_xalign.objectives.random import permutation_sample
from fairseq_xalign.options import at_least

EPSILON = 1e-8
"""Smallest norm in the cosine: keeps the value and the gradient of a zero row finite."""


@dataclass(frozen=True)
class DictionaryTensors:
    """A dictionary's entries as ids.

    Attributes:
        source, target: ids, int64 [P, pieces], short entries filled up with ``padding``.
        padding: the filling id (its embedding takes no part).
    """

    source: Tensor
    target: Tensor
    padding: int

    @classmethod
    def build(cls, source: list[list[int]], target: list[list[int]], padding: int) -> DictionaryTensors:
        """Make them from lists of ids; entries whose two sides are identical are dropped (cosine 1, no gradient)."""
        pairs = [(s, t) for s, t in zip(source, target, strict=True) if s != t]

        def side(rows: list[list[int]]) -> Tensor:
            width = max((len(r) for r in rows), default=1)
            return torch.tensor([r + [padding] * (width - len(r)) for r in rows], dtype=torch.int64).view(-1, width)

        return cls(side([s for s, _ in pairs]), side([t for _, t in pairs]), padding)

    def __len__(self) -> int:
        return len(self.source)

    def to(self, device: torch.device) -> DictionaryTensors:
        return DictionaryTensors(self.source.to(device), self.target.to(device), self.padding)

    def sample(self, count: int, key: int) -> DictionaryTensors:
        """Draw ``count`` different entries as a function of ``key`` alone; all of them if there are fewer."""
        if count <= 0 or count >= len(self):
            return self
        chosen = permutation_sample(len(self), count, key).to(self.source.device)
        return DictionaryTensors(self.source[chosen], self.target[chosen], self.padding)


def mean_embeddings(embeddings: Tensor, ids: Tensor, padding: int) -> Tensor:
    """Mean embedding of each entry: embeddings [V, D], ids [P, pieces] -> float32 or float64 [P, D]."""
    precise = embeddings.dtype if embeddings.dtype == torch.float64 else torch.float32
    if ids.shape[1] == 1:
        return F.embedding(ids[:, 0], embeddings).to(precise)
    present = (ids != padding).to(precise)  # [P, pieces]
    rows = F.embedding(ids, embeddings).to(precise)  # [P, pieces, D]
    return (rows * present[..., None]).sum(1) / present.sum(1, keepdim=True).clamp(min=1)


def entry_cosines(embeddings: Tensor, entries: DictionaryTensors) -> Tensor:
    """cos(E[B_i1], E[B_i2]) for each entry, [P], computed in float32 also under lower precision."""
    source = mean_embeddings(embeddings, entries.source, entries.padding)
    target = mean_embeddings(embeddings, entries.target, entries.padding)
    with torch.autocast(source.device.type, enabled=False):
        return F.cosine_similarity(source, target, dim=-1, eps=EPSILON)


def alignment_loss(embeddings: Tensor, entries: DictionaryTensors) -> Tensor:
    """L_ALIGN, a scalar in [-1, 1]; 0 for an empty dictionary."""
    if not len(entries):
        return embeddings.sum() * 0
    return -entry_cosines(embeddings, entries).mean()


@dataclass(frozen=True)
class AlignOptions:
    """How the dictionary is read."""

    dictionary_sample: int = option(
        0, "number of dictionary entries to align per batch; 0, the default, takes all (ALIGN-MLM's released code)"
    )

    def __post_init__(self) -> None:
        at_least(0, dictionary_sample=self.dictionary_sample)


@dataclass(frozen=True)
class AlignWeight:
    """What the criterion ``align_mlm`` adds; ``--criterion xalign`` writes ``align:10`` instead."""

    align_weight: float = option(
        10.0, "weight alpha of the alignment loss; 10 by default (ALIGN-MLM, Appendix G.5, tried 1, 10 and 100)"
    )


class Align(Objective):
    """Negative cosine of dictionary entries' word embeddings; a mean over entries."""

    name = "align"
    Options = AlignOptions
    needs = frozenset({"entries"})
    figure = Figure("cosine", factor=-1.0)

    def check(self, resources: Resources) -> None:
        """Raises UserError where no entry has two different sides."""
        if not len(resources.entries):
            raise UserError(
                "every entry of the dictionaries is the same piece on both sides: nothing to align", resources.where,
                remedy="Make a dictionary whose sides differ with `xalign-preprocess dictionary`, or leave align out",
            )  # fmt: skip

    def loss(self, encoder: Any, reading: Reading | None, context: Context) -> Loss:
        entries = context.entries.sample(self.options.dictionary_sample, context.key)
        mean = alignment_loss(encoder.embed_tokens.weight, entries)
        return Loss(mean * len(entries), len(entries))
