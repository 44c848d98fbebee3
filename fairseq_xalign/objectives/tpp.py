"""Translation pair prediction: do two texts translate each other? (TPP: Mishra and Haghighi 2021, section 2.)

P(translation | s, t) = sigmoid(f(s) . f(t)), with one encoder f for both languages; the loss is the binary
cross-entropy over pairs of translations and as many pairs that are none. A pair is never joined into one sequence, so
that the score is symmetric. Text and released code differ in what f is and where negatives come from: options have
both, and the text's are the defaults.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.batch import sent
from fairseq_xalign.objectives.contrast import info_nce
from fairseq_xalign.objectives.negatives import (
    Negatives,
    Texts,
    batch_negatives,
    corpus_negatives,
    hard_negatives,
)
from fairseq_xalign.objectives.objective import Context, Figure, Loss, Objective, Reading, Resources, option
from fairseq_xalign.objectives.sentences import SentenceOptions, sentence_vectors
from fairseq_xalign.objectives.view import BITEXT, OTHER_SIDE, OWN_SIDES, Settings, View
from fairseq_xalign.options import at_least, between, positive

HEADS = CLS, POOLER, POOLER_LINEAR, MEAN = "cls", "pooler", "pooler-linear", "mean"
"""What f(x) is: the last layer's ``<s>``; BERT's pooler on it; another linear layer on that; the mean over pieces."""
BATCH_SOURCE, BATCH_EITHER, BATCH_HARD, CORPUS, CORPUS_EITHER_LANG = NEGATIVES = (
    "batch-source", "batch-either", "batch-hard", "corpus", "corpus-either-lang",
)  # fmt: skip
"""Where the text of a negative comes from."""
LOSSES = BCE, COSINE, RANKING = "bce", "cosine", "ranking"
TEMPERATURE = 0.05
"""PPA's (section 3.1), by default."""
FEWEST_PAIRS = 2
"""Of fewer different pairs there is no negative."""


@dataclass(frozen=True)
class TPPOptions(SentenceOptions):
    """The variants of TPP that the paper and the released code describe."""

    tpp_head: str = option(
        CLS,
        "what represents a text: cls, the output at <s> (the default; TPP, section 2); pooler, a tanh layer on it as "
        "BERT has; pooler-linear, a new linear layer on that (the released code); or mean, the mean over the pieces",
        HEADS,
    )
    tpp_negatives: str = option(
        BATCH_SOURCE,
        "where negatives come from: batch-source replaces the first text of a pair by that of another pair of the "
        "batch (the default; TPP, Figure 2); batch-either replaces either text; batch-hard takes the text of the batch "
        "that is scored highest (not in the paper); corpus replaces either text by one of any other pair; "
        "corpus-either-lang takes that in either language (the released code)",
        NEGATIVES,
    )
    tpp_num_negatives: int = option(1, "number of negatives per pair; 1 by default (TPP, section 2)")
    tpp_loss: str = option(
        BCE,
        "loss of a pair: bce, the binary cross-entropy of the dot product (the default; TPP, section 2); cosine, "
        "1 - cos of a translation and max(0, cos - margin) of a negative (an option of the released code); or ranking, "
        "the cross-entropy of finding each text's translation among all texts of the batch (Guo et al. 2018; not in "
        "the paper), which has no use for --tpp-negatives",
        LOSSES,
    )
    tpp_temperature: float = option(
        TEMPERATURE, "what cosines are divided by in --tpp-loss ranking; 0.05 by default, as in PPA (section 3.1)"
    )
    tpp_margin: float = option(0.0, "margin of --tpp-loss cosine; 0 by default")

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, tpp_num_negatives=self.tpp_num_negatives)
        positive(tpp_temperature=self.tpp_temperature)
        between(-1, 1, tpp_margin=self.tpp_margin)  # of cosines
        if self.tpp_margin and self.tpp_loss != COSINE:
            raise UserError("--tpp-margin is of --tpp-loss cosine", remedy="Leave it out, or choose that loss")
        if self.tpp_temperature != TEMPERATURE and self.tpp_loss != RANKING:
            raise UserError("--tpp-temperature is of --tpp-loss ranking", remedy="Leave it out, or choose that loss")
        if self.tpp_loss == RANKING and (self.tpp_negatives != BATCH_SOURCE or self.tpp_num_negatives != 1):
            raise UserError(
                "--tpp-loss ranking takes every text of the batch as a negative",
                remedy="Leave out --tpp-negatives and --tpp-num-negatives, or choose --tpp-loss bce or cosine",
            )

    @property
    def from_corpus(self) -> bool:
        return self.tpp_negatives in (CORPUS, CORPUS_EITHER_LANG)


