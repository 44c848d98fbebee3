"""Pairs of words whose embeddings should be aligned, and all figures of how well they are.

The alignment score is that of ALIGN-MLM, section 5; precision at k by cosine and CSLS is that of Conneau et al. 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from fairseq_xalign.constants import UNK
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics import alignment
from fairseq_xalign.evaluate.metrics.labels import signature

AT = (1, 5, 10)
DERIVED, DICTIONARY, LIST = "derived-pieces", "dictionary-targets", "list-targets"
Entry = tuple[int, ...]
"""The ids of one side of a dictionary entry; their embeddings are averaged."""


@dataclass(frozen=True)
class Pairs:
    """What is aligned with what.

    Attributes:
        source: the queries, each the ids of its pieces.
        target: the candidates.
        gold: the right candidates of each query, int64 [n, G] padded with ``alignment.NO_ANSWER``.
        candidates: what the candidates are, for the signature.
    """

    source: list[Entry]
    target: list[Entry]
    gold: Tensor
    candidates: str


def derived_pairs(tokenizer: Any) -> Pairs:
    """Every ordinary piece of a doubled vocabulary with its copy; pieces that both languages share are left out."""
    natural, copies = _copies(tokenizer)
    if not copies:
        raise UserError(
            "the checkpoint's vocabulary has no derived pairs: it is not doubled, or all its pieces are shared",
            remedy="Give pairs with --dictionary FILE",
        )
    return Pairs(natural, copies, torch.arange(len(copies))[:, None], DERIVED)


def _copies(tokenizer: Any) -> tuple[list[Entry], list[Entry]]:
    """The natural pieces that have a copy in use, and those copies; both are empty if the vocabulary is not doubled."""
    if not len(tokenizer.derived_ids):
        return [], []
    natural = list(tokenizer.natural_ids)
    # A piece that both languages share reads back as its natural id: the row of its copy never occurs in text.
    pairs = [(n, copy) for n, copy in zip(natural, tokenizer.shift(natural)) if n != copy]
    return [(n,) for n, _ in pairs], [(copy,) for _, copy in pairs]


def dictionary_pairs(source: list[list[int]], target: list[list[int]], tokenizer: Any) -> Pairs:
    """A dictionary's distinct source words, each with all its answers.

    The candidates are all copies in use if every target is one of them, otherwise the distinct target words.
    """
    copies = _copies(tokenizer)[1]
    wanted = set(map(tuple, target))
    whole = wanted <= set(copies)
    candidates: dict[Entry, int] = {entry: i for i, entry in enumerate(copies)} if whole else {}
    answers: dict[Entry, list[int]] = {}
    for left, right in zip(source, target):
        place = candidates.setdefault(tuple(right), len(candidates))
        answers.setdefault(tuple(left), []).append(place)
    most = max(map(len, answers.values()))
    gold = torch.full((len(answers), most), alignment.NO_ANSWER, dtype=torch.long)
    for row, places in enumerate(answers.values()):
        gold[row, : len(places)] = torch.tensor(places)
    return Pairs(list(answers), list(candidates), gold, DERIVED if whole else DICTIONARY)


def listed_pairs(words: Sequence[tuple[str, str]], tokenizer: Any) -> tuple[Pairs, int]:
    """Pairs of a list of words, each the mean of its pieces; and how many were left out.

    The candidates are the distinct target words. A pair is left out where one side has a piece that the vocabulary does
    not know, or nothing is left of a word.

    Raises:
        UserError: no pair is left.
    """
    source: list[list[int]] = []
    target: list[list[int]] = []
    for pair in words:
        sides = [tokenizer.encode(word) for word in pair]
        if all(sides) and not any(UNK in side for side in sides):
            source.append(sides[0])
            target.append(sides[1])
    if not source:
        raise UserError(
            f"the vocabulary knows both words of none of {len(words)} pairs",
            remedy="Give words of languages that the model was trained on",
        )
    pairs = dictionary_pairs(source, target, tokenizer)
    candidates = LIST if pairs.candidates == DICTIONARY else pairs.candidates
    return replace(pairs, candidates=candidates), len(words) - len(source)


def heldout_queries(pairs: Pairs, source: list[list[int]], target: list[list[int]]) -> Tensor:
    """Indices of the queries neither side of which is in the training dictionary.

    A query is held out if it is not a source of the dictionary and none of its answers is a target.
    """
    left, right = set(map(tuple, source)), set(map(tuple, target))
    rows = [
        i
        for i, query in enumerate(pairs.source)
        if query not in left and not any(pairs.target[g] in right for g in pairs.gold[i].tolist() if g >= 0)
    ]
    return torch.tensor(rows, dtype=torch.long)


def mean_rows(embeddings: Tensor, entries: list[Entry]) -> Tensor:
    """The embedding of each entry, the mean over its pieces, [n, D] of [V, D]."""
    device = embeddings.device
    if all(len(entry) == 1 for entry in entries):
        return embeddings[torch.tensor([entry[0] for entry in entries], dtype=torch.long, device=device)]
    lengths = torch.tensor([len(entry) for entry in entries], device=device)
    flat = torch.tensor([i for entry in entries for i in entry], dtype=torch.long, device=device)
    sums = embeddings.new_zeros(len(entries), embeddings.shape[1])
    sums.index_add_(0, torch.arange(len(entries), device=device).repeat_interleave(lengths), embeddings[flat])
    return sums / lengths[:, None]


def alignment_report(
    embeddings: Tensor,
    pairs: Pairs,
    heldout: Tensor | None = None,
    authors: bool = False,
    additions: tuple[Tensor, Tensor] | None = None,
) -> dict[str, Any]:
    """All figures of ``align``.

    Args:
        embeddings: [V, D].
        heldout: indices of queries outside the training dictionary.
        authors: add the random subsets of the released scripts.
        additions: language embeddings ([D], [D]) of the source and the target side; with ``authors``, scores
            with them added are reported as well.

    Returns:
        ``alignment`` {name: per cent}, ``precision`` {cosine, csls: {k: per cent}}, ``mean_cosine``,
        ``pairs`` {name: queries}, ``candidates``, ``signature``.
    """
    source, target = mean_rows(embeddings, pairs.source), mean_rows(embeddings, pairs.target)
    found = {
        "cosine": alignment.nearest(source, target, max(AT)),
        "csls": alignment.nearest(source, target, max(AT), csls=alignment.CSLS_NEIGHBOURS),
    }
    subsets: dict[str, Tensor] = {"all": torch.arange(len(source))}
    if heldout is not None:
        subsets["heldout"] = heldout
    if authors:
        for share in alignment.AUTHORS_SHARES:
            subsets[f"authors_{share:.0%}".removesuffix("%")] = alignment.authors_subset(len(source), share)
    scores = {
        name: alignment.precision_at(found["cosine"][rows], pairs.gold[rows], 1) for name, rows in subsets.items()
    }
    if authors and additions is not None:
        neighbours = alignment.nearest(source + additions[0], target + additions[1])
        for name in [name for name in subsets if name.startswith("authors")]:
            rows = subsets[name]
            scores[f"{name}_language"] = alignment.precision_at(neighbours[rows], pairs.gold[rows], 1)
    first = pairs.gold[:, 0]
    return {
        "alignment": scores,
        "precision": {
            kind: {str(k): alignment.precision_at(rows, pairs.gold, k) for k in AT} for kind, rows in found.items()
        },
        "mean_cosine": alignment.mean_cosine(source, target[first]),
        "pairs": {name: len(rows) for name, rows in subsets.items()},
        "candidates": len(target),
        "signature": signature(
            "alignment",
            per="source-row",
            neighbour="cosine",
            csls=alignment.CSLS_NEIGHBOURS,
            candidates=pairs.candidates,
            n=len(source),
            m=len(target),
            seed=alignment.AUTHORS_SEED if authors else None,
        ),
    }
