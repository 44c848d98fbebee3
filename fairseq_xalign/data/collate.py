"""From planned sequences to tensors: read text, lay it end to end, hide tokens; once for every view of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fairseq_xalign.constants import BOS
from fairseq_xalign.data.links import linked_places
from fairseq_xalign.data.streams import BitextStream, MonoStream, Stream, damaged_ids
from fairseq_xalign.data.windows import Window
from fairseq_xalign.objectives.batch import PackedBatch
from fairseq_xalign.objectives.masking import Vocabulary, mask_tokens
from fairseq_xalign.objectives.negatives import keeps_second, other_units, swaps_side
from fairseq_xalign.objectives.random import combine, uniform
from fairseq_xalign.objectives.view import OWN_SIDES, View

SIDE_ORDER = -1
"""Name of the draw that decides which side of a pair comes first."""
SECOND_SIDE = -2
"""Name of the draw that gives the second of two sides that are apart a key of its own."""


@dataclass(frozen=True)
class CollateOptions:
    """How sequences are laid out and masked.

    Attributes:
        views: by name, as ``objectives.view.name_views`` gives them; samples have a batch under each name.
        vocabulary: which ids may be hidden or drawn.
        languages: the number of each language.
        resource: what the views' switches need (DICT-MLM: the translations), or None.
        split, folder: what is read, and where; samples and messages name them.
        links: whether batches of pairs have the links of their streams, all of which must have some.
        texts: whether objectives read texts on the host (``PackedBatch.on_host``).
    """

    views: Mapping[str, View]
    vocabulary: Vocabulary
    languages: Mapping[str, int]
    resource: Any = None
    split: str = ""
    folder: str = "DATA"
    links: bool = False
    texts: bool = False


@dataclass(frozen=True)
class _Draws:
    """Some draws of a window that a layout takes.

    Attributes:
        number: their places in the window, [n].
        sequence: which sequence each belongs to, from 0 and ascending, [n].
        count: number of sequences.
    """

    number: np.ndarray
    sequence: np.ndarray
    count: int

    def single(self) -> _Draws:
        """The same draws, each a sequence of its own."""
        return _Draws(self.number, np.arange(len(self.number)), len(self.number))

    def firsts(self) -> np.ndarray:
        """The place in the window of each sequence's first draw, [count]."""
        return self.number[np.unique(self.sequence, return_index=True)[1]]


@dataclass(frozen=True)
class _Texts:
    """Single sides of pairs, each to be a sequence of its own.

    Attributes:
        stream, unit, side: where each is, int64 [n].
        lengths: its tokens, int64 [n].
        key: names its draw, int64 [n].
    """

    stream: np.ndarray
    unit: np.ndarray
    side: np.ndarray
    lengths: np.ndarray
    key: np.ndarray

    def at(self, places: np.ndarray) -> _Texts:
        return _Texts(*(value[places] for value in vars(self).values()))

    @staticmethod
    def joined(parts: Sequence[_Texts]) -> _Texts:
        return _Texts(*(np.concatenate(values) for values in zip(*(vars(part).values() for part in parts))))


