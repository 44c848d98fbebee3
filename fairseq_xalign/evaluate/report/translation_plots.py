"""Figures of translation: training pairs by direction (MMTE, Figure 1), and BLEU by direction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.report.plots import COLOURS, FONT, MARKERS, SMALL, legend, new_figure
from fairseq_xalign.evaluate.report.translation_tables import run_names
from fairseq_xalign.evaluate.report.translations import Translations

MOST_NAMES = 60
"""So many directions have their names under the axis; of more, only their rank is shown."""


def corpus_sizes(sizes: Mapping[str, int], title: str = "") -> Any:
    """Training pairs of each direction, the largest first, on a logarithmic scale: MMTE, Figure 1.

    Args:
        sizes: pairs by direction; directions without any are left out.

    Raises:
        UserError: nothing to draw.
    """
    ordered = sorted(((name, count) for name, count in sizes.items() if count > 0), key=lambda item: -item[1])
    if not ordered:
        raise UserError("no direction has training pairs", remedy="Give a data folder with bitext in its train split")
    figure, (axis,) = new_figure(1, width=_width(len(ordered)), height=4.0)
    axis.bar(range(len(ordered)), [count for _, count in ordered], width=0.8, color=COLOURS[1])
    axis.set_yscale("log")
    _directions(axis, [name for name, _ in ordered])
    total = sum(count for _, count in ordered)
    axis.set_title(f"{title + ': ' if title else ''}{len(ordered)} directions, {total:,} pairs", fontsize=FONT)
    axis.set_ylabel("training pairs", fontsize=FONT)
    return figure


def bleu(results: Sequence[Translations]) -> Any:
    """BLEU of each direction, one colour per model; directions with most training pairs come first.

    Raises:
        UserError: nothing to draw.
    """
    if not any(result.directions for result in results):
        raise UserError("none of the runs has scores of translations", remedy="Write them with bleu --output")
    pairs: dict[str, int] = {}
    for result in results:
        for name, entry in result.directions.items():
            pairs[name] = max(pairs.get(name, 0), entry.get("pairs") or 0)
    names = sorted(pairs, key=lambda name: -pairs[name])  # stable: without pairs, the order of the files
    figure, (axis,) = new_figure(1, width=_width(len(names)), height=4.2)
    for number, (label, result) in enumerate(zip(run_names(results), results)):
        places = [i for i, name in enumerate(names) if name in result.directions]
        axis.plot(
            places,
            [result.directions[names[i]]["bleu"] for i in places],
            MARKERS[number % len(MARKERS)],
            color=COLOURS[(number + 1) % len(COLOURS)],
            label=label,
            markersize=7,
        )
    _directions(axis, names)
    axis.set_ylim(bottom=0)
    axis.set_ylabel("BLEU", fontsize=FONT)
    order = ", most training pairs first" if any(pairs.values()) else ""
    axis.set_title(f"{len(names)} direction{'s' * (len(names) != 1)}{order}", fontsize=FONT)
    legend(figure, *axis.get_legend_handles_labels(), ncols=min(4, len(results)), fontsize=SMALL)
    return figure


def _width(count: int) -> float:
    """Inches for so many directions."""
    return min(18.0, max(5.0, 0.28 * min(count, MOST_NAMES) + 1.5))


def _directions(axis: Any, names: Sequence[str]) -> None:
    """The axis of directions: their names, or their ranks where they are too many."""
    if len(names) <= MOST_NAMES:
        axis.set_xticks(range(len(names)), names, rotation=90, fontsize=SMALL)
    else:
        axis.set_xlabel("direction, by rank", fontsize=FONT)
    axis.set_xlim(-0.8, len(names) - 0.2)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", linewidth=0.4, alpha=0.5)
    axis.set_axisbelow(True)
