"""What decides when a run stops is kept: an interrupted run ends where one that never stopped does."""

import os
import re
import signal
import time

import pytest

from tests.support.running import Run, pretrain, same_weights, start
from tests.support.trainings import wait

EPOCHS = ["--updates-per-epoch", 2]
PATIENCE = [*EPOCHS, "--patience", 3, "--lr", "1e-12"]


def stopped_at(run: Run) -> list[int]:
    """The epochs at whose end validation took place."""
    return [record["epoch"] for record in run.records("valid")]


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A run that stops early: nothing improves after the first validation."""
    run = pretrain(data, tmp_path_factory.mktemp("whole"), "mlm", 1000, *PATIENCE)
    assert run.status == 0 and "early stop" in run.text, run.text[-2000:]
    return run


@pytest.mark.parametrize("interrupted", [1, 2, 3])
def test_patience_counts_on_after_an_interruption(data, tmp_path, whole, interrupted):
    first = pretrain(data, tmp_path, "mlm", 1000, *PATIENCE, "--max-epoch", interrupted)
    second = pretrain(data, tmp_path, "mlm", 1000, *PATIENCE)
    assert [first.status, second.status] == [0, 0], second.text[-2000:]
    assert stopped_at(first) + stopped_at(second) == stopped_at(whole) == [1, 2, 3, 4]
    assert same_weights(second, whole)


FINISHED = [
    (PATIENCE, "the last 3 validations brought no improvement (--patience 3)"),
    ([*EPOCHS, "--max-epoch", 2], "2 epochs are done (--max-epoch)"),
    ([*EPOCHS, "--max-update", 3], "3 of 3 updates are done (--max-update)"),
    ([*EPOCHS, "--stop-min-lr", "1", "--lr", "0.5"], "the learning rate has reached --stop-min-lr"),
]


@pytest.mark.parametrize(("options", "why"), FINISHED, ids=lambda value: value[-2] if isinstance(value, list) else "")
def test_a_finished_run_started_again_says_that_nothing_is_left_to_do_and_why(data, tmp_path, options, why):
    assert pretrain(data, tmp_path, "mlm", 1000, *options).status == 0
    file = tmp_path / "checkpoints" / "checkpoint_last.pt"
    before = file.read_bytes() if file.exists() else b""
    again = pretrain(data, tmp_path, "mlm", 1000, *options)
    assert again.status == 0 and f"nothing is left to do: {why}" in again.text, again.text[-1500:]
    assert not again.losses() and (file.read_bytes() if file.exists() else b"") == before


def test_more_patience_lets_a_finished_run_go_on(data, tmp_path):
    assert pretrain(data, tmp_path, "mlm", 1000, *PATIENCE).status == 0
    more = pretrain(data, tmp_path, "mlm", 1000, *PATIENCE, "--patience", 4)
    assert more.status == 0 and stopped_at(more) == [5]


def test_the_best_value_of_another_metric_is_not_taken_up(data, tmp_path):
    """An alignment of 0.2 would never be improved by a loss of 9."""
    other = ["--best-checkpoint-metric", "alignment", "--maximize-best-checkpoint-metric"]
    assert pretrain(data, tmp_path, "mlm", 1000, *EPOCHS, "--max-epoch", 1, *other).status == 0
    run = pretrain(data, tmp_path, "mlm", 1000, *EPOCHS, "--max-epoch", 2)
    assert run.status == 0 and float(run.records("valid")[-1]["valid_loss"]) > 5
    assert run.checkpoint("checkpoint_best.pt")["extra_state"]["train_iterator"]["epoch"] == 3


def _signal_at(update: int, module: str, arguments: list[str]) -> None:
    """As ``command``, but SIGTERM comes in the middle of an update."""
    from fairseq.trainer import Trainer

    from tests.support.trainings import command

    original = Trainer.train_step

    def train_step(self, samples, *rest):
        if self.get_num_updates() == update:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, samples, *rest)

    Trainer.train_step = train_step
    command(module, arguments)


@pytest.mark.parametrize("update", [3, 4], ids=["last update of an epoch", "first update of an epoch"])
def test_a_validation_that_a_signal_prevented_is_made_up_for(data, tmp_path, whole, update, monkeypatch):
    monkeypatch.setattr("tests.support.running.killed_command", _signal_at)
    process = start(data, tmp_path, "mlm", 1000, *PATIENCE, kill_at=update)
    assert wait(process, 120) == 1, (tmp_path / "log.0").read_text()
    first = Run(1, tmp_path / "log.0", tmp_path / "checkpoints")
    second = pretrain(data, tmp_path, "mlm", 1000, *PATIENCE)
    assert second.status == 0 and same_weights(second, whole), second.text[-2000:]
    assert len(first.records("valid") + second.records("valid")) == 4
    assert len(first.losses() + second.losses()) == len(whole.losses()) == 8


def test_a_schedule_that_follows_validation_goes_on_as_if_never_stopped(data, tmp_path):
    """fairseq saves the checkpoint before the schedule's step, and resumes without it."""
    options = [*EPOCHS, "--lr-scheduler", "reduce_lr_on_plateau", "--lr-shrink", "0.5", "--lr", "1e-6"]
    whole = pretrain(data, tmp_path / "whole", "mlm", 1000, *options, "--max-epoch", 4)
    for epochs in (1, 2, 3, 4):
        run = pretrain(data, tmp_path / "parts", "mlm", 1000, *options, "--max-epoch", epochs)
        assert run.status == 0, run.text[-2000:]
    rates = [[record["lr"] for record in r.records("train_inner")][-2:] for r in (whole, run)]
    assert rates[0] == rates[1] and float(rates[0][0]) < 1e-6


