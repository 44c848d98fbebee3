"""Figures of runs: transfer (SUP and ZS by objective), and alignment against SUP - ZS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics.correlation import mean_deviation, spearman, spearman_p
from fairseq_xalign.evaluate.report.rows import Row, order_of
from fairseq_xalign.evaluate.report.tables import number
from fairseq_xalign.files import atomic_file

ENDINGS = (".png", ".svg")
SUP_COLOUR, ZS_COLOUR = "#0072B2", "#E69F00"
COLOURS = ("#000000", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
"""Okabe and Ito's palette, which can be told apart in every common form of colour blindness."""
MARKERS = "os^DvPX*"
FONT, SMALL = 12, 10
BAR = 0.4
PADDING = 0.12
"""Inches around each panel."""
MOST_ACROSS = 2
DPI = 150


def save(figure: Any, output: Path) -> None:
    """Write a figure whole and without a date, so that equal runs give equal files."""
    with atomic_file(output, "wb") as stream:
        write(figure, stream, output.suffix.lower().removeprefix("."))


def write(figure: Any, stream: IO[bytes], form: str) -> None:
    """Write a figure to an open file, as ``png`` or ``svg``."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "fairseq_xalign", "svg.fonttype": "none"}):
        figure.savefig(stream, format=form, dpi=DPI, metadata={"Date": None} if form == "svg" else {"Software": None})


def new_figure(panels: int, width: float, height: float) -> tuple[Any, list[Any]]:
    """A figure without a display, and its panels, at most ``MOST_ACROSS`` across; sizes in inches per panel."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError:
        raise UserError(
            "matplotlib is not installed", remedy='Install the extra "plots": pip install "fairseq_xalign[plots]"'
        ) from None
    across = min(panels, MOST_ACROSS)
    down = math.ceil(panels / across)
    figure = Figure(
        figsize=(width * across, height * down), layout=ConstrainedLayoutEngine(w_pad=PADDING, h_pad=PADDING)
    )
    FigureCanvasAgg(figure)
    grid = figure.subplots(down, across, squeeze=False).ravel().tolist()
    for unused in grid[panels:]:
        unused.set_axis_off()
    return figure, grid[:panels]


def transfer(rows: Sequence[Row]) -> Any:
    """Grouped bars of SUP and ZS by objective, one panel per task, pair and transformation."""
    rows = [row for row in rows if row.values.get("sup") or row.values.get("zs")]
    if not rows:
        raise UserError("none of the runs has a SUP or ZS score", remedy='result.json needs "scores": {"sup", "zs"}')
    panels = list(dict.fromkeys(row.panel for row in rows))
    most = max(sum(row.panel == panel for row in rows) for panel in panels)
    figure, axes = new_figure(len(panels), width=max(4.2, 1.4 * most + 1.0), height=4.2)
    for axis, panel in zip(axes, panels):
        _bars(axis, [row for row in rows if row.panel == panel])
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False, fontsize=FONT)
    return figure


def _bars(axis: Any, rows: Sequence[Row]) -> None:
    """One panel of :func:`transfer`."""
    for side, (name, label, colour) in enumerate((("sup", "SUP", SUP_COLOUR), ("zs", "ZS (zero-shot)", ZS_COLOUR))):
        places = [i + (side - 0.5) * BAR for i in range(len(rows))]
        summaries = [mean_deviation(row.values[name]) if row.values.get(name) else (math.nan, None) for row in rows]
        axis.bar(places, [mean for mean, _ in summaries], BAR, color=colour, label=label, edgecolor="white")
        for place, (mean, deviation) in zip(places, summaries):
            if math.isnan(mean):
                continue
            if deviation is not None:
                axis.errorbar([place], [mean], yerr=[deviation], color="black", capsize=3, linewidth=1)
            axis.annotate(
                number(mean),
                (place, mean + (deviation or 0)),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=SMALL,
            )
    task, pair, transform = rows[0].panel
    axis.set_title(f"{task}, {pair}, {transform}", fontsize=FONT)
    axis.set_xticks(range(len(rows)), [_label(row) for row in rows], fontsize=SMALL)
    axis.set_xlim(-0.6, len(rows) - 0.4)
    # Room for a value above a full bar.
    axis.set_ylim(0, 110)
    axis.set_yticks(range(0, 101, 20))
    axis.set_ylabel(f"{rows[0].metric} (%)", fontsize=FONT)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", linewidth=0.4, alpha=0.5)
    axis.set_axisbelow(True)


