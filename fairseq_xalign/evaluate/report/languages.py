"""Runs by language, as the papers print them: a row for each model, a column for each language, and averages.

There may be one model for all target languages, or one for each (WEAM, section 3.3; TPP's ONE): every run has a source
and a target, and the score of the source language is the mean over the models. Averages are over the languages that
every measured row has, taken seed by seed, without further test sets of the source language (``en-PUD`` beside ``en``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.evaluate.papers import by_language
from fairseq_xalign.evaluate.papers.by_language import IN_LANGUAGE, ZERO_SHOT
from fairseq_xalign.evaluate.report.language_rows import (
    ALL,
    AVERAGES,
    CHANGE,
    DIFFERENCE,
    GAP,
    OTHERS,
    SCORE,
    LanguageRow,
    LanguageTable,
    Scores,
    columns_of,
    left_out_of_averages,
)
from fairseq_xalign.evaluate.report.results import Result
from fairseq_xalign.evaluate.report.rows import absent_seeds, default_metric, metric_of, order_of
from fairseq_xalign.options import language_pair

CONDITIONS = ("zs", "sup")
"""Those that have tables of their own, in this order."""
FRAME = ("benchmark", "training")
"""Settings that put runs into different tables; what else differs makes rows."""
Test = Callable[[LanguageTable, LanguageRow, LanguageRow, str], float | None]
"""The p value of the difference of two rows of a table in a language, or None where it cannot be computed."""


def language_tables(
    results: Sequence[Result],
    metric: str | None = None,
    tables: Sequence[str] = (),
    seeds: Sequence[int] = (),
    against: str | None = None,
    test: Test | None = None,
    not_averaged: Sequence[str] = (),
) -> list[LanguageTable]:
    """Tables by language of runs.

    Args:
        metric: the score to show (default: by task; with ``tables`` what they print of the task).
        tables: printed tables by language, whose rows are added where they are of the same thing.
        seeds: those that every row should have.
        against: the objective that the others are compared with, in two more tables for each that has it.
        test: gives p values of differences.
        not_averaged: targets that no average is over.

    Raises:
        UserError: two runs of one model, seed and language; no score of the metric; no row of ``against`` in any
            table, or several in one; a name of ``not_averaged`` that no run has as its target.
    """
    targets = {language_pair(result.pair, "pair")[1] for result in results}
    for unknown in sorted(set(not_averaged) - targets):
        raise unknown_name("target to leave out of averages", unknown, sorted(targets))
    frames: dict[tuple[Any, ...], list[Result]] = {}
    for result in results:
        source, _ = language_pair(result.pair, "pair")
        derived = result.transform != "natural"  # no average is over languages and transformations of one
        key = (result.task, source, derived, *(str(result.settings.get(name) or "") for name in FRAME))
        frames.setdefault(key, []).append(result)
    found: list[LanguageTable] = []
    for (_, source, _, benchmark, training), runs in sorted(frames.items()):
        name = metric or _metric_of_frame(runs, benchmark or None, training, tables)
        for run in runs:
            if not run.failed:
                metric_of(run, name)
        made = [
            table
            for condition in CONDITIONS
            if (table := _table(runs, condition, name, source, benchmark or None, training, seeds, not_averaged))
        ]
        frame = [*made, *_gap(made, not_averaged)]
        for table in made:
            _add_printed(table, tables)
            if against is not None:
                frame += _compared(table, against, test)
        found += frame
    scores = [table for table in found if table.quantity == SCORE]
    if against is not None and scores and all(table.uncompared for table in scores):
        names = list(dict.fromkeys(row.name for table in scores for row in table.rows if not row.printed))
        if any(result.objective == against for result in results):
            known = f"Compare with one of {', '.join(names)}, or leave --against out"
            raise UserError(f"no run of {against}, the model to compare with, has scores", remedy=known)
        raise unknown_name("model to compare with", against, names)
    return found


def _metric_of_frame(runs: Sequence[Result], benchmark: str | None, training: str, tables: Sequence[str]) -> str:
    """The metric of a task's tables: the usual one, unless the papers print others of it, one of which all runs have.

    TPP's figures of sentiment are macro F1, for instance, and sentiment is usually shown as accuracy.
    """
    usual = default_metric(runs[0].task)
    ways = [_training(training, condition) for condition in CONDITIONS]
    printed = by_language.printed_metrics(tables, runs[0].task, benchmark, ways)
    if usual in printed:
        printed = [usual, *printed]
    shared = [{name for by_metric in run.scores.values() for name in by_metric} for run in runs if not run.failed]
    return next((name for name in printed if all(name in names for names in shared)), usual)


def _training(training: str, condition: str) -> str:
    """How models of a table were fine-tuned, as :mod:`~fairseq_xalign.evaluate.papers.by_language` says it."""
    if condition == "sup":
        return f"{training}, {IN_LANGUAGE}" if training else IN_LANGUAGE
    return training or ZERO_SHOT


def _table(
    runs: Sequence[Result],
    condition: str,
    metric: str,
    source: str,
    benchmark: str | None,
    training: str,
    seeds: Sequence[int],
    not_averaged: Sequence[str],
) -> LanguageTable | None:
    """The scores of one condition; None where no run has any."""
    groups: dict[tuple[Any, ...], list[Result]] = {}
    for run in runs:
        variant = tuple((name, value) for name, value in run.variant if name not in FRAME)
        groups.setdefault((order_of(run.objective), run.dictionary or "", variant), []).append(run)
    rows: list[LanguageRow] = []
    by_row: list[Scores] = []
    for (order, dictionary, variant), group in sorted(groups.items()):
        scores, models = _scores(group, condition, metric, source)
        if not scores:
            continue
        settings = [f"{key} {value}" for key, value in variant]
        row = LanguageRow(", ".join(text for text in (order[1], dictionary, *settings) if text), {}, models=models)
        row.runs, row.seeds, row.absent = list(group), sorted(scores), _absent(group, scores, source, seeds)
        rows.append(row)
        by_row.append(scores)
    if not rows:
        return None
    targets = sorted({language for scores in by_row for line in scores.values() for language in line} - {source})
    first = [source] if any(source in line for scores in by_row for line in scores.values()) else []
    languages = [*first, *targets]
    shared = [name for name in languages if all(any(name in line for line in s.values()) for s in by_row)]
    left_out = left_out_of_averages(shared, source, not_averaged)
    averaged = [name for name in shared if name not in left_out]
    for row, scores in zip(rows, by_row):
        row.values = columns_of(scores, languages, averaged, source)
    task, how = runs[0].task, _training(training, condition)
    return LanguageTable(task, benchmark, metric, source, how, SCORE, languages, averaged, rows, left_out=left_out)


def _scores(runs: Sequence[Result], condition: str, metric: str, source: str) -> tuple[Scores, int]:
    """Scores by seed and language, and over how many models the source's is the mean."""
    scores: Scores = {}
    of_source: dict[int, list[float]] = {}
    seen: dict[tuple[int, str], str] = {}
    for run in runs:
        value = run.score(condition, metric)
        if run.failed or value is None:
            continue
        _, target = language_pair(run.pair, "pair")
        if (run.seed, target) in seen:
            raise UserError(
                f"a second score of {run.objective}, seed {run.seed}, in {target!r}, beside {seen[run.seed, target]}",
                run.path,
                remedy="Leave one of them out, or record what differs with --setting",
            )
        seen[run.seed, target] = run.path
        scores.setdefault(run.seed, {})[target] = value
        if (found := run.score("source", metric)) is not None:
            of_source.setdefault(run.seed, []).append(found)
    for seed, values in of_source.items():
        scores[seed][source] = sum(values) / len(values)
    return scores, max((len(set(values)) for values in of_source.values()), default=1)


