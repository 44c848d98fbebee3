"""What stands around a text when an encoder reads it: ``<s> x </s>``, or ``x </s>`` where it comes from translation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fairseq_xalign.constants import BOS, EOS


@dataclass(frozen=True)
class Frame:
    """The special ids around a text.

    Attributes:
        name: as checkpoints have it, under ``input`` in ``task_state``.
        begin: ids ahead of the text.
        end: ids after it.
    """

    name: str
    begin: tuple[int, ...]
    end: tuple[int, ...] = (EOS,)

    @property
    def before(self) -> int:
        """How many ids stand ahead of the text: where the text starts."""
        return len(self.begin)

    @property
    def extra(self) -> int:
        """How many ids a framed text has more than the text alone."""
        return len(self.begin) + len(self.end)

    @property
    def shown(self) -> str:
        """The frame as documentation and messages write it."""
        return "<s> x </s>" if self.begin else "x </s>"

    def around(self, ids: Iterable[int]) -> list[int]:
        """Return ``ids`` between the special ids."""
        return [*self.begin, *ids, *self.end]


FRAMES = {frame.name: frame for frame in (Frame("s", (BOS,)), Frame("eos", ()))}
"""By name: ``s`` of every masked language model, ``eos`` of translation, which never showed its encoder a ``<s>``."""


def frame_of(task_state: Mapping[str, Any]) -> Frame:
    """Return how the encoder of a checkpoint reads a text; where nothing is said, the kind of checkpoint decides."""
    return FRAMES[task_state.get("input", "eos" if "decoder" in task_state else "s")]
