"""Tables of runs: one per task, language pair and transformation, one row per objective, the paper's figures beside."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fairseq_xalign.evaluate import papers
from fairseq_xalign.evaluate.metrics.correlation import mean_deviation, spearman, spearman_p
from fairseq_xalign.evaluate.report.results import SHARES, VARIED, Result
from fairseq_xalign.evaluate.report.rows import COLUMNS, PAPER_COLUMNS, Row
from fairseq_xalign.evaluate.report.tables import NOTHING, WRITERS, number

SETTING_WORDS = {
    "benchmark": "",
    "training": "",
    "dictionary_share": "dictionary",
    "overlap": "overlap",
    "alpha": "alpha",
    "parallel_share": "parallel text",
}
"""What tables call the settings of ``results.VARIED``; the values of the first two speak for themselves."""


def varied_settings(row: Row, rows: Sequence[Row]) -> str:
    """The settings that a row of ``rows`` does not share with another of its objective, or that an ablation varies.

    How a model was fine-tuned is always said. A share or a weight is said, too, where it is not the paper's default,
    unless the words for the dictionary say it.
    """
    which = (row.panel, row.objective, row.dictionary)
    alike = [other for other in rows if (other.panel, other.objective, other.dictionary) == which]
    parts = []
    for name in VARIED:
        value = row.settings.get(name)
        differs = len({str(other.settings.get(name)) for other in alike}) > 1
        unusual = name == "training" or (name in papers.DEFAULTS and value != papers.DEFAULTS[name])
        if name == "dictionary_share" and row.dictionary:
            unusual = False
        if differs or (unusual and value is not None):
            parts.append(f"{SETTING_WORDS[name]} {_setting(name, value)}".strip())
    return ", ".join(parts)


def _setting(name: str, value: Any) -> str:
    """A setting's value for a reader: shares in per cent."""
    if value is None:
        return f"{name} not recorded".replace("_", " ") if not SETTING_WORDS[name] else "not recorded"
    if isinstance(value, str) or name not in papers.DEFAULTS:
        return str(value)
    return f"{100 * value:g} %" if name in SHARES else f"{value:g}"


def cell(values: Sequence[float] | None, seeds: int) -> str:
    """Mean ± deviation over seeds; where a value is of fewer than all ``seeds``, how many it is of."""
    if not values:
        return NOTHING
    mean, deviation = mean_deviation(values)
    text = number(mean) + (f" ± {number(deviation)}" if deviation is not None else "")
    return text if len(values) == seeds else f"{text} ({len(values)} of {seeds} seeds)"


def seed_count(row: Row) -> str:
    """How many seeds a row has scores of, and of how many."""
    return f"{len(row.seeds)} of {len(row.seeds) + len(row.absent)}" if row.absent else str(len(row.seeds))


def absent_notes(named: Iterable[tuple[str, Mapping[int, str]]]) -> list[str]:
    """A sentence for each row with seeds that have no scores."""
    return [
        f"{name}: no scores of seed {', '.join(f'{seed} ({reason})' for seed, reason in absent.items())}"
        for name, absent in named
        if absent
    ]


