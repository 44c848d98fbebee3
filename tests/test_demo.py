"""The demo recipe from text to table, at the smallest scale: every stage, and a second run that does nothing again."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.warm import warm_python

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "recipes" / "demo" / "run.sh"
TEXT = Path(__file__).parent / "data" / "text.en.txt"
SETTINGS = """
TRANSFORMS="trans,inv" OBJECTIVES="mlm align_mlm" SEEDS="1" DICTIONARIES="frequent" NATURAL=""
ARCH=xalign_tiny VOCABULARY=300 LINES=200 VALID_LINES=30 BLOCK=32 BATCH=8 UPDATES=4 LEARNING_RATE=1e-3 MASK=0.3
PARALLEL_SHARES=0.25 DICTIONARY_SHARES=0.25 DICT_TARGET=label TAG_UPDATES=3 TAG_LEARNING_RATE=1e-3 TAG_BATCH=8
"""

pytestmark = pytest.mark.skipif(not RECIPE.exists(), reason="no recipes beside this package")


def recipe(*options: object, **environment: str) -> subprocess.CompletedProcess:
    variables = {**os.environ, "PYTHON": warm_python(), **environment}
    command = ["bash", str(RECIPE), *map(str, options)]
    return subprocess.run(command, env=variables, text=True, capture_output=True, timeout=400, cwd="/")


def conllu(lines: list[str]) -> str:
    """A treebank of the lines' words, each with a tag."""
    rows = []
    for line in lines:
        for number, word in enumerate(line.split(), 1):
            rows.append(f"{number}\t{word}\t_\t{'NOUN' if number % 2 else 'X'}\t_\t_\t0\t_\t_\t_")
        rows.append("")
    return "\n".join(rows) + "\n"


def intents(lines: list[str]) -> str:
    """A table of the lines, each with a label."""
    return "".join(f"{'long' if len(line) > 60 else 'short'}\t{' '.join(line.split())}\n" for line in lines)


def prepared(folder: Path, labels: str = "tiny-treebank", settings: str = SETTINGS) -> tuple[Path, dict[str, str]]:
    """A cache with a text and a labelled corpus, and a configuration file."""
    lines = [line for line in TEXT.read_text("utf-8").splitlines() if line]
    (folder / "cache" / "sotu").mkdir(parents=True)
    (folder / "cache" / "sotu" / "text.en.txt").write_text("\n".join(lines) + "\n", "utf-8")
    corpus = folder / "cache" / labels
    corpus.mkdir()
    write, suffix = (intents, "tsv") if labels == "intents" else (conllu, "conllu")
    for split, part in (("train", lines[:60]), ("valid", lines[60:80]), ("test", lines[80:100])):
        (corpus / f"{split}.en.{suffix}").write_text(write(part), "utf-8")
    (folder / "demo").mkdir()
    (folder / "demo" / "labels").write_text(f"{labels}\n", "utf-8")
    (folder / "smallest.sh").write_text(settings, "utf-8")
    return folder / "smallest.sh", {"XALIGN_CACHE": str(folder / "cache")}


def test_the_demo_ends_in_a_table_and_a_plot_and_a_second_run_skips_what_is_done(tmp_path):
    settings, environment = prepared(tmp_path)
    first = recipe("--conf", settings, "--work", tmp_path / "demo", "--stage", 1, **environment)
    assert first.returncode == 0, first.stderr[-3000:]
    runs = tmp_path / "demo" / "runs" / "en_transinv"
    for name in ("mlm.seed1", "align_mlm.frequent.seed1"):
        result = json.loads((runs / name / "result.json").read_text("utf-8"))
        assert set(result["scores"]) == {"source", "zs", "sup"} and "all" in result["alignment"]
    for name in ("table.csv", "table.md", "table.json", "transfer.png", "transfer.svg", "alignment.png"):
        assert (tmp_path / "demo" / name).stat().st_size > 100
    for said in ("ZS", "--paper align_mlm", "your own languages", "the paper's scale"):
        assert said in first.stdout
    assert result["settings"]["benchmark"] == "tiny-treebank"
    trained = {p: p.stat().st_mtime_ns for p in runs.rglob("*.pt")}
    second = recipe("--conf", settings, "--work", tmp_path / "demo", "--stage", 1, **environment)
    assert second.returncode == 0 and {p: p.stat().st_mtime_ns for p in runs.rglob("*.pt")} == trained


def test_without_a_treebank_the_demo_transfers_intents(tmp_path):
    settings, environment = prepared(tmp_path, "intents", SETTINGS.replace('"mlm align_mlm"', '"align_mlm"'))
    done = recipe("--conf", settings, "--work", tmp_path / "demo", "--stage", 1, **environment)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(
        (tmp_path / "demo" / "runs" / "en_transinv" / "align_mlm.frequent.seed1" / "result.json").read_text("utf-8")
    )
    assert result["task"] == "classification" and set(result["scores"]) == {"source", "zs", "sup"}
    labelled = tmp_path / "demo" / "en_transinv" / "labelled"
    assert json.loads((labelled / "labels.json").read_text("utf-8"))["labels"] == ["long", "short"]


def test_a_failed_training_stops_the_recipe_and_names_the_log(tmp_path):
    settings, environment = prepared(tmp_path)
    settings.write_text(SETTINGS.replace("BLOCK=32", "BLOCK=2"), "utf-8")
    done = recipe("--conf", settings, "--work", tmp_path / "demo", "--stage", 1, "--stop-stage", 4, **environment)
    assert done.returncode == 1 and "--tokens-per-sample 2 is too small" in done.stderr and "train.log" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"), [(["--conf", "nope"], "there are: demo first full"), (["--what"], "unknown option")]
)
def test_wrong_options_are_answered_with_the_right_ones(options, said):
    done = recipe(*options)
    assert done.returncode == 2 and said in done.stderr


def test_a_dry_run_says_what_it_would_take(tmp_path):
    done = recipe("--conf", "full", "--dry-run", "--work", tmp_path / "none")
    assert done.returncode == 0 and "minutes" in done.stdout and not (tmp_path / "none").exists()
