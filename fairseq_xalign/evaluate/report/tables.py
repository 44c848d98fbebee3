"""Tables in the formats that our commands print: text, Markdown, LaTeX, CSV, JSON.

Text, Markdown and LaTeX take cells that are already text; CSV and JSON take records, whose numbers
are written in full precision.
"""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairseq_xalign.files import atomic_file

FORMATS = ("text", "csv", "markdown", "latex", "json")
NOTHING = "–"
"""What stands in a cell that has no value."""

LATEX_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    c: "\\" + c for c in "&%$#_{}"
}
LATEX_SPECIAL |= {"±": r"$\pm$", "∘": r"$\circ$", "−": "$-$", "–": "--"}


def number(value: float | None, digits: int = 1) -> str:
    """A figure for a reader: ``digits`` decimals, a dash for none; never ``-0.0``."""
    if value is None:
        return NOTHING
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def width(text: str) -> int:
    """Columns that ``text`` takes in a terminal."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(bool(unicodedata.combining(c)) for c in text)


def text_table(columns: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Aligned columns, the first ``left`` of them to the left, the others to the right."""
    table = [list(columns), *map(list, rows)]
    widths = [max(width(row[i]) for row in table) for i in range(len(columns))]
    lines = []
    for row in table:
        cells = []
        for i, cell in enumerate(row):
            space = " " * (widths[i] - width(cell))
            cells.append(cell + space if i < left else space + cell)
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines) + "\n"


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A Markdown table."""
    lines = [[c.replace("|", "\\|") for c in row] for row in [list(columns), *rows]]
    lines.insert(1, ["---" if i < left else "---:" for i in range(len(columns))])
    return "".join(f"| {' | '.join(row)} |\n" for row in lines)


def latex_table(columns: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A LaTeX ``tabular`` (booktabs)."""
    lines = [
        " & ".join("".join(LATEX_SPECIAL.get(c, c) for c in cell) for cell in row) + r" \\" for row in [columns, *rows]
    ]
    form = "l" * left + "r" * (len(columns) - left)
    body = "\n".join(lines[1:])
    return f"\\begin{{tabular}}{{{form}}}\n\\toprule\n{lines[0]}\n\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}\n"


WRITERS = {"text": text_table, "markdown": markdown_table, "latex": latex_table}


def csv_text(records: Sequence[Mapping[str, Any]]) -> str:
    """Records as CSV with a header; None is an empty cell, numbers keep every digit."""
    columns = list(dict.fromkeys(key for record in records for key in record))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue()


def json_text(value: Any) -> str:
    """Indented JSON that keeps letters as they are."""
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def deliver(text: str, output: str | Path | None) -> None:
    """Print ``text``, or write it whole to ``output``."""
    if output is None:
        print(text, end="")
    else:
        with atomic_file(output) as stream:
            stream.write(text)