def correlations(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Spearman's correlation of alignment with SUP - ZS over the rows of each task that have both.

    Returns: {task: {``correlation``, ``p`` (two-tailed), ``n``}}, for tasks with at least three rows.
    """
    found = {}
    for task in dict.fromkeys(row.task for row in rows):
        both = [row for row in rows if row.task == task and row.values.get("alignment") and row.values.get("delta")]
        if len(both) < 3:
            continue
        xs, ys = ([mean_deviation(row.values[name])[0] for row in both] for name in ("alignment", "delta"))
        rank = spearman(xs, ys)
        if not math.isnan(rank):
            found[task] = {"correlation": rank, "p": spearman_p(rank, len(both)), "n": len(both)}
    return found


def pair_tables(rows: Sequence[Row], results: Sequence[Result], tables: Sequence[str], form: str) -> str:
    """Text, Markdown or LaTeX: one table per panel, without empty columns."""
    parts = []
    for title, header, body, left in panel_tables(rows):
        parts += [f"{title}\n", WRITERS[form](header, body, left=left)]
    lines = pair_notes(rows, results, tables)
    text = "\n".join([*parts, *(["\n".join(lines) + "\n"] if lines else [])])
    return commented(text) if form == "latex" else text


def panel_tables(rows: Sequence[Row]) -> list[tuple[str, list[str], list[list[str]], int]]:
    """The title, the header, the cells and the number of columns of text of each panel's table."""
    tables = []
    for panel in dict.fromkeys(row.panel for row in rows):
        chosen = [row for row in rows if row.panel == panel]
        columns = [name for name in COLUMNS if any(row.values.get(name) for row in chosen)]
        extra = [name for name in PAPER_COLUMNS if any(name in row.printed for row in chosen)]
        dictionary = any(row.dictionary for row in chosen)
        settings = [varied_settings(row, chosen) for row in chosen]
        varied = ["setting"] if any(settings) else []
        header = ["objective", *(["dictionary"] if dictionary else []), *varied, "seeds"]
        left = len(header) - 1
        body = [
            [
                row.objective,
                *([row.dictionary or NOTHING] if dictionary else []),
                *([setting or NOTHING] if varied else []),
                seed_count(row),
                *(cell(row.values.get(name), len(row.seeds)) for name in columns),
                *(number(row.printed.get(name)) for name in extra),
            ]
            for row, setting in zip(chosen, settings)
        ]
        header += [COLUMNS[name] for name in columns] + [PAPER_COLUMNS[name] for name in extra]
        task, pair, transform = panel
        tables.append((f"{task}, {pair}, {transform} ({chosen[0].metric}, %)", header, body, left))
    return tables


def pair_notes(rows: Sequence[Row], results: Sequence[Result], tables: Sequence[str]) -> list[str]:
    """Where the printed figures are from, what was seen of parallel text, and the signatures, each once."""
    setting = "8 layers, 500k steps, a dictionary drawn at random; POS scored by chunk F1"
    lines = [f"paper: {', '.join(tables)} as printed ({setting})"] if tables else []
    if tables and not any(row.printed for row in rows):
        lines.append(
            f"--paper {','.join(tables)} added nothing: the paper has no figure with the same task, metric and setting "
            "as these runs"
        )
    lines += dict.fromkeys(
        f"{row.objective}, {row.pair}: the parallel text seen in training was "
        f"{100 * row.parallel_seen['sentences']:.1f} "
        f"% of the sentences, {100 * row.parallel_seen['tokens']:.1f} % of all tokens"
        for row in rows
        if row.parallel_seen
    )
    lines += absent_notes((_row_name(row, rows), row.absent) for row in rows)
    lines += [
        f"Spearman of alignment and SUP - ZS, {task}: {found['correlation']:+.3f} (n = {found['n']}, two-tailed p = "
        f"{found['p']:.2g})"
        for task, found in correlations(rows).items()
    ]
    return lines + signatures(results)


def _row_name(row: Row, rows: Sequence[Row]) -> str:
    """What tells a row from the others, in a sentence."""
    return ", ".join(text for text in (row.objective, row.dictionary, varied_settings(row, rows), row.pair) if text)


def signatures(results: Sequence[Result]) -> list[str]:
    """How the figures were computed, each line once."""
    texts = (
        text
        for result in results
        for text in (result.signature.values() if isinstance(result.signature, dict) else [result.signature])
    )
    return list(dict.fromkeys(text for text in texts if text))


def commented(text: str) -> str:
    """Text with LaTeX tables, whose prose becomes comments, so that a document can input it as it is."""
    inside, lines = False, []
    for line in text.splitlines():
        inside = inside or line.startswith("\\begin")
        lines.append(line if inside or not line else f"% {line}")
        inside = inside and not line.startswith("\\end")
    return "\n".join(lines) + "\n"
