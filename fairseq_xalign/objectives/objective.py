"""What an objective is, and how several become one loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.objectives.batch import PackedBatch, concatenate
from fairseq_xalign.objectives.mlm import masked_lm_losses


@dataclass
class Context:
    """What an objective may need beside the batch: set once by the task.

    Attributes:
        dictionary: entries to align, or None.
        dictionary_sample: entries a step; 0 is all of them.
        key: names this batch's draws.
    """

    dictionary: object | None = None
    dictionary_sample: int = 0
    key: int = 0


@dataclass
class Loss:
    """An objective's value on one batch: the mean is ``sum / count``.

    Attributes:
        sum: summed loss, a scalar tensor.
        count: number of terms.
        terms: the single terms [N] and each one's language [N], where the objective is about tokens.
    """

    sum: Tensor
    count: int
    terms: tuple[Tensor, Tensor | None] | None = None


class Objective:
    """A loss over a batch of streams.

    Class attributes:
        name: as written in ``--objectives``.
        stream: ``mono`` or ``bitext``, or None where it needs no text.
        masking: None, ``mask`` or ``dictionary``: how its stream's tokens are hidden.
        token_level: its terms are masked tokens; all such objectives of a list share one forward
            pass and one denominator (ALIGN-MLM's mixture by data).
        needs_dictionary: it reads ``context.dictionary`` or a dictionary's translations.
    """

    name = ""
    stream: str | None = None
    masking: str | None = None
    token_level = False
    needs_dictionary = False

    def loss(self, encoder: Any, batches: Mapping[str, PackedBatch], context: Context) -> Loss:
        """The objective's value; only called for objectives that are not ``token_level``."""
        raise NotImplementedError


@dataclass(frozen=True)
class Weighted:
    """An objective with its weight in the sum."""

    objective: Objective
    weight: float = 1.0


def parse_objectives(text: str, known: Mapping[str, type[Objective]]) -> list[Weighted]:
    """Read ``name[:weight],...``, for instance ``mlm,align:10``.

    Raises:
        UserError: for an unknown or repeated name, a weight that is no number of at least 0 or none above, two
            objectives that mask one stream in two ways.
    """
    chosen: list[Weighted] = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, weight_text = item.partition(":")
        if name not in known:
            raise unknown_name("objective", name, sorted(known))
        try:
            weight = float(weight_text or 1.0)
        except ValueError:
            weight = math.nan
        if not (weight >= 0 and math.isfinite(weight)):
            raise UserError(f"the weight of objective {name!r} must be a number of at least 0, not {weight_text!r}")
        if name in (w.objective.name for w in chosen):
            raise UserError(f"--objectives names {name!r} twice")
        chosen.append(Weighted(known[name](), weight))
    if not chosen:
        raise UserError("--objectives is empty", remedy=f"Known: {', '.join(sorted(known))}")
    if not any(w.weight for w in chosen):
        raise UserError(f"--objectives {text}: every weight is 0", remedy="Give one objective more than 0")
    streams = [w.objective.stream for w in chosen if w.objective.token_level]
    for stream in set(streams):
        if streams.count(stream) > 1:
            names = [w.objective.name for w in chosen if w.objective.stream == stream]
            raise UserError(f"--objectives: {' and '.join(names)} both mask the {stream} stream; keep one of them")
    return chosen


def combined_loss(
    objectives: Sequence[Weighted], encoder: Any, batches: Mapping[str, PackedBatch], context: Context
) -> tuple[Tensor, int, dict[str, Loss]]:
    """L = sum_o w_o L_o as printed, in the units of a trainer that divides by the sample size.

    The sample size is the count n of the first listed objective that reads text and is present;
    every other enters as ``n * w_o * mean_o``, so that dividing summed gradients by summed sample
    sizes gives exactly the weighted sum of means, for any number of micro-batches and workers. A
    micro-batch without any term of a text has size 0 and adds nothing: a dictionary's size must not
    stand in for a count of tokens. Token-level objectives are one: their (weighted) sums and their
    counts add.

    Returns:
        The loss (a scalar to be divided by the sample size), the sample size, each objective's own.
    """
    losses: dict[str, Loss] = {}
    parts: list[tuple[Tensor, int, bool]] = []  # (weighted sum, count, whether it reads text) in listed order
    tokens = [w for w in objectives if w.objective.token_level]
    token_part: tuple[Tensor, int] | None = None
    if tokens:
        token_part = _token_losses(tokens, encoder, batches, losses)
    for weighted in objectives:
        if weighted.objective.token_level:
            if token_part is not None:
                parts.append((*token_part, True))
                token_part = None
            continue
        loss = losses[weighted.objective.name] = weighted.objective.loss(encoder, batches, context)
        parts.append((weighted.weight * loss.sum, loss.count, weighted.objective.stream is not None))
    any_text = any(w.objective.stream is not None for w in objectives)
    size = next((count for _, count, text in parts if count > 0 and (text or not any_text)), 0)
    # Parts that count for nothing stay in the graph: every worker's backward pass reaches every weight.
    total: Tensor = torch.zeros(())
    for part, count, _ in parts:
        total = part * (size / count if count else 0.0) + total
    return total, size, losses


def _token_losses(
    tokens: Sequence[Weighted], encoder: Any, batches: Mapping[str, PackedBatch], losses: dict[str, Loss]
) -> tuple[Tensor, int] | None:
    """One forward pass for all token-level objectives; fills ``losses``."""
    present = [w for w in tokens if w.objective.stream in batches]
    if not present:
        return None
    inputs = [batches[str(w.objective.stream)] for w in present]
    terms = masked_lm_losses(encoder, concatenate(inputs))  # [N of all]
    total, size, start = terms.sum() * 0.0, 0, 0
    for weighted, batch in zip(present, inputs):
        assert batch.masked is not None
        count = len(batch.masked)
        own = terms[start : start + count]
        start += count
        losses[weighted.objective.name] = Loss(own.sum(), count, (own.detach(), batch.target_languages))
        total = total + weighted.weight * own.sum()
        size += count
    return total, size
