"""Rows and tables by language: their columns, and which languages their averages are over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fairseq_xalign.evaluate.metrics.correlation import mean_deviation
from fairseq_xalign.evaluate.papers.by_language import ZERO_SHOT
from fairseq_xalign.evaluate.report.results import Result

ALL, OTHERS, TARGETS = "AVG(all)", "AVG(zero-shot)", "AVG(targets)"
"""Averages over all languages, and over all but the source: as WEAM prints it, and its name where models were not
fine-tuned on the source alone."""
AVERAGES = {ALL: "all", OTHERS: "zero-shot"}
SCORE, GAP, CHANGE, DIFFERENCE = "score", "SUP - ZS", "change", "difference"
Scores = dict[int, dict[str, float]]
"""{seed: {language: score}}."""


@dataclass
class LanguageRow:
    """A model's row of a table.

    Attributes:
        name: the objective, with its dictionary and settings; or the printed model and its table.
        values: {language or average: the value of each seed, or the printed one}.
        seeds: those that have scores.
        absent: the others that should have, each with the reason.
        printed: the table that it is printed in; "" for what was measured.
        models: over how many models the source's score is the mean.
        changes: {language: relative change in per cent}, as printed.
        p: {language: p value of the difference}.
        runs: what it was made of.
    """

    name: str
    values: dict[str, list[float]]
    seeds: list[int] = field(default_factory=list)
    absent: dict[int, str] = field(default_factory=dict)
    printed: str = ""
    models: int = 1
    changes: dict[str, float] = field(default_factory=dict)
    p: dict[str, float] = field(default_factory=dict)
    runs: list[Result] = field(default_factory=list)

    @property
    def objective(self) -> str:
        """What ``--against`` calls the row."""
        return self.runs[0].objective if self.runs else ""

    def mean(self, column: str) -> float | None:
        """The mean over seeds of a column; None where the row has nothing in it."""
        values = self.values.get(column)
        return mean_deviation(values)[0] if values else None


@dataclass
class LanguageTable:
    """Rows of one task, metric, corpus and way of fine-tuning.

    Attributes:
        quantity: SCORE, GAP (of in-language over zero-shot), CHANGE (per cent) or DIFFERENCE (points).
        languages: the columns; the source first.
        averaged: those that averages are over.
        left_out: those that every row has and averages leave out, as :func:`left_out_of_averages` says.
        against: the baseline of CHANGE and DIFFERENCE.
        uncompared: the baseline that was asked for, where no row is of it.
    """

    task: str
    benchmark: str | None
    metric: str
    source: str
    training: str
    quantity: str
    languages: list[str]
    averaged: list[str]
    rows: list[LanguageRow]
    against: str = ""
    uncompared: str = ""
    left_out: list[str] = field(default_factory=list)

    def shown(self, column: str) -> str:
        """What a column is called: the average over the targets is one of zero-shot scores in such a table only."""
        zero_shot = self.training == ZERO_SHOT and self.quantity != GAP
        return TARGETS if column == OTHERS and not zero_shot else column

    @property
    def columns(self) -> list[str]:
        """The languages, and the averages that a row has."""
        return [*self.languages, *(name for name in AVERAGES if any(row.values.get(name) for row in self.rows))]


def left_out_of_averages(languages: Sequence[str], source: str, not_averaged: Sequence[str]) -> list[str]:
    """The targets that averages are not over: those of ``not_averaged``, and more of the source language.

    >>> left_out_of_averages(["en", "en-PUD", "de", "id", "id-expert"], "en", ["id-expert"])
    ['en-PUD', 'id-expert']
    """
    return [name for name in languages if name in not_averaged or is_more_of(name, source)]


def is_more_of(name: str, source: str) -> bool:
    """Whether a target is in the source language, as ``en-PUD`` is beside ``en``, and not the source itself."""
    return name != source and name.partition("-")[0] == source.partition("-")[0]


def columns_of(
    scores: Mapping[int, Mapping[str, float]], languages: Sequence[str], averaged: Sequence[str], source: str
) -> dict[str, list[float]]:
    """The values of each column, one for each seed that has it; an average needs all of its languages."""
    values: dict[str, list[float]] = {}
    for seed in sorted(scores):
        line = scores[seed]
        for language in languages:
            if language in line:
                values.setdefault(language, []).append(line[language])
        for name in AVERAGES if len(averaged) > 1 else ():
            over = [language for language in averaged if name == ALL or language != source]
            if over and all(language in line for language in over) and not (name == OTHERS and over == averaged):
                values.setdefault(name, []).append(sum(line[language] for language in over) / len(over))
    return values
