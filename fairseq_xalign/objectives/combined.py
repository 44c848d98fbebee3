"""How several objectives become one loss, and how they share forward passes.

Three ways of mixing (``--objective-mix``):

* ``mixture``: objectives about hidden tokens are one objective over all their tokens, as if their texts were one data
  set (ALIGN-MLM's released code);
* ``sum``: L = sum_o w_o L_o, every L_o a mean over its own terms (ALIGN-MLM, section 3, as printed: L_XLM =
  L_MLM + L_TLM);
* ``alternate``: one objective per update, in turn, each with its own step of the optimizer (XLM, Conneau and Lample
  2019, in its released code).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from fairseq_xalign.objectives.batch import PackedBatch, concatenate
from fairseq_xalign.objectives.objective import Context, Loss, Weighted

MIXES = MIXTURE, SUM, ALTERNATE = "mixture", "sum", "alternate"


class Passes:
    """The forward passes of one micro-batch, each made when first asked for.

    Batches of different streams are laid end to end and read in one pass; a further view of the same stream is read
    in a pass of its own.

    Args:
        batches: by name, as :func:`objectives.view.name_views` gives them.
        scored: names of the batches whose hidden tokens are predicted, in listed order.
        whole: names of the batches of which objectives read more than the losses of hidden tokens.
    """

    def __init__(
        self, encoder: Any, batches: Mapping[str, PackedBatch], scored: Sequence[str], whole: Collection[str]
    ) -> None:
        self.encoder, self.batches, self.whole = encoder, batches, whole
        self._groups: list[list[str]] = []
        for name in scored:
            kind = name.partition("/")[0]
            free = (g for g in self._groups if kind not in (n.partition("/")[0] for n in g))
            group = next(free, None)
            if group is None:
                self._groups.append(group := [])
            group.append(name)
        self._joined: dict[str, tuple[PackedBatch, Tensor]] = {}
        self._losses: dict[str, Tensor] = {}
        self._layers: dict[tuple[str, int], Tensor] = {}

    def _group(self, name: str) -> list[str]:
        return next((g for g in self._groups if name in g), [name])

    def _batch(self, group: list[str]) -> PackedBatch:
        """The batches of a group laid end to end."""
        return concatenate([self.batches[n] for n in group])

    def _pass(self, group: list[str]) -> tuple[PackedBatch, Tensor]:
        """The batches of a group laid end to end, and the encoder's output for them."""
        if group[0] not in self._joined:
            batch = self._batch(group)
            self._joined[group[0]] = batch, self.encoder(batch)
        return self._joined[group[0]]

    def features(self, name: str, layer: int | None = None) -> Tensor:
        """The encoder's output [T, D] for the batch ``name``, or that of a ``layer`` in a pass that ends there."""
        if layer is not None:
            if (name, layer) not in self._layers:
                self._layers[name, layer] = self.encoder(self.batches[name], layer=layer)
            return self._layers[name, layer]
        group = self._group(name)
        shares = self._pass(group)[1].split([len(self.batches[n].tokens) for n in group])
        return shares[group.index(name)]

    def token_losses(self, name: str) -> Tensor:
        """-log p(target) [N] at the hidden tokens of the batch ``name``; one LM head for all batches of a pass."""
        if name not in self._losses:
            group = self._group(name)
            batch, hidden = self._hidden_features(group)
            assert batch.targets is not None
            losses = self.encoder.token_losses(hidden, batch.targets)
            self._losses.update(zip(group, losses.split([_hidden(self.batches[n]) for n in group])))
        return self._losses[name]

    def _hidden_features(self, group: list[str]) -> tuple[PackedBatch, Tensor]:
        """The batches of a group laid end to end, and the features [N, D] of their hidden tokens."""
        if any(name in self.whole for name in group):
            batch, features = self._pass(group)
            assert batch.masked is not None
            return batch, features[batch.masked]
        batch = self._batch(group)
        assert batch.masked is not None
        return batch, self.encoder(batch, tokens=batch.masked)

    def reading(self, name: str) -> BatchReading:
        return BatchReading(self, name)


