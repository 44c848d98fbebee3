"""A training stops on signals with a checkpoint, and its exit status says whether all was done."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.support import trainings
from tests.support.trainings import ALL, READ, TINY, free_port, run_function, two_workers, updates_in, wait

ROOT = Path(__file__).parents[2]


def _until_it_trains(process, log: Path) -> None:
    deadline = time.monotonic() + 180
    while "train_inner" not in (log.read_text() if log.exists() else ""):
        if time.monotonic() > deadline or not process.is_alive():
            process.terminate()  # else a parent of spawned workers would keep them, and this session, for ever
            raise AssertionError(log.read_text())
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_ends_training_with_a_checkpoint_and_status_1(again, tmp_path, number):
    process, log = again("--max-update", "100000")
    _until_it_trains(process, log)
    os.kill(process.pid, number)
    assert wait(process) == 1
    stopped = re.search(rf"stopped by {number.name}, (\d+) of 100000 updates done", log.read_text())
    assert stopped, log.read_text()
    assert "done training" not in log.read_text() and "the training loop ended after" in log.read_text()
    done = int(stopped[1])
    assert done > 2 and updates_in(tmp_path / "ck" / "checkpoint_last.pt") == done
    process, second = again("--max-update", done + 3, log="second")
    assert wait(process) == 0
    assert f"@ {done} updates" in second.read_text()
    assert updates_in(tmp_path / "ck" / "checkpoint_last.pt") == done + 3


def _train_as_with_two_gpus(arguments):
    torch.cuda.device_count = lambda: 2  # fairseq then spawns two workers by itself; --cpu keeps them off the GPUs
    trainings.command("fairseq_cli.train", arguments, ALL)


def test_spawned_workers_find_our_parts_and_stop_together_when_their_parent_is_told(tiny, tmp_path):
    spawned = ["--distributed-backend", "gloo", "--distributed-world-size", "2", "--ddp-backend", "legacy_ddp"]
    spawned += ["--distributed-init-method", f"tcp://127.0.0.1:{free_port()}"]
    ours = ["--user-dir", ROOT / "fairseq_xalign", "--optimizer", "adamw"]  # known once our tasks are imported
    start = ["--max-update", "100000", "--save-dir", tmp_path]
    arguments = [str(argument) for argument in [tiny, *TINY, *spawned, *ours, *start]]
    process = run_function(_train_as_with_two_gpus, arguments, log=tmp_path / "log", has_children=True, plain=True)
    _until_it_trains(process, tmp_path / "log")
    os.kill(process.pid, signal.SIGTERM)
    assert wait(process) == 1
    done = re.findall(r"stopped by .*?(\d+) of 100000 updates done", (tmp_path / "log").read_text())
    assert done == [str(updates_in(tmp_path / "checkpoint_last.pt"))] * 2


def test_a_process_that_waits_for_spawned_workers_passes_the_signal_on():
    code = """
import multiprocessing, time
from fairseq_xalign.compat import stopping
stopping._run.spawns = True
stopping.install_signal_handlers()
child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
child.start()
print("ready", flush=True)
child.join()
print(child.exitcode)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGUSR1)
        assert process.stdout.read() == f"{-signal.SIGUSR1}\n"
    assert process.returncode == 0


def test_fairseq_alone_dies_of_a_signal(again):
    process, log = again("--max-update", "100000", workarounds=READ)
    _until_it_trains(process, log)
    os.kill(process.pid, signal.SIGTERM)
    assert wait(process) == -signal.SIGTERM


def test_workers_stop_at_the_same_update_when_one_is_told(again, tmp_path):
    (first, log), (second, other) = two_workers(again, "--max-update", "100000", workarounds=ALL)
    _until_it_trains(first, log)  # the other logs warnings alone
    os.kill(second.pid, signal.SIGTERM)
    assert [wait(first), wait(second)] == [1, 1]
    done = [re.search(r"(\d+) of 100000 updates done", text.read_text()) for text in (log, other)]
    assert all(done), log.read_text()
    assert done[0][1] == done[1][1] == str(updates_in(tmp_path / "ck" / "checkpoint_last.pt"))


ENDS = [
    (["--max-update", "3"], 0, 3),
    (["--max-update", "2"], 0, 2),  # already done: fairseq alone does one more
    (["--max-update", "1000", "--max-epoch", "1"], 0, 9),
    (["--max-update", "1000", "--stop-time-hours", "0.0000001"], 1, 2),
    (["--max-update", "1000", "--stop-min-lr", "1"], 0, 2),
]


@pytest.mark.parametrize(("arguments", "code", "updates"), ENDS, ids=lambda value: str(value).replace("'", ""))
def test_exit_status_says_whether_what_was_asked_for_was_done(again, tmp_path, arguments, code, updates):
    process, log = again(*arguments)
    assert wait(process) == code, log.read_text()
    assert updates_in(tmp_path / "ck" / "checkpoint_last.pt") == updates
    if code:
        assert f"fairseq-train: ended early, {updates} of 1000 updates done" in log.read_text()


def test_fairseq_alone_says_done_when_the_time_is_over(again):
    process, log = again("--max-update", "1000", "--stop-time-hours", "0.0000001", workarounds=READ)
    assert wait(process) == 0, log.read_text()


def test_fairseq_alone_does_one_update_too_many_when_started_again(again, tmp_path):
    process, log = again("--max-update", "2", workarounds=READ)
    assert wait(process) == 0, log.read_text()
    assert updates_in(tmp_path / "ck" / "checkpoint_last.pt") == 3
