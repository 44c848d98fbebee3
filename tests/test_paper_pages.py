"""The pages on papers print the papers' figures, and those of our own results, as their sources have them."""

from __future__ import annotations

import csv
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PRINTED = ROOT / "fairseq_xalign" / "evaluate" / "papers"


def cells(page: str, heading: str, row: str) -> list[str]:
    """The cells of the table row that begins with ``row``, below a heading of a page of the documentation."""
    section = (ROOT / "docs" / page).read_text("utf-8").split(f" {heading}\n", 1)[1]
    return [cell.strip() for cell in re.search(rf"^\| {re.escape(row)} \|(.*)\|$", section, re.M)[1].split("|")]


def printed(paper: str, **wanted: str) -> list[str]:
    """The values of the rows of a paper's results that have these entries, in the paper's order."""
    with open(PRINTED / f"{paper}.csv", encoding="utf-8") as file:
        return [
            row["value"] for row in csv.DictReader(file) if all(row[name] == value for name, value in wanted.items())
        ]


def test_align_mlm_is_set_beside_table_3_and_our_results():
    for objective in ("MLM", "XLM", "DICT-MLM", "ALIGN-MLM"):
        here = cells("papers/align-mlm.md", "The paper's table beside ours", objective)
        assert here[:3] == printed("align_mlm", table="3", task="POS", condition="Trans+Inv", model=objective)
        variant = " (input variant)" if objective == "DICT-MLM" else ""
        measured = cells("results.md", "On a GPU, with the paper's dictionary", objective + variant)
        sup, zs = (re.search(r"\(([\d.]+)\)", cell)[1] for cell in measured[1:3])
        assert here[3:] == [sup, zs, f"{float(sup) - float(zs):.1f}"]


def test_mmte_is_set_beside_table_4():
    for condition in ("in-language", "zero-shot"):
        for model in ("mBERT", "MMTE"):
            here = cells("papers/mmte.md", "Intents (Table 4)", f"{condition}, {model}")
            assert here == printed("mmte", table="4", condition=condition, model=model)
