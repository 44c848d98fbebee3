"""Learning curves: losses and validation scores of trainings by update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.report.plots import COLOURS, FONT, MARKERS, PADDING, SMALL, inches, legend, new_figure
from fairseq_xalign.evaluate.report.training_log import Curve, TrainingLog

STYLES = ("-", "--", ":", "-.")
"""With the marker, what tells lines apart without colour."""
MOST_MARKS = 12
"""Marks on a line; more would hide it."""
MOST_SCORES = 4
SCORES = ("accuracy", "f1", "chunk_f1", "macro_f1", "em", "bleu", "alignment")
"""Scores that have a panel of their own, where there are too many for all."""

PER_CENT = ("accuracy", "f1", "chunk_f1", "macro_f1", "em", "exact_match", "alignment", "repetition", "off_target")
"""Scores that are logged in per cent, over all or of one language (``accuracy_de``)."""


def curves(logs: Sequence[TrainingLog]) -> Any:
    """One panel for the training loss, one for the validation loss, and one for each validation score.

    Raises:
        UserError: nothing to draw.
    """
    panels: list[tuple[str, dict[int, Curve]]] = []
    for title, chosen in (
        ("training loss", {i: log.loss for i, log in enumerate(logs) if log.loss}),
        *(
            (f"validation {name}", {i: log.valid[name] for i, log in enumerate(logs) if name in log.valid})
            for name in _scores(logs)
        ),
    ):
        if chosen:
            panels.append((title, chosen))
    if not panels:
        raise UserError("no curves in these logs", remedy="Give logs of fairseq-train")
    figure, axes = new_figure(len(panels), width=5.4, height=3.8)
    for axis, (title, chosen) in zip(axes, panels):
        for number, curve in chosen.items():
            axis.plot(
                [update for update, _ in curve],
                [value for _, value in curve],
                STYLES[number // len(MARKERS) % len(STYLES)]
                if len(logs) > len(STYLES)
                else STYLES[number % len(STYLES)],
                color=COLOURS[number % len(COLOURS)],
                marker=MARKERS[number % len(MARKERS)],
                markevery=max(1, len(curve) // MOST_MARKS),
                markersize=5,
                linewidth=1.4,
                label=logs[number].name,
            )
        axis.set_title(title, fontsize=FONT)
        axis.set_xlabel("updates", fontsize=FONT)
        axis.set_ylabel(_unit(title.partition(" ")[2]), fontsize=FONT)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(linewidth=0.4, alpha=0.5)
        axis.set_axisbelow(True)
    handles = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels())}
    if len(logs) > 1:
        names = [log.name for log in logs if log.name in handles]
        legend(figure, [handles[name] for name in names], names, loc="outside upper left", fontsize=SMALL)
    else:
        figure.suptitle(logs[0].name, fontsize=FONT)
        width, height = figure.get_size_inches()
        figure.set_size_inches(max(width, inches(logs[0].name, FONT) + 2 * PADDING), height)
    return figure


def _unit(measure: str) -> str:
    """What the axis of a loss or a score says, with its unit where we know it."""
    if measure == "loss" or measure.startswith("loss_"):
        return "loss (bits)"
    kind = measure if measure in PER_CENT else measure.partition("_")[0]
    shown = {"bleu": "BLEU", "chrf": "chrF"}.get(kind, measure.replace("_", " "))
    return f"{shown} (%)" if kind in PER_CENT else shown


def _scores(logs: Sequence[TrainingLog]) -> list[str]:
    """What validation measured: its loss first, then the scores; of many, those that are well known."""
    names = list(
        dict.fromkeys(name for log in logs for name in log.valid if not name.endswith("_loss") and name != "loss")
    )
    names = [name for name in names if not name.endswith("_count")]
    if len(names) > MOST_SCORES:
        names = [name for name in names if name in SCORES][:MOST_SCORES] or names[:MOST_SCORES]
    return ["loss", *names]
