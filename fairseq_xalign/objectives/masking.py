"""Which tokens are hidden, and what the encoder sees in their place.

Masked language modelling (BERT; ALIGN-MLM, Appendix G.2): each ordinary token is selected with
probability ``mask_prob``; of those 80 % become ``<mask>``, 10 % a random token, 10 % stay. DICT-MLM
(ALIGN-MLM, section 3 and Appendix G.4) gives half of the selected tokens to a bilingual dictionary.
Selection and replacement are functions of each sequence's key alone, drawn for a batch at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.batch import PackedBatch
from fairseq_xalign.objectives.random import combine, integers, uniform
from fairseq_xalign.options import share

SELECT, REPLACE, RANDOM, DICTIONARY, TRANSLATION = range(5)
"""Names of the independent draws that concern one token."""


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
        random_language: ``any`` ordinary token replaces; only one of the ``same`` language as the text's,
            natural or derived; or only a natural one (``l1``: the released code of ALIGN-MLM). The last two
            need a doubled vocabulary: elsewhere an id does not say its language.
        random_pool: ``regular`` tokens only, or ``all`` ids (fairseq and transformers), with ``l1`` (the
            released code) specials and natural pieces.
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
                "--random-token-lang same draws ordinary tokens, --random-token-pool all every id",
                remedy="Leave one of them out",
            )

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


@dataclass(frozen=True)
class Translations:
    """Translations of single tokens: those of id v are ``values[starts[v]:starts[v + 1]]``.

    Attributes:
        starts: int64 [V + 1].
        values: ids of translations, int64 [E].
        languages: the (1-based) language of each, int64 [E].
    """

    starts: Tensor
    values: Tensor
    languages: Tensor

    @classmethod
    def build(cls, pairs: list[tuple[int, int, int]], size: int) -> Translations:
        """From (id, translation, language of the translation) triples, repeats dropped."""
        ordered = sorted(set(pairs))
        source = torch.tensor([p[0] for p in ordered], dtype=torch.int64)
        starts = torch.zeros(size + 1, dtype=torch.int64)
        starts[1:] = torch.bincount(source, minlength=size).cumsum(0)
        values = torch.tensor([p[1] for p in ordered], dtype=torch.int64)
        return cls(starts, values, torch.tensor([p[2] for p in ordered], dtype=torch.int64))


@dataclass(frozen=True)
class DictionaryOptions:
    """DICT-MLM's variants (``fidelity``: A4).

    Attributes:
        prob: share of the selected tokens that go to the dictionary (DICT-MLM-50: 0.5).
        target: ``input``: the encoder sees the translation and predicts the original token (section
            3 and the released code); ``label``: it sees ordinary masking and predicts the
            translation (Appendix G.4's wording, and Chaudhary et al. 2020).
        nonmember: with ``input``, a token without a translation stays ``visible`` (Appendix G.4,
            released code) or is masked the ``normal`` way.
    """

    prob: float = 0.5
    target: str = "input"
    nonmember: str = "visible"

    def __post_init__(self) -> None:
        share(whole=True, dict_mlm_prob=self.prob)


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
    translations: Translations | None = None,
    dictionary: DictionaryOptions | None = None,
) -> PackedBatch:
    """Select tokens of ``batch``, replace them, and note where and what they were.

    Args:
        batch: original tokens [T], with ``keys`` [B]; not changed.
        translations, dictionary: give both for DICT-MLM.

    Returns:
        A batch with new ``tokens``, ``masked`` [N] and ``targets`` [N] (and ``languages``, where a
        translation stands in for a token).
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

    targets, languages = original, batch.languages
    if translations is not None and dictionary is not None:
        to_dictionary = draw(DICTIONARY, masked) < dictionary.prob
        count = translations.starts[original + 1] - translations.starts[original]
        member = to_dictionary & (count > 0)
        choice = (draw(TRANSLATION, masked) * count.clamp(min=1)).long()
        entry = torch.where(member, translations.starts[original] + choice, 0)
        counterpart = translations.values[entry] if len(translations.values) else original
        if dictionary.target == "label":
            targets = torch.where(member, counterpart, original)
        else:
            seen = torch.where(member, counterpart, seen)
            if dictionary.nonmember == "visible":
                seen = torch.where(to_dictionary & ~member, original, seen)
            if languages is not None:
                languages = languages.clone()
                languages[masked[member]] = translations.languages[entry[member]]

    tokens = batch.tokens.clone()
    tokens[masked] = seen
    seen_in = None if batch.languages is None else batch.languages[masked]
    return replace(batch, tokens=tokens, languages=languages, masked=masked, targets=targets, target_languages=seen_in)
