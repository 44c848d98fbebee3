"""Translation directions: which ones are trained, and the pairs of sentences that each of them reads.

Both directions of a pair read the same mapped files, in opposite roles: nothing is copied. What is drawn are sentences
per direction (MMTE: Siddhant et al. 2020, "Evaluating the Cross-Lingual Effectiveness of Massively Multilingual Neural
Machine Translation", section 2.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fairseq_xalign.data.lengths import LengthCounts
from fairseq_xalign.data.mmap import MappedTokens
from fairseq_xalign.data.streams import copy_ranges, length_groups
from fairseq_xalign.errors import UserError, counted, unknown_language
from fairseq_xalign.options import LANGUAGE, PAIR_MARK, language_pair, pair_name

DIRECTION = "direction"
"""The kind of these streams."""
ANY = "any"
"""In ``--directions``, every language: ``en-any`` is every direction from English."""
Direction = tuple[str, str]
"""Source and target language."""
Sides = tuple[MappedTokens, MappedTokens]
"""Two texts of which item i of one translates item i of the other."""


def direction_key(direction: Direction) -> str:
    """Return what the names of a direction's figures end in: ``en_de`` as in ``loss_en_de``."""
    return "_".join(direction)


def available_directions(bitext: Mapping[Direction, Sides]) -> dict[Direction, Sides]:
    """Return both directions of every pair of texts, source side first.

    Where a folder holds both en-de and de-en, each direction reads its own text.
    """
    found: dict[Direction, Sides] = {}
    for (source, target), (first, second) in bitext.items():
        found[source, target] = first, second
        if (target, source) not in bitext:
            found[target, source] = second, first
    return found


def direction_counts(
    counted: Mapping[Direction, LengthCounts], bitext: Mapping[Direction, Sides]
) -> dict[Direction, LengthCounts]:
    """Return how many pairs of each length the directions of :func:`available_directions` have, as far as is known."""
    found = {}
    for direction in available_directions(bitext):
        if direction in bitext:
            counts = counted.get(direction)
        else:
            opposite = counted.get((direction[1], direction[0]))
            counts = opposite.swapped() if opposite else None
        if counts:
            found[direction] = counts
    return found


def choose_directions(
    text: str | None, available: Sequence[Direction], languages: Sequence[str], where: str, split: str = "train"
) -> list[Direction]:
    """Read ``--directions``: names of directions separated by commas, with ``any`` for every language, or ``all``.

    Args:
        text: for instance ``en-de,de-en`` or ``en-any,any-en``; None stands for ``all``.
        available: the directions that have text.
        languages: those of the folder.
        where, split: the folder and the split, for messages.

    Returns:
        The directions without repetitions, as listed; those of ``all`` and of a pattern in the order of ``available``.

    Raises:
        UserError: an unknown language, a direction listed twice, or one without text.
    """
    if not available:
        raise UserError(
            f"no bitext to train on in split {split!r}", where,
            remedy="Add some with `xalign-preprocess binarize --bitext XX-YY=FILE,FILE`",
        )  # fmt: skip
    items = [item.strip() for item in (text or "all").split(",") if item.strip()]
    chosen: dict[Direction, None] = {}
    listed: set[str] = set()
    for item in items or ["all"]:
        for direction in available if item == "all" else _expand(item, available, languages, where, split):
            chosen[direction] = None
        if item.replace(PAIR_MARK, "-") in listed:
            raise UserError(f"--directions lists {item} twice", remedy="Name every direction once")
        listed.add(item.replace(PAIR_MARK, "-"))
    return list(chosen)


def _expand(
    item: str, available: Sequence[Direction], languages: Sequence[str], where: str, split: str
) -> list[Direction]:
    """The directions that one item of ``--directions`` stands for."""
    source, target = read_direction(item, "--directions", [*languages, ANY])
    for name in (source, target):
        if name != ANY and name not in languages:
            raise unknown_language(name, list(languages), where, "--directions")
    found = [d for d in available if source in (ANY, d[0]) and target in (ANY, d[1])]
    if not found:
        names = ", ".join(map(pair_name, available))
        raise UserError(
            f"--directions {item}: there is no {split} text for it", where,
            remedy=f"Choose from {names}, or add text with `xalign-preprocess binarize --split {split} --bitext "
            f"{item}=FILE,FILE`",
        )  # fmt: skip
    return found


def read_direction(text: str, option: str, known: Sequence[str] = ()) -> Direction:
    """Read ``XX-YY`` or ``XX:YY``; ``any-any`` is allowed where ``any`` is known.

    Raises:
        UserError: it is not the name of a direction between two languages.
    """
    if text in (f"{ANY}-{ANY}", f"{ANY}{PAIR_MARK}{ANY}") and ANY in known:
        return ANY, ANY
    halves = text.split(PAIR_MARK if PAIR_MARK in text else "-", 1)
    if len(halves) == 2 and halves[0] == halves[1] and LANGUAGE.fullmatch(halves[0]):
        raise UserError(f"{option} {text}: a language is not translated into itself", remedy="Name two languages")
    return language_pair(text, option, known)


