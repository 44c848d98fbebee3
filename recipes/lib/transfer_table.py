"""The summary of encoders on many tasks: for each task its source language and the means over languages, and retrieval.

    transfer_table.py [--table TABLE.json] --retrieval FOLDER [--without-scores RUNS] --output SUMMARY.md

TABLE.json is what ``xalign-evaluate compare --by language --format json`` writes; FOLDER has what ``retrieve --json``
printed of each encoder, in NAME.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fairseq_xalign.evaluate.report.language_rows import ALL, OTHERS, SCORE, TARGETS
from fairseq_xalign.evaluate.report.tables import NOTHING, WRITERS
from fairseq_xalign.files import atomic_file, read_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--retrieval", type=Path, required=True)
    parser.add_argument("--without-scores", default="", help="Runs that failed or were not run, to be named.")
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    parts = [tasks(read_json(args.table)["cells"])] if args.table else []
    found = {path.stem: read_json(path) for path in sorted(args.retrieval.glob("*.json"))}
    if found:
        parts.append(retrieval(found))
    if args.without_scores:
        parts.append(f"Runs without scores: {args.without_scores}\n")
    with atomic_file(args.output) as out:
        out.write("\n".join(parts))


def tasks(records: list[dict[str, Any]]) -> str:
    """A row for each encoder, three columns for each task and way of training."""
    rows: dict[str, dict[str, str]] = {}
    columns: list[str] = []
    for record in records:
        if record["quantity"] != SCORE or record["printed"]:
            continue
        training = "" if record["training"] == "zero-shot" else f", {record['training']}"
        frame = f"{record['benchmark']}, {record['metric']}{training}"
        columns_shown = {
            record["source"]: record["source"],
            **dict.fromkeys((OTHERS, TARGETS), "mean of the others"),
            ALL: "mean of all",
        }
        shown = columns_shown.get(record["column"])
        title = shown and f"{frame}: {shown}"
        if title is not None:
            if title not in columns:
                columns.append(title)
            rows.setdefault(record["model"], {})[title] = figure(record)
    if not rows:
        return "No run has scores yet\n"
    header = ["encoder", *columns]
    body = [[model, *(cells.get(title, NOTHING) for title in columns)] for model, cells in rows.items()]
    return f"Fine-tuned on one language, tested on the others (all languages: table.md)\n\n{turned(header, body)}"


def turned(header: list[str], body: list[list[str]]) -> str:
    """A table with encoders in columns: there are more tasks than encoders."""
    whole = [header, *body]
    rows = [list(cells) for cells in zip(*whole, strict=True)]
    return WRITERS["markdown"](["test", *rows[0][1:]], rows[1:], left=1)


def figure(record: dict[str, Any]) -> str:
    """Mean and deviation over seeds, in per cent."""
    if record["value"] is None:
        return NOTHING
    deviation = "" if record["deviation"] is None or record["n"] < 2 else f" ± {record['deviation']:.1f}"
    return f"{record['value']:.1f}{deviation}"


def retrieval(found: dict[str, dict[str, Any]]) -> str:
    """Both directions of each pair, and their means over languages."""
    columns: dict[str, dict[str, float]] = {}
    for name, report in found.items():
        for direction, key in (("to English", "forward"), ("from English", "backward")):
            pairs = report.get("pairs", [report])  # a single pair is printed alone
            columns[f"{name}, {direction}"] = {pair["source"]: pair[key] for pair in pairs}
    languages = list(dict.fromkeys(language for column in columns.values() for language in column))
    rows = [[name, *(_shown(column.get(name)) for column in columns.values())] for name in languages]
    rows.append(["mean", *(_shown(sum(column.values()) / len(column)) for column in columns.values())])
    return f"Retrieval (Tatoeba), accuracy, %\n\n{WRITERS['markdown'](['', *columns], rows, left=1)}"


def _shown(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1f}"


if __name__ == "__main__":
    main()
