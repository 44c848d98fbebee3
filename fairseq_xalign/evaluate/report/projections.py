"""Figures of vectors: t-SNE of sentences and of linked words, and distances of translations, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.report.plots import COLOURS, FONT, SMALL, SUP_COLOUR, legend, new_figure
from fairseq_xalign.evaluate.report.tables import number

PERPLEXITY = 30.0
"""t-SNE's own default (van der Maaten and Hinton 2008 recommend 5 to 50)."""
PERPLEXITY_OF_PAIRS = 5.0
"""For some tens of points, of which each should stay near its partner."""
RATE_PER_POINT, LEAST_RATE = 48.0, 10.0
"""The learning rate is the number of points over 48, scikit-learn's rule, but at least 10 instead of its 50: with some
tens of points, 50 throws single pairs far out."""
BINS = 30
STYLES = ("--", "-", ":", "-.", (0, (8, 3)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 4)), (0, (8, 2, 2, 2)))
"""What tells encoders apart without colour."""


@dataclass(frozen=True)
class Space:
    """The vectors of two sides in one model.

    Attributes:
        name: of the model.
        source, target: row i of one belongs to row i of the other, [n, D] each.
        said: what stands in the title beside the name, such as a mean distance.
    """

    name: str
    source: np.ndarray
    target: np.ndarray
    said: str = ""


def project(source: np.ndarray, target: np.ndarray, perplexity: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Both sides on a plane by t-SNE of them together, by cosine, [n, 2] each; equal input gives equal output."""
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        raise UserError(
            "scikit-learn is not installed", remedy='Install the extra "plots": pip install "fairseq_xalign[plots]"'
        ) from None
    both = np.concatenate([source, target]).astype(np.float64)
    lengths = np.linalg.norm(both, axis=1, keepdims=True)
    both = both / np.where(lengths > 0, lengths, 1)
    # For vectors of length 1, squared Euclidean distance is twice the cosine distance.
    fitted = TSNE(
        perplexity=min(perplexity, (len(both) - 1) / 3),
        learning_rate=max(len(both) / RATE_PER_POINT, LEAST_RATE),
        random_state=seed,
        init="pca",
        n_jobs=1,
    ).fit_transform(both)
    return fitted[: len(source)], fitted[len(source) :]


def sentences(spaces: Sequence[Space], languages: tuple[str, str], seed: int = 1) -> Any:
    """Sentences of two languages in each model: TPP, Figure 1."""
    figure, axes = new_figure(len(spaces), width=5.2, height=5.0)
    for axis, space in zip(axes, spaces):
        source, target = project(space.source, space.target, PERPLEXITY, seed)
        axis.scatter(*source.T, s=22, marker="o", color=SUP_COLOUR, linewidths=0, alpha=0.8, label=languages[0])
        # Hollow triangles: told from filled circles without colour, and where they cover each other.
        axis.scatter(
            *target.T, s=26, marker="^", facecolors="none", edgecolors="#B85C00", linewidths=1, label=languages[1]
        )
        _bare(axis, space)
    _legend(figure, axes[0])
    return figure


def words(spaces: Sequence[Space], pairs: Sequence[tuple[str, str]], languages: tuple[str, str], seed: int = 1) -> Any:
    """Pairs of linked words in each model's embeddings, joined by lines: WEAM, Figure 2."""
    figure, axes = new_figure(len(spaces), width=7.0, height=6.6)
    for axis, space in zip(axes, spaces):
        source, target = project(space.source, space.target, PERPLEXITY_OF_PAIRS, seed)
        for one, other in zip(source, target):
            axis.plot(*zip(one, other), ":", color="grey", linewidth=1.2, zorder=1)
        axis.scatter(*source.T, s=30, marker="o", color=SUP_COLOUR, label=languages[0], zorder=2)
        axis.scatter(
            *target.T, s=34, marker="^", facecolors="white", edgecolors="#B85C00", label=languages[1], zorder=2
        )
        _bare(axis, space)
        axis.margins(0.12)
        _label_points(figure, axis, [*source, *target], [*(a for a, _ in pairs), *(b for _, b in pairs)])
    _legend(figure, axes[0])
    return figure


def distances(
    named: Sequence[tuple[str, np.ndarray]], languages: tuple[str, str], over: str = "the largest of any two sentences"
) -> Any:
    """How far translations are from each other in each model, normalised by the maximum: TPP, Figure 3.

    Args:
        named: a model's name, and the distance of each pair, from 0 to 1.
        over: what the distances are divided by.
    """
    figure, (axis,) = new_figure(1, width=7.0, height=4.2)
    edges = np.linspace(0, 1, BINS + 1)
    colours = ("#7F7F7F", *COLOURS[1:-1], COLOURS[0])
    for i, (name, values) in enumerate(named):
        mean = float(np.mean(values))
        colour, style = colours[i % len(colours)], STYLES[i % len(STYLES)]
        shares = np.histogram(values, edges)[0] / len(values) * 100
        label = f"{name}: mean {number(mean, 2)}"
        axis.stairs(shares, edges, color=colour, linestyle=style, linewidth=2, label=label)
        axis.axvline(mean, color=colour, linestyle=style, linewidth=1)
    axis.set_xlim(0, 1)
    axis.set_ylim(0, None)
    axis.set_xlabel(f"distance of {languages[0]} and {languages[1]} translations, over {over}", fontsize=SMALL + 1)
    axis.set_ylabel("pairs (%)", fontsize=FONT)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(linewidth=0.4, alpha=0.5)
    axis.set_axisbelow(True)
    legend(figure, *axis.get_legend_handles_labels())
    return figure


def _bare(axis: Any, space: Space) -> None:
    """A panel without ticks: the axes of t-SNE have no unit."""
    axis.set_title(f"{space.name}\n{space.said}" if space.said else space.name, fontsize=FONT)
    axis.set_xticks([])
    axis.set_yticks([])


def _legend(figure: Any, axis: Any) -> None:
    legend(figure, *axis.get_legend_handles_labels(), ncols=2, markerscale=1.4)


PLACES = ((0, 6), (0, -14), (7, -4), (-7, -4), (8, 8), (-8, 8), (8, -16), (-8, -16), (0, 18), (0, -26))
"""Where a label may stand, in points from its own; the first that is free is taken."""


def _label_points(figure: Any, axis: Any, points: Sequence[np.ndarray], texts: Sequence[str]) -> None:
    """Write a word beside each point, so that words cover each other as little as may be."""
    figure.draw_without_rendering()  # the layout, which places depend on
    taken: list[Any] = []
    for point, text in zip(points, texts):
        best: tuple[float, Any, Any] | None = None
        for x, y in PLACES:
            label = axis.annotate(
                text,
                point,
                xytext=(x, y),
                textcoords="offset points",
                ha="center" if x == 0 else "left" if x > 0 else "right",
                fontsize=SMALL,
            )
            box = label.get_window_extent()
            covered = sum(_shared(box, other) for other in taken)
            if best is None or covered < best[0]:
                if best is not None:
                    best[1].remove()
                best = (covered, label, box)
            else:
                label.remove()
            if best[0] == 0:
                break
        if best is not None:
            taken.append(best[2])


def _shared(one: Any, other: Any) -> float:
    """The area that two boxes share."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return max(0.0, width) * max(0.0, height)