def _absent(runs: Sequence[Result], scores: Scores, source: str, seeds: Sequence[int]) -> dict[int, str]:
    """Seeds without a score in some language that the row has in another seed, and seeds that are missing or failed."""
    reasons: dict[int, list[str]] = {}
    for run in runs:
        if run.failed:
            reasons.setdefault(run.seed, []).append(f"{language_pair(run.pair, 'pair')[1]}: {run.failed}")
    for seed, reason in absent_seeds([], [s for s in seeds if s not in scores and s not in reasons]).items():
        reasons[seed] = [reason]
    every = {language for line in scores.values() for language in line} - {source}
    for seed, line in scores.items():
        said = {text.partition(":")[0] for text in reasons.get(seed, [])}
        missing = sorted(every - line.keys() - said)
        if missing:
            reasons.setdefault(seed, []).append(f"{', '.join(missing)}: no result")
    return {seed: "; ".join(reasons[seed]) for seed in sorted(reasons)}


def _gap(made: Sequence[LanguageTable], not_averaged: Sequence[str]) -> list[LanguageTable]:
    """In-language minus zero-shot, seed by seed, for the rows that have both."""
    if len(made) < 2:
        return []
    zero_shot, supervised = made
    source, metric = zero_shot.source, zero_shot.metric
    rows = []
    for row in zero_shot.rows:
        found: Scores = {}
        for run in row.runs:
            if (delta := run.delta(metric)) is not None and not run.failed:
                found.setdefault(run.seed, {})[language_pair(run.pair, "pair")[1]] = delta
        if found:
            languages = sorted({language for line in found.values() for language in line})
            rows.append((row, found, languages))
    if not rows:
        return []
    languages = sorted({name for _, _, names in rows for name in names})
    shared = [name for name in languages if all(name in names for _, _, names in rows)]
    left_out = left_out_of_averages(shared, source, not_averaged)
    averaged = [name for name in shared if name not in left_out]
    made_rows = [
        LanguageRow(row.name, columns_of(found, languages, averaged, ""), sorted(found), row.absent, runs=row.runs)
        for row, found, _ in rows
    ]
    for row in made_rows:
        if ALL in row.values:
            row.values[OTHERS] = row.values.pop(ALL)  # none of the languages is the source
    training = f"{supervised.training} - {zero_shot.training}"
    frame = (zero_shot.task, zero_shot.benchmark, metric, source, training)
    return [LanguageTable(*frame, GAP, languages, averaged, made_rows, left_out=left_out)]


