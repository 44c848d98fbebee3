"""Streams of training sequences: text cut into units that can be drawn by number.

A *unit* is what one draw takes: a block of running tokens, a sentence, or a pair of translations.
Units are read straight from memory-mapped files; nothing here grows with the corpus.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

from fairseq_xalign.constants import EOS, FIRST_PIECE
from fairseq_xalign.data.lengths import LengthCounts
from fairseq_xalign.data.links import LinkTokens
from fairseq_xalign.data.mmap import MappedTokens
from fairseq_xalign.errors import UserError, counted
from fairseq_xalign.options import pair_name

BREAK_MODES = ("none", "complete", "eos")
PACKING_MODES = ("pairs", "halves")
UNIGRAM_TOKENS = 20_000_000
"""At most this many tokens of each text are counted for ``--unigram-bias``."""
COUNTING_CHUNK = 1 << 22
"""Sentences or tokens that are looked at together when a whole text is counted."""
SHORTEST_LIMIT = 4
"""The smallest ``--tokens-per-sample``: ``<s>``, a token, ``</s>``, and one to spare."""


def damaged_ids(names: Sequence[str], size: int, where: str) -> UserError:
    """Return the error for streams that hold ids outside a vocabulary of ``size`` symbols."""
    return UserError(
        f"{' or '.join(names)} is damaged: it holds ids that are not in the vocabulary of {size} symbols",
        where,
        remedy=f"Run `xalign-preprocess check {where}` and binarize the streams that it names again",
    )


def unigram_counts(texts: Iterable[tuple[str, MappedTokens]], size: int, where: str) -> np.ndarray:
    """Count how often each of ``size`` ids occurs in some texts, int64 [V]; specials, never predicted, count 0.

    Args:
        texts: the name (for messages) and the ids of each text.
        where: the data folder, for messages.
    """
    counts = np.zeros(size, dtype=np.int64)
    for name, tokens in texts:
        end = min(len(tokens.tokens), UNIGRAM_TOKENS)
        for begin in range(0, end, COUNTING_CHUNK):
            piece = tokens.tokens[begin : min(begin + COUNTING_CHUNK, end)]
            if not 0 <= int(piece.min()) <= int(piece.max()) < size:
                raise damaged_ids([name], size, where)
            counts += np.bincount(piece, minlength=size)
    counts[:FIRST_PIECE] = 0
    return counts


def copy_ranges(source: np.ndarray, begins: np.ndarray, lengths: np.ndarray, out: np.ndarray, to: np.ndarray) -> None:
    """``out[to[i] : to[i] + lengths[i]] = source[begins[i] : begins[i] + lengths[i]]`` for every i."""
    total = int(lengths.sum())
    within = np.arange(total) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    out[np.repeat(to, lengths) + within] = source[np.repeat(begins, lengths) + within]


class Stream(Protocol):
    """What the sampler and the collater ask of a stream.

    Attributes:
        name: unique, for instance ``mono/en`` or ``bitext/en-de``; draws are keyed by it.
        kind: ``mono``, ``bitext`` or ``direction``.
        framing: tokens that a sequence has beside those of its units: each ``<s>``, or ``<2xx>``.
        share: several units may share a sequence of at most ``limit`` tokens.
        parts: units of each text that it consists of, which are read in turn; one, unless it is sharded.
    """

    name: str
    kind: str
    framing: int
    share: bool
    limit: int

    @property
    def parts(self) -> Sequence[int]: ...

    def __len__(self) -> int: ...

    def lengths(self, units: np.ndarray) -> np.ndarray:
        """Tokens [n, sides] that each unit adds to a sequence; -1 for a unit that is left out."""
        ...


class MonoStream:
    """Monolingual text of one language.

    Args:
        tokens: sentences, each ending in ``</s>``.
        limit: longest sequence, ``<s>`` included.
        mode: ``none``: blocks of ``limit - 1`` running tokens, which cut sentences wherever a block ends (as in
            RoBERTa and ALIGN-MLM's MLM data); the end of the text that fills no block is left out;
            ``complete``: consecutive whole sentences, as many as fit; a sentence of more than ``limit - 1`` tokens
            is left out (ALIGN-MLM, Appendix G.3); ``eos``: one sentence per sequence, cut at the limit.
        counted: how many sentences of each length there are; without it they are counted where that is needed.
    """

    kind = "mono"
    framing = 1

    def __init__(
        self, language: str, tokens: MappedTokens, limit: int, mode: str, counted: LengthCounts | None = None
    ) -> None:
        if mode not in BREAK_MODES:
            raise UserError(f"--sample-break-mode {mode!r}", remedy=f"Choose from {', '.join(BREAK_MODES)}")
        if limit < SHORTEST_LIMIT:
            raise UserError(f"--tokens-per-sample {limit} is too small", remedy=f"Choose {SHORTEST_LIMIT} or more")
        self.name, self.language, self.mapped, self.limit, self.mode = f"mono/{language}", language, tokens, limit, mode
        self.share, self.counted = mode == "complete", counted
        self.block = limit - 1
        self.total = int(tokens.starts[-1] + tokens.sizes[-1]) if len(tokens) else 0

    def __len__(self) -> int:
        if self.mode == "none":
            return max(self.total // self.block, min(self.total, 1))
        return len(self.mapped)

    @property
    def parts(self) -> Sequence[int]:
        if self.mode != "none" or len(self.mapped.parts) == 1:
            return [len(self)] if self.mode == "none" else self.mapped.parts
        # A block that begins in one text and ends in the next is the earlier one's last.
        ends = self.mapped.starts[np.cumsum(self.mapped.parts)[:-1]]
        bounds = [0, *(-(-ends // self.block)).tolist(), len(self)]
        return np.diff(np.minimum(bounds, len(self))).tolist()

    def lengths(self, units: np.ndarray) -> np.ndarray:
        if self.mode == "none":
            sizes = np.minimum(self.total - units * self.block, self.block)
        else:
            whole = self.mapped.sizes[units]
            sizes = np.minimum(whole, self.block)
            if self.mode == "complete":
                sizes = np.where(whole > self.block, -1, sizes)
        return sizes.astype(np.int64)[:, None]

    def write(self, units: np.ndarray, lengths: np.ndarray, out: np.ndarray, to: np.ndarray) -> None:
        """Copy units into ``out`` at ``to``; lengths as given by :meth:`lengths`, [n, 1]."""
        sizes = lengths[:, 0]
        begins = units * self.block if self.mode == "none" else self.mapped.starts[units]
        copy_ranges(self.mapped.tokens, begins, sizes, out, to)
        if self.mode == "eos":
            cut = self.mapped.sizes[units] > self.block
            out[(to + sizes - 1)[cut]] = EOS  # a cut sentence still ends

    def length_note(self, where: str) -> str:
        """Return, for the log, what the limit does to long sentences; raise UserError if no sentence is left."""
        long = self.count_too_long()
        if self.mode == "complete" and long == len(self):
            raise UserError(
                f"no sentence of {self.name} fits into --tokens-per-sample {self.limit}",
                where,
                remedy="Raise --tokens-per-sample, or use --sample-break-mode none",
            )
        fate = "left out" if self.mode == "complete" else "cut"
        longer = counted(long, "sentence longer", "sentences longer")
        return f", {fate}: {longer} than --tokens-per-sample {self.limit}" if long else ""

    def count_too_long(self) -> int:
        """How many sentences are longer than a sequence takes (``eos`` cuts them, ``complete`` leaves them out)."""
        if self.mode == "none":
            return 0
        return sum(int(n[(sizes > self.block)[:, 0]].sum()) for sizes, n in length_groups((self.mapped,), self.counted))


class BitextStream:
    """Pairs of translations, the source language first.

    Args:
        limit: longest sequence: ``<s> x </s> y </s>`` with ``pairs``; with ``halves`` (ALIGN-MLM,
            Appendix G.3) as many pairs as fit, ``<s> x1 </s> x2 </s> ...`` in the first half and
            ``<s> y1 </s> y2 </s> ...`` in the second, each half at most ``limit / 2``. A pair that does not
            fit is left out (Appendix G.3) and counted.
        counted: how many pairs of each length there are; without it they are counted where that is needed.
        links: of the pairs (``data/links.py``), for objectives that read them.
    """

    kind = "bitext"

    def __init__(
        self,
        source: str,
        target: str,
        tokens: tuple[MappedTokens, MappedTokens],
        limit: int,
        packing: str,
        counted: LengthCounts | None = None,
        links: LinkTokens | None = None,
    ) -> None:
        if packing not in PACKING_MODES:
            raise UserError(f"--tlm-packing {packing!r}", remedy=f"Choose from {', '.join(PACKING_MODES)}")
        self.name, self.languages, self.mapped = f"bitext/{pair_name((source, target))}", (source, target), tokens
        self.limit, self.share, self.counted = limit, packing == "halves", counted
        self.framing = 2 if self.share else 1
        self.links = links

    def __len__(self) -> int:
        return len(self.mapped[0])

    @property
    def parts(self) -> Sequence[int]:
        return self.mapped[0].parts

    def lengths(self, units: np.ndarray) -> np.ndarray:
        sides = np.stack([m.sizes[units] for m in self.mapped], axis=1).astype(np.int64)
        sides[self._too_long(sides)] = -1
        return sides

    def _too_long(self, sides: np.ndarray) -> np.ndarray:
        """Which pairs of these lengths [n, 2] fit no sequence, bool [n]."""
        longest, limit = (sides.max(axis=1), self.limit // 2) if self.share else (sides.sum(axis=1), self.limit)
        return longest > limit - 1

    def write(self, side: int, units: np.ndarray, lengths: np.ndarray, out: np.ndarray, to: np.ndarray) -> None:
        """Copy one side of the units into ``out`` at ``to``; lengths [n] of that side."""
        mapped = self.mapped[side]
        copy_ranges(mapped.tokens, mapped.starts[units], lengths, out, to)

    def length_note(self, where: str) -> str:
        """Return, for the log, how many pairs do not fit; raise UserError if no pair is left."""
        left_out = self.count_left_out()
        if left_out == len(self):
            packing = "halves" if self.share else "pairs"
            raise UserError(
                f"no pair of {self.name} fits into --tokens-per-sample {self.limit} with --tlm-packing {packing}",
                where,
                remedy="Raise --tokens-per-sample" + (", or use --tlm-packing pairs" if self.share else ""),
            )
        if not left_out:
            return ""
        return f", left out: {counted(left_out, 'pair')} over --tokens-per-sample {self.limit}"

    def count_left_out(self) -> int:
        """How many pairs fit no sequence."""
        groups = length_groups(self.mapped, self.counted)
        return sum(int(n[self._too_long(sides)].sum()) for sides, n in groups)


def length_groups(
    sides: tuple[MappedTokens, ...], counted: LengthCounts | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Lengths [n, sides] and how many sentences, or pairs, have them [n]: from the counts of the manifest.

    Without these, all lengths are read, piece by piece.
    """
    if counted is not None:
        yield counted.lengths, counted.counts
        return
    for begin in range(0, len(sides[0]), COUNTING_CHUNK):
        sizes = np.stack([side.sizes[begin : begin + COUNTING_CHUNK] for side in sides], axis=1).astype(np.int64)
        yield sizes, np.ones(len(sizes), dtype=np.int64)
