"""Figures of runs: transfer (SUP and ZS by objective), and alignment against SUP - ZS."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics.correlation import mean_deviation, spearman, spearman_p
from fairseq_xalign.evaluate.report.pair_tables import seed_count, varied_settings
from fairseq_xalign.evaluate.report.rows import COLUMNS, Row, order_of
from fairseq_xalign.evaluate.report.tables import number
from fairseq_xalign.files import atomic_file

ENDINGS = (".png", ".svg")
SUP_COLOUR, ZS_COLOUR = "#0072B2", "#E69F00"
COLOURS = ("#000000", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999")
"""Okabe and Ito's palette, which can be told apart in every common form of colour blindness; their yellow is too light
on white, so the last colour is grey."""
MARKERS = "os^DvPX*<>pHd"
"""Shapes, which tell apart in greyscale what has a colour of its own."""
FILLS = ("full", "none", "left", "top", "right", "bottom")
"""How much of a marker is filled: what tells apart two points of one shape and colour."""
FONT, SMALL = 12, 10
BAR = 0.4
PADDING = 0.12
"""Inches around each panel."""
MOST_ACROSS = 2
LINE = 0.2
"""Inches that a line of small letters needs."""
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


def legend(figure: Any, handles: Sequence[Any], labels: Sequence[str], beside: bool = False, **options: Any) -> None:
    """A legend of the whole figure, above the panels or beside them, in room that is added for it.

    The layout would take the room from the panels, whose titles then end outside the figure or under the legend.
    """
    place = "outside right upper" if beside else "outside upper center"
    made = figure.legend(handles, labels, **({"loc": place, "frameon": False, "fontsize": FONT} | options))
    box = made.get_window_extent()
    across, down = (box.width / figure.dpi + 2 * PADDING, box.height / figure.dpi + 2 * PADDING)
    width, height = figure.get_size_inches()
    figure.set_size_inches((width + across, max(height, down)) if beside else (max(width, across), height + down))


def inches(text: str, size: float) -> float:
    """The width of the widest line of a text in letters of ``size`` points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size)
    return max(text_to_path.get_text_width_height_descent(line, font, False)[0] for line in text.split("\n")) / 72


def transfer(rows: Sequence[Row]) -> Any:
    """Grouped bars of SUP and ZS by objective, one panel per task, pair and transformation.

    Seeds without scores are counted below the bars, also where no seed of an objective has any.
    """
    if not any(row.values.get("sup") or row.values.get("zs") for row in rows):
        raise UserError("none of the runs has a SUP or ZS score", remedy='result.json needs "scores": {"sup", "zs"}')
    rows = [row for row in rows if row.values.get("sup") or row.values.get("zs") or row.absent]
    panels = list(dict.fromkeys(row.panel for row in rows))
    most = max(sum(row.panel == panel for row in rows) for panel in panels)
    figure, axes = new_figure(len(panels), width=4.2, height=4.2)
    across = max(1.4, *(inches(_label(row, rows), SMALL) + 0.2 for row in rows))
    widest = max(4.2, across * most + 1.0, *(inches(_title(panel), FONT) + 1.0 for panel in panels))
    figure.set_size_inches(widest * min(len(panels), MOST_ACROSS), figure.get_size_inches()[1])
    for axis, panel in zip(axes, panels):
        _bars(axis, [row for row in rows if row.panel == panel])
    handles, labels = axes[0].get_legend_handles_labels()
    legend(figure, handles, labels, ncols=2)
    return figure


def _title(panel: tuple[str, str, str]) -> str:
    """Task, pair and transformation."""
    return ", ".join(panel)


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
    axis.set_title(_title(rows[0].panel), fontsize=FONT)
    axis.set_xticks(range(len(rows)), [_label(row, rows) for row in rows], fontsize=SMALL)
    axis.set_xlim(-0.6, len(rows) - 0.4)
    # Room for a value above a full bar.
    axis.set_ylim(0, 110)
    axis.set_yticks(range(0, 101, 20))
    axis.set_ylabel(f"{rows[0].metric} (%)", fontsize=FONT)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", linewidth=0.4, alpha=0.5)
    axis.set_axisbelow(True)


def _label(row: Row, rows: Sequence[Row]) -> str:
    """Objective, dictionary, what else tells the row from others of ``rows``, and number of seeds, one per line."""
    lines = [_broken(text) for text in (row.objective, row.dictionary, varied_settings(row, rows)) if text]
    if len(row.seeds) > 1 or row.absent:
        lines.append(f"n = {seed_count(row)}")
    for name in ("sup", "zs"):
        count = len(row.values.get(name, ()))
        if 0 < count < len(row.seeds):
            lines.append(f"{COLUMNS[name]}: {count} of {len(row.seeds)}")
    return "\n".join(lines)


def _name(row: Row, rows: Sequence[Row]) -> str:
    """What a colour of :func:`alignment` stands for: an objective with its dictionary and settings."""
    return ", ".join(text for text in (row.objective, row.dictionary, varied_settings(row, rows)) if text)


