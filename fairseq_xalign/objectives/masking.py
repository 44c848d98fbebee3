"""Which tokens are hidden, and what the encoder sees in their place.

Masked language modelling (BERT, Devlin et al. 2019, section 3.1; ALIGN-MLM, Appendix G.2): each ordinary token is
selected with probability ``mask_prob``; of those 80 % become ``<mask>``, 10 % a random token, 10 % stay. An objective
may decide otherwise for some of the selected tokens (:class:`Switch`: DICT-MLM shows their translations). Selection
and replacement are functions of each sequence's key alone, drawn for a whole batch at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor

from fairseq_xalign.constants import MASK
from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.batch import PackedBatch
from fairseq_xalign.objectives.random import combine, integers, uniform
from fairseq_xalign.options import share

SELECT, REPLACE, RANDOM = range(3)
"""Names of the independent draws that concern one token; a :class:`Switch` names its own from 3 on."""


@dataclass(frozen=True)
class MaskingOptions:
    """The rates of BERT's masking (ALIGN-MLM follows RoBERTa: 15 %, 80/10/10)."""

    mask_prob: float = 0.15
    leave_unmasked_prob: float = 0.1
    random_token_prob: float = 0.1

    def __post_init__(self) -> None:
        share(whole=True, **vars(self))
        if self.leave_unmasked_prob + self.random_token_prob > 1:
            raise UserError(
                f"--leave-unmasked-prob {self.leave_unmasked_prob} and --random-token-prob {self.random_token_prob} "
                "are shares of the selected tokens",
                remedy="Their sum must not exceed 1",
            )


@dataclass(frozen=True)
class Vocabulary:
    """What masking must know of the ids: which may be selected, which replace.

    Attributes:
        size: V.
        mask: the id of ``<mask>``.
        first, last: ordinary ids are ``first <= id < last``; specials, ``<2xx>`` and the excluded
            symbols of a foreign vocabulary lie outside and are neither selected nor drawn.
        pieces: in a doubled vocabulary the number of natural pieces (the copies follow them),
            else ``last - first``.
        random_language: what may replace a token: ``any`` ordinary token, one of the ``same`` half as the text
            (natural or derived), or a natural one (``l1``: the released code of ALIGN-MLM). The last two need a
            doubled vocabulary, since elsewhere an id does not tell its language.
        random_pool: ``regular`` tokens only, or ``all`` ids (fairseq and transformers); with ``l1`` these are specials
            and natural pieces (the released code).
        shared: in a doubled vocabulary with overlap, bool [pieces]: this piece's copy never occurs.
    """

    size: int
    mask: int
    first: int
    last: int
    pieces: int
    random_language: str = "any"
    random_pool: str = "regular"
    shared: Tensor | None = None

    def __post_init__(self) -> None:
        if self.random_language != "any" and self.last - self.first == self.pieces:
            raise UserError(
                f"--random-token-lang {self.random_language} needs a doubled vocabulary: pieces of natural languages "
                "have no language of their own",
                remedy="Leave it out (any)",
            )
        if self.random_language == "same" and self.random_pool == "all":
            raise UserError(
                "--random-token-lang same draws ordinary tokens only, but --random-token-pool all draws every id",
                remedy="Leave one of them out",
            )

    @classmethod
    def of(cls, tokenizer: Any, random_language: str = "any", random_pool: str = "regular") -> Vocabulary:
        """What masking must know of a tokenizer's ids (``tokenizer.tokenizer.Tokenizer``)."""
        natural, derived = tokenizer.natural_ids, tokenizer.derived_ids
        shared = None
        if tokenizer.derived and tokenizer.derived["kept"]:
            shared = torch.zeros(len(natural), dtype=torch.bool)
            shared[torch.tensor(tokenizer.derived["kept"])] = True
        last = derived.stop if len(derived) else natural.stop
        return cls(len(tokenizer), MASK, natural.start, last, len(natural), random_language, random_pool, shared)

    @cached_property
    def _occurring(self) -> Tensor:
        """The ids that text can contain: all natural pieces and the copies that are in use, int64."""
        ids = torch.arange(self.first, self.last)
        return ids if self.shared is None else ids[torch.cat([torch.ones_like(self.shared), ~self.shared])]

    def random_tokens(self, key: Tensor, offset: Tensor, derived: Tensor) -> Tensor:
        """A replacement for each of M tokens, drawn by its key [M] and offset [M], uniform over its pool.

        Args:
            derived: bool [M], whether the token is in derived text; only ``same`` looks at it.
        """
        name, draw = torch.full_like(offset, RANDOM), combine(key, offset)
        natural_end = self.first + self.pieces
        if self.random_pool == "all":
            return integers(draw, name, natural_end if self.random_language == "l1" else self.size)
        if self.random_language == "any":
            occurring = self._occurring.to(offset.device)
            return occurring[integers(draw, name, len(occurring))]
        drawn = self.first + integers(draw, name, self.pieces)
        if self.random_language == "l1":
            return drawn
        if self.shared is not None:  # both languages write a shared piece alike
            derived = derived & ~self.shared.to(drawn.device)[drawn - self.first]
        return drawn + derived * self.pieces


