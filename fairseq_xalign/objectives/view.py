"""How an objective reads its text: which stream, how pairs are laid out, which tokens are hidden.

Objectives with equal views share one batch and one forward pass; each further view of the same text gets a batch and
a pass of its own, so that any list of objectives runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any

from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.masking import MaskingOptions, Switch

MONO, BITEXT = "mono", "bitext"
"""The kinds of streams: text of one language, and pairs of translations."""
OTHER_SIDE, OWN_SIDES = "other", "either"
"""From which side of another pair a text comes: the one that it replaces, or either."""


@dataclass(frozen=True)
class Settings:
    """How a run prepares its text: the options that a paper's criterion may bring its own values for.

    Attributes:
        mask_prob, leave_unmasked_prob, random_token_prob: as in :class:`MaskingOptions`.
        sample_break_mode: how monolingual text becomes sequences (``data.streams.MonoStream``).
        tlm_packing: how pairs become sequences (``data.streams.BitextStream``).
        tlm_positions: ``reset`` (positions start again in the second half of a pair: XLM, and ALIGN-MLM's released
            code) or ``continue`` (PPA, section 2; WEAM, section 3).
        tlm_shuffle_order: a fair coin decides which side of a pair comes first.
        tlm_sides: ``joined`` in one sequence, or ``apart``, which makes TLM MLM on the sides of pairs (PPA, Table 5).
        tlm_segments: the segment of the second side: 1 (``pair``: BERT), or 0 as the first (``zero``).
    """

    mask_prob: float = 0.15
    leave_unmasked_prob: float = 0.1
    random_token_prob: float = 0.1
    sample_break_mode: str = "none"
    tlm_packing: str = "halves"
    tlm_positions: str = "reset"
    tlm_shuffle_order: bool = False
    tlm_sides: str = "joined"
    tlm_segments: str = "pair"

    @property
    def rates(self) -> MaskingOptions:
        return MaskingOptions(self.mask_prob, self.leave_unmasked_prob, self.random_token_prob)


DEFAULTS = Settings()
"""The settings of ALIGN-MLM (Tang et al. 2022, Appendix G): what a criterion that names no others uses."""


def given_settings(options: Any) -> dict[str, Any]:
    """What the attributes of ``options`` that :class:`Settings` has too were set to by hand; None is "not given".

    A flag can only be given, not taken back: where it is not given, the criterion decides.
    """
    values = {name: getattr(options, name, None) for name in vars(DEFAULTS)}
    return {
        name: None if value is False else str(value) if isinstance(value, Enum) else value
        for name, value in values.items()
    }


def resolve_settings(preset: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[Settings, dict[str, tuple]]:
    """The settings of a run: an option given by hand, else the criterion's value, else the default.

    Args:
        preset: what the criterion's paper sets, by name of the setting.
        given: what the user gave by hand; None stands for "not given".

    Returns:
        The settings, and for each one whose given value replaced another: (the value replaced, the given one).
    """
    base = replace(DEFAULTS, **preset)
    chosen = {f.name: given[f.name] for f in fields(Settings) if given.get(f.name) is not None}
    replaced = {name: (getattr(base, name), value) for name, value in chosen.items() if value != getattr(base, name)}
    return replace(base, **chosen), replaced


@dataclass(frozen=True)
class View:
    """One way of reading a stream.

    Attributes:
        stream: ``mono`` or ``bitext``.
        rates: how many tokens are hidden, and what stands in their place; None hides nothing.
        switch: what else may stand in their place (DICT-MLM: translations), or None.
        sides: of bitext, ``joined``: both sides in one sequence; ``apart``: sequence 2i is the first side of pair i,
            sequence 2i + 1 its translation.
        packing: of bitext, ``halves`` or ``pairs`` (``data.streams.BitextStream``); sides that are apart come one pair
            at a time.
        positions: of joined sides, ``reset`` or ``continue`` in the second half.
        shuffle_order: of bitext, whether a fair coin decides which side comes first.
        segments: of joined sides, ``pair`` (the second is segment 1) or ``zero``.
        others: of sides that are apart, how many texts of other pairs of the stream are read with each pair, after
            all pairs: text n of pair i is sequence 2P + i * others + n (``objectives.negatives`` says which).
        others_from: which side of its pair such a text comes from, ``other`` or ``either``.
    """

    stream: str
    rates: MaskingOptions | None = None
    switch: Switch | None = None
    sides: str = "joined"
    packing: str = "halves"
    positions: str = "reset"
    shuffle_order: bool = False
    segments: str = "pair"
    others: int = 0
    others_from: str = OTHER_SIDE

    @classmethod
    def of(cls, stream: str, settings: Settings, hides: bool = True, switch: Switch | None = None) -> View:
        """The view of ``stream`` that a run's settings describe; what does not concern the stream stays default."""
        rates = settings.rates if hides else None
        if stream == MONO:
            return cls(stream, rates, switch)
        if settings.tlm_sides == "apart":
            return cls(stream, rates, switch, "apart", "pairs", shuffle_order=settings.tlm_shuffle_order)
        return cls(stream, rates, switch, "joined", settings.tlm_packing, settings.tlm_positions,
                   settings.tlm_shuffle_order, settings.tlm_segments)  # fmt: skip


def name_views(views: Iterable[tuple[str, View]]) -> dict[str, View]:
    """A name for each different view: the first of a stream is called as the stream, others ``stream/objective``.

    Args:
        views: (the objective's name, its view), in listed order.
    """
    named: dict[str, View] = {}
    for objective, view in views:
        if view not in named.values():
            named[view.stream if view.stream not in named else f"{view.stream}/{objective}"] = view
    return named


def check_views(views: Iterable[View]) -> None:
    """Refuse views that hide nothing although they are meant to.

    Raises:
        UserError: for ``--mask-prob 0``.
    """
    if any(view.rates is not None and not view.rates.mask_prob for view in views):
        raise UserError("--mask-prob 0 hides nothing: nothing is learned", remedy="Choose more than 0, at most 1")
