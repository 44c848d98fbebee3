"""Tables by language in the forms that commands print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairseq_xalign.evaluate.metrics.correlation import mean_deviation
from fairseq_xalign.evaluate.papers import by_language
from fairseq_xalign.evaluate.report.language_rows import (
    AVERAGES,
    CHANGE,
    DIFFERENCE,
    GAP,
    SCORE,
    LanguageRow,
    LanguageTable,
    is_more_of,
)
from fairseq_xalign.evaluate.report.pair_tables import absent_notes, cell, commented, signatures
from fairseq_xalign.evaluate.report.results import Result
from fairseq_xalign.evaluate.report.tables import NOTHING, WRITERS


def title(table: LanguageTable) -> str:
    """What a table shows."""
    quantity = {
        SCORE: "%",
        GAP: "points",
        CHANGE: f"change in per cent of {table.against}",
        DIFFERENCE: f"points above {table.against}",
    }[table.quantity]
    return f"{_subject(table)}: {table.metric}, {quantity}"


def _subject(table: LanguageTable) -> str:
    """What a table is about: its task, corpus, source language and way of fine-tuning."""
    corpus = f" ({table.benchmark})" if table.benchmark else ""
    how = f"SUP - ZS ({table.training})" if table.quantity == GAP else table.training
    return f"{table.task}{corpus} from {table.source}, {how}"


def body(table: LanguageTable) -> tuple[list[str], list[list[str]]]:
    """The header, and the cells of each row."""
    seeds = table.quantity in (SCORE, GAP)
    header = ["model", *(["seeds"] if seeds else []), *map(table.shown, table.columns)]
    rows = []
    for row in table.rows:
        cells = [_cell(table, row, column) for column in table.columns]
        rows.append([row.name, *([_seeds(row)] if seeds else []), *cells])
    return header, rows


def _seeds(row: LanguageRow) -> str:
    if row.printed:
        return NOTHING
    whole = {*row.seeds, *row.absent}
    complete = [seed for seed in row.seeds if seed not in row.absent]
    return str(len(whole)) if len(complete) == len(whole) else f"{len(complete)} of {len(whole)}"


def _cell(table: LanguageTable, row: LanguageRow, column: str) -> str:
    values = row.values.get(column)
    if table.quantity == SCORE or table.quantity == GAP:
        return cell(values, 1 if row.printed else len(row.seeds))
    if not values:
        return NOTHING
    text = f"{mean_deviation(values)[0]:+.1f}"
    return f"{text} (p {row.p[column]:.3f})" if column in row.p else text


def readable(
    tables: Sequence[LanguageTable],
    results: Sequence[Result],
    printed: Sequence[str],
    form: str,
    untested: Sequence[str] = (),
) -> str:
    """All tables as text, Markdown or LaTeX, with notes below.

    Args:
        printed: the tables of papers that were asked for.
        form: a key of ``tables.WRITERS``.
        untested: why differences have no p value.
    """
    parts = [text for table in tables for text in (f"{title(table)}\n", WRITERS[form](*body(table), left=1))]
    lines = [*notes(tables, results, printed, untested), *signatures(results)]
    text = "\n".join([*parts, "\n".join(lines) + "\n" if lines else ""])
    return commented(text) if form == "latex" else text


def notes(
    tables: Sequence[LanguageTable], results: Sequence[Result], printed: Sequence[str], untested: Sequence[str] = ()
) -> list[str]:
    """What a reader of the tables must know, a line each.

    Args:
        results: of which the tables were made; a failed one that no row has is named.
        printed, untested: as in :func:`readable`.
    """
    lines: list[str] = []
    scores = [table for table in tables if table.quantity == SCORE]
    shown = {row.printed for table in tables for row in table.rows if row.printed}
    if shown:
        lines.append(f"[printed] figures of the papers: {', '.join(name for name in printed if name in shown)}")
        lines += [text for name, text in by_language.NOTES.items() if name in shown]
        lines.append(
            "averages of printed rows are as printed where the languages are the same, else over these columns"
        )
    elif printed:
        lines.append(
            f"--paper {','.join(printed)} added nothing: the paper has no row with the same task, metric, corpus and "
            "fine-tuning as these runs"
        )
    for table in scores:
        several = [row for row in table.rows if row.models > 1]
        if several:
            names = ", ".join(f"{row.name} ({row.models} models)" for row in several)
            lines.append(f"{table.source}, {table.training}: the mean over the models of the languages, for {names}")
        if set(AVERAGES) & set(table.columns):
            lines += _averaged(table)
    if any(table.quantity == CHANGE and set(AVERAGES) & set(table.columns) for table in tables):
        lines.append("change of an average: of the average score, not the average of the changes")
    if any(row.p for table in tables for row in table.rows):
        lines.append("p: two-sided, paired bootstrap over the items of a language, scores averaged over seeds")
    lines += [*uncompared(tables), *(f"no p value: {reason}" for reason in untested)]
    lines += absent_notes((f"{row.name}, {table.training}", row.absent) for table in scores for row in table.rows)
    lines += _failed(results, scores)
    return list(dict.fromkeys(lines))


def _averaged(table: LanguageTable) -> list[str]:
    """What the averages are over, where that is not every column."""
    lines = []
    if {*table.averaged, *table.left_out} != set(table.languages):
        lines.append(f"averages, {table.training}: over {', '.join(table.averaged)}, which all rows have")
    if own := [name for name in table.left_out if is_more_of(name, table.source)]:
        lines.append(f"averages, {table.training}: without {', '.join(own)}, more of the source language")
    if others := [name for name in table.left_out if name not in own]:
        lines.append(f"averages, {table.training}: without {', '.join(others)}, as --not-averaged says")
    return lines


def uncompared(tables: Sequence[LanguageTable]) -> list[str]:
    """A sentence for each table that the baseline has no row in."""
    return [f"{_subject(table)}: no row of {table.uncompared} to compare with" for table in tables if table.uncompared]


def _failed(results: Sequence[Result], scores: Sequence[LanguageTable]) -> list[str]:
    """A sentence for each model that has no row in any table, because all of its seeds failed."""
    shown = {id(run) for table in scores for row in table.rows for run in row.runs}
    absent: dict[str, dict[int, str]] = {}
    for run in results:
        if run.failed and id(run) not in shown:
            absent.setdefault(f"{run.objective}, {run.task}, {run.pair}", {})[run.seed] = run.failed
    return absent_notes(absent.items())


def records(tables: Sequence[LanguageTable]) -> list[dict[str, Any]]:
    """One flat record for each cell, every digit kept."""
    found = []
    for table in tables:
        for row in table.rows:
            for column in table.columns:
                values = row.values.get(column)
                mean, deviation = mean_deviation(values) if values else (None, None)
                found.append(
                    {
                        **{
                            name: getattr(table, name) for name in ("task", "benchmark", "metric", "source", "training")
                        },
                        "quantity": table.quantity,
                        "against": table.against or None,
                        "model": row.name,
                        "printed": row.printed or None,
                        "column": table.shown(column),
                        "value": mean,
                        "deviation": deviation,
                        "n": len(values or ()),
                        "seeds": " ".join(map(str, row.seeds)),
                        "seeds_without_scores": " ".join(map(str, row.absent)),
                        "p": row.p.get(column),
                    }
                )
    return found