@dataclass
class Selected:
    """The selected tokens of a batch and their fate, for a :class:`Switch` to change.

    Attributes:
        original: what stood there, int64 [N].
        seen: what the encoder will see, int64 [N].
        targets: what it must predict, int64 [N].
        text_languages: language of the text there, int64 [N], or None.
        seen_languages: language of what is seen there, int64 [N], or None.
        draw: uniform numbers [N] in [0, 1), for each name of a draw.
    """

    original: Tensor
    seen: Tensor
    targets: Tensor
    text_languages: Tensor | None
    seen_languages: Tensor | None
    draw: Callable[[int], Tensor]


class Switch(Protocol):
    """What else may happen to selected tokens; a frozen dataclass, since equal ones make equal views."""

    def apply(self, selected: Selected, resource: Any) -> Selected:
        """The selected tokens with other ``seen``, ``targets`` or ``seen_languages``."""
        ...


def sequence_offsets(batch: PackedBatch) -> tuple[Tensor, Tensor]:
    """For each token its sequence's key and its place in the sequence, both int64 [T]."""
    assert batch.keys is not None
    lengths = batch.lengths
    starts = batch.starts[:-1].long().repeat_interleave(lengths)
    return batch.keys.repeat_interleave(lengths), torch.arange(len(batch.tokens), device=starts.device) - starts


def in_derived_text(batch: PackedBatch, vocabulary: Vocabulary) -> Tensor:
    """Whether each token's stretch (what its sequence has of its language) holds a derived piece, bool [T]."""
    sequence = torch.arange(len(batch), device=batch.tokens.device).repeat_interleave(batch.lengths)
    language = torch.zeros_like(batch.tokens) if batch.languages is None else batch.languages
    stretch = sequence * (int(language.max()) + 1) + language if len(language) else sequence
    copies = (batch.tokens >= vocabulary.first + vocabulary.pieces) & (batch.tokens < vocabulary.last)
    found = torch.zeros(int(stretch.max()) + 1 if len(stretch) else 0, dtype=torch.bool, device=stretch.device)
    found[stretch[copies]] = True
    return found[stretch]


def mask_tokens(
    batch: PackedBatch,
    vocabulary: Vocabulary,
    options: MaskingOptions,
    switch: Switch | None = None,
    resource: Any = None,
) -> PackedBatch:
    """Select tokens of ``batch``, replace them, and note where and what they were.

    Args:
        batch: original tokens [T], with ``keys`` [B]; not changed.
        switch: what else may happen to selected tokens, or None.
        resource: what ``switch`` needs (DICT-MLM: the translations).

    Returns:
        A batch with new ``tokens``, ``masked`` [N] and ``targets`` [N] (and ``languages``, where a token of another
        language stands in).
    """
    key, offset = sequence_offsets(batch)
    token_key = combine(key, offset)

    def draw(which: int, at: Tensor) -> Tensor:
        return uniform(token_key[at], torch.full_like(at, which))

    everywhere = torch.arange(len(batch.tokens), device=batch.tokens.device)
    ordinary = (batch.tokens >= vocabulary.first) & (batch.tokens < vocabulary.last)
    masked = everywhere[ordinary & (draw(SELECT, everywhere) < options.mask_prob)]
    original = batch.tokens[masked]

    fate = draw(REPLACE, masked)
    randomised = fate >= 1.0 - options.random_token_prob
    stays = ~randomised & (fate >= 1.0 - options.random_token_prob - options.leave_unmasked_prob)
    seen = torch.full_like(original, vocabulary.mask)
    seen = torch.where(stays, original, seen)
    derived = in_derived_text(batch, vocabulary)[masked] if vocabulary.random_language == "same" else masked
    seen = torch.where(randomised, vocabulary.random_tokens(key[masked], offset[masked], derived), seen)

    text_languages = None if batch.languages is None else batch.languages[masked]
    fated = Selected(original, seen, original, text_languages, text_languages, lambda which: draw(which, masked))
    if switch is not None:
        fated = switch.apply(fated, resource)
    tokens, languages = batch.tokens.clone(), batch.languages
    tokens[masked] = fated.seen
    if languages is not None and fated.seen_languages is not None and fated.seen_languages is not text_languages:
        languages = languages.clone()
        languages[masked] = fated.seen_languages
    return replace(
        batch, tokens=tokens, languages=languages, masked=masked, targets=fated.targets, target_languages=text_languages
    )
