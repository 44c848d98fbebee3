"""From planned sequences to tensors: read, lay end to end, mask."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fairseq_xalign.constants import BOS
from fairseq_xalign.data.streams import BitextStream, MonoStream
from fairseq_xalign.data.windows import Source, Window
from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.batch import PackedBatch
from fairseq_xalign.objectives.masking import (
    DictionaryOptions,
    MaskingOptions,
    Translations,
    Vocabulary,
    mask_tokens,
)
from fairseq_xalign.objectives.random import uniform


@dataclass(frozen=True)
class CollateOptions:
    """How sequences are laid out and masked.

    Attributes:
        masking: for each stream kind ``mask``, ``dictionary`` or None.
        reset_positions: positions start again at 0 in the second half of a pair (released code of
            ALIGN-MLM; XLM), else they run on (PPA).
        shuffle_order: a fair coin decides which side of a pair comes first (released code: never).
        split, folder: what is read, and where; samples and messages name them.
    """

    masking: Mapping[str, str | None]
    rates: MaskingOptions
    vocabulary: Vocabulary
    languages: Mapping[str, int]
    translations: Translations | None = None
    dictionary: DictionaryOptions | None = None
    reset_positions: bool = True
    shuffle_order: bool = False
    split: str = ""
    folder: str = "DATA"


class Collater:
    """Builds the ``sample`` of one batch of a window."""

    def __init__(self, streams: Sequence[Source], options: CollateOptions) -> None:
        self.streams, self.options = streams, options

    def __call__(self, window: Window, batch: int) -> dict[str, Any]:
        """``{"streams": {kind: PackedBatch as a dict}, "units": {kind: [n, 2]}, ...}``."""
        chosen = window.batches[batch]
        kinds = np.array([self.streams[s].kind for s in window.stream[window.sequences[chosen]]])
        packed, units = {}, {}
        for kind in dict.fromkeys(kinds.tolist()):
            ours = chosen[kinds == kind]
            layout = self._lay_out_mono if kind == "mono" else self._lay_out_bitext
            draws = np.concatenate([np.arange(window.sequences[q], window.sequences[q + 1]) for q in ours])
            of_sequence = np.repeat(np.arange(len(ours)), window.sequences[ours + 1] - window.sequences[ours])
            batch_of_kind = layout(window, draws, of_sequence, len(ours))
            self._check_ids(batch_of_kind, window.stream[draws], of_sequence)
            packed[kind] = self._mask(kind, batch_of_kind).to_dict()
            units[kind] = torch.from_numpy(np.stack([window.stream[draws], window.unit[draws]], axis=1))
        return {
            "streams": packed,
            "units": units,
            "split": self.options.split,
            "nsentences": len(chosen),
            "ntokens": sum(len(p["tokens"]) for p in packed.values()),
        }

    def _check_ids(self, batch: PackedBatch, stream: np.ndarray, of_sequence: np.ndarray) -> None:
        """Refuse ids that the vocabulary lacks, which would end in an IndexError far from the damaged file."""
        ids = batch.tokens.numpy().view(np.uint64)  # one maximum finds what is too large and what is negative
        size = self.options.vocabulary.size
        if ids.max(initial=0) >= size:
            wrong = np.searchsorted(batch.starts.numpy(), np.flatnonzero(ids >= size), side="right") - 1
            found = np.unique(stream[np.isin(of_sequence, wrong)])
            raise damaged_ids([self.streams[s].name for s in found], size, self.options.folder)

    def _mask(self, kind: str, batch: PackedBatch) -> PackedBatch:
        o = self.options
        how = o.masking.get(kind)
        if how is None:
            return batch
        if how == "dictionary":
            return mask_tokens(batch, o.vocabulary, o.rates, o.translations, o.dictionary)
        return mask_tokens(batch, o.vocabulary, o.rates)

    def _lay_out_mono(self, window: Window, draws: np.ndarray, of_sequence: np.ndarray, count: int) -> PackedBatch:
        lengths = window.lengths[draws, 0]
        sizes = 1 + np.bincount(of_sequence, lengths, minlength=count).astype(np.int64)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        to = starts[of_sequence] + 1 + offsets_within(lengths, of_sequence)
        tokens = np.full(starts[-1], BOS, dtype=np.int64)
        languages = np.empty(count, dtype=np.int64)
        for s in np.unique(window.stream[draws]):
            stream, ours = self.streams[s], window.stream[draws] == s
            assert isinstance(stream, MonoStream)
            stream.write(window.unit[draws[ours]], window.lengths[draws[ours]], tokens, to[ours])
            languages[of_sequence[ours]] = self.options.languages[stream.language]
        keys = window.key[draws[np.unique(of_sequence, return_index=True)[1]]]
        positions = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)
        return as_batch(tokens, starts, positions, np.repeat(languages, sizes), keys)

    def _lay_out_bitext(self, window: Window, draws: np.ndarray, of_sequence: np.ndarray, count: int) -> PackedBatch:
        first = np.unique(of_sequence, return_index=True)[1]
        keys = window.key[draws[first]]
        shared = np.array([self.streams[s].share for s in window.stream[draws[first]]])
        swapped = np.zeros(count, dtype=bool)
        if self.options.shuffle_order:
            coin = uniform(torch.from_numpy(keys), torch.full((count,), -1, dtype=torch.int64))
            swapped = (coin < 0.5).numpy()
        lengths = window.lengths[draws].copy()  # [n, 2], in the order in which sides are laid out
        lengths[swapped[of_sequence]] = lengths[swapped[of_sequence]][:, ::-1]
        sides = np.stack([np.bincount(of_sequence, lengths[:, k], minlength=count) for k in (0, 1)], axis=1)
        sides = sides.astype(np.int64) + 1
        sides[~shared, 1] -= 1  # <s> x </s> y </s>: the second side has no <s> of its own
        starts = np.concatenate([[0], np.cumsum(sides.sum(axis=1))])
        second = starts[:-1] + sides[:, 0]
        tokens = np.full(starts[-1], BOS, dtype=np.int64)
        languages = np.empty((count, 2), dtype=np.int64)
        begins = (starts[:-1] + 1, second + shared)
        for s in np.unique(window.stream[draws]):
            stream, ours = self.streams[s], window.stream[draws] == s
            assert isinstance(stream, BitextStream)
            ids = [self.options.languages[name] for name in stream.languages]
            for half in (0, 1):
                to = begins[half][of_sequence] + offsets_within(lengths[:, half], of_sequence)
                for side in (0, 1):
                    here = ours & ((side != half) == swapped[of_sequence])
                    stream.write(side, window.unit[draws[here]], lengths[here, half], tokens, to[here])
                    languages[of_sequence[here], half] = ids[side]
        positions = np.arange(starts[-1]) - np.repeat(starts[:-1], sides.sum(axis=1))
        in_second = np.arange(starts[-1]) >= np.repeat(second, sides.sum(axis=1))
        if self.options.reset_positions:
            positions = positions - in_second * np.repeat(sides[:, 0], sides.sum(axis=1))
        token_languages = np.where(
            in_second, np.repeat(languages[:, 1], sides.sum(axis=1)), np.repeat(languages[:, 0], sides.sum(axis=1))
        )
        return as_batch(tokens, starts, positions, token_languages, keys)


def damaged_ids(names: Sequence[str], size: int, where: str) -> UserError:
    """The error for streams that hold ids which a vocabulary of ``size`` lacks."""
    return UserError(
        f"{' or '.join(names)} is damaged: it holds ids that are not in the vocabulary of {size} symbols",
        where,
        remedy=f"Run `xalign-preprocess check {where}` and binarize what it names again",
    )


def unit_names(streams: Sequence[Source], units: Mapping[str, torch.Tensor]) -> list[str]:
    """What messages call units ``{kind: [n, 2]}`` (stream, unit): the numbers, from 0, of their sentences.

    A block of running text is called by its first and last sentence, which it may hold in part.
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
    """For items in groups (side by side), the summed lengths of the group's earlier items."""
    before = np.cumsum(lengths) - lengths
    first = np.unique(group, return_index=True)[1]
    return before - before[first][group]


def as_batch(
    tokens: np.ndarray, starts: np.ndarray, positions: np.ndarray, languages: np.ndarray, keys: np.ndarray
) -> PackedBatch:
    """Arrays to tensors."""
    return PackedBatch(
        torch.from_numpy(tokens),
        torch.from_numpy(starts.astype(np.int32)),
        torch.from_numpy(positions),
        int(np.diff(starts).max()),
        torch.from_numpy(languages),
        keys=torch.from_numpy(np.ascontiguousarray(keys)),
    )
