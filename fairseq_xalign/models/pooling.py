"""Which vector may stand for a text of an encoder; how it is computed is in ``objectives.pooling``."""

from __future__ import annotations

from torch import Tensor

from fairseq_xalign.constants import POOLINGS
from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.objectives.pooling import pool
from fairseq_xalign.tokenizer.framing import FRAMES, Frame


def check_pooling(
    pooling: str, frame: Frame = FRAMES["s"], known: tuple[str, ...] = POOLINGS, called: str = "--pooling"
) -> None:
    """Refuse an unknown pooling, and ``cls`` for an encoder that reads texts without ``<s>``, with a UserError.

    Without ``<s>`` the first token is a piece of the text: no encoder was trained to let it stand for the whole.

    Args:
        known: the poolings to choose from.
        called: how messages call the setting.
    """
    if pooling not in known:
        raise unknown_name("pooling", pooling, known)
    if pooling == "cls" and not frame.begin:
        raise UserError(
            f"{called} cls: this encoder comes from translation and reads a text as {frame.shown}, without the <s> "
            "that would represent it",
            remedy=f"Choose {called} max or mean",
        )


def pool_sentences(features: Tensor, starts: Tensor, pooling: str, before: int = 1) -> Tensor:
    """One vector for each sentence; ``pooling`` is one of SENTENCE_POOLINGS, otherwise as :func:`pool`."""
    name, everything, _ = pooling.partition("_all")
    return pool(features, starts, name, edges=bool(everything), before=before)