def _broken(text: str, most: int = 14) -> str:
    """``text`` with line breaks after blanks and marks, so that no line has more than ``most`` letters.

    >>> _broken("MUSE, 25 % of the vocabulary"), _broken("align_mlm_with_csls")
    ('MUSE, 25 % of\\nthe vocabulary', 'align_mlm_\\nwith_csls')
    """
    lines = [""]
    for part in re.findall(r"[^\s_+,/-]*(?: %)?[_+,/-]*\s*", text):
        if len(lines[-1] + part.rstrip()) > most and lines[-1]:
            lines.append("")
        while len(part.rstrip()) > most:
            lines[-1], part = part[:most], part[most:]
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def alignment(rows: Sequence[Row]) -> Any:
    """Alignment against SUP - ZS, one panel per task, with Spearman's correlation over the points.

    Colour and shape say the objective with its dictionary, the filling says the pair and the transformation. Rows with
    seeds without scores are named below the panels.
    """
    drawn = [row for row in rows if row.values.get("alignment") and row.values.get("delta")]
    if not drawn:
        raise UserError(
            "none of the runs has both an alignment and SUP and ZS scores",
            remedy='result.json needs "alignment": {"all"} and "scores": {"sup", "zs"}',
        )
    tasks = list(dict.fromkeys(row.task for row in drawn))
    ordered = sorted(drawn, key=lambda row: (order_of(row.objective), row.dictionary or ""))
    names = list(dict.fromkeys(_name(row, rows) for row in ordered))
    settings = list(dict.fromkeys((row.pair, row.transform) for row in drawn))
    figure, axes = new_figure(len(tasks), width=6.2, height=4.4)
    for axis, task in zip(axes, tasks):
        points = [(row, names.index(_name(row, rows))) for row in drawn if row.task == task]
        _scatter(axis, points, settings)
    notes = [f"{_title(row.panel)}, {_name(row, rows)}: {_seeds_drawn(row)}" for row in rows if _seeds_drawn(row)]
    if notes:
        figure.supxlabel("\n".join(notes), x=0.01, ha="left", fontsize=SMALL)
        width, height = figure.get_size_inches()
        widest = max(inches(note, SMALL) for note in notes) + 2 * PADDING
        figure.set_size_inches(max(width, widest), height + LINE * len(notes))
    _keys(figure, names, settings)
    return figure


def _seeds_drawn(row: Row) -> str:
    """Of how many of its seeds a point of :func:`alignment` is; empty where it is of all of them."""
    counts = [len(row.values.get(name, ())) for name in ("alignment", "delta")]
    whole = len(row.seeds) + len(row.absent)
    return f"{min(counts)} of {whole} seeds" if min(counts) < whole and (any(counts) or row.absent) else ""


def _marker(colour: str, shape: str, fill: str) -> dict[str, Any]:
    """How a point of :func:`alignment` looks."""
    return {
        "color": colour,
        "marker": shape,
        "fillstyle": "full" if fill == "none" else fill,
        "markerfacecolor": "white" if fill == "none" else colour,
        "markerfacecoloralt": "white",
        "markeredgecolor": colour,
        "markeredgewidth": 1.4,
        "markersize": 9,
        "linestyle": "none",
    }


def _scatter(axis: Any, points: Sequence[tuple[Row, int]], settings: list[tuple[str, str]]) -> None:
    """One panel of :func:`alignment`: rows, each with the number of its look."""
    rows = [row for row, _ in points]
    xs = [mean_deviation(row.values["alignment"])[0] for row in rows]
    ys = [mean_deviation(row.values["delta"])[0] for row in rows]
    for (row, name), x, y in zip(points, xs, ys):
        setting = settings.index((row.pair, row.transform))
        axis.errorbar(
            [x],
            [y],
            xerr=mean_deviation(row.values["alignment"])[1],
            yerr=mean_deviation(row.values["delta"])[1],
            elinewidth=1,
            capsize=2,
            **_marker(COLOURS[name % len(COLOURS)], MARKERS[name % len(MARKERS)], FILLS[setting % len(FILLS)]),
        )
    rank = spearman(xs, ys)
    # Under a plot of SUP - ZS, the paper prints the sign that belongs to ZS - SUP, so both are given.
    found = f"Spearman {rank:+.3f} (n = {len(rows)}, p = {spearman_p(rank, len(rows)):.2g})\nwith ZS - SUP {-rank:+.3f}"
    if math.isnan(rank) or len(rows) <= 2:
        found = f"too few points for a correlation (n = {len(rows)})"
    axis.set_title(f"{rows[0].task}\n{found}", fontsize=FONT)
    axis.set_xlabel("alignment, all tokens (%)", fontsize=FONT)
    axis.set_ylabel(f"SUP - ZS ({rows[0].metric}, points)", fontsize=FONT)
    axis.margins(0.08)
    axis.axhline(0, color="grey", linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(linewidth=0.4, alpha=0.5)
    axis.set_axisbelow(True)


def _keys(figure: Any, names: list[str], settings: list[tuple[str, str]]) -> None:
    """The legend: a colour and a shape per objective and dictionary, a filling per pair and transformation."""
    from matplotlib.lines import Line2D

    pairs = {pair for pair, _ in settings}
    looks = {
        name: _marker(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], FILLS[0]) for i, name in enumerate(names)
    }
    for i, (pair, transform) in enumerate(settings if len(settings) > 1 else ()):
        label = transform if len(pairs) == 1 else f"{pair}, {transform}"
        looks[label] = _marker("grey", MARKERS[0], FILLS[i % len(FILLS)])
    entries = [Line2D([], [], **look) for look in looks.values()]
    legend(figure, entries, list(looks), beside=True, fontsize=SMALL)


KINDS = {"transfer": transfer, "alignment": alignment}
