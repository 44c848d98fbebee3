"""Labelled examples as a stream of packed batches.

Labelled sets are small: their subwords are kept in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from fairseq_xalign.data.collate import as_batch
from fairseq_xalign.data.windows import Window
from fairseq_xalign.labelled.kind import Encoded, Example, Kind, Row
from fairseq_xalign.labelled.validated import Asked
from fairseq_xalign.tokenizer.framing import FRAMES, Frame


class LabelledStream:
    """Examples of one language as a stream: a unit is an example, or several that stay in one batch.

    Args:
        limit: longest sequence in subwords.
        frame: what the encoder expects around a text.
        together: how many rows, one after the other, stay in one batch.
        rows: what the examples were made of, if whole rows are to be scored: all sequences of a row then stay in one
            batch.

    Attributes:
        units: the examples of each unit.
    """

    kind = "labelled"
    share = False

    def __init__(
        self,
        encoded: Encoded,
        limit: int,
        frame: Frame = FRAMES["s"],
        together: int = 1,
        rows: Sequence[Row] | None = None,
    ) -> None:
        self.name, self.language, self.limit = f"labelled/{encoded.language}", encoded.language, limit
        self.examples, self.framing, self.rows = encoded.examples, frame.before, rows
        self.units = [[example] for example in self.examples]
        if together > 1 or rows is not None:
            by_rows: dict[int, list[Example]] = {}
            for example in self.examples:
                by_rows.setdefault(example.row // together, []).append(example)
            self.units = list(by_rows.values())
        # The framing of a unit's first example is added by whoever plans batches.
        sizes = [sum(len(e.ids) + 1 + frame.before for e in unit) - frame.before for unit in self.units]
        self._sizes = np.array(sizes, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.units)

    @property
    def parts(self) -> list[int]:
        return [len(self)]

    def lengths(self, units: np.ndarray) -> np.ndarray:
        """Tokens of each unit, ``</s>`` included, [n, 1]."""
        return self._sizes[units][:, None]


class LabelledCollater:
    """Batches of examples: a packed batch, where the scored units start, and the labels.

    Args:
        languages: 1-based numbers of the encoder's language embeddings; others get 0 (none).
        reported: the languages that scores are kept for, in order.
        frame: what the encoder expects around a text.
    """

    def __init__(
        self,
        streams: Sequence[LabelledStream],
        kind: Kind,
        languages: dict[str, int],
        reported: Sequence[str],
        frame: Frame = FRAMES["s"],
    ) -> None:
        self.streams, self.kind, self.languages, self.frame = streams, kind, languages, frame
        self.reported = {name: i for i, name in enumerate(reported)}

    def __call__(self, window: Window, batch: int) -> dict[str, Any]:
        """The batch with this number in the window; see :meth:`build`."""
        draws = window.sequences[window.batches[batch]]
        units = [self.streams[s].units[u] for s, u in zip(window.stream[draws], window.unit[draws])]
        counts = [len(unit) for unit in units]
        names = [self.streams[s].language for s in np.repeat(window.stream[draws], counts)]
        examples = [e for unit in units for e in unit]
        sample = self.build(examples, names, np.repeat(window.key[draws], counts))
        if self.streams and all(stream.rows is not None for stream in self.streams):
            of_unit = [self.streams[s] for s in window.stream[draws]]
            rows = [(s.language, (s.rows or ())[unit[0].row], len(unit)) for s, unit in zip(of_unit, units)]
            sample["asked"] = Asked(examples, rows)
        return sample

    def build(
        self, examples: Sequence[Example], names: Sequence[str], keys: np.ndarray | None = None
    ) -> dict[str, Any]:
        """The sample of given examples.

        Args:
            names: the language of each example.
            keys: name each example's draw, [B].

        Returns:
            ``{"streams": {"labelled": ...}, "at": [...], "labels": [...], "of_language": [M], "names": [B], ...}``:
            ``at`` are indices into the packed tokens, of all the examples' ``heads``; ``labels`` are all
            their labels, ``learned`` how many units have one that the model knows; ``of_language`` is the language of
            each unit that is scored (``Kind.scored``).
        """
        sizes = np.array([len(e.ids) + self.frame.extra for e in examples], dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        tokens = np.concatenate([self.frame.around(e.ids) for e in examples]).astype(np.int64)
        positions = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)
        languages = self._languages(examples, names, starts)
        packed = as_batch(
            tokens, starts, positions, languages, np.zeros(len(examples), np.int64) if keys is None else keys
        )
        counts = np.array([self.kind.scored(e) for e in examples])
        texts = starts[:-1] + self.frame.before
        at = np.concatenate([start + np.array(e.heads, dtype=np.int64) for start, e in zip(texts, examples)])
        labels = torch.tensor([label for e in examples for label in e.labels])
        return {
            "streams": {"labelled": replace(packed, segments=self._segments(examples, starts)).noted().to_dict()},
            "at": torch.from_numpy(at.astype(np.int64)),
            "labels": labels,
            "learned": self.kind.learned(labels),
            "of_language": torch.from_numpy(np.repeat([self.reported.get(n, 0) for n in names], counts)),
            "names": [f"{name} {e.name}" for name, e in zip(names, examples)],
            "nsentences": len(examples),
            "ntokens": int(starts[-1]),
        }

    def _languages(self, examples: Sequence[Example], names: Sequence[str], starts: np.ndarray) -> np.ndarray:
        """The number of the language of each token, [T]."""
        found = np.repeat([self.languages.get(n, 0) for n in names], np.diff(starts))
        for example, start, end in zip(examples, starts[:-1], starts[1:]):
            if example.languages is not None:
                middle = start + self.frame.before + example.second
                first, second = (self.languages.get(name, 0) for name in example.languages)
                found[start:middle], found[middle:end] = first, second
        return found

    def _segments(self, examples: Sequence[Example], starts: np.ndarray) -> torch.Tensor | None:
        """1 for the tokens of second texts and what follows them, [T]; None where the encoder is told of none."""
        if not self.frame.segments or not any(example.second for example in examples):
            return None
        segments = np.zeros(starts[-1], dtype=np.int64)
        for example, start, end in zip(examples, starts[:-1], starts[1:]):
            if example.second:
                segments[start + self.frame.before + example.second : end] = 1
        return torch.from_numpy(segments)