class Collater:
    """Builds the ``sample`` of one batch of a window."""

    def __init__(self, streams: Sequence[Stream], options: CollateOptions) -> None:
        self.streams, self.options = streams, options

    def __call__(self, window: Window, batch: int) -> dict[str, Any]:
        """``{"streams": {view: PackedBatch as a dict}, "units": {kind: [n, 2]}, ...}``.

        ``ntokens`` counts each text once, in its first view.
        """
        chosen = window.batches[batch]
        kinds = np.array([self.streams[s].kind for s in window.stream[window.sequences[chosen]]])
        packed, units, tokens = {}, {}, 0
        for kind in dict.fromkeys(kinds.tolist()):
            ours = chosen[kinds == kind]
            number = np.concatenate([np.arange(window.sequences[q], window.sequences[q + 1]) for q in ours])
            sequence = np.repeat(np.arange(len(ours)), window.sequences[ours + 1] - window.sequences[ours])
            draws = _Draws(number, sequence, len(ours))
            for name, view in self.options.views.items():
                if view.stream == kind:
                    packed[name] = self._view(view, window, draws).noted(self.options.texts).to_dict()
                    tokens += len(packed[name]["tokens"]) if name == kind else 0
            units[kind] = torch.from_numpy(np.stack([window.stream[number], window.unit[number]], axis=1))
        return {
            "streams": packed,
            "units": units,
            "split": self.options.split,
            "nsentences": len(chosen),
            "ntokens": tokens,
        }

    def _view(self, view: View, window: Window, draws: _Draws) -> PackedBatch:
        """The draws, laid out and hidden as ``view`` says."""
        if view.stream == "mono":
            batch = self._lay_out_mono(window, draws)
        elif view.sides == "apart":
            draws = draws.single()
            batch = self._lay_out_apart(window, draws, view)
        else:
            draws = draws if view.packing == "halves" else draws.single()
            batch = self._lay_out_joined(window, draws, view)
        of_draws = window.stream[draws.firsts()]
        beside = np.repeat(of_draws, view.others)  # texts of other pairs, after all pairs
        self._check_ids(batch, np.concatenate([np.repeat(of_draws, 1 + (view.sides == "apart")), beside]))
        if view.rates is None:
            return batch
        hidden = mask_tokens(batch, self.options.vocabulary, view.rates, view.switch, self.options.resource)
        return hidden if hidden.links is None else replace(hidden, linked=linked_of(hidden))

    def _check_ids(self, batch: PackedBatch, streams: np.ndarray) -> None:
        """Refuse ids outside the vocabulary, which would end in an IndexError far from the damaged file.

        Args:
            streams: the stream of each sequence.
        """
        ids = batch.tokens.numpy().view(np.uint64)  # one maximum finds what is too large and what is negative
        size = self.options.vocabulary.size
        if ids.max(initial=0) >= size:
            wrong = np.searchsorted(batch.starts.numpy(), np.flatnonzero(ids >= size), side="right") - 1
            found = np.unique(streams[wrong])
            raise damaged_ids([self.streams[s].name for s in found], size, self.options.folder)

    def _lay_out_mono(self, window: Window, draws: _Draws) -> PackedBatch:
        """``<s> x </s>``, or ``<s> x1 </s> x2 </s> ...`` where several units share a sequence."""
        number, of_sequence, count = draws.number, draws.sequence, draws.count
        lengths = window.lengths[number, 0]
        sizes = 1 + np.bincount(of_sequence, lengths, minlength=count).astype(np.int64)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        to = starts[of_sequence] + 1 + offsets_within(lengths, of_sequence)
        tokens = np.full(starts[-1], BOS, dtype=np.int64)
        languages = np.empty(count, dtype=np.int64)
        for s in np.unique(window.stream[number]):
            stream, ours = self.streams[s], window.stream[number] == s
            assert isinstance(stream, MonoStream)
            stream.write(window.unit[number[ours]], window.lengths[number[ours]], tokens, to[ours])
            languages[of_sequence[ours]] = self.options.languages[stream.language]
        positions = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)
        return as_batch(tokens, starts, positions, np.repeat(languages, sizes), window.key[draws.firsts()])

    def _swapped(self, keys: np.ndarray, view: View) -> np.ndarray:
        """Whether the target side of each pair (or packed sequence) comes first, bool [count]."""
        if not view.shuffle_order:
            return np.zeros(len(keys), dtype=bool)
        coin = uniform(torch.from_numpy(keys), torch.full((len(keys),), SIDE_ORDER, dtype=torch.int64))
        return (coin < 0.5).numpy()

    def _lay_out_apart(self, window: Window, draws: _Draws, view: View) -> PackedBatch:
        """Two sequences per pair, ``<s> x </s>`` and ``<s> y </s>``, side by side; then any texts of other pairs."""
        number, count = draws.number, draws.count
        keys = window.key[number]
        swapped = self._swapped(keys, view)
        sides = np.stack([swapped, ~swapped], axis=1).astype(np.int64).reshape(-1)  # [2 * count]: 0 is the source
        second = combine(torch.from_numpy(keys), torch.full((count,), SECOND_SIDE, dtype=torch.int64)).numpy()
        texts = _Texts(
            np.repeat(window.stream[number], 2), np.repeat(window.unit[number], 2), sides,
            window.lengths[number].reshape(-1)[np.repeat(2 * np.arange(count), 2) + sides],
            np.stack([keys, second], axis=1).reshape(-1),
        )  # fmt: skip
        others = [self._other_texts(window, number, swapped, n, view) for n in range(view.others)]
        if others:  # text n of pair i follows text n - 1 of pair i
            between = np.arange(count * view.others).reshape(view.others, count).T.reshape(-1)
            texts = _Texts.joined([texts, _Texts.joined(others).at(between)])
        batch = self._lay_out_texts(texts)
        to = batch.starts[: 2 * count].long().numpy().reshape(count, 2) + 1  # in the order in which sides are laid out
        return replace(batch, links=self._links(window, number, to, swapped))

    def _other_texts(self, window: Window, number: np.ndarray, swapped: np.ndarray, n: int, view: View) -> _Texts:
        """Text n of other pairs of the stream for each draw: see ``objectives.negatives.corpus_negatives``.

        The first of a few candidates that fits is taken; where none does, the pair's own, which is no negative.
        """
        keys, unit, of_stream = torch.from_numpy(window.key[number]), window.unit[number].copy(), window.stream[number]
        replaced = keeps_second(keys, n).numpy() == swapped  # whether the second side in the files is replaced
        if view.others_from == OWN_SIDES:
            replaced = replaced ^ swaps_side(keys, n).numpy()
        sides, lengths = replaced.astype(np.int64), np.zeros(len(number), dtype=np.int64)
        for s in np.unique(of_stream):
            ours, stream = np.flatnonzero(of_stream == s), self.streams[s]
            own = torch.from_numpy(unit[ours])
            candidates = other_units(keys[torch.from_numpy(ours)], own, len(stream), n).numpy()
            fits = stream.lengths(candidates.reshape(-1))[:, 0].reshape(candidates.shape) >= 0
            chosen = candidates[np.arange(len(ours)), fits.argmax(axis=1)]
            unit[ours] = np.where(fits.any(axis=1), chosen, unit[ours])
            lengths[ours] = stream.lengths(unit[ours])[np.arange(len(ours)), sides[ours]]
        name = torch.full_like(keys, SECOND_SIDE - 1 - n)
        return _Texts(of_stream, unit, sides, lengths, combine(keys, name).numpy())

    def _lay_out_texts(self, texts: _Texts) -> PackedBatch:
        """One sequence ``<s> x </s>`` for each text."""
        sizes = 1 + texts.lengths
        starts = np.concatenate([[0], np.cumsum(sizes)])
        tokens = np.full(starts[-1], BOS, dtype=np.int64)
        languages = np.empty(len(sizes), dtype=np.int64)
        for s in np.unique(texts.stream):
            stream = self.streams[s]
            assert isinstance(stream, BitextStream)
            for side in (0, 1):
                here = (texts.stream == s) & (texts.side == side)
                stream.write(side, texts.unit[here], texts.lengths[here], tokens, starts[:-1][here] + 1)
                languages[here] = self.options.languages[stream.languages[side]]
        positions = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)
        return as_batch(tokens, starts, positions, np.repeat(languages, sizes), texts.key)

    def _lay_out_joined(self, window: Window, draws: _Draws, view: View) -> PackedBatch:
        """``<s> x </s> y </s>``, or with packed halves ``<s> x1 </s> x2 </s> ... <s> y1 </s> y2 </s> ...``.

        The second side is segment 1, as the second text is for BERT, unless the view says otherwise; encoders without
        segments leave them unread.
        """
        number, of_sequence, count = draws.number, draws.sequence, draws.count
        keys = window.key[draws.firsts()]
        swapped = self._swapped(keys, view)
        own_start = int(view.packing == "halves")  # whether the second side has a <s> of its own
        lengths = window.lengths[number].copy()  # [n, 2], in the order in which sides are laid out
        lengths[swapped[of_sequence]] = lengths[swapped[of_sequence]][:, ::-1]
        sides = np.stack([np.bincount(of_sequence, lengths[:, k], minlength=count) for k in (0, 1)], axis=1)
        sides = sides.astype(np.int64) + np.array([1, own_start])  # [count, 2]
        sizes = sides.sum(axis=1)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        second = starts[:-1] + sides[:, 0]
        tokens = np.full(starts[-1], BOS, dtype=np.int64)
        languages = np.empty((count, 2), dtype=np.int64)
        begins = (starts[:-1] + 1, second + own_start)
        to = np.stack([begins[half][of_sequence] + offsets_within(lengths[:, half], of_sequence) for half in (0, 1)], 1)
        for s in np.unique(window.stream[number]):
            stream, ours = self.streams[s], window.stream[number] == s
            assert isinstance(stream, BitextStream)
            for half in (0, 1):
                for side in (0, 1):
                    here = ours & ((side != half) == swapped[of_sequence])
                    stream.write(side, window.unit[number[here]], lengths[here, half], tokens, to[here, half])
                    languages[of_sequence[here], half] = self.options.languages[stream.languages[side]]
        positions = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)
        in_second = np.arange(starts[-1]) >= np.repeat(second, sizes)
        if view.positions == "reset":
            positions = positions - in_second * np.repeat(sides[:, 0], sizes)
        token_languages = np.where(in_second, np.repeat(languages[:, 1], sizes), np.repeat(languages[:, 0], sizes))
        batch = as_batch(tokens, starts, positions, token_languages, keys)
        links = self._links(window, number, to, swapped[of_sequence])
        segments = None if view.segments == "zero" else torch.from_numpy(in_second.astype(np.int64))
        return replace(batch, segments=segments, links=links)

    def _links(self, window: Window, number: np.ndarray, to: np.ndarray, swapped: np.ndarray) -> torch.Tensor | None:
        """The links of some pairs as places in the batch, int64 [2, L]; None where no objective reads them.

        Args:
            number: the draws of the pairs, [n].
            to: where the sides of each begin, in the order in which they are laid out, int64 [n, 2].
            swapped: whether the target comes first, bool [n].
        """
        if not self.options.links:
            return None
        begins = np.where(swapped[:, None], to[:, ::-1], to)
        rooms = window.lengths[number] - 1  # all but </s>
        found = [np.zeros((2, 0), dtype=np.int64)]
        for s in np.unique(window.stream[number]):
            stream, ours = self.streams[s], window.stream[number] == s
            assert isinstance(stream, BitextStream) and stream.links is not None
            found.append(linked_places(stream.links, window.unit[number[ours]], begins[ours], rooms[ours]))
        return torch.from_numpy(np.concatenate(found, axis=1))


