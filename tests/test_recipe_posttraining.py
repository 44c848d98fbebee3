"""The parts of recipes/{ppa,tpp,weam} that need no training; `make test-recipes` runs their stages."""

import json
import re
import subprocess

import pytest

from tests.test_recipes import RECIPES, ROOT, part, recipe

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


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "\n13 models"),
        (["--set", "ROWS=TT"], "\n3 models"),
        (["--set", "ROWS=ALL", "--set", "SEEDS=1 2"], "\n2 models"),
    ],
    ids=["all", "one", "all languages, two seeds"],
)
def test_a_row_of_tpp_is_one_setting(rows, said):
    """Table 3: a model for each corpus and language, for each language's chain of corpora, and one of all languages."""
    done = recipe("tpp", "--conf", "paper", *rows, "--dry-run")
    assert done.returncode == 0 and said in done.stdout, done.stderr


def test_the_table_of_further_training_has_the_gain_of_each_language_over_seeds(tmp_path):
    table = part("posttraining_table")

    def write(name, **means):
        pairs = [{"source": language, "target": "en", "mean": mean} for language, mean in means.items()]
        report = {"pairs": pairs} if len(pairs) > 1 else pairs[0]
        (tmp_path / f"{name}.json").write_text(json.dumps(report), "utf-8")

    write("start", de=40.0, ru=5.0)
    write("ALL.seed1", de=50.0, ru=6.0)
    write("ALL.seed2", de=54.0, ru=4.0)
    write("TT.de.seed1", de=60.5)
    lines = table.retrieval_table(table.accuracies(tmp_path)).splitlines()
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in [lines[0], *lines[2:]]] == [
        ["encoder", "de", "ru"],
        ["start", "40.0", "5.0"],
        ["ALL", "52.0 ± 2.8 (+12.0)", "5.0 ± 1.4 (+0.0)"],
        ["TT", "60.5 (+20.5)", "–"],
    ]


def test_the_table_of_further_training_says_that_a_stage_was_left_out(tmp_path, monkeypatch):
    table = part("posttraining_table")
    (tmp_path / "start.json").write_text(json.dumps({"source": "de", "target": "en", "mean": 40.0}), "utf-8")
    output = tmp_path / "table.md"
    arguments = ["--retrieval", tmp_path, "--zero-shot", tmp_path / "summary.md", "--output", output]
    monkeypatch.setattr("sys.argv", ["posttraining_table.py", *map(str, arguments)])
    table.main()
    assert "| start | 40.0 |" in output.read_text("utf-8") and "run stage 5" in output.read_text("utf-8")
    (tmp_path / "summary.md").write_text("the scores\n", "utf-8")
    table.main()
    assert output.read_text("utf-8").endswith("the scores\n")


@pytest.mark.parametrize(("name", "row"), [("ppa", "NOTLM"), ("ppa", "NO-TLM"), ("tpp", "ALL,BP"), ("weam", "weam")])
def test_a_row_that_nothing_describes_is_refused(name, row):
    done = recipe(name, "--set", f"ROWS={row}", "--dry-run")
    assert done.returncode == 2 and f"no row '{row}'; there are: " in done.stderr


@pytest.mark.parametrize(
    ("start", "said"),
    [("", "name an encoder: --set START=FOLDER"), ("/no/such/encoder", "START: there is no /no/such/encoder; name a")],
)
def test_further_training_of_no_encoder_is_refused(start, said):
    done = recipe("tpp", "--set", f"START={start}", "--dry-run")
    assert done.returncode == 2 and said in done.stderr and not done.stdout


def test_rows_with_links_of_their_own_have_data_of_their_own():
    script = f"""cd {ROOT}; NAME=weam CONFIG=demo
        for part in options jobs training treebanks transfer posttraining; do source recipes/lib/$part.sh; done
        parse_options --work W; ROWS="TLM WEAM WORDALIGN"; each_data echo; data_of ui+verses WORDALIGN"""
    done = subprocess.run(["bash", "-c", script], text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["ui+verses TLM", "ui+verses WORDALIGN", "W/data/ui_verses.last"]
