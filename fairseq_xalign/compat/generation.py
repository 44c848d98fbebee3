"""``--no-repeat-ngram-size`` in fairseq's generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fairseq_xalign.compat.patching import workaround, wrap


@workaround
def block_repeated_ngrams() -> None:
    """Let ``--no-repeat-ngram-size`` see what was written.

    Reason: ``NGramRepeatBlock`` takes the last columns of the buffer of tokens for the last tokens. The buffer has room
    for the longest output, so these columns are padding until the very end, and nothing is blocked.
    """
    from fairseq.ngram_repeat_block import NGramRepeatBlock

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def no_repeat_ngram(self: Any, tokens: Any, lprobs: Any, bsz: int, beam_size: int, step: int) -> Any:
            return original(self, tokens[:, : step + 1], lprobs, bsz, beam_size, step)

        return no_repeat_ngram

    wrap(NGramRepeatBlock, "_no_repeat_ngram", make)