class TPPHead(nn.Module):
    """BERT's pooler (a dense layer with tanh), and the linear layer of the released code on it.

    ``pooler`` begins as the pooler of the encoder that training starts from, where that has one.
    """

    def __init__(self, width: int, std: float, linear: bool) -> None:
        super().__init__()
        self.pooler = nn.Linear(width, width)
        self.linear = nn.Linear(width, width) if linear else None
        nn.init.normal_(self.pooler.weight, std=std)
        nn.init.zeros_(self.pooler.bias)

    def forward(self, vectors: Tensor) -> Tensor:
        """vectors [B, D] of ``<s>`` -> [B, D]."""
        pooled = torch.tanh(self.pooler(vectors))
        return pooled if self.linear is None else self.linear(pooled)


def pair_logits(left: Tensor, right: Tensor) -> Tensor:
    """f(s) . f(t) of each pair: [N, D], [N, D] -> [N], in float32 at least: half precision ends at 65,504."""
    wide = torch.promote_types(left.dtype, torch.float32)
    with torch.autocast(left.device.type, enabled=False):
        return (left.to(wide) * right.to(wide)).sum(-1)


def pair_losses(left: Tensor, right: Tensor, labels: Tensor, loss: str = BCE, margin: float = 0.0) -> Tensor:
    """The loss of each pair, [N].

    Args:
        left, right: vectors, [N, D].
        labels: 1 for translations, 0 for pairs that are none, [N].
    """
    if loss == BCE:
        logits = pair_logits(left, right)
        return F.binary_cross_entropy_with_logits(logits, labels.to(logits), reduction="none")
    wide = torch.promote_types(left.dtype, torch.float32)
    with torch.autocast(left.device.type, enabled=False):
        signs = 2 * labels.to(wide) - 1
        return F.cosine_embedding_loss(left.to(wide), right.to(wide), signs, margin, reduction="none")


