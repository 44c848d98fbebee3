"""Few-shot transfer and one model for all languages (MMTE, Tables 8 and 9) in real runs of ``fairseq-train``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fairseq_xalign.evaluate.__main__ import main as evaluate
from tests.support.running import finetune, pretrain, same_weights

FEW = ["--few-shot-languages", "xx", "--few-shot-examples", 3, "--few-shot-upsample", 50]


@pytest.fixture(scope="module")
def begin(data, tmp_path_factory):
    """A checkpoint of two updates."""
    run = pretrain(data, tmp_path_factory.mktemp("begin"), "mlm", 2)
    assert run.status == 0, run.text[-2000:]
    return run.save_dir


@pytest.fixture(scope="module")
def named(labelled, tmp_path_factory) -> Path:
    """The labelled folder with ids that name the split."""
    folder = tmp_path_factory.mktemp("named")
    for file in labelled.glob("*.jsonl"):
        split, language, _ = file.name.split(".")
        rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        changed = [row | {"id": f"{split}-{language}-{i}"} for i, row in enumerate(rows)]
        write(folder / file.name, changed)
    (folder / "labels.json").write_bytes((labelled / "labels.json").read_bytes())
    return folder


def write(file: Path, rows: list[dict]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def with_other_tags(folder: Path, to: Path, change) -> Path:
    """A copy in which the rows of ``train.xx`` whose id fulfils ``change`` have other tags."""
    to.mkdir()
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    rows = [json.loads(line) for line in (folder / "train.xx.jsonl").read_text("utf-8").splitlines()]
    write(
        to / "train.xx.jsonl", [row | {"tags": ["X"] * len(row["tags"])} if change(row["id"]) else row for row in rows]
    )
    return to


@pytest.fixture(scope="module")
def few(named, begin, tmp_path_factory):
    run = finetune(named, begin, tmp_path_factory.mktemp("few"), "tagging", 6, *FEW)
    assert run.status == 0, run.text[-2000:]
    return run


def test_the_examples_come_from_train_and_are_named_in_log_and_checkpoint(few, named, begin, tmp_path, capsys):
    state = few.checkpoint()["task_state"]
    drawn = state["few_shot"]["ids"]["xx"]
    assert len(set(drawn)) == 3 and all(name.startswith("train-xx-") for name in drawn)
    assert state["train_languages"] == ["en"]
    assert "train xx: few-shot, 3 of 240 rows, drawn with seed 1 and repeated to 50" in few.text
    assert "valid xx" not in few.text, "a few examples do not make a language one to choose checkpoints by"
    other = finetune(named, begin, tmp_path, "tagging", 1, *FEW, "--seed", 7)
    assert other.checkpoint()["task_state"]["few_shot"]["ids"]["xx"] == drawn, "--seed has no part in it"
    assert evaluate(["info", str(few.save_dir), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["few_shot"]["upsample"] == 50


def test_no_other_example_of_the_language_is_read(few, named, begin, tmp_path):
    drawn = few.checkpoint()["task_state"]["few_shot"]["ids"]["xx"]
    others = with_other_tags(named, tmp_path / "others", lambda name: name not in drawn)
    run = finetune(others, begin, tmp_path / "a", "tagging", 6, *FEW)
    assert run.losses() == few.losses() and same_weights(run, few)
    theirs = with_other_tags(named, tmp_path / "theirs", lambda name: name in drawn)
    run = finetune(theirs, begin, tmp_path / "b", "tagging", 6, *FEW)
    assert run.losses() != few.losses()


def test_few_shot_training_resumes_bit_for_bit_and_only_with_the_same_examples(few, named, begin, tmp_path):
    finetune(named, begin, tmp_path, "tagging", 3, *FEW)
    other = finetune(named, begin, tmp_path, "tagging", 6, *FEW, "--few-shot-seed", 2)
    assert other.status == 1 and "--few-shot-languages" in other.text.rstrip().splitlines()[-1], other.text[-1500:]
    second = finetune(named, begin, tmp_path, "tagging", 6, *FEW)
    assert second.losses() == few.losses()[3:] and same_weights(second, few)


def test_one_model_for_all_languages(named, begin, tmp_path):
    run = finetune(named, begin, tmp_path, "tagging", 2, "--train-languages", "all")
    assert run.status == 0, run.text[-2000:]
    assert run.checkpoint()["task_state"]["train_languages"] == ["en", "xx"]
    assert {"valid_accuracy_en", "valid_accuracy_xx"} <= run.records("valid")[-1].keys()


def test_all_few_shot_languages_are_those_that_are_not_trained_on(named, begin, tmp_path):
    options = ["--few-shot-languages", "all", "--few-shot-examples", 2, "--few-shot-upsample", 4]
    run = finetune(named, begin, tmp_path, "tagging", 1, *options, "--valid-languages", "all")
    assert run.status == 0, run.text[-2000:]
    assert list(run.checkpoint()["task_state"]["few_shot"]["ids"]) == ["xx"]
    assert {"valid_accuracy_en", "valid_accuracy_xx"} <= run.records("valid")[-1].keys()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--few-shot-languages", "zz"], "--few-shot-languages zz: no train examples in 'zz'"),
        (["--few-shot-languages", "en"], "--few-shot-languages en: all examples in 'en' are trained on"),
        (["--few-shot-languages", "all", "--train-languages", "all"], "all: there is no further language"),
        (["--few-shot-languages", "xx", "--few-shot-examples", 241], "train.xx.jsonl: 240 rows, fewer than --few-shot"),
        (["--few-shot-languages", "xx", "--few-shot-upsample", 3], "--few-shot-upsample 3 is below"),
        (["--few-shot-languages", "xx", "--train-subset", "test"], "--train-subset test is not for training"),
    ],
)
def test_a_mistake_is_one_line(named, begin, tmp_path, options, said):
    run = finetune(named, begin, tmp_path, "tagging", 2, *options)
    assert run.status == 1 and said in run.text.rstrip().splitlines()[-1], run.text[-1500:]
