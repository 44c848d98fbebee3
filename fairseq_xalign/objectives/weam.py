"""Cross-lingual prediction by word exchange: the second part of WEAM's loss (Yang et al. 2021, section 2.2).

In a sequence with both sides of a pair, a hidden token is predicted once more: from the vectors of the tokens that its
word is linked with. With A the symmetric matrix of links and H the encoder's output,

    H' = A^T H (Eq. 5), H~ = W_2 H' + b_2 (6), H~' = GELU(W_3 H~ + b_3) (7), p(w) ~ exp(linear(H~') . e_w) (8),

and L_cp = - sum over hidden tokens of log p(token) (10). The paper's loss is L_mp + lambda L_cp (11), where L_mp is
that of TLM; both are sums over the M hidden tokens, so both are divided by the same M here (``--weam-reduction``).
A is never made: links come as lists of places, and only hidden tokens with links are predicted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_xalign.objectives.objective import LINKS, Context, Draw, Figure, Loss, Objective, Reading, option
from fairseq_xalign.objectives.view import BITEXT, Settings, View

AGGREGATES = SUM, MEAN, FIRST = "sum", "mean", "first"
UNLINKED = SKIP, BIAS = "skip", "bias"
REDUCTIONS = OVER_M, MEAN_EACH = "sum-over-M", "mean-each"
HEADS = LITERAL, BERT = "literal", "bert"


@dataclass(frozen=True)
class ExchangeOptions:
    """What the text of WEAM leaves open; the defaults take it by the letter where it says anything."""

    weam_link_agg: str = option(
        SUM,
        "vector of several linked tokens in weam: their sum (the default: WEAM, Eq. 5), their mean, or the first one's",
        AGGREGATES,
    )
    weam_unlinked: str = option(
        SKIP,
        "what weam does with a hidden token without links: skip it (the default: section 2.2 speaks of paired words), "
        "or predict it from the bias alone (Eqs. 5 to 10 as printed)",
        UNLINKED,
    )
    weam_reduction: str = option(
        OVER_M,
        "what the loss of weam is divided by: sum-over-M, all hidden tokens, as TLM's (the default, which keeps the "
        "proportion of Eq. 11), or mean-each, the tokens that weam predicts",
        REDUCTIONS,
    )
    weam_head: str = option(
        LITERAL,
        "prediction head of weam: literal (the default), two layers and a linear one before the embeddings, as Eqs. 6 "
        "to 8, or bert, whose last part has BERT's layer norm and output bias, and begins as the encoder's MLM head",
        HEADS,
    )


@dataclass(frozen=True)
class ExchangeWeight:
    """What the criterion ``weam`` adds; ``--criterion xalign`` writes ``tlm,weam:1`` instead."""

    weam_weight: float = option(1.0, "weight lambda of cross-lingual prediction; 1 by default (WEAM, section 3.1)")


def exchanged(features: Tensor, links: Tensor, hidden: Tensor, aggregate: str = SUM) -> tuple[Tensor, Tensor]:
    """H' at some places (Eq. 5): for each the vectors of its partners, put together.

    Args:
        features: H, [T, D].
        links: linked places, each pair once, int64 [2, L]; A is symmetric, so either of them is the other's partner.
        hidden: places, ascending, int64 [N].
        aggregate: how several partners are put together, one of ``AGGREGATES``.

    Returns:
        [N, D] in float32 at least, 0 where there is no partner, and the number of partners, int64 [N].
    """
    rest = len(hidden)  # where partners of other tokens go: to select the hidden ones, the host would wait for a device
    slot = torch.full((len(features),), rest, dtype=torch.int64, device=features.device)
    slot[hidden] = torch.arange(rest, device=features.device)
    place, partner = torch.cat([links, links.flip(0)], dim=1)  # [2 L] each
    to = slot[place]
    count = to.new_zeros(rest + 1).index_add(0, to, torch.ones_like(to))
    if aggregate == FIRST:
        earliest = torch.full_like(count, len(features)).scatter_reduce(0, to, partner, "amin")
        to = torch.where(earliest[to] == partner, to, rest)
    wide = torch.promote_types(features.dtype, torch.float32)
    summed = features.new_zeros(rest + 1, features.shape[1], dtype=wide)
    summed = summed.index_add(0, to, features.index_select(0, partner).to(wide))[:rest]
    count = count[:rest]
    return (summed / count.clamp(min=1)[:, None] if aggregate == MEAN else summed), count


class ExchangeHead(nn.Module):
    """Eqs. 6 to 8 without the embeddings: H' [N, D] -> what their rows are multiplied with, [N, D].

    W_2 begins as the identity: at first a token is predicted from its partners' vectors as they are. The other layers
    begin at random, or (``bert``) as the encoder's MLM head.

    Attributes:
        exchange, dense, linear: W_2, W_3 and the linear layer of Eq. 8, with their biases.
        norm: of ``bert``, in place of ``linear``.
        begun: whether ``bert`` has taken over the encoder's head, bool ().
    """

    begun: Tensor

    def __init__(self, width: int, kind: str = LITERAL, eps: float = 1e-5) -> None:
        super().__init__()
        self.exchange, self.dense = nn.Linear(width, width), nn.Linear(width, width)
        self.linear = nn.Linear(width, width) if kind == LITERAL else None
        self.norm = nn.LayerNorm(width, eps) if kind == BERT else None
        for layer in filter(None, (self.exchange, self.dense, self.linear)):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.eye_(self.exchange.weight)
        self.register_buffer("begun", torch.zeros((), dtype=torch.bool))

    def forward(self, moved: Tensor) -> Tensor:
        own = self.exchange.weight.dtype
        if not torch.is_autocast_enabled(moved.device.type):
            moved = moved.to(own)
        seen = F.gelu(self.dense(self.exchange(moved)))
        if self.norm is not None:
            return self.norm(seen)
        assert self.linear is not None
        return self.linear(seen)

    @torch.no_grad()
    def take_over(self, encoder: Any) -> None:
        """Let ``bert`` begin as the encoder's MLM head, unless it did so before."""
        if self.norm is not None and not self.begun and encoder.lm_dense is not None:
            self.dense.load_state_dict({k: v.to(self.dense.weight) for k, v in encoder.lm_dense.state_dict().items()})
            self.norm.load_state_dict({k: v.to(self.norm.weight) for k, v in encoder.lm_norm.state_dict().items()})
        self.begun.fill_(True)


