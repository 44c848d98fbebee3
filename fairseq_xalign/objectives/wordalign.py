"""Alignment of words in context (Cao, Kitaev and Klein 2020, section 3.2): the baseline of PPA's and WEAM's tables.

Vectors of linked words are drawn together, and the vectors of one side of each pair are held near those of the encoder
that training started from,

    L = sum over linked words (i, j) of |f(s)_i - f(t)_j|^2 + lambda * sum over the words k of that side of
        |f(x)_k - f_0(x)_k|^2,

since equal vectors alone would be reached by an encoder that gives the same one to everything. Both texts are read by
themselves, and nothing is hidden.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.batch import PackedBatch, select
from fairseq_xalign.objectives.objective import LINKS, Context, Draw, Figure, Loss, Objective, Reading, option
from fairseq_xalign.objectives.view import BITEXT, Settings, View
from fairseq_xalign.options import at_least

HELD = SOURCE, TARGET, BOTH = "source", "target", "both"
TOWARDS = CURRENT, START = "current", "start"
REDUCTIONS = MEAN_EACH, OVER_LINKS = "mean-each", "sum-over-links"


@dataclass(frozen=True)
class WordAlignOptions:
    """What the paper says, and what the released code does otherwise."""

    wordalign_hold: float = option(
        1.0,
        "weight lambda of the distance to the vectors that training started from in wordalign; 1 by default (Cao et "
        "al. 2020); 0 holds nothing, and keeps no copy of the encoder",
    )
    wordalign_hold_side: str = option(
        SOURCE,
        "side of each pair that wordalign holds near its start: source (the default; Cao et al. hold English, which is "
        "the source of pairs named en-xx), target, or both",
        HELD,
    )
    wordalign_towards: str = option(
        CURRENT,
        "which vectors of the side that is held the other side is drawn to: its current ones, which then move as well "
        "(current, the default: Cao et al. 2020), or those of the start (as in some of the released code)",
        TOWARDS,
    )
    wordalign_reduction: str = option(
        MEAN_EACH,
        "what the two sums of wordalign are divided by: mean-each, each by the number of its own terms (the default: "
        "the released code), or sum-over-links, both by the number of links (the formula as printed)",
        REDUCTIONS,
    )
    wordalign_layer: int = option(
        -1, "layer whose output wordalign aligns: 0 for the embeddings; -1, the default, for the last one"
    )

    def __post_init__(self) -> None:
        at_least(0, wordalign_hold=self.wordalign_hold)
        at_least(-1, wordalign_layer=self.wordalign_layer)
        if self.wordalign_towards == START and (not self.wordalign_hold or self.wordalign_hold_side == BOTH):
            raise UserError(
                "--wordalign-towards start draws one side to the start of the other",
                remedy="Choose --wordalign-hold-side source or target, and --wordalign-hold more than 0",
            )

    @property
    def layer(self) -> int | None:
        """The layer as encoders number it: None for the last one."""
        return None if self.wordalign_layer < 0 else self.wordalign_layer


class StartEncoder(nn.Module):
    """The encoder that training started from: never trained, without dropout, saved with the model.

    Attributes:
        encoder: the copy.
    """

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder).requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> StartEncoder:
        return super().train(False)

    @torch.no_grad()
    def take(self, encoder: Any) -> None:
        """Become a copy of ``encoder`` as it is now."""
        for own, other in zip(self.encoder.parameters(), encoder.parameters(), strict=True):
            own.copy_(other)

    @torch.no_grad()
    def forward(self, batch: PackedBatch, layer: int | None) -> Tensor:
        """The vectors [T, D] of a batch."""
        return self.encoder(batch, layer)


def squared_distances(left: Tensor, right: Tensor) -> Tensor:
    """|x - y|^2 of each row: [N, D], [N, D] -> [N], in float32 at least."""
    wide = torch.promote_types(left.dtype, torch.float32)
    return (left.to(wide) - right.to(wide)).square().sum(-1)


class WordAlignment(Objective):
    """Squared distance of linked words' vectors, and of one side's to the start; a mean over links."""

    name = "wordalign"
    Options = WordAlignOptions
    stream = BITEXT
    needs = frozenset({LINKS})
    memory = ("encoder.",)
    figure = Figure("loss")
    further_figures = (Figure("distance"), Figure("drift"))

    def view(self, settings: Settings) -> View:
        return View(BITEXT, sides="apart")

    def module(self, encoder: Any) -> nn.Module | None:
        if self.options.wordalign_layer > encoder.config.layers:
            raise UserError(
                f"--wordalign-layer {self.options.wordalign_layer}: the encoder has {encoder.config.layers} layers",
                remedy=f"Choose at most {encoder.config.layers}, or -1 for the last one",
            )
        return StartEncoder(encoder) if self.options.wordalign_hold else None

    def begin(self, module: nn.Module, encoder: Any, seed: int, batches: Draw) -> None:
        assert isinstance(module, StartEncoder)
        module.take(encoder)

    def loss(self, encoder: Any, reading: Reading | None, context: Context) -> Loss:
        assert reading is not None and reading.batch.links is not None
        batch, links, options = reading.batch, reading.batch.links, self.options
        vectors = reading.features() if options.layer is None else reading.features(options.layer)
        at_start = vectors.detach()
        held, tokens = vectors.new_zeros((), dtype=torch.promote_types(vectors.dtype, torch.float32)), 0
        if self.name in context.modules:
            places = _places_of_side(batch, options.wordalign_hold_side)
            at_start = self._at_start(batch, places, context, vectors)
            held, tokens = squared_distances(vectors[places], at_start[places]).sum(), len(places)
        ends = [vectors.index_select(0, places) for places in links]
        if options.wordalign_towards == START:
            side = int(options.wordalign_hold_side == TARGET)
            ends[side] = at_start.index_select(0, links[side])
        apart, count = squared_distances(*ends).sum(), links.shape[1]
        each = count / max(tokens, 1) if options.wordalign_reduction == MEAN_EACH else 1.0
        figures = {"distance": (apart, count), "drift": (held, tokens)}
        return Loss(apart + options.wordalign_hold * each * held, count, others=figures)

    def _at_start(self, batch: PackedBatch, places: Tensor, context: Context, vectors: Tensor) -> Tensor:
        """The vectors of the start at ``places``, [T, D]; elsewhere those given."""
        side = self.options.wordalign_hold_side
        start = context.modules[self.name]
        if side == BOTH:
            return start(batch, self.options.layer)
        found = start(select(batch, slice(int(side == TARGET), None, 2)), self.options.layer)
        return vectors.detach().to(found.dtype).index_copy(0, places, found)


def _places_of_side(batch: PackedBatch, side: str) -> Tensor:
    """The tokens of one side of pairs whose sources and targets take turns, or of both, int64."""
    places = torch.arange(len(batch.tokens), device=batch.tokens.device)
    if side == BOTH:
        return places
    sequence = torch.arange(len(batch), device=places.device)
    sequence = sequence.repeat_interleave(batch.lengths, output_size=len(places))
    other = (sequence % 2 != int(side == TARGET)).long()
    ours = int(batch.host_lengths()[int(side == TARGET) :: 2].sum())  # known on the host, so that it need not wait
    return other.argsort(stable=True)[:ours]
