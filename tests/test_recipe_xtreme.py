"""The parts of recipes/xtreme that need no training; `make test-recipes` runs its stages."""

import json
import os
import subprocess
import sys

import pytest

from fairseq_xalign.errors import UserError
from preprocess.corpora.catalogue import CORPORA
from tests.support.samples import write_lines
from tests.test_recipes import RECIPES, part, recipe

pytestmark = pytest.mark.skipif(not RECIPES.exists(), reason="no recipes beside this package")
ENCODERS = ("--set", "ENCODERS=e5=intfloat/multilingual-e5-small mini")


def test_seeds_are_for_the_tasks_that_are_to_have_several():
    done = recipe("xtreme", *ENCODERS, "--dry-run")
    assert done.returncode == 0, done.stderr
    lines = {line.split(":")[0]: line for line in done.stdout.splitlines()}
    assert lines["pos"] == "pos: ud from en, 2 passes in batches of 32, learning rate 1e-4, seeds 1 2 3"
    assert lines["ner"].endswith("seeds 1") and "uner from da" in lines["ner"]
    assert "2 encoders" in done.stdout and "\n24 runs" in done.stdout  # (2 tasks of 3 seeds, and 6) x 2 encoders
    done = recipe("xtreme", *ENCODERS, "--conf", "full", "--dry-run")
    assert done.returncode == 0 and "masakhaner from swa" in done.stdout and "\n150 runs" in done.stdout
    for said in (
        "panx: panx from en, 10 passes in batches of 32, learning rate 2e-5",
        "arcd: arcd from ar, 3 passes in batches of 16, learning rate 1e-4",
        "home-assistant: home-assistant-intents from en, 5 passes in batches of 32, learning rate 5e-5",
    ):
        assert f"\n{said}, seeds 1 2 3 4 5\n" in done.stdout


def test_every_task_is_documented_and_its_sets_are_those_that_fetch_knows():
    script = """NAME=xtreme CONFIG=full
        for part in options jobs training treebanks trainings transfer; do source recipes/lib/$part.sh; done
        parse_options; echo "$TASKS"; for task in $TASKS; do echo "$task" $(corpora_of "$task"); done"""
    environment = {**os.environ, "PYTHON": "true"}
    done = subprocess.run(["bash", "-c", script], text=True, capture_output=True, cwd=RECIPES.parent, env=environment)
    assert done.returncode == 0, done.stderr
    tasks, *lines = done.stdout.splitlines()
    corpora = {line.split()[0]: line.split()[1:] for line in lines}
    assert list(corpora) == tasks.split() and {name for names in corpora.values() for name in names} <= set(CORPORA)
    assert corpora["panx"] == ["wikiann"] and corpora["arcd"] == ["arcd", "xquad"]
    assert corpora["home-assistant"] == ["intents"]
    said = recipe("xtreme", "--help").stdout
    assert [task for task in corpora if task not in said] == []
    unknown = recipe("xtreme", *ENCODERS, "--set", "TASKS=chess", "--dry-run").stderr
    assert set(unknown.partition("there are: ")[2].split()) == set(corpora)


