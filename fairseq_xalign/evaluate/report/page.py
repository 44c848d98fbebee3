"""One page of HTML about runs: tables, figures, settings, versions. Nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
import html
import importlib.metadata
import io
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fairseq_xalign.errors import UserError, counted
from fairseq_xalign.evaluate.report import language_tables, languages, plots
from fairseq_xalign.evaluate.report.curves import curves
from fairseq_xalign.evaluate.report.pair_tables import pair_notes, panel_tables
from fairseq_xalign.evaluate.report.results import Result
from fairseq_xalign.evaluate.report.rows import group_over_seeds
from fairseq_xalign.evaluate.report.training_log import TrainingLog
from fairseq_xalign.evaluate.report.translation_tables import comparison
from fairseq_xalign.evaluate.report.translations import Translations
from fairseq_xalign.version import __version__

PACKAGES = ("torch", "numpy", "sentencepiece", "tokenizers", "sacrebleu", "transformers", "ve-fairseq", "fairseq-fixed")
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff }
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
h1 { font-size: 1.6rem } h3 { font-size: 1rem }
h2 { font-size: 1.25rem; margin-top: 2.5rem; border-bottom: 1px solid #bbb }
.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap }
th { border-bottom: 2px solid #555 } th.l, td.l { text-align: left } tr.printed td { color: #555; font-style: italic }
img { max-width: 100%; height: auto } pre { background: #f4f4f4; padding: .8rem; overflow-x: auto; font-size: .8rem }
ul.notes { font-size: .85rem; color: #333 } summary { cursor: pointer }
@media print { body { margin: 0; max-width: none } details { display: block } }
"""


def page(
    title: str,
    results: Sequence[Result] = (),
    translations: Sequence[Translations] = (),
    logs: Sequence[TrainingLog] = (),
    unfinished: Sequence[Path] = (),
    metric: str | None = None,
) -> str:
    """The whole page.

    Args:
        results, translations, logs: what the runs have.
        unfinished: folders that look like runs and have no result.
        metric: score to show (default: by task).
    """
    parts = [f"<h1>{_text(title)}</h1>", f"<p>{_text(_contents(results, translations, logs))}</p>"]
    parts += [f"<p><strong>{_text(folder)}: no result. Did it fail?</strong></p>" for folder in unfinished]
    if results:
        parts += _result_tables(results, metric)
    if translations:
        text = comparison(translations, with_paper=False, form="text")
        parts += ["<h2>Translation</h2>", f"<pre>{_text(text)}</pre>"]
    parts += _figures(results, logs, metric)
    parts += _settings(results, logs)
    parts.append(_section("Versions", _table(["package", "version"], list(versions().items()), left=2)))
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{_text(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def versions() -> dict[str, str]:
    """The versions of this package, of Python and of what figures may depend on, those that are installed."""
    found = {
        "fairseq_xalign": __version__,
        "Python": platform.python_version(),
        "system": platform.platform(terse=True),
    }
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _contents(results: Sequence[Any], translations: Sequence[Any], logs: Sequence[Any]) -> str:
    counts = (
        (len(results), "result", "results"),
        (len(translations), "score of translations", "scores of translations"),
        (len(logs), "training log", "training logs"),
    )
    said = [counted(*count) for count in counts if count[0]]
    return f"{', '.join(said)}. Scores are in per cent; ± is the sample standard deviation over seeds."


def _result_tables(results: Sequence[Result], metric: str | None) -> list[str]:
    """Tables by pair, and by language where there is more than one target."""
    rows = group_over_seeds(results, metric)
    parts = ["<h2>Results</h2>"]
    for heading, header, body, left in panel_tables(rows):
        parts += [f"<h3>{_text(heading)}</h3>", _table(header, body, left)]
    parts.append(_notes(pair_notes(rows, results, [])))
    tables = languages.language_tables(results, metric)
    several = [table for table in tables if len(table.languages) > 2]
    if several:
        parts.append("<h2>By language</h2>")
        for table in several:
            parts += [f"<h3>{_text(language_tables.title(table))}</h3>", _table(*language_tables.body(table), left=1)]
        parts.append(_notes(language_tables.notes(several, [], [])))
    return parts


def _figures(results: Sequence[Result], logs: Sequence[TrainingLog], metric: str | None) -> list[str]:
    """The figures that the runs have enough for."""
    rows = group_over_seeds(results, metric) if results else []
    wanted: list[tuple[str, Callable[[], Any]]] = [
        ("Transfer: scores with labels in the language (SUP) and without (ZS)", lambda: plots.transfer(rows)),
        ("Alignment of word embeddings against the transfer gap", lambda: plots.alignment(rows)),
        ("Learning curves", lambda: curves(logs)),
    ]
    parts = []
    for caption, draw in wanted:
        try:
            figure = draw()
        except UserError as error:
            if "matplotlib" in error.what:
                return [_section("Figures", f"<p>None: {_text(error.what)}. {_text(error.remedy or '')}</p>")]
            continue  # the runs do not have what this figure shows
        parts.append(f"<figure><img alt='{_text(caption)}' src='{_inline(figure)}'><figcaption>{_text(caption)}")
        parts[-1] += "</figcaption></figure>"
    return [_section("Figures", "\n".join(parts))] if parts else []


def _inline(figure: Any) -> str:
    """A figure as a data address."""
    stream = io.BytesIO()
    plots.write(figure, stream, "svg")
    return "data:image/svg+xml;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _settings(results: Sequence[Result], logs: Sequence[TrainingLog]) -> list[str]:
    """The settings of each run, and of each training, folded."""
    parts = []
    for result in results:
        about = {
            name: getattr(result, name)
            for name in (
                "objective",
                "pair",
                "transform",
                "task",
                "seed",
                "dictionary",
                "failed",
                "settings",
                "signature",
            )
        }
        parts.append(
            _folded(result.path or result.objective, {k: v for k, v in about.items() if v not in (None, "", {})})
        )
    for log in logs:
        if log.settings:
            parts.append(_folded(f"training {log.name}", _without_empty(log.settings)))
    return [_section("Settings", "\n".join(parts))] if parts else []


def _without_empty(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without what is not set."""
    kept = {k: _without_empty(v) if isinstance(v, dict) else v for k, v in settings.items() if k != "_name"}
    return {k: v for k, v in kept.items() if v not in (None, {}, [], "")}


def _folded(name: str, value: Mapping[str, Any]) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    return f"<details><summary>{_text(name)}</summary><pre>{_text(text)}</pre></details>"


def _section(name: str, content: str) -> str:
    return f"<h2>{_text(name)}</h2>\n{content}"


def _notes(lines: Sequence[str]) -> str:
    return f"<ul class='notes'>{''.join(f'<li>{_text(line)}</li>' for line in lines)}</ul>" if lines else ""


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "".join(f"<{tag}{' class=l' if i < left else ''}>{_text(cell)}</{tag}>" for i, cell in enumerate(cells))

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return f"<div class='wide'><table><thead><tr>{line(header, 'th')}</tr></thead><tbody>{body}</tbody></table></div>"


def _text(value: Any) -> str:
    return html.escape(str(value), quote=True)
