"""Windows: several thousand draws, sorted by length and cut into batches, the same on every machine.

Every worker plans every window (a few milliseconds, lengths only) and so knows the global
sequence of batches; batch number g goes to rank ``g mod W``. The place in training is (window,
batch), whatever the number of workers, loader processes or micro-batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from fairseq_xalign.data.batching import Budget, cut_batches, deal_batches
from fairseq_xalign.data.sampling import Quotas, Shares, permute, shares_in
from fairseq_xalign.data.streams import Stream
from fairseq_xalign.objectives.random import combine, name_key

LEAST = 512
"""Draws of a window over streams of which one is so small that it ends a pass after fewer."""
RUN = 64
"""Consecutive units of a sharing stream that stay together: what shares a sequence is running text (ALIGN-MLM,
Appendix G.3: an instance is the concatenation of consecutive sentences)."""


@dataclass
class Place:
    """Where training stands: the next batch to be drawn.

    Attributes:
        window: number of the window, from 0.
        batch: number of the batch in it.
        drawn: draws that each stream has given to earlier windows.
        owed: draws that were due to each stream up to there.
    """

    window: int = 0
    batch: int = 0
    drawn: list[int] = field(default_factory=list)
    owed: list[float] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass
class Window:
    """A planned window.

    Attributes:
        stream, unit, key: of each draw, int64 [n], draws of one sequence side by side.
        lengths: tokens of each draw's sides, int64 [n, 2] (0 for the second of a monolingual one).
        sequences: where each sequence's draws start, and n, int64 [m + 1].
        batches: the sequences of each batch, the longest first.
        following: the place of the next window.
    """

    stream: np.ndarray
    unit: np.ndarray
    key: np.ndarray
    lengths: np.ndarray
    sequences: np.ndarray
    batches: list[np.ndarray]
    following: Place


def draws_per_window(asked: int, lengths: Sequence[int], probabilities: np.ndarray) -> int:
    """How many draws to sort together: ``asked``, or as many as end a pass over the stream that ends one first.

    A window over several passes would shuffle them into one, and its batches could be of few different units. Streams
    that end their passes early beside larger ones have several in a window of about ``LEAST`` draws.

    Args:
        lengths: units of each stream.
        probabilities: of each stream, float64 [streams].
    """
    sizes = np.asarray(lengths, dtype=np.float64)
    drawn = (probabilities > 0) & (sizes > 0)
    if not drawn.any():
        return asked
    one_pass = float((sizes[drawn] / probabilities[drawn]).min())
    if one_pass >= asked:
        return asked
    least = min(LEAST, asked, float(sizes[drawn].sum()))
    return max(1, round(one_pass * max(1, np.ceil(round(least / one_pass, 6)))))


class Planner:
    """Plans windows of a list of streams.

    Attributes:
        probabilities: of each stream in the first window, float64 [streams].

    Args:
        streams: what to draw from, in a fixed order.
        probabilities: of each stream, summing to 1; they may be a function of the window's number.
        window: draws per window.
        budget: of a batch.
        seed: of all draws.
        every_kind: every batch holds its share of every kind of stream (``--objective-mix sum`` and ``alternate``),
            instead of sequences of similar length.
        apart: what a window draws again is put into other batches than what it repeats.
        asked: draws per window that were asked for, where ``window`` is fewer.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        probabilities: Shares,
        window: int,
        budget: Budget,
        seed: int,
        every_kind: bool = False,
        apart: bool = False,
        asked: int | None = None,
    ) -> None:
        self.every_kind, self.apart, self.asked = every_kind, apart, asked or window
        self.streams, self.budget, self.seed, self.window = list(streams), budget, seed, window
        self.probabilities = shares_in(probabilities, 0)
        self.quotas = Quotas(probabilities, window)
        self.stream_keys = [name_key(seed, s.name) for s in self.streams]
        self._last: tuple[int, Window] | None = None

    def start(self) -> Place:
        return Place(0, 0, [0] * len(self.streams), [0.0] * len(self.streams))

    def as_before(self) -> None:
        """Plan as versions before 0.3.0 did, for a run that one of them began: windows as large as asked for."""
        self.window, self.apart, self._last = self.asked, False, None
        self.quotas = Quotas(self.quotas.probabilities, self.window)

    def plan(self, place: Place) -> Window:
        """The window that ``place`` is in."""
        if self._last is None or self._last[0] != place.window:
            self._last = (place.window, self._plan(place))
        return self._last[1]

    def draws(self, place: Place) -> tuple[np.ndarray, np.ndarray, np.ndarray, Place]:
        """Return the stream, the unit and the key of every draw of a window, int64 [n] each, and the next place."""
        drawn = np.array(place.drawn, dtype=np.int64)
        counts, owed = self.quotas.next(np.array(place.owed), drawn, place.window)
        turns = [self._turns(s, int(drawn[s]), int(counts[s])) for s in range(len(self.streams)) if counts[s]]
        stream, number, size, begin, key, pass_key, run = np.concatenate(turns, axis=1)
        # One call for all streams: with hundreds of directions, a call for each takes a second per window.
        unit = begin + shuffled(number, size, key, run)
        key = combine(torch.from_numpy(pass_key), torch.from_numpy(unit)).numpy()
        return stream, unit, key, Place(place.window + 1, 0, (drawn + counts).tolist(), owed.tolist())

    def _plan(self, place: Place) -> Window:
        stream, unit, key, following = self.draws(place)
        lengths = np.empty((len(unit), 2), dtype=np.int64)
        for s in np.unique(stream):
            lengths[stream == s] = two_sides(self.streams[s].lengths(unit[stream == s]))
        fits = lengths[:, 0] >= 0
        return assemble(
            self.streams, stream[fits], unit[fits], key[fits], lengths[fits], self.budget, following,
            shuffle_key=name_key(self.seed, "window", place.window), every_kind=self.every_kind,
            apart=self.apart,
        )  # fmt: skip

    def _turns(self, s: int, begin: int, count: int) -> np.ndarray:
        """``count`` draws of stream ``s`` from draw ``begin`` on, int64 [7, count].

        Rows are the stream, the number of the draw within its part of a pass, the units of this part and where it
        begins, the key that shuffles it, the key of the pass, and how many units move together.
        """
        stream, total = self.streams[s], len(self.streams[s])
        run = RUN if stream.share else 1
        numbers = np.arange(begin, begin + count)
        rows = []
        for p in range(begin // total, (begin + count - 1) // total + 1):
            key = name_key(self.stream_keys[s], p)
            within = numbers[numbers // total == p] % total
            for first, size, part_key in in_turn(stream.parts, key):
                ours = within[(within >= first) & (within < first + size)] - first
                fixed = np.array([[size], [first], [part_key], [key], [run]], dtype=np.int64)
                rows.append(np.concatenate([np.full((1, len(ours)), s), ours[None], fixed.repeat(len(ours), axis=1)]))
        return np.concatenate(rows, axis=1)


def in_turn(parts: Sequence[int], key: int) -> list[tuple[int, int, int]]:
    """How a pass goes through ``parts``: all units of the first part, shuffled, then those of the next.

    Args:
        parts: units of each part (data/shards.py); usually there is one.
        key: of the pass.

    Returns: where each part begins, its units, and the key that shuffles it.
    """
    if len(parts) == 1:
        return [(0, parts[0], key)]
    begins = np.cumsum([0, *parts]).tolist()
    return [(begins[i], size, name_key(key, "part", i)) for i, size in enumerate(parts)]


def shuffled(numbers: np.ndarray, size: int | np.ndarray, key: int | np.ndarray, run: int | np.ndarray) -> np.ndarray:
    """Where a keyed permutation of ``range(size)`` sends ``numbers`` [n]; runs of ``run`` units move as a whole.

    What is left over after the last whole run stays at the end. Each number may have a size, key and run of its own.
    """
    runs = np.asarray(size) // run
    place = torch.from_numpy(np.minimum(numbers // run, np.maximum(runs - 1, 0)))
    order = permute(place, torch.as_tensor(runs), torch.as_tensor(key)).numpy()
    return np.where(numbers < runs * run, order * run + numbers % run, numbers)


def two_sides(lengths: np.ndarray) -> np.ndarray:
    """Lengths [n, 1 or 2] -> [n, 2]."""
    return lengths if lengths.shape[1] == 2 else np.concatenate([lengths, np.zeros_like(lengths)], axis=1)


def one_pass(streams: Sequence[Stream], budget: Budget, seed: int, chunk: int) -> list[Window]:
    """Every unit once, in order, sorted by length within chunks: for validation.

    Masks are functions of (seed, stream, unit), so they are the same at every validation.
    """
    windows = []
    for s, stream in enumerate(streams):
        pass_key = name_key(name_key(seed, stream.name), 0)
        for begin in range(0, len(stream), chunk):
            unit = np.arange(begin, min(begin + chunk, len(stream)))
            key = combine(pass_key, torch.from_numpy(unit)).numpy()
            lengths = two_sides(stream.lengths(unit))
            fits = lengths[:, 0] >= 0
            where = np.full(int(fits.sum()), s)
            windows.append(assemble(streams, where, unit[fits], key[fits], lengths[fits], budget, Place()))
    return windows


def assemble(
    streams: Sequence[Stream],
    stream: np.ndarray,
    unit: np.ndarray,
    key: np.ndarray,
    lengths: np.ndarray,
    budget: Budget,
    following: Place,
    shuffle_key: int | None = None,
    every_kind: bool = False,
    apart: bool = False,
) -> Window:
    """Put draws into sequences, sort these by length and cut them into batches."""
    sequences = share_sequences(streams, stream, lengths)
    sizes = sequence_sizes(streams, stream, lengths, sequences)
    first_key = key[sequences[:-1]]
    # Longest first; the keys break ties, so that equal lengths mix at random.
    order = np.lexsort((first_key, -sizes)) if shuffle_key is not None else np.argsort(-sizes, kind="stable")
    kinds = np.array([s.kind for s in streams])[stream[sequences[:-1]]]
    if every_kind and len(np.unique(kinds)) > 1:
        batches = deal_batches(order, sizes, kinds, budget)
    else:
        again = repetitions(stream, unit) if apart else np.zeros(1)
        if again.any():  # what comes again has the length of what it repeats, and would stand beside it
            order = order[np.argsort(np.maximum.reduceat(again, sequences[:-1])[order], kind="stable")]
        batches = cut_batches(order, sizes[order], budget)
        if again.any():
            batches = [batch[np.argsort(-sizes[batch], kind="stable")] for batch in batches]
    if shuffle_key is not None:
        number = torch.arange(len(batches))
        batches = [batches[i] for i in combine(shuffle_key, number).argsort(stable=True).tolist()]
    return Window(stream, unit, key, lengths, sequences, batches, following)


def repetitions(stream: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """How often each draw's unit has been drawn before it in these draws, int64 [n]."""
    order = np.lexsort((unit, stream))
    same = (np.diff(stream[order], prepend=-1) == 0) & (np.diff(unit[order], prepend=-1) == 0)
    number = np.arange(len(order))
    found = np.empty(len(order), dtype=np.int64)
    found[order] = number - np.maximum.accumulate(np.where(same, 0, number))
    return found


def share_sequences(streams: Sequence[Stream], stream: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Where sequences start among the draws, and n: consecutive draws of a sharing stream that fit together."""
    if not any(s.share for s in streams):
        return np.arange(len(stream) + 1)
    starts, last, first_side, second_side = [], -1, 0, 0
    for i, (s, (a, b)) in enumerate(zip(stream.tolist(), lengths.tolist())):
        limit = streams[s].limit
        half = streams[s].kind == "bitext"
        room = limit // 2 if half else limit
        if s == last and streams[s].share and 1 + first_side + a <= room and 1 + second_side + b <= room:
            first_side, second_side = first_side + a, second_side + b
        else:
            starts.append(i)
            last, first_side, second_side = s, a, b
    return np.array([*starts, len(stream)], dtype=np.int64)


def sequence_sizes(
    streams: Sequence[Stream], stream: np.ndarray, lengths: np.ndarray, sequences: np.ndarray
) -> np.ndarray:
    """Tokens of each sequence, with those that belong to no unit (``<s>``), int64 [m]."""
    if len(sequences) == 1:
        return np.zeros(0, dtype=np.int64)
    framing = np.array([s.framing for s in streams])
    body = np.add.reduceat(lengths.sum(axis=1), sequences[:-1])
    return body + framing[stream[sequences[:-1]]]
