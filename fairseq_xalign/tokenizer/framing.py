"""What stands around a text when an encoder reads it: ``<s> x </s>``, or ``x </s>`` where it comes from translation.

Two texts are read as one sequence with a separator between them: as the encoder's makers have it where it was converted
(``[CLS] a [SEP] b [SEP]`` of BERT, ``<s> a </s></s> b </s>`` of RoBERTa and XLM-R), as translation language modelling
has it in our own (``<s> a </s> b </s>``). An encoder from translation has never seen two texts together: its separator
is a row of its own (MMTE, Siddhant et al. 2020, section 2.3), that of ``<s>``, which it has never read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fairseq_xalign.constants import BOS, EOS


@dataclass(frozen=True)
class Frame:
    """The special ids around a text.

    Attributes:
        name: as checkpoints have it, under ``input`` in ``task_state``.
        begin: ids ahead of the text.
        end: ids after it.
        separator: ids between the two texts of a pair.
        segments: whether the second text of a pair is of segment 1; encoders without segments do not read this.
    """

    name: str
    begin: tuple[int, ...]
    end: tuple[int, ...] = (EOS,)
    separator: tuple[int, ...] = (EOS,)
    segments: bool = True

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

    def joined(self, first: Sequence[int], second: Sequence[int]) -> tuple[list[int], int]:
        """Return the ids of two texts with the separator between them, and where the second text starts."""
        return [*first, *self.separator, *second], len(first) + len(self.separator)

    def pair_settings(self) -> dict[str, Any]:
        """How two texts are joined, as checkpoints have it under ``pair``."""
        return {"separator": list(self.separator), "segments": self.segments}


FRAMES = {frame.name: frame for frame in (Frame("s", (BOS,)), Frame("eos", (), separator=(BOS,)))}
"""By name: ``s`` of every masked language model, ``eos`` of translation, which never showed its encoder a ``<s>``."""


def frame_of(task_state: Mapping[str, Any]) -> Frame:
    """Return how the encoder of a checkpoint reads a text; where nothing is said, the kind of checkpoint decides."""
    frame = FRAMES[task_state.get("input", "eos" if "decoder" in task_state else "s")]
    pair = task_state.get("pair")
    if pair is None:
        return frame
    return replace(frame, separator=tuple(pair["separator"]), segments=pair["segments"])


def pair_frame_of(task_state: Mapping[str, Any]) -> Frame:
    """Return how the encoder of a checkpoint reads two texts: as it was fine-tuned, or as its makers have it."""
    frame = frame_of(task_state)
    if "pair" in task_state or "foreign" not in task_state:
        return frame
    kind, words, processor = task_state["tokenizer"]["kind"], "WordPiece", None
    if kind == "tokenizers":
        whole = json.loads(task_state["tokenizer"]["model_bytes"])
        words, processor = whole["model"].get("type", "WordPiece"), whole.get("post_processor")
    # Where the files do not say it: BERT's are WordPieces, RoBERTa's and XLM-R's are not.
    bert = words == "WordPiece" and kind != "sentencepiece"
    separators, segments = _pair_in(processor or {}) or ((1, True) if bert else (2, False))
    return replace(frame, separator=(EOS,) * separators, segments=segments)


def framing_symbols(tokens: Any) -> Any:
    """Where a tensor of ids has a symbol around or between texts, bool of its shape."""
    return (tokens == BOS) | (tokens == EOS)


def new_separators(task_state: Mapping[str, Any], frame: Frame) -> tuple[int, ...]:
    """Return the ids between two texts that an encoder has never read (one from translation without pairs so far)."""
    unread = set(frame.separator) - {*frame.begin, *frame.end}
    return () if "pair" in task_state else tuple(sorted(unread))


def _pair_in(processor: Mapping[str, Any]) -> tuple[int, bool] | None:
    """How many separators a ``tokenizer.json`` puts between two texts, and whether the second is of segment 1.

    None where it does not say that.
    """
    kind = processor.get("type")
    if kind == "Sequence":
        found = [part for part in processor["processors"] if part["type"] in PAIR_PROCESSORS]
        return _pair_in(found[-1] if found else {})
    if kind == "RobertaProcessing":
        return 2, False
    if kind == "BertProcessing":
        return 1, True
    if kind != "TemplateProcessing":
        return None
    names = [next(iter(part)) for part in processor["pair"]]
    places = [i for i, name in enumerate(names) if name == "Sequence"]
    if len(places) != 2:
        return None
    return places[1] - places[0] - 1, processor["pair"][places[1]]["Sequence"]["type_id"] == 1


PAIR_PROCESSORS = ("TemplateProcessing", "RobertaProcessing", "BertProcessing")
"""Post-processors of the library tokenizers that say how two texts are joined."""