def _add_printed(table: LanguageTable, tables: Sequence[str]) -> None:
    """Append the printed rows that may stand in a table, in the languages that it has."""
    for found in by_language.printed_rows(tables, table.task, table.metric, table.benchmark, table.training):
        values = {name: [found.figures[name]] for name in table.languages if name in found.figures}
        if not values:
            continue
        for name, which in AVERAGES.items():
            mean = by_language.average(found, table.averaged, table.source, which)
            if mean is not None and any(row.values.get(name) for row in table.rows):
                values[name] = [mean]
        table.rows.append(LanguageRow(found.name, values, printed=found.table, changes=found.changes))


def _compared(table: LanguageTable, against: str, test: Test | None) -> list[LanguageTable]:
    """How each row differs from the baseline's: in per cent of it (TPP's tables), and in points with a p value.

    A table without the baseline, whose runs may have failed in this task alone, is marked as uncompared.
    """
    measured = [row for row in table.rows if not row.printed]
    bases = [row for row in measured if against in (row.objective, row.name)]
    if not bases:
        table.uncompared = against
        return []
    if len(bases) > 1:
        raise UserError(
            f"--against {against} could be any of: {'; '.join(row.name for row in bases)}", remedy="Give one of these"
        )
    base = bases[0]
    changes, differences = [], []
    for row in measured:
        if row is base:
            continue
        change, difference = LanguageRow(row.name, {}), LanguageRow(row.name, {})
        for column in table.columns:
            ours, theirs = row.mean(column), base.mean(column)
            if ours is None or theirs is None:
                continue
            difference.values[column] = [ours - theirs]
            if theirs:
                change.values[column] = [100 * (ours - theirs) / theirs]
            if test is not None and column in table.languages and (p := test(table, row, base, column)) is not None:
                difference.p[column] = p
        changes.append(change)
        differences.append(difference)
    for row in table.rows:
        if any(row.changes.values()):
            changes.append(LanguageRow(row.name, {k: [v] for k, v in row.changes.items()}, printed=row.printed))
    common = (table.task, table.benchmark, table.metric, table.source, table.training)
    return [
        LanguageTable(*common, quantity, table.languages, table.averaged, rows, base.name)
        for quantity, rows in ((CHANGE, changes), (DIFFERENCE, differences))
        if rows
    ]