class WordExchange(Objective):
    """L_cp of WEAM: hidden tokens predicted from the tokens that they are linked with."""

    name = "weam"
    Options = ExchangeOptions
    stream = BITEXT
    needs = frozenset({LINKS})
    figure = Figure("per_hidden")
    further_figures = (Figure("loss", likelihood=True), Figure("linked", factor=100.0))

    def view(self, settings: Settings) -> View:
        return View.of(BITEXT, settings)

    def module(self, encoder: Any) -> ExchangeHead:
        weight = encoder.embed_tokens.weight
        eps = encoder.config.layernorm_eps if self.options.weam_head == BERT else 0.0
        return ExchangeHead(weight.shape[1], self.options.weam_head, eps)

    def begin(self, module: nn.Module, encoder: Any, seed: int, batches: Draw) -> None:
        assert isinstance(module, ExchangeHead)
        module.take_over(encoder)

    def loss(self, encoder: Any, reading: Reading | None, context: Context) -> Loss:
        assert reading is not None
        batch, options = reading.batch, self.options
        assert batch.links is not None and batch.masked is not None and batch.targets is not None
        moved, partners = exchanged(reading.features(), batch.links, batch.masked, options.weam_link_agg)
        targets, linked = batch.targets, partners > 0
        if options.weam_unlinked == SKIP:
            rows = linked.nonzero()[:, 0] if batch.linked is None else batch.linked
            moved, targets = moved.index_select(0, rows), targets.index_select(0, rows)
        vectors = context.modules[self.name](moved)
        terms = encoder.vector_losses(vectors, targets, biased=options.weam_head == BERT)
        predicted, hidden = len(terms), len(batch.masked)
        count = predicted if options.weam_reduction == MEAN_EACH else hidden
        figures = {"loss": (terms.sum(), predicted), "linked": (linked.sum(), hidden)}
        return Loss(terms.sum(), count, others=figures)