def test_two_trainings_in_one_folder_are_refused_by_name_and_the_first_is_not_disturbed(data, tmp_path):
    first = start(data, tmp_path, "mlm", 100000)
    log = tmp_path / "log.0"
    deadline = time.monotonic() + 120
    while "train_inner" not in (log.read_text() if log.exists() else ""):
        assert time.monotonic() < deadline and first.is_alive(), log.read_text()
        time.sleep(0.05)
    second = pretrain(data, tmp_path / "other", "mlm", 5, "--save-dir", tmp_path / "checkpoints")
    said = second.text.splitlines()[-1]
    assert second.status == 1 and "Traceback" not in second.text
    assert re.search(
        rf"another training run writes into this folder \(process {first.pid} on \S+, since \d{{4}}-", said
    ), said
    os.kill(first.pid, signal.SIGKILL)
    wait(first)
    third = pretrain(data, tmp_path / "third", "mlm", 2, "--save-dir", tmp_path / "checkpoints")
    assert third.status == 0, "the lock of a process that is gone is taken over"
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["checkpoint_best.pt", "checkpoint_last.pt"]


def test_folders_with_a_colon_in_their_names(data, labelled, tmp_path):
    import shutil

    from tests.support.running import finetune

    place = tmp_path / "2024-05-01T10:00"
    copy = shutil.copytree(data, place / "data:1")
    first = pretrain(copy, place / "run:1", "mlm", 1)
    assert first.status == 0, first.text[-1500:]
    checkpoint = first.save_dir / "checkpoint_last.pt"
    for option in ("--restore-file", "--finetune-from-model"):
        run = pretrain(copy, place / option, "mlm", 2, option, checkpoint)
        assert run.status == 0, run.text[-1500:]
    tagging = shutil.copytree(labelled, place / "labelled:1")
    run = finetune(tagging, first.save_dir, place / "tagging:1", "tagging", 1)
    assert run.status == 0, run.text[-1500:]


def test_shards_that_are_not_there_are_one_line(data, tmp_path):
    for shards, said in ((f"{data}:{data}-2", "no such data folder"), (f"{data}:{data}", "is listed twice")):
        run = pretrain(shards, tmp_path, "mlm", 1)
        assert run.status == 1 and "Traceback" not in run.text
        assert said in run.text.splitlines()[-1]
