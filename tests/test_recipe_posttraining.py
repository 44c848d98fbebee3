"""The parts of recipes/{ppa,tpp,weam} that need no training; `make test-recipes` runs their stages."""

import re

import pytest

from tests.test_recipes import RECIPES, recipe

pytestmark = pytest.mark.skipif(not RECIPES.exists(), reason="no recipes beside this package")
ROWS = {
    "ppa": ["FULL", "NO_MOCO", "NO_TLM", "MLM"],  # PPA, Table 5, and without code-switching
    "tpp": ["TT", "WD", "WM", "BP", "ALL"],  # TPP, Table 3
    "weam": ["TLM", "WEAM", "WORDALIGN"],  # WEAM, Tables 1 and 2
}


@pytest.mark.parametrize("name", ROWS)
def test_the_command_of_each_row_of_a_papers_table_is_printed_before_anything_is_run(name):
    done = recipe(name, "--conf", "paper", "--dry-run")
    assert done.returncode == 0, done.stderr
    commands = dict(line.split(":  ", 1) for line in done.stdout.splitlines() if ":  recipes/" in line)
    cs = commands.pop("NO_CS", None)
    assert commands == {row: f"recipes/{name}/run.sh --conf paper --set ROWS={row}" for row in ROWS[name]}
    assert (cs is not None) == (name == "ppa")
    for command in [*commands.values(), *([cs.partition("#")[0].strip()] if cs else [])]:
        again = recipe(name, *command.split()[1:], "--dry-run")
        assert again.returncode == 0 and re.search(r"^\d+ models?, ", again.stdout, re.M), command