@dataclass(frozen=True)
class Limits:
    """Which pairs are left out, in tokens; None is no limit.

    Attributes:
        source: longest sequence of the encoder, ``<2xx>`` and ``</s>`` included (``--max-source-positions``).
        target: longest sequence of the decoder, ``</s>`` included (``--max-target-positions``).
        together: largest sum of both: a pair must fit into a batch (``--max-tokens``).
        batch: what the user calls the limit of both, where it is not ``--max-tokens`` as it stands.
    """

    source: int | None = None
    target: int | None = None
    together: int | None = None
    batch: str = ""

    def __str__(self) -> str:
        said = f"{self.source} source tokens, {self.target} target tokens or {self.together} of both"
        return f"{said} ({self.batch})" if self.batch else said

    @property
    def names(self) -> tuple[str, str, str]:
        """What sets each limit, for messages: source, target, both."""
        return (
            f"--max-source-positions {self.source}",
            f"--max-target-positions {self.target}",
            self.batch or f"--max-tokens {self.together}",
        )


@dataclass(frozen=True)
class LeftOut:
    """How many pairs of a direction are never read, and why.

    Attributes:
        empty: one side has no text.
        too_long: one side, or both together, exceed a limit.
        limits: how many of these exceed each limit, by its name; a pair that exceeds several counts for the first.
    """

    empty: int = 0
    too_long: int = 0
    limits: Mapping[str, int] = field(default_factory=dict, compare=False)

    def __add__(self, other: LeftOut) -> LeftOut:
        names = dict.fromkeys((*self.limits, *other.limits))
        limits = {name: self.limits.get(name, 0) + other.limits.get(name, 0) for name in names}
        return LeftOut(self.empty + other.empty, self.too_long + other.too_long, limits)

    @property
    def total(self) -> int:
        return self.empty + self.too_long

    def __str__(self) -> str:
        said = [f"{counted(self.empty, 'pair')} with an empty side"] if self.empty else []
        by = ", ".join(f"{count} for {name}" for name, count in self.limits.items() if count)
        too_long = f"{counted(self.too_long, 'pair')} over the limits of length"
        said += [too_long + (f" ({by})" if by else "")] if self.too_long else []
        return "left out: " + " and ".join(said) if said else ""


class DirectionStream:
    """The pairs of one direction. A unit is a pair; it costs the tokens of both its sides.

    Args:
        source, target: languages.
        tokens: the source's and the target's sentences, each ending in ``</s>``.
        limits: which pairs are left out.
        tagged: whether a ``<2xx>`` comes with each pair (in front of the source, or encoded apart).
        counted: how many pairs of each length there are; without it they are counted where that is needed.
    """

    kind = DIRECTION
    share = False

    def __init__(
        self,
        source: str,
        target: str,
        tokens: Sides,
        limits: Limits | None = None,
        tagged: bool = True,
        counted: LengthCounts | None = None,
    ) -> None:
        self.languages: Direction = (source, target)
        self.name = f"{DIRECTION}/{pair_name(self.languages)}"
        self.mapped, self.limits, self.counted = tokens, limits or Limits(), counted
        self.framing = int(tagged)
        self.limit = self.limits.together or 0

    def __len__(self) -> int:
        return len(self.mapped[0])

    @property
    def parts(self) -> Sequence[int]:
        return self.mapped[0].parts

    def lengths(self, units: np.ndarray) -> np.ndarray:
        """Tokens [n, 2] of source (without ``<2xx>``) and target; -1 for both sides of a pair that is left out."""
        sides = np.stack([m.sizes[units] for m in self.mapped], axis=1).astype(np.int64)
        empty, too_long = self._judged(sides)
        sides[empty | (too_long >= 0)] = -1
        return sides

    def _judged(self, sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whether pairs of these lengths [n, 2] have an empty side, bool [n], and which limit the others exceed first.

        That is its place among source, target and both, int [n]; -1 for none.
        """
        empty = sides.min(axis=1) <= 1  # nothing but </s>
        source, target = self.framing + sides[:, 0], sides[:, 1]
        too_long = np.full(len(sides), -1)
        limits = (self.limits.source, self.limits.target, self.limits.together)
        for place, (size, limit) in enumerate(zip((source, target, source + target), limits)):
            if limit is not None:
                too_long[(size > limit) & (too_long < 0) & ~empty] = place
        return empty, too_long

    def left_out(self) -> LeftOut:
        """Count the pairs that are never read."""
        total, names = LeftOut(), self.limits.names
        for sides, times in length_groups(self.mapped, self.counted):
            empty, too_long = self._judged(sides)
            counts = [int(times[too_long == place].sum()) for place in range(len(names))]
            total += LeftOut(int(times[empty].sum()), sum(counts), dict(zip(names, counts)))
        return total

    def write(self, side: int, units: np.ndarray, lengths: np.ndarray, out: np.ndarray, to: np.ndarray) -> None:
        """Copy one side of the units (0: source) into ``out`` at ``to``; lengths [n] of that side."""
        mapped = self.mapped[side]
        copy_ranges(mapped.tokens, mapped.starts[units], lengths, out, to)
