"""Fine-tuning that is killed resumes bit for bit, its loss curves stay, and only right labels are learned."""

import json
import random
import shutil
import signal
from collections import Counter

import pytest

from fairseq_xalign.evaluate.__main__ import main as evaluate
from tests.support.running import Run, finetune, pretrain, same_optimizer, same_weights, start_finetuning
from tests.support.trainings import wait
from tests.tasks.conftest import TEXT
from tests.tasks.conftest import run as preprocess

TASKS = ("tagging", "classification")
SAVED, KILLED, END = 4, 5, 9
ORDER = ["--updates-per-epoch", 6, "--lr", "0.002", "--dropout", "0.1", "--head-dropout", "0.2"]


@pytest.fixture(scope="module")
def begin(data, tmp_path_factory):
    """The checkpoint that fine-tuning starts from; two updates old."""
    run = pretrain(data, tmp_path_factory.mktemp("begin"), "mlm", 2)
    assert run.status == 0, run.text[-2000:]
    return run.save_dir


@pytest.fixture(scope="module")
def folders(labelled, tmp_path_factory):
    """A labelled folder a task; texts are classified by their length."""
    root = tmp_path_factory.mktemp("texts")
    lines = [line for line in TEXT.read_text("utf-8").splitlines() if line]
    for split, part in (("train", lines[:200]), ("valid", lines[200:])):
        rows = [f"{'long' if len(line) > 150 else 'short'}\t{line}" for line in part]
        (root / f"{split}.en.tsv").write_text("\n".join(rows) + "\n", "utf-8")
    preprocess("benchmark", "classification", "--from", root, "--output", root / "LABELLED")
    return {"tagging": labelled, "classification": root / "LABELLED"}


@pytest.fixture(scope="module")
def uninterrupted(folders, begin, tmp_path_factory):
    """One whole run per task."""
    runs = {task: finetune(folders[task], begin, tmp_path_factory.mktemp(task), task, END, *ORDER) for task in TASKS}
    assert [run.status for run in runs.values()] == [0, 0], [run.text[-3000:] for run in runs.values()]
    return runs


@pytest.mark.parametrize("task", TASKS)
def test_killed_and_resumed_fine_tuning_equals_one_that_never_stopped_bit_for_bit(
    folders, begin, tmp_path, uninterrupted, task
):
    whole = uninterrupted[task]
    options = [*ORDER, "--save-interval-updates", SAVED, "--keep-interval-updates", 1]
    killed = start_finetuning(folders[task], begin, tmp_path, task, END, *options, kill_at=KILLED)
    assert wait(killed, 120) == -signal.SIGKILL
    first = Run(-signal.SIGKILL, tmp_path / "log.0", tmp_path / "checkpoints")
    second = finetune(folders[task], begin, tmp_path, task, END, *ORDER)
    assert second.status == 0, second.text[-3000:]
    assert len(second.losses()) == END - SAVED, "it went on from the checkpoint"
    assert first.losses()[:SAVED] + second.losses() == whole.losses()
    assert same_weights(second, whole) and same_optimizer(second, whole)


def test_two_epochs_are_two_passes_over_the_200_texts(folders, begin, tmp_path):
    options = ["--max-epoch", 2, "--batch-size", 20]
    run = finetune(folders["classification"], begin, tmp_path / "passes", "classification", 1000, *options)
    assert run.status == 0, run.text[-2000:]
    assert [record["epoch"] for record in run.records("train_inner")] == [1] * 10 + [2] * 10


# Golden curves, as in test_align_mlm.py: losses (base 2) of the first nine updates.
GOLDEN = {
    "tagging": [4.081, 4.035, 3.984, 3.923, 3.891, 3.829, 3.798, 3.682, 3.627],
    "classification": [1.075, 0.96, 0.876, 0.796, 0.734, 0.627, 1.65, 0.626, 0.537],
}
TOLERANCE = 0.02


@pytest.mark.parametrize("task", TASKS)
def test_loss_curves_of_fine_tuning_stay_as_they_were(uninterrupted, task):
    assert uninterrupted[task].losses() == pytest.approx(GOLDEN[task], abs=TOLERANCE)


def shuffle_tags(file) -> None:
    """Give every word of a file the tag of another word, drawn at random: frequencies stay."""
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    tags = [tag for row in rows for tag in row["tags"]]
    random.Random(1).shuffle(tags)
    for row in rows:
        row["tags"] = [tags.pop() for _ in row["tags"]]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def test_a_tagger_beats_the_most_frequent_tag_with_right_labels_and_not_with_shuffled_ones(labelled, begin, tmp_path):
    shuffled = shutil.copytree(labelled, tmp_path / "SHUFFLED")
    shuffle_tags(shuffled / "train.en.jsonl")
    accuracy = {}
    for name, folder in (("right", labelled), ("shuffled", shuffled)):
        run = finetune(folder, begin, tmp_path / name, "tagging", 150, "--train-languages", "en")
        assert run.status == 0, run.text[-2000:]
        predicted = tmp_path / f"{name}.jsonl"
        arguments = ["predict", "--checkpoint", run.save_dir, "--data", labelled, "--languages", "en"]
        assert evaluate([*map(str, arguments), "--split", "test", "--output", str(predicted)]) == 0
        rows = [json.loads(line) for line in predicted.read_text("utf-8").splitlines()]
        gold = [tag for row in rows for tag in row["gold"]]
        found = [tag for row in rows for tag in row["prediction"]]
        accuracy[name] = 100 * sum(a == b for a, b in zip(gold, found, strict=True)) / len(gold)
    most_frequent = 100 * Counter(gold).most_common(1)[0][1] / len(gold)
    assert accuracy["right"] > most_frequent + 20, (accuracy, most_frequent)
    assert accuracy["shuffled"] <= most_frequent + 1, (accuracy, most_frequent)
