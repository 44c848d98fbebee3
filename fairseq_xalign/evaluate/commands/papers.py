"""Print the results that the papers report.

TABLE is a paper (align_mlm, mmte, ppa, tpp, weam), or a paper and a table number, as in align_mlm.3. Without TABLE, the
available tables are listed. CSV and JSON give one record per printed cell; an empty value is a dash in print. The
other formats have one column per task, metric and language; a table that would be mostly empty so is printed as one for
each task and condition.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from fairseq_xalign.evaluate.papers import PAPERS, cells, parts_of, pivot, table_names
from fairseq_xalign.evaluate.report.tables import FORMATS, WRITERS, csv_text, deliver, json_text

EXAMPLE = """examples:
  xalign-evaluate papers align_mlm.3
  xalign-evaluate papers tpp.2 --format csv"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate papers``."""
    parser.add_argument("table", nargs="?", metavar="TABLE", help="Paper or table to print (default: list them).")
    parser.add_argument("--format", choices=FORMATS, default="text", help="Output format (default: %(default)s).")
    parser.add_argument("--output", metavar="FILE", help="File to write to (default: standard output).")


def run(args: argparse.Namespace) -> None:
    """List the tables, or print one."""
    deliver(print_table(args.table, args.format), args.output)


def print_table(table: str | None = None, form: str = "text") -> str:
    """A paper's table, all tables of a paper, or without ``table`` the list of them, in one of ``tables.FORMATS``.

    Raises:
        UserError: unknown paper or table.
    """
    if table is None:
        if form == "json":
            return json_text({paper: table_names(paper) for paper in PAPERS})
        return "".join(f"{paper}: {title}\n    {' '.join(table_names(paper))}\n" for paper, title in PAPERS.items())
    chosen = cells(table)
    if form in ("csv", "json"):
        records = [asdict(cell) for cell in chosen]
        return csv_text(records) if form == "csv" else json_text(records)
    parts = []
    for name in dict.fromkeys(cell.table for cell in chosen):
        title = f"{chosen[0].paper}, Table {name}" if name[0].isdigit() else f"{chosen[0].paper}, {name}"
        for part in parts_of([cell for cell in chosen if cell.table == name]):
            about = f": {part[0].task}, {part[0].condition}" if len(part) < sum(c.table == name for c in chosen) else ""
            columns, rows = pivot(part)
            parts.append(f"{title}{about}\n\n" + WRITERS[form](columns, rows, left=2))
    return "\n".join(parts)
