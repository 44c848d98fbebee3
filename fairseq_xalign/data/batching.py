"""Batches: sequences of similar length, or of every kind of text, within a budget of tokens and sequences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairseq_xalign.errors import UserError


@dataclass(frozen=True)
class Budget:
    """How large a batch may be: tokens (without padding) and sequences; None is no limit.

    ``option`` is what messages call the limit of tokens.
    """

    tokens: int | None = None
    sequences: int | None = None
    option: str = "--max-tokens"

    def __post_init__(self) -> None:
        if self.tokens is None and self.sequences is None:
            raise UserError("a batch needs a limit", remedy="Give --max-tokens or --batch-size")
        for option, value in ((self.option, self.tokens), ("--batch-size", self.sequences)):
            if value is not None and value < 1:
                raise UserError(f"{option} {value} is too small", remedy="Choose 1 or more")


def deal_batches(order: np.ndarray, sizes: np.ndarray, kinds: np.ndarray, budget: Budget) -> list[np.ndarray]:
    """Deal out the sequences of each kind, one by one, to as few batches as the budget allows.

    Every batch holds its share of every kind, unless there are fewer sequences of a kind than batches.

    Args:
        order: sequence numbers, the longest sequence first, int64 [m].
        sizes: tokens of each sequence, by number, int64 [m].
        kinds: the kind of each sequence's stream, by number, str [m].
        budget: the limits of a batch.

    Raises:
        UserError: where the longest sequences of all kinds do not fit into one batch.
    """
    of_kind = [order[kinds[order] == kind] for kind in np.unique(kinds)]
    longest = [int(sizes[sequences[0]]) for sequences in of_kind]
    for option, limit, least in (
        (budget.option, budget.tokens, sum(longest)),
        ("--batch-size", budget.sequences, len(longest)),
    ):
        if limit is not None and least > limit:
            raise UserError(
                f"{option} {limit} is too small for one sequence of each kind of text per batch",
                remedy=f"Choose {least} or more, or shorter sequences (--task align_mlm: or --objective-mix mixture)",
            )
    count = max(
        -(-int(sizes.sum()) // budget.tokens) if budget.tokens else 1,
        -(-len(order) // budget.sequences) if budget.sequences else 1,
    )
    while True:
        dealt = [[sequences[b::count] for sequences in of_kind] for b in range(count)]
        batches = [np.concatenate(parts) for parts in dealt]
        tokens, most = max(int(sizes[b].sum()) for b in batches), max(len(b) for b in batches)
        if (budget.tokens is None or tokens <= budget.tokens) and (
            budget.sequences is None or most <= budget.sequences
        ):
            return [b[np.argsort(-sizes[b], kind="stable")] for b in batches if len(b)]
        count += 1


def cut_batches(order: np.ndarray, sizes: np.ndarray, budget: Budget) -> list[np.ndarray]:
    """Cut sorted sequences into batches of nearly equal size within the budget.

    Where ``--batch-size`` decides how many batches there are, their numbers of sequences differ by at most one.
    Where ``--max-tokens`` decides, batches hold about the same number of tokens.

    Args:
        order: sequence numbers, the longest sequence first, int64 [m].
        sizes: tokens of each of them, in the same order, int64 [m].
        budget: the limits of a batch.

    Raises:
        UserError: a sequence alone exceeds the token budget. Training on it would need more memory than was allowed,
            and leaving it out would be silent.
    """
    if not len(order):
        return []
    if budget.tokens is not None and sizes[0] > budget.tokens:
        raise UserError(
            f"a sequence of {sizes[0]} tokens does not fit into {budget.option} {budget.tokens}",
            remedy=f"Raise {budget.option}, or lower the length of the longest sequence (--tokens-per-sample; "
            "--max-length in fine-tuning; --max-source-positions and --max-target-positions in translation)",
        )
    if budget.sequences is not None:
        bounds = equal_bounds(len(order), -(-len(order) // budget.sequences))
        if budget.tokens is None or np.add.reduceat(sizes, bounds[:-1]).max() <= budget.tokens:
            return [order[begin:end] for begin, end in zip(bounds, bounds[1:])]
    return _cut_by_tokens(order, sizes, budget)


def equal_bounds(items: int, parts: int) -> np.ndarray:
    """Where ``parts`` parts of ``items`` items begin, and ``items``, int64 [parts + 1].

    Sizes differ by at most one. The last parts are the larger ones: they hold the shortest sequences.
    """
    return np.arange(parts + 1) * (items // parts) + np.maximum(np.arange(parts + 1) - (parts - items % parts), 0)


def _cut_by_tokens(order: np.ndarray, sizes: np.ndarray, budget: Budget) -> list[np.ndarray]:
    """Cut where a batch has its fair share of the tokens, or where another sequence would exceed a limit."""
    assert budget.tokens is not None
    total = int(sizes.sum())
    count = max(-(-total // budget.tokens), -(-len(order) // budget.sequences) if budget.sequences else 1)
    fair_tokens = total / count
    batches, begin, tokens = [], 0, 0
    for i, size in enumerate(sizes.tolist()):
        full = tokens + size > budget.tokens or (budget.sequences is not None and i - begin >= budget.sequences)
        if i > begin and (full or tokens >= fair_tokens):
            batches.append(order[begin:i])
            begin, tokens = i, 0
        tokens += size
    batches.append(order[begin:])
    return batches
