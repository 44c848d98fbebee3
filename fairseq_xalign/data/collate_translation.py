"""From planned pairs of sentences to two packed batches: what the encoder reads and what the decoder predicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fairseq_xalign.constants import EOS
from fairseq_xalign.data.collate import CollateOptions, Collater, as_batch
from fairseq_xalign.data.directions import DIRECTION, DirectionStream
from fairseq_xalign.data.streams import Stream
from fairseq_xalign.data.windows import Window
from fairseq_xalign.objectives.batch import PackedBatch
from fairseq_xalign.objectives.translation import SEPARATE, SOURCE, TARGET_TOKENS, TranslationBatch

TRANSLATION = "translation"
"""The name of the translation batch in a sample."""


class TranslationCollater(Collater):
    """Builds samples of streams of directions, and of the other streams that their ``options`` have views of.

    Args:
        streams: of the split; directions may be anywhere among them.
        options: how text of one language and pairs are hidden, for objectives on the encoder; ``views`` may be empty.
        tags: the id of ``<2xx>`` of each stream's target language, None for streams that are no directions.
        target_token: one of ``TARGET_TOKENS``.
        numbers: the number of each direction's stream in the task's list of directions, None for other streams.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        options: CollateOptions,
        tags: Sequence[int | None],
        target_token: str,
        numbers: Sequence[int | None],
    ) -> None:
        super().__init__(streams, options)
        assert target_token in TARGET_TOKENS
        self.target_token = target_token
        self.tags = np.array([-1 if tag is None else tag for tag in tags], dtype=np.int64)
        self.numbers = np.array([-1 if number is None else number for number in numbers], dtype=np.int64)

    def __call__(self, window: Window, batch: int) -> dict[str, Any]:
        """The sample of :class:`Collater`, with ``{"translation": TranslationBatch as a dict}`` where it has pairs.

        ``ntokens`` then counts target tokens, as fairseq does.
        """
        sample = super().__call__(window, batch)
        pairs = sample["units"].get(DIRECTION)
        if pairs is None:
            return sample
        made = self._translation(pairs[:, 0].numpy(), pairs[:, 1].numpy())
        return {**sample, TRANSLATION: made.to_dict(), "ntokens": len(made.target.tokens)}

    def _translation(self, stream: np.ndarray, unit: np.ndarray) -> TranslationBatch:
        """The pairs of a batch, in its order: the stream and unit of each, [B]."""
        lengths = np.empty((len(stream), 2), dtype=np.int64)
        for s in np.unique(stream):
            ours = stream == s
            lengths[ours] = self.streams[s].lengths(unit[ours])
        tagged = self.target_token == SOURCE
        source = self._lay_out(0, stream, unit, lengths[:, 0], self.tags[stream] if tagged else None)
        target = self._lay_out(1, stream, unit, lengths[:, 1], None)
        target.targets, target.tokens = target.tokens, decoder_input(target)
        tags = one_token_each(self.tags[stream]) if self.target_token == SEPARATE else None
        return TranslationBatch(source, target, tags, torch.from_numpy(self.numbers[stream])).noted()

    def _lay_out(
        self, side: int, stream: np.ndarray, unit: np.ndarray, lengths: np.ndarray, first: np.ndarray | None
    ) -> PackedBatch:
        """One side of the pairs, ``x </s>``, with ``first`` [B] in front where it is given."""
        sizes = lengths if first is None else lengths + 1
        starts = np.concatenate([[0], np.cumsum(sizes)])
        to = starts[:-1]
        tokens = np.empty(starts[-1], dtype=np.int64)
        if first is not None:
            tokens[to] = first
            to = to + 1
        languages = np.empty(len(stream), dtype=np.int64)
        for s in np.unique(stream):
            direction, ours = self.streams[s], stream == s
            assert isinstance(direction, DirectionStream)
            direction.write(side, unit[ours], lengths[ours], tokens, to[ours])
            languages[ours] = self.options.languages[direction.languages[side]]
        positions = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)
        batch = as_batch(tokens, starts, positions, np.repeat(languages, sizes))
        self._check_ids(batch, stream)
        return batch


def decoder_input(target: PackedBatch) -> Tensor:
    """Return what the decoder reads where it predicts ``y1 .. yn </s>``: ``</s> y1 .. yn`` (fairseq's), int64 [T]."""
    tokens = target.tokens.roll(1)
    tokens[target.starts[:-1].long()] = EOS
    return tokens


def one_token_each(tokens: np.ndarray) -> PackedBatch:
    """Return B sequences of one token each: ``<2xx>``, where it is encoded apart."""
    ids = torch.from_numpy(tokens)
    starts = torch.arange(len(ids) + 1, dtype=torch.int32)
    return PackedBatch(ids, starts, torch.zeros_like(ids), longest=1)
