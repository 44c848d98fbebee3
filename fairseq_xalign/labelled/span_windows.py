"""Questions about long texts as overlapping windows, and the best spans of their scores.

As in BERT (Devlin et al. 2019, ``run_squad.py``): a context that is too long becomes several sequences, each with the
whole question, whose windows begin ``stride`` pieces apart. A piece that several windows show may begin an answer only
in the one with the most context on its shorter side, so that no span is counted twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from fairseq_xalign.labelled.kind import Example
from fairseq_xalign.tokenizer.spans import characters_of

POOL = 20
"""How many starts and ends of a window are combined, and how many spans of a question share the probability (BERT)."""
NO_SPANS = np.zeros((0, 2), dtype=np.int64)


@dataclass
class SpanExample(Example):
    """A question with one window of its context.

    Attributes:
        begin: place of the window's first piece in the sequence, with what the encoder expects around it.
        spans: where the characters of each piece of the window begin and end in the context, int64 [n, 2].
        starts_here: whether an answer may start with each piece in this window, bool [n].
        context: the whole context.
    """

    begin: int = 0
    spans: np.ndarray = field(default_factory=lambda: NO_SPANS)
    starts_here: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    context: str = ""


@dataclass(frozen=True)
class Answer:
    """A span of the context.

    Attributes:
        text: as it stands in the context.
        start, end: of its characters there: ``text == context[start:end]``.
        probability: among the best spans of all windows (20 at most), which together have 1.
        score: sum of the two scores of the model, which belong to the first and to the last piece.
    """

    text: str
    start: int
    end: int
    probability: float
    score: float


def windows(pieces: int, room: int, stride: int) -> list[tuple[int, int]]:
    """Where windows of ``room`` pieces begin and end that leave no piece out, each ``stride`` after the one before.

    >>> windows(10, 6, 3), windows(4, 6, 3), windows(9, 2, 5)[:2]
    ([(0, 6), (3, 9), (6, 10)], [(0, 4)], [(0, 2), (2, 4)])
    """
    found = [(0, min(room, pieces))]
    while found[-1][1] < pieces:
        begin = found[-1][0] + min(stride, room)
        found.append((begin, min(begin + room, pieces)))
    return found


def most_context(found: Sequence[tuple[int, int]], pieces: int) -> np.ndarray:
    """Whether each window is the one that shows the most around each piece, bool [windows, pieces]."""
    place = np.arange(pieces)
    shown = np.full((len(found), pieces), -np.inf)
    for row, (begin, end) in enumerate(found):
        inside = (place >= begin) & (place < end)
        shown[row, inside] = (np.minimum(place - begin, end - 1 - place) + 0.01 * (end - begin))[inside]
    return shown.argmax(0)[None] == np.arange(len(found))[:, None]


def best_spans(scores: Tensor, example: SpanExample, longest: int) -> list[tuple[float, int, int]]:
    """The best spans of one window: (score, first character, character after the last), best first.

    Args:
        scores: of start and end, for each token of the sequence, [S, 2] (or more rows, which are padding).
        longest: pieces of an answer at most.
    """
    n = len(example.spans)
    if not n:
        return []
    window = scores[example.begin : example.begin + n].float()  # [n, 2]
    begins = window[:, 0].masked_fill(~torch.from_numpy(example.starts_here), -torch.inf)
    (first_scores, first), (last_scores, last) = (values.topk(min(POOL, n)) for values in (begins, window[:, 1]))
    size = last[None, :] - first[:, None] + 1  # [k, k]
    sums = (first_scores[:, None] + last_scores[None, :]).masked_fill((size < 1) | (size > longest), -torch.inf)
    best = sums.flatten().topk(min(POOL, sums.numel()))
    found = []
    for score, place in zip(best.values.tolist(), best.indices.tolist()):
        if score == -np.inf:
            break
        i, j = divmod(place, len(last))
        found.append((score, *characters_of(example.spans, int(first[i]), int(last[j]))))
    return found


def ranked(candidates: Sequence[tuple[float, int, int]], context: str) -> list[Answer]:
    """The best spans of all windows of a question, each once, with their probabilities."""
    best: dict[tuple[int, int], float] = {}
    for score, start, end in sorted(candidates, reverse=True):
        best.setdefault((start, end), score)
    chosen = list(best.items())[:POOL]
    weights = np.exp(np.array([score for _, score in chosen]) - max((score for _, score in chosen), default=0.0))
    shares = weights / weights.sum() if len(weights) else weights
    return [
        Answer(context[start:end], start, end, float(share), score)
        for ((start, end), score), share in zip(chosen, shares)
    ]