def ranking_losses(
    first: Tensor, second: Tensor, of_second: Tensor, of_first: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """-log of the share that each text's translation has among the texts that compete (Guo et al. 2018, section 3.2).

    Args:
        first, second: vectors of the texts of P pairs, [P, D]; their cosines are compared.
        of_second: which first texts j compete with the translation of second text i, bool [P, P].
        of_first: which second texts j compete with the translation of first text i, bool [P, P].
        temperature: what cosines are divided by.

    Returns: the loss of the second texts and then of the first ones, [2P], and whether each translation is found, bool.
        Where nothing competes, the loss is 0.
    """
    with torch.autocast(first.device.type, enabled=False):
        wide = torch.promote_types(first.dtype, torch.float32)
        first, second = (F.normalize(side.to(wide), dim=-1) for side in (first, second))
    there = info_nce(second, first, first, temperature, left_out=~of_second)
    back = info_nce(first, second, second, temperature, left_out=~of_first)
    return torch.cat([there[0], back[0]]), torch.cat([there[1], back[1]])


class TranslationPairs(Objective):
    """Telling pairs of translations from others; a mean over pairs, positive and negative ones."""

    name = "tpp"
    Options = TPPOptions
    stream = BITEXT
    needs = frozenset({"fingerprints", "known_pairs"})
    figure = Figure("loss")
    further_figures = (Figure("accuracy"), Figure("logit"), Figure("negatives"), Figure("rejected"), Figure("dropped"))

    def view(self, settings: Settings) -> View:
        others = self.options.tpp_num_negatives if self.options.from_corpus else 0
        side = OWN_SIDES if self.options.tpp_negatives == CORPUS_EITHER_LANG else OTHER_SIDE
        return View(BITEXT, sides="apart", others=others, others_from=side if others else OTHER_SIDE)

    def check(self, resources: Resources) -> None:
        """Raises UserError where all texts that could be replaced are the same, so that no negative can be made."""
        known = resources.known_pairs
        if known is None:
            return
        if len(known) < FEWEST_PAIRS:
            raise UserError(
                f"the pairs of the training text are {len(known)} different ones: tpp needs others to make "
                "negatives of",
                resources.where,
                remedy=f"Binarize at least {FEWEST_PAIRS} different pairs",
            )
        # A text that all pairs have is known to translate every other; the others may make negatives of one language.
        same_language = self.options.tpp_loss != RANKING and self.options.tpp_negatives == CORPUS_EITHER_LANG
        if not (any if same_language else all)(known.differing):
            which = " and ".join(name for name, differs in zip(("first", "second"), known.differing) if not differs)
            raise UserError(
                f"the {which} text of all pairs of training is the same: whatever stands in for a text of a pair, the "
                "result is a known translation, and no negative can be made",
                resources.where,
                remedy="Binarize pairs with different texts on both sides"
                + (f", or choose --tpp-negatives {CORPUS_EITHER_LANG}" if any(known.differing) else ""),
            )

    @property
    def smallest_batch(self) -> int:
        """Negatives that come from the batch need further pairs in it, each of which may replace either text."""
        if self.options.tpp_loss == RANKING:
            return FEWEST_PAIRS
        number = self.options.tpp_num_negatives
        others = {BATCH_SOURCE: number, BATCH_HARD: number, BATCH_EITHER: math.ceil(number / 2)}
        return 1 + others.get(self.options.tpp_negatives, 0)

    def module(self, encoder: Any) -> nn.Module | None:
        self.options.check_layer(encoder)
        if self.options.tpp_head not in (POOLER, POOLER_LINEAR):
            return None
        config = encoder.config
        return TPPHead(config.width, config.initializer_std, self.options.tpp_head == POOLER_LINEAR)

    def loss(self, encoder: Any, reading: Reading | None, context: Context) -> Loss:
        assert reading is not None
        # Ahead of the encoder's work, which a GPU then does meanwhile, unless that is what they depend on.
        ranked = self._texts(reading, context).candidates() if self.options.tpp_loss == RANKING else None
        hard = self.options.tpp_negatives == BATCH_HARD
        chosen = None if hard or ranked else self.negatives(reading, context)
        pooling = "mean" if self.options.tpp_head == MEAN else "cls"
        vectors = sentence_vectors(reading, pooling, self.options.layer)  # [B, D]
        if self.name in context.modules:
            vectors = context.modules[self.name](vectors)
        if ranked:
            return self._ranking(vectors, *ranked)
        pairs = pairs_in(reading, self.options)
        device = vectors.device
        if chosen is None:
            with torch.no_grad(), torch.autocast(device.type, enabled=False):
                compared = F.normalize(vectors, dim=-1) if self.options.tpp_loss == COSINE else vectors
                scores = compared[1::2].float() @ compared[0::2].float().T  # [P, P], as the loss scores them
            chosen = hard_negatives(self._texts(reading, context), scores.cpu().numpy(), self.options.tpp_num_negatives)
        even = 2 * torch.arange(pairs, device=device)
        left = torch.cat([even, sent(chosen.left, device)])
        right = torch.cat([even + 1, sent(chosen.right, device)])
        labels = (torch.arange(len(left), device=device) < pairs).float()
        terms = pair_losses(vectors[left], vectors[right], labels, self.options.tpp_loss, self.options.tpp_margin)
        logits = pair_logits(vectors[left], vectors[right]).detach()
        right_ones = ((logits > 0) == (labels > 0.5)).float().sum()
        return Loss(
            terms.sum(),
            len(terms),
            others={
                "accuracy": (right_ones, len(terms)),
                "logit": (logits.abs().sum(), len(terms)),
                "negatives": (_number(len(chosen.left), device), pairs),
                "rejected": (_number(chosen.rejected, device), chosen.wanted),
                "dropped": (_number(chosen.dropped, device), chosen.wanted),
            },
        )

    def _ranking(self, vectors: Tensor, of_second: np.ndarray, of_first: np.ndarray) -> Loss:
        """The loss over 2P texts; ``of_second`` and ``of_first`` say which texts compete, as ``Texts.candidates``."""
        pairs, device = len(of_second), vectors.device
        compete = [sent(torch.from_numpy(one), device) for one in (of_second, of_first)]
        first, second = vectors[0 : 2 * pairs : 2], vectors[1 : 2 * pairs : 2]
        losses, found = ranking_losses(first, second, compete[0], compete[1], self.options.tpp_temperature)
        both = torch.cat(compete)
        count, dropped = both.sum().float(), (~both).all(1).sum().float()
        others = 2 * pairs * max(pairs - 1, 1)
        return Loss(
            losses.sum(),
            len(losses),
            others={
                "accuracy": (found.float().sum(), len(losses)),
                "logit": (pair_logits(first, second).detach().abs().sum(), pairs),
                "negatives": (count, pairs),
                "rejected": (2 * pairs * (pairs - 1) - count, others),
                "dropped": (dropped, len(losses)),
            },
        )

    def negatives(self, reading: Reading, context: Context) -> Negatives:
        """The negatives of a batch that depend on its texts and keys alone."""
        options, known = self.options, reading.batch.on_host().keys
        assert known is not None
        texts = self._texts(reading, context)
        keys = torch.from_numpy(known[0 : 2 * pairs_in(reading, options) : 2].copy())
        if options.from_corpus:
            either = options.tpp_negatives == CORPUS_EITHER_LANG
            return corpus_negatives(texts, keys, options.tpp_num_negatives, either)
        return batch_negatives(texts, keys, options.tpp_num_negatives, options.tpp_negatives == BATCH_EITHER)

    def _texts(self, reading: Reading, context: Context) -> Texts:
        batch = reading.batch
        known = batch.on_host()
        languages = None if known.languages is None else torch.from_numpy(known.languages[known.starts[:-1]])
        return Texts(context.fingerprints(batch), pairs_in(reading, self.options), languages, context.known_pairs)


def pairs_in(reading: Reading, options: TPPOptions) -> int:
    """How many pairs a batch has; texts of the corpus follow them."""
    return len(reading.batch) // (2 + (options.tpp_num_negatives if options.from_corpus else 0))


def _number(value: int, device: torch.device) -> Tensor:
    return torch.full((), float(value), device=device)