def linked_of(batch: PackedBatch) -> Tensor:
    """Which hidden tokens of a batch with links have any: ``PackedBatch.linked``."""
    assert batch.links is not None and batch.masked is not None
    has_link = torch.zeros(len(batch.tokens), dtype=torch.bool).index_fill(0, batch.links.flatten(), True)
    return has_link[batch.masked].nonzero()[:, 0]


def unit_names(streams: Sequence[Stream], units: Mapping[str, torch.Tensor]) -> list[str]:
    """Return what messages call units ``{kind: [n, 2]}`` (stream, unit): the numbers, from 0, of their sentences.

    A block of running text is named by its first and last sentence, which it may hold only in part.
    """
    names = []
    for s, unit in (pair for pairs in units.values() for pair in pairs.tolist()):
        stream, numbers = streams[s], f"number {unit}"
        if isinstance(stream, MonoStream) and stream.mode == "none":
            begin = unit * stream.block
            end = begin + int(stream.lengths(np.array([unit]))[0, 0])
            first, last = (bisect_right(stream.mapped.starts, place) - 1 for place in (begin, end - 1))
            numbers = f"numbers {first} to {last}" if last > first else f"number {first}"
        names.append(f"{stream.name} {numbers}")
    return names


def offsets_within(lengths: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return for each item of groups (side by side) the summed lengths of its group's earlier items."""
    before = np.cumsum(lengths) - lengths
    first = np.unique(group, return_index=True)[1]
    return before - before[first][group]


def as_batch(
    tokens: np.ndarray,
    starts: np.ndarray,
    positions: np.ndarray,
    languages: np.ndarray,
    keys: np.ndarray | None = None,
) -> PackedBatch:
    """Make a batch of tensors from arrays."""
    return PackedBatch(
        torch.from_numpy(tokens),
        torch.from_numpy(starts.astype(np.int32)),
        torch.from_numpy(positions),
        int(np.diff(starts).max()),
        torch.from_numpy(languages),
        keys=None if keys is None else torch.from_numpy(np.ascontiguousarray(keys)),
    )
