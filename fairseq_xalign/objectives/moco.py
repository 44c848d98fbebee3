"""Momentum contrast of translations: PPA (Pan et al., "Multilingual BERT Post-Pretraining Alignment", NAACL 2021).

A fair coin decides which side of a pair is the query and which the key. The encoder that is trained reads queries; a
second one, whose weights follow it (theta_k = m theta_k + (1 - m) theta_q after every update, Eq. 1), reads keys. The
vector h of a text, its first token's or a mean, is projected to z = W_2 ReLU(W_1 h) (Eq. 2), and InfoNCE (Eq. 3,
``contrast.py``) asks each query to recognise its key among those of earlier updates, in a queue (``key_queue.py``).

The order of an update is MoCo's (He et al. 2020, Algorithm 1): its micro-batches see the queue and the key encoder as
the last update left them; after the optimizer's step the key encoder follows once, and the keys of all micro-batches
and workers enter the queue. Nothing changes where the step is left out.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.batch import PackedBatch, select
from fairseq_xalign.objectives.contrast import DENOMINATORS, WITH_POSITIVE, info_nce, sequence_hashes, shares_text
from fairseq_xalign.objectives.key_queue import KeyQueue, Waiting
from fairseq_xalign.objectives.objective import (
    LOSS,
    NO_MASTERS,
    Context,
    Draw,
    Figure,
    Loss,
    Objective,
    Reading,
    Resources,
    option,
)
from fairseq_xalign.objectives.pooling import pool
from fairseq_xalign.objectives.sentences import SentenceOptions
from fairseq_xalign.objectives.view import BITEXT, Settings, View
from fairseq_xalign.options import at_least, flag, positive, share

logger = logging.getLogger(__name__)

NORMALIZED = ("h", "z", "both", "none")
POOLINGS = ("cls", "mean")
QUEUE_STARTS = PREFILL, GAUSSIAN = "prefill", "gaussian"
EPSILON = 1e-6
"""Vectors are divided by their length, or by this if it is shorter."""


@dataclass(frozen=True)
class MocoOptions(SentenceOptions):
    """The hyper-parameters of PPA, section 3.1, and the choices that its text leaves open."""

    moco_queue: int = option(32_000, "number of keys in the queue of moco; 32000 by default (PPA, section 3.1)")
    moco_momentum: float = option(
        0.999,
        "share m of the key encoder's own weights in theta_k = m theta_k + (1 - m) theta_q; 0.999 by default (PPA)",
    )
    moco_temperature: float = option(0.05, "what similarities are divided by in moco; 0.05 by default (PPA)")
    moco_width: int = option(300, "width of the projected vectors of moco; 300 by default (PPA)")
    moco_normalize: str = option(
        "h",
        "which vectors of moco have length 1: that of the text (h, the default, as PPA, section 2, is printed), the "
        "projected one (z: MoCo), both, or none",
        NORMALIZED,
    )
    moco_pooling: str = option(
        "cls",
        "vector of a text for moco: its first token's (cls, the default: PPA) or the mean of its tokens",
        POOLINGS,
    )
    moco_denominator: str = option(
        WITH_POSITIVE,
        "sum in the denominator of InfoNCE: over the key and the queue (with-positive, the default: MoCo), or over the "
        "queue-only (PPA, Eq. 3, as printed), with which the loss may be negative",
        DENOMINATORS,
    )
    moco_projection_bias: bool = option(False, "give the projection of moco biases (default: none, as PPA, Eq. 2)")
    moco_queue_init: str = option(
        PREFILL,
        "what the queue of moco holds before the first update: keys of the pairs that come last in the first pass "
        "(prefill, the default: InfoXLM's released code fills it with keys too) or random vectors (gaussian: MoCo)",
        QUEUE_STARTS,
    )
    moco_mask_duplicates: bool = option(
        False,
        "leave queued keys out of the negatives of a query whose pair shares a text with theirs (default: keep them, "
        "as PPA; moco_duplicates logs how many queries have any)",
    )
    moco_mask_tokens: bool = option(
        False,
        "let moco read texts some of whose tokens are hidden, as for TLM (InfoXLM's released code; default: whole "
        "texts, as PPA mentions no masking here)",
    )
    moco_key_eval: bool = option(
        False, "compute the keys of moco without dropout (default: with dropout, as queries: MoCo)"
    )
    moco_hardest: int = option(
        0,
        "number of queued keys, those most similar to a query, that are its negatives (default: 0, which is all of "
        "them, as PPA; hard negatives are beyond the papers)",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(0, moco_hardest=self.moco_hardest)
        at_least(1, moco_queue=self.moco_queue, moco_width=self.moco_width)
        share(whole=True, moco_momentum=self.moco_momentum)
        positive(moco_temperature=self.moco_temperature)


@dataclass(frozen=True)
class PPAWeights:
    """What the criterion ``ppa`` adds: L = L_MoCo + L_TLM (Eq. 4); ``--criterion xalign`` writes ``moco:1,tlm:1``."""

    moco_weight: float = option(1.0, "weight of momentum contrast; 1 by default (PPA, Eq. 4), 0 leaves it out")
    tlm_weight: float = option(1.0, "weight of TLM; 1 by default (PPA, Eq. 4), 0 leaves it out")


class Projection(nn.Module):
    """z = W_2 ReLU(W_1 h) (Eq. 2), h [P, D] -> z [P, d], with the normalisations that options ask for."""

    def __init__(self, width: int, std: float, options: MocoOptions) -> None:
        super().__init__()
        self.normalizes_h = options.moco_normalize in ("h", "both")
        self.normalizes_z = options.moco_normalize in ("z", "both")
        self.hidden = nn.Linear(width, width, bias=options.moco_projection_bias)
        self.out = nn.Linear(width, options.moco_width, bias=options.moco_projection_bias)
        for layer in (self.hidden, self.out):
            nn.init.normal_(layer.weight, std=std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, h: Tensor) -> Tensor:
        with torch.autocast(h.device.type, enabled=False):
            h = h.to(self.out.weight.dtype)
            h = F.normalize(h, dim=-1, eps=EPSILON) if self.normalizes_h else h
            z = self.out(F.relu(self.hidden(h)))
            return F.normalize(z, dim=-1, eps=EPSILON) if self.normalizes_z else z


class MomentumContrast(nn.Module):
    """What the objective owns: the projection, which is trained, the key encoder with its own, and the queue.

    Weights of the key encoder are float32 whatever the precision of the model: in half precision
    0.999 * 1.0 + 0.001 * 1.25 is 1.0 again.

    Attributes:
        steps: how often the key encoder has followed, int64 ().
        waiting: the keys of the current update.
    """

    steps: Tensor

    def __init__(self, encoder: Any, options: MocoOptions) -> None:
        super().__init__()
        self.options = options
        self.head = Projection(encoder.config.width, encoder.config.initializer_std, options)
        self.key_encoder = _follower(encoder)
        self.key_head = _follower(self.head)
        self.queue = KeyQueue(options.moco_queue, options.moco_width)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.waiting = Waiting()
        self._lowered: list[Any] = []  # a list, so that it is no sub-module: nothing of it is saved

    def queries(self, encoder: Any, texts: PackedBatch) -> Tensor:
        """z of every text under the encoder that is trained, [P, d]."""
        return self.head(self._vectors(encoder, texts))

    @torch.no_grad()
    def keys(self, encoder: Any, texts: PackedBatch) -> Tensor:
        """z of every text under the key encoder, [P, d], computed in the precision of ``encoder``."""
        reader = self._reader(encoder).train(self.training and not self.options.moco_key_eval)
        return self.key_head(self._vectors(reader, texts))

    def _vectors(self, encoder: Any, texts: PackedBatch) -> Tensor:
        features = encoder(texts, self.options.layer)
        return pool(features, texts.starts, self.options.moco_pooling, edges=False)

    def _reader(self, encoder: Any) -> Any:
        """The key encoder, or a copy in half precision where the model was converted to it."""
        precision = next(encoder.parameters()).dtype
        if precision.itemsize >= 4:
            return self.key_encoder
        if not self._lowered:
            self._lowered.append(copy.deepcopy(self.key_encoder).to(precision))
        return self._lowered[0]

    @torch.no_grad()
    def start(self, encoder: Any) -> None:
        """Make the key encoder equal to ``encoder``, and the queue empty."""
        self._follow(encoder, 0.0)
        self.queue.empty()
        self.steps.zero_()
        self.waiting.clear()

    @torch.no_grad()
    def step(self, encoder: Any, masters: Mapping[Tensor, Tensor] = NO_MASTERS) -> None:
        """After an update: let the key encoder follow once, and let the keys of all workers enter the queue.

        Args:
            masters: the float32 weights of which parameters are copies in half precision: these are what it follows.
        """
        self._follow(encoder, self.options.moco_momentum, masters)
        self.steps.add_(1)
        self.queue.enqueue(*self.waiting.take(self.queue))

    def _follow(self, encoder: Any, momentum: float, masters: Mapping[Tensor, Tensor] = NO_MASTERS) -> None:
        for follower, leader in ((self.key_encoder, encoder), (self.key_head, self.head)):
            for own, other in zip(follower.parameters(), leader.parameters(), strict=True):
                exact = masters.get(other, other)
                if momentum:
                    own.lerp_(exact.to(own), 1 - momentum)
                else:
                    own.copy_(exact)
        for lowered in self._lowered:
            for own, other in zip(lowered.parameters(), self.key_encoder.parameters(), strict=True):
                own.copy_(other)


def _follower(module: Any) -> Any:
    """A copy that no gradient reaches, in float32 at least."""
    copied = copy.deepcopy(module).requires_grad_(False)
    return copied.float() if next(copied.parameters()).dtype.itemsize < 4 else copied


class Moco(Objective):
    """InfoNCE between a text and its translation, with a queue and a momentum encoder; a mean over pairs."""

    name = "moco"
    Options = MocoOptions
    stream = BITEXT
    needs = frozenset({"pairs"})
    memory = ("key_encoder.", "key_head.", "queue.", "steps")
    figure = LOSS
    further_figures = (Figure("accuracy"), Figure("duplicates"))

    def remembered(self) -> dict[str, Any]:
        """Which vectors the queued keys are: queries are compared with keys of their own kind alone."""
        return {
            flag(name): getattr(self.options, name) for name in ("moco_normalize", "moco_pooling", "sentence_layer")
        }

    def view(self, settings: Settings) -> View:
        rates = settings.rates if self.options.moco_mask_tokens else None
        return View(BITEXT, rates, sides="apart", packing="pairs", shuffle_order=True)

    def check(self, resources: Resources) -> None:
        """Raises UserError where the queue holds the whole bitext."""
        size, pairs = self.options.moco_queue, resources.pairs
        if pairs is not None and size >= pairs:
            raise UserError(
                f"--moco-queue {size} is not less than the {pairs} pairs of training bitext that are read: every query "
                "would find its own translation among the negatives",
                resources.where,
                remedy="Choose a tenth of the pairs or less, and a --moco-momentum of 0.99",
            )

    def module(self, encoder: Any) -> MomentumContrast:
        self.options.check_layer(encoder)
        return MomentumContrast(encoder, self.options)

    def begin(self, module: nn.Module, encoder: Any, seed: int, batches: Draw) -> None:
        assert isinstance(module, MomentumContrast)
        module.start(encoder)
        size = len(module.queue)
        if self.options.moco_queue_init == GAUSSIAN:
            generator = torch.Generator().manual_seed(seed)
            module.queue.fill_at_random(generator, unit=self.options.moco_normalize in ("z", "both"))
            return
        logger.info(f"moco: filling the queue with the keys of {size} pairs")
        for number, batch in batches(size):
            module.waiting.add(number, module.keys(encoder, sides(batch)[1]), sequence_hashes(batch).view(-1, 2))
        made, texts = module.waiting.take(module.queue)
        module.queue.enqueue(made[:size], texts[:size])
        logger.info(f"moco: the queue holds {int(module.queue.filled)} keys")

    def before_update(self, module: nn.Module) -> None:
        assert isinstance(module, MomentumContrast)
        module.waiting.clear()

    def after_step(self, module: nn.Module, encoder: Any, masters: Mapping[Tensor, Tensor] = NO_MASTERS) -> None:
        assert isinstance(module, MomentumContrast)
        module.step(encoder, masters)

    def loss(self, encoder: Any, reading: Reading | None, context: Context) -> Loss:
        assert reading is not None
        own, options = context.modules[self.name], self.options
        assert isinstance(own, MomentumContrast)
        first, second = sides(reading.batch)
        texts = sequence_hashes(reading.batch).view(-1, 2)
        queries, keys = own.queries(encoder, first), own.keys(encoder, second)
        queue, queued = own.queue.content()
        same = shares_text(texts, queued)
        terms, found = info_nce(queries, keys, queue, options.moco_temperature, options.moco_denominator,
                                same if options.moco_mask_duplicates else None, options.moco_hardest)  # fmt: skip
        if context.training and not context.dummy:
            own.waiting.add(context.number, keys, texts)
        count = len(first)
        figures = {"accuracy": (found.sum(), count), "duplicates": (same.any(1).sum(), count)}
        return Loss(terms.sum(), count, others=figures)


def sides(batch: PackedBatch) -> tuple[PackedBatch, PackedBatch]:
    """The first sides and the second sides of pairs that are read apart (``View.sides``), two batches of P texts."""
    return select(batch, slice(0, None, 2)), select(batch, slice(1, None, 2))