def _label(row: Row) -> str:
    """Objective, dictionary and number of seeds, one per line."""
    lines = [row.objective, *([_broken(row.dictionary)] if row.dictionary else [])]
    return "\n".join([*lines, *([f"n = {len(row.seeds)}"] if len(row.seeds) > 1 else [])])


def _name(row: Row) -> str:
    """What a colour of :func:`alignment` stands for: an objective with its dictionary."""
    return f"{row.objective}, {row.dictionary}" if row.dictionary else row.objective


def _broken(text: str, most: int = 14) -> str:
    """``text`` with line breaks so that no line is much longer than ``most`` letters."""
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + len(word) + 1 > most:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def alignment(rows: Sequence[Row]) -> Any:
    """Alignment against SUP - ZS, one panel per task, with Spearman's correlation over the points."""
    rows = [row for row in rows if row.values.get("alignment") and row.values.get("delta")]
    if not rows:
        raise UserError(
            "none of the runs has both an alignment and SUP and ZS scores",
            remedy='result.json needs "alignment": {"all"} and "scores": {"sup", "zs"}',
        )
    tasks = list(dict.fromkeys(row.task for row in rows))
    names = list(
        dict.fromkeys(map(_name, sorted(rows, key=lambda row: (order_of(row.objective), row.dictionary or ""))))
    )
    settings = list(dict.fromkeys((row.pair, row.transform) for row in rows))
    figure, axes = new_figure(len(tasks), width=6.2, height=4.4)
    for axis, task in zip(axes, tasks):
        _scatter(axis, [row for row in rows if row.task == task], names, settings)
    _keys(figure, axes[0], names, settings)
    return figure


def _scatter(axis: Any, rows: Sequence[Row], names: list[str], settings: list[tuple[str, str]]) -> None:
    """One panel of :func:`alignment`."""
    xs = [mean_deviation(row.values["alignment"])[0] for row in rows]
    ys = [mean_deviation(row.values["delta"])[0] for row in rows]
    for row, x, y in zip(rows, xs, ys):
        axis.errorbar(
            [x],
            [y],
            xerr=mean_deviation(row.values["alignment"])[1],
            yerr=mean_deviation(row.values["delta"])[1],
            color=COLOURS[names.index(_name(row)) % len(COLOURS)],
            marker=MARKERS[settings.index((row.pair, row.transform)) % len(MARKERS)],
            markersize=9,
            markeredgecolor="white",
            markeredgewidth=0.6,
            elinewidth=1,
            capsize=2,
            linestyle="none",
        )
    rank = spearman(xs, ys)
    # Under a plot of SUP - ZS, the paper prints the sign that belongs to ZS - SUP, so both are given.
    found = f"Spearman {rank:+.3f}, with ZS - SUP {-rank:+.3f}, p = {spearman_p(rank, len(rows)):.2g}"
    if math.isnan(rank) or len(rows) <= 2:
        found = "too few points for a correlation"
    axis.set_title(f"{rows[0].task} (n = {len(rows)})\n{found}", fontsize=FONT)
    axis.set_xlabel("alignment, all tokens (%)", fontsize=FONT)
    axis.set_ylabel(f"SUP - ZS ({rows[0].metric}, points)", fontsize=FONT)
    axis.margins(0.08)
    axis.axhline(0, color="grey", linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(linewidth=0.4, alpha=0.5)
    axis.set_axisbelow(True)


def _keys(figure: Any, axis: Any, names: list[str], settings: list[tuple[str, str]]) -> None:
    """The legend, right of the panels: one colour per objective and dictionary, one shape per transformation."""
    from matplotlib.patches import Patch

    pairs = {pair for pair, _ in settings}
    entries: list[Any] = [Patch(color=COLOURS[i % len(COLOURS)], label=name) for i, name in enumerate(names)]
    entries += [
        axis.plot(
            [],
            [],
            MARKERS[i % len(MARKERS)],
            color="grey",
            label=transform if len(pairs) == 1 else f"{pair}, {transform}",
        )[0]
        for i, (pair, transform) in enumerate(settings)
    ]
    figure.legend(handles=entries, loc="outside right upper", frameon=False, fontsize=SMALL)


KINDS = {"transfer": transfer, "alignment": alignment}