def test_a_set_of_which_only_a_part_is_on_this_machine_is_read_from_the_data_folder(tmp_path):
    cache, data = tmp_path / "cache", tmp_path / "data"
    folders = (cache / "squad", data / "qa" / "xquad", data / "ner" / "masakhaner", data / "ud" / "UD_German-PUD")
    for folder in folders:
        folder.mkdir(parents=True)
    script = """NAME=xtreme CONFIG=full
        for part in options jobs training treebanks trainings transfer; do source recipes/lib/$part.sh; done
        for name in squad xquad masakhaner arcd ud-german-pud; do corpus_folder $name || echo none; done"""
    environment = {**os.environ, "PYTHON": sys.executable, "XALIGN_CACHE": str(cache), "XALIGN_DATA": str(data)}
    done = subprocess.run(["bash", "-c", script], text=True, capture_output=True, cwd=RECIPES.parent, env=environment)
    assert done.stdout.splitlines() == [*map(str, folders[:3]), "none", "none"], done.stderr
    del environment["XALIGN_DATA"]
    done = subprocess.run(["bash", "-c", script], text=True, capture_output=True, cwd=RECIPES.parent, env=environment)
    assert done.stdout.splitlines() == [str(folders[0]), *["none"] * 4], done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "name an encoder: --set ENCODERS=FOLDER"),
        (["--set", "ENCODERS= "], "name an encoder: --set ENCODERS=FOLDER"),
        (["--set", "ENCODERS=e5="], "ENCODERS: a name without an encoder; write --set ENCODERS=NAME=FOLDER"),
        *(
            (["--set", f"ENCODERS=mini {given}"], f"ENCODERS: there is no {given.split('=')[-1]}; name a checkpoint")
            for given in ("e5=/no/e5", "./no-e5", "../no/e5", "checkpoint_last.pt", "runs/mine/e5")
        ),
        (["--set", "ENCODERS=a", "--set", "TASKS="], "TASKS is empty; name some"),
        (["--set", "ENCODERS=a/e5 b/e5"], "two encoders are called e5"),
        (["--set", "ENCODERS=a", "--set", "TASKS=pos chess"], "no task 'chess'; there are: pos ner"),
        (["--set", "ENCODERS=a", "--set", "TRAININGS=zero-shot tune"], "no training 'tune'; there are: zero-shot"),
        (["--set", "ENCODERS=a", "--set", "TRAININGS=in-language"], "in-language scores stand beside zero-shot ones"),
        (
            ["--set", "ENCODERS=a", "--set", "TRAININGS=feature-based in-language"],
            "in-language scores stand beside zero-shot ones",
        ),
        (["--set", "ENCODERS=a", "--set", "TRAININGS=translate-train"], "needs --set TRANSLATIONS=FOLDER"),
        (
            ["--set", "ENCODERS=a", "--set", "TRAININGS=translate-train", "--set", "TRANSLATIONS=mt"],
            "only the tasks xnli and squad have translated training sets",
        ),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_fetched(options, said, tmp_path):
    for more in ([], ["--dry-run"]):
        done = recipe("xtreme", *more, *options, "--work", str(tmp_path / "work"))
        assert done.returncode == 2 and said in done.stderr and not done.stdout
    assert not (tmp_path / "work").exists()


def test_ways_of_training_are_run_where_the_sets_have_examples_for_them():
    ways = "TRAININGS=zero-shot in-language few-shot joint feature-based translate-train translate-train-plain"
    options = (
        "--set",
        "TASKS=pos sentiment xnli panx home-assistant arcd",
        "--set",
        "TRANSLATIONS=mt",
        "--conf",
        "full",
        "--set",
        "SEEDS=1",
    )
    done = recipe("xtreme", "--set", "ENCODERS=a/e5", *options, "--set", ways, "--dry-run")
    assert done.returncode == 0, done.stderr
    said = [line.strip() for line in done.stdout.splitlines() if line.startswith("    trained ")]
    assert said == [
        "trained zero-shot feature-based",
        "trained zero-shot few-shot joint feature-based, and in-language",
        "trained zero-shot few-shot feature-based translate-train translate-train-plain, and in-language",
        "trained zero-shot few-shot joint feature-based, and in-language",
        "trained zero-shot few-shot joint feature-based, and in-language",
        "trained zero-shot feature-based",
    ]
    assert "\n21 runs" in done.stdout


def labelled(folder, **files):
    folder.mkdir(parents=True)
    about = {"format": 1, "task": "classification", "labels": ["a", "b"], "name": "classification"}
    (folder / "labels.json").write_text(json.dumps(about), "utf-8")
    for name, count in files.items():
        rows = [{"id": str(n), "text": f"{name} {n}", "label": "ab"[n % 2]} for n in range(count)]
        write_lines(folder / f"{name.replace('_', '.')}.jsonl", [json.dumps(row) for row in rows])