def _hidden(batch: PackedBatch) -> int:
    """How many tokens of a batch are hidden."""
    assert batch.masked is not None
    return len(batch.masked)


class BatchReading:
    """One batch of :class:`Passes`, as an objective sees it (``objective.Reading``)."""

    def __init__(self, passes: Passes, name: str) -> None:
        self.passes, self.name, self.batch = passes, name, passes.batches[name]

    def features(self, layer: int | None = None) -> Tensor:
        return self.passes.features(self.name, layer)

    def token_losses(self) -> Tensor:
        return self.passes.token_losses(self.name)


def counts_apart(objectives: Sequence[Weighted]) -> bool:
    """Whether an objective has a count of its own in a mixture, as those about pairs have.

    A weight then holds only if every batch has text for every objective: the sample size of a batch with text of one
    kind alone would be a number of pairs here and of tokens there, and a sum of both would drown the pairs.
    """
    return any(w.objective.stream is not None and not w.objective.token_level for w in objectives)


def combined_loss(
    objectives: Sequence[Weighted],
    encoder: Any,
    batches: Mapping[str, PackedBatch],
    context: Context,
    mix: str = MIXTURE,
) -> tuple[Tensor, int, dict[str, Loss]]:
    """The loss of a list of objectives, in the units of a trainer that divides by the sample size.

    The sample size is the count n of the first part that reads text and is present; every other enters as
    ``n * w_o * mean_o``, so that dividing summed gradients by summed sample sizes gives the weighted sum of means, for
    any number of micro-batches and workers. (A mean over several micro-batches is that of their means, each of them
    weighted by its n: exactly the mean over all terms for the first part, nearly so for others that read text.)
    A micro-batch without any term of a text has size 0 and adds nothing: a dictionary's size must not stand in for a
    count of tokens. In a ``mixture`` the token-level objectives are one part: their (weighted) sums and their counts
    add.

    Returns:
        The loss (a scalar to be divided by the sample size), the sample size, each present objective's own.
    """
    if mix == ALTERNATE and context.training:
        turns = [w for w in objectives if w.weight > 0]
        listed: Sequence[Weighted] = [turns[context.turn % len(turns)]]
    else:
        listed = objectives
    present = [w for w in listed if w.batch is None or w.batch in batches]
    scored = dict.fromkeys(str(w.batch) for w in present if w.objective.token_level)
    whole = {str(w.batch) for w in present if w.batch is not None and not w.objective.hidden_only}
    passes = Passes(encoder, batches, list(scored), whole)
    losses: dict[str, Loss] = {}
    parts: list[tuple[Tensor, int, bool]] = []  # (weighted sum, count, whether it reads text) in listed order
    mixture: int | None = None  # the place in parts of the token-level objectives of a mixture
    for weighted in present:
        reading = None if weighted.batch is None else passes.reading(weighted.batch)
        loss = losses[weighted.objective.name] = weighted.objective.loss(encoder, reading, context)
        total, count = weighted.weight * loss.sum, loss.count
        if weighted.objective.token_level and mix == MIXTURE:
            if mixture is not None:
                total, count = parts[mixture][0] + total, parts[mixture][1] + count
                parts[mixture] = (total, count, True)
                continue
            mixture = len(parts)
        parts.append((total, count, weighted.objective.stream is not None))
    any_text = any(w.objective.stream is not None for w in listed)
    size = next((count for _, count, text in parts if count > 0 and (text or not any_text)), 0)
    # Parts that count for nothing stay in the graph: every worker's backward pass reaches every weight.
    result: Tensor = torch.zeros(())
    for part, count, _ in parts:
        result = part * (size / count if count else 0.0) + result
    for name, module in context.modules.items():
        if name not in losses:
            result = sum((p.sum() * 0.0 for p in module.parameters() if p.requires_grad), result)
    if mix == ALTERNATE or not scored:
        # An objective without a forward pass, or that does not use the LM head, or without its text here: Adam skips a
        # parameter that has no gradient, but not one whose gradient is 0, and several workers make it 0.
        result = sum((p.sum() * 0.0 for p in encoder.parameters()), result)
    return result, size, losses
