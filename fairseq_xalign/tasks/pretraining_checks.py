"""What ``--task align_mlm`` refuses before the first update: options that the objectives or the folder do not allow."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fairseq_xalign.data.links import LinkTokens
from fairseq_xalign.data.streams import BitextStream
from fairseq_xalign.errors import UserError, unknown_language
from fairseq_xalign.objectives.objective import LINKS, Objective, Resources, Weighted
from fairseq_xalign.options import name_list, pair_name

logger = logging.getLogger(__name__)
LINKED_SAMPLE = 1000
"""Pairs, evenly spread over a bitext, that are looked at for links."""
FEW_LINKED = 0.5
"""A smaller share of pairs with links is worth a warning: of running text, nearly all have some."""


def chosen_languages(option: str | None, there: Sequence[str], where: str) -> list[str]:
    """The languages that ``--languages`` names, all without it; raises UserError for one that is not there."""
    if not option:
        return list(there)
    chosen = name_list(option)
    for name in chosen:
        if name not in there:
            raise unknown_language(name, list(there), where, "--languages")
    return chosen


def check_reads_text(objectives: Sequence[Objective]) -> None:
    """Raises UserError if no objective reads text."""
    if not any(objective.stream for objective in objectives):
        names = ",".join(objective.name for objective in objectives)
        raise UserError(
            f"--objectives {names} reads no text, but an epoch is a pass over text",
            remedy=f"Add one that does, as --objectives mlm,{names}",
        )


def check_dictionaries(
    found: Collection[tuple[str, str]], read: Collection[tuple[str, str]], trained: Sequence[str], where: str
) -> None:
    """Raises UserError if objectives need a dictionary and none is read.

    Args:
        found: the pairs of languages of the folder's dictionaries.
        read: those of them that are between the languages trained on.
    """
    if not read:
        raise UserError(
            f"no dictionary between the languages trained on ({', '.join(trained)})", where,
            remedy=f"It has {', '.join(map(pair_name, found))}: change --languages, or make one with "
            "`xalign-preprocess dictionary` and add it with `xalign-preprocess binarize --dictionary`",
        )  # fmt: skip


def check_language_embeddings(
    criterion: str, wanted: bool | None, there: bool, asked: bool, objectives: Sequence[Weighted]
) -> None:
    """Raises UserError if a paper's criterion and the model disagree on language embeddings.

    Args:
        criterion: the name given to ``--criterion``.
        wanted: whether its paper has them; None where it does not say.
        there: whether the model has them.
        asked: whether ``--language-embeddings`` is given.
        objectives: those of the criterion, with their weights.
    """
    if wanted and not there:
        names = ",".join(w.objective.name for w in objectives)
        raise UserError(
            f"--criterion {criterion} has language embeddings in its paper, this model has none",
            remedy=f"Add --language-embeddings, or use --criterion xalign --objectives {names}",
        )
    if wanted is False and asked:
        listed = ",".join(f"{w.objective.name}:{w.weight:g}" for w in objectives)
        raise UserError(
            f"--criterion {criterion} has no language embeddings in its paper",
            remedy=f"Leave --language-embeddings out, or use --criterion xalign --objectives {listed}",
        )


def check_links(
    pair: tuple[str, str], split: str, there: Collection[tuple[str, str]], objectives: Sequence[Objective], where: str
) -> None:
    """Raises UserError if a bitext that objectives read links of has none.

    Args:
        there: the pairs of languages whose bitext has links.
    """
    if pair not in there:
        names = _readers_of_links(objectives)
        raise UserError(
            f"bitext {split} {pair_name(pair)} has no word links, but {names} reads them", where,
            remedy=f"Make them with `xalign-preprocess links`, and binarize again with --bitext {pair_name(pair)}="
            f"FILE,FILE --links {pair_name(pair)}=FILE --split {split}; or leave {names} out",
        )  # fmt: skip


def _readers_of_links(objectives: Sequence[Objective]) -> str:
    return " and ".join(objective.name for objective in objectives if LINKS in objective.needs)


def check_linked(
    pair: tuple[str, str], split: str, links: LinkTokens, objectives: Sequence[Objective], where: str
) -> None:
    """Say how few pairs of a bitext have links, of a sample; raises UserError if none has."""
    count = min(len(links), LINKED_SAMPLE)
    _, sizes = links.gather(np.linspace(0, len(links) - 1, count).astype(np.int64))
    linked = int((sizes > 0).sum())
    names = _readers_of_links(objectives)
    if count and not linked:
        raise UserError(
            f"bitext {split} {pair_name(pair)}: none of {count:,} pairs has word links; {names} would learn nothing",
            where,
            remedy="Look at the file of --links, make it again with `xalign-preprocess links`, and binarize again",
        )
    if linked < FEW_LINKED * count:
        logger.warning(
            f"bitext {split} {pair_name(pair)}: only {linked:,} of {count:,} pairs have word links; {names} learns "
            "nothing of the others. Is this the file of links that belongs to this text?"
        )


def check_pairs(objectives: Sequence[Objective], resources: Resources, streams: Sequence[Any]) -> None:
    """Raises UserError if the training text has too few pairs for an objective that counts them.

    Args:
        streams: of ``data.streams``; pairs that are too long to be read do not count.
    """
    counting = [objective for objective in objectives if "pairs" in objective.needs]
    if counting:
        read = sum(len(s) - s.count_left_out() for s in streams if isinstance(s, BitextStream))
        for objective in counting:
            objective.check(replace(resources, pairs=read))


def check_batch_size(objectives: Sequence[Objective], batch_size: int | None, shares: Mapping[str, float]) -> None:
    """Raises UserError if ``--batch-size`` is smaller than an objective needs to compare pairs.

    Args:
        shares: of a batch, for each kind of stream.
    """
    for objective in objectives:
        needed, share = objective.smallest_batch, shares.get(objective.stream or "", 1.0)
        if batch_size is None or needed <= 1 or batch_size * share > needed - 1e-6:
            continue
        held = f"; {batch_size * share:.3g} of them are pairs, the others are text alone" if share < 1 else ""
        least = math.ceil(needed / share - 1e-6)
        raise UserError(
            f"--batch-size {batch_size}: {objective.name} compares the pairs of a batch with each other and needs "
            f"{needed}{held}",
            remedy=f"Choose a --batch-size of at least {least}, better of {max(16, 4 * least)} and more"
            + (", or give bitext a larger share with --sampling-weights" if share < 1 else ""),
        )
