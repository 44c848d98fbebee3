"""The alignment of word embeddings that validation logs (ALIGN-MLM, Tang et al. 2022, section 5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from fairseq_xalign.data.dictionary import Dictionary
from fairseq_xalign.evaluate.metrics.alignment import alignment_score
from fairseq_xalign.evaluate.metrics.word_pairs import Pairs, derived_pairs, dictionary_pairs, mean_rows
from fairseq_xalign.objectives.random import name_key, permutation_sample


def scored_pairs(tokenizer: Any, dictionaries: Iterable[Dictionary]) -> list[Pairs]:
    """Natural pieces and their copies; without a doubled vocabulary the words of the dictionaries."""
    if len(tokenizer.derived_ids):
        shared = tokenizer.derived is not None and len(tokenizer.derived["kept"]) == tokenizer.pieces
        return [] if shared else [derived_pairs(tokenizer)]
    return [dictionary_pairs(d.source, d.target, tokenizer) for d in dictionaries]


def measured_alignment(embeddings: Tensor, scored: Sequence[Pairs], wanted: int) -> float | None:
    """Nearest-neighbour alignment of up to ``wanted`` words of each set of pairs, in percent; None without any.

    As ``xalign-evaluate align`` has it, of a random choice of the words where there are more.

    Args:
        embeddings: of all pieces, [V, D].
    """
    if wanted <= 0:
        return None
    words = right = 0.0
    for pairs in scored:
        count = min(wanted, len(pairs.source))
        chosen = permutation_sample(len(pairs.source), count, name_key("alignment"))
        source = mean_rows(embeddings, [pairs.source[i] for i in chosen.tolist()])
        score = alignment_score(source, mean_rows(embeddings, pairs.target), pairs.gold[chosen])
        words, right = words + count, right + score * count
    return right / words if words else None
