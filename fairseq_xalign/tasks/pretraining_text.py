"""What ``align_mlm`` says and asks of its texts: lengths, unigram counts, which ids may be hidden."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from fairseq_xalign.constants import FIRST_PIECE, MASK
from fairseq_xalign.data.collate import damaged_ids
from fairseq_xalign.data.mmap import MappedTokens
from fairseq_xalign.data.streams import BitextStream, MonoStream
from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.masking import Vocabulary

UNIGRAM_TOKENS = 20_000_000
"""At most so many tokens a language are counted for ``--unigram-bias``."""


def length_note(stream: MonoStream | BitextStream, cfg: Any) -> str:
    """What ``--tokens-per-sample`` does to a stream, for the log; UserError where nothing is left."""
    limit = cfg.tokens_per_sample
    if isinstance(stream, MonoStream):
        long = stream.count_too_long()
        if stream.mode == "complete" and long == len(stream):
            raise UserError(
                f"no sentence of {stream.name} fits into --tokens-per-sample {limit}",
                cfg.data,
                remedy="Raise --tokens-per-sample, or use --sample-break-mode none",
            )
        fate = "left out" if stream.mode == "complete" else "cut"
        return f", {long} sentences longer than --tokens-per-sample {limit} are {fate}" if long else ""
    left_out = stream.count_left_out()
    if left_out == len(stream):
        raise UserError(
            f"no pair of {stream.name} fits into --tokens-per-sample {limit} with --tlm-packing {cfg.tlm_packing}",
            cfg.data,
            remedy="Raise --tokens-per-sample, or use --tlm-packing pairs",
        )
    return f", {left_out} pairs that do not fit into --tokens-per-sample {limit} are left out" if left_out else ""


def unigram_counts(texts: Iterable[tuple[str, MappedTokens]], size: int, where: str) -> torch.Tensor:
    """How often each of ``size`` ids stands in some texts, [V]; specials, which are never predicted, count 0.

    Args:
        texts: (what messages call it, its ids) of each.
        where: the data folder, for messages.
    """
    counts = np.zeros(size, dtype=np.int64)
    for name, tokens in texts:
        for begin in range(0, min(len(tokens.tokens), UNIGRAM_TOKENS), 1 << 22):
            piece = tokens.tokens[begin : min(begin + (1 << 22), UNIGRAM_TOKENS)]
            if not 0 <= int(piece.min()) <= int(piece.max()) < size:
                raise damaged_ids([name], size, where)
            counts += np.bincount(piece, minlength=size)
    counts[:FIRST_PIECE] = 0
    return torch.from_numpy(counts)


def masking_vocabulary(tokenizer: Any, random_language: str, random_pool: str) -> Vocabulary:
    """What masking must know of a tokenizer's ids."""
    natural, derived = tokenizer.natural_ids, tokenizer.derived_ids
    shared = None
    if tokenizer.derived and tokenizer.derived["kept"]:
        shared = torch.zeros(len(natural), dtype=torch.bool)
        shared[torch.tensor(tokenizer.derived["kept"])] = True
    last = derived.stop if len(derived) else natural.stop
    return Vocabulary(len(tokenizer), MASK, natural.start, last, len(natural), random_language, random_pool, shared)