def test_a_joined_folder_has_the_parts_asked_for_with_ids_of_their_own(tmp_path):
    join = part("join_labelled").join
    labelled(tmp_path / "one", train_en=5, valid_en=3, test_en=2)
    labelled(tmp_path / "two", test_en=4, test_de=4)
    parts = ["train.en=one/train.en[:2]", "train.en=one/valid.en[:0]", "test.en=one/test.en", "test=two/test"]
    counts = join(tmp_path / "joined", parts, tmp_path, "one")
    assert counts == {"train.en": 5, "test.en": 2, "test.de": 4}
    rows = [json.loads(line) for line in (tmp_path / "joined" / "train.en.jsonl").read_text("utf-8").splitlines()]
    assert [row["id"] for row in rows] == ["train:0", "train:1", "valid:0", "valid:1", "valid:2"]
    about = json.loads((tmp_path / "joined" / "labels.json").read_text("utf-8"))
    assert about["set"] == "one" and about["labels"] == ["a", "b"]
    with pytest.raises(UserError, match="is not SPLIT.LANG=SET/SPLIT.LANG"):
        join(tmp_path / "bad", ["train.en=one/train"], tmp_path, "one")
    assert not (tmp_path / "bad").exists()


def test_the_summary_has_the_source_the_mean_of_the_others_and_both_directions_of_retrieval(tmp_path):
    def cell(column, value, deviation=None, training="zero-shot"):
        return {
            "benchmark": "ud", "metric": "accuracy", "source": "en", "training": training, "quantity": "score",
            "printed": None, "model": "e5", "column": column, "value": value, "deviation": deviation, "n": 3,
        }  # fmt: skip

    cells = [cell("en", 96.39, 0.1), cell("de", 89.1), cell("AVG(all)", 90.0), cell("AVG(zero-shot)", 74.42, 0.25)]
    cells.append(cell("en", 97.0, training="joint"))
    (tmp_path / "table.json").write_text(json.dumps({"cells": cells}), "utf-8")
    pairs = [{"source": "deu", "forward": 98.5, "backward": 97.0}, {"source": "tur", "forward": 92.5, "backward": 91.0}]
    (tmp_path / "retrieval").mkdir()
    (tmp_path / "retrieval" / "e5.json").write_text(json.dumps({"pairs": pairs}), "utf-8")
    (tmp_path / "retrieval" / "mini.json").write_text(json.dumps(pairs[1]), "utf-8")
    script = RECIPES / "lib" / "transfer_table.py"
    files = ["--table", tmp_path / "table.json", "--retrieval", tmp_path / "retrieval", "--output", tmp_path / "out.md"]
    done = subprocess.run([sys.executable, script, *files], capture_output=True, text=True, cwd=RECIPES.parent)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out.md").read_text("utf-8")
    assert "| ud, accuracy: en | 96.4 ± 0.1 |" in text and "| ud, accuracy: mean of the others | 74.4 ± 0.2 |" in text
    assert "| ud, accuracy, joint: en | 97.0 |" in text and "Runs without scores" not in text
    assert "| deu | 98.5 | 97.0 | – | – |" in text and "| mean | 95.5 | 94.0 | 92.5 | 91.0 |" in text


def test_runs_that_failed_are_named_in_the_summary_even_if_all_did(tmp_path):
    (tmp_path / "table.json").write_text('{"cells": []}', "utf-8")
    files = ["--table", tmp_path / "table.json", "--retrieval", tmp_path / "none", "--output", tmp_path / "out.md"]
    script, failed = RECIPES / "lib" / "transfer_table.py", "e5/pos.seed1 e5/pos.seed2"
    done = subprocess.run([sys.executable, script, *files, "--without-scores", failed], cwd=RECIPES.parent)
    assert done.returncode == 0
    text = (tmp_path / "out.md").read_text("utf-8")
    assert text == f"No run has scores yet\n\nRuns without scores: {failed}\n"
