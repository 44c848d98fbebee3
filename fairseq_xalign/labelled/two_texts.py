"""What kinds of tasks about two texts share: both are one sequence, with the encoder's separator between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fairseq_xalign.labelled.kind import Encoded, Kind, Row
from fairseq_xalign.tokenizer.framing import FRAMES, Frame, new_separators, pair_frame_of

if TYPE_CHECKING:
    from fairseq_xalign.tokenizer.tokenizer import Tokenizer


class TwoTexts(Kind):
    """A kind whose :meth:`encode_framed` joins two texts."""

    def encode(
        self, tokenizer: Tokenizer, rows: Sequence[Row], labels: Sequence[str], language: str, limit: int
    ) -> Encoded:
        """As :meth:`encode_framed`, for ``<s> a </s> b </s>``."""
        return self.encode_framed(tokenizer, rows, labels, language, limit, FRAMES["s"])

    def frame(self, task_state: Mapping[str, Any], options: Any) -> Frame:
        return pair_frame_of(task_state)

    def frame_settings(self, frame: Frame) -> dict[str, Any]:
        return {"pair": frame.pair_settings()}

    def new_rows(self, task_state: Mapping[str, Any], frame: Frame) -> tuple[int, ...]:
        return new_separators(task_state, frame)
