"""`docs/reliability.md` names a test for every row, and each of these tests exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reliability.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def test_every_row_names_tests_and_all_of_them_exist():
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.endswith("| Test |") and "| --- |" not in row]
    assert len(rows) > 25
    for row in rows:
        named = NAMED.findall(row.rsplit("|", 2)[1])
        assert named, f"no test in this row: {row}"
        for file, name in named:
            tree = ast.parse((ROOT / file).read_text("utf-8"))
            assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{file}::{name}"
