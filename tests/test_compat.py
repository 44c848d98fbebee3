"""Every workaround does what it promises, and is still needed: the unpatched behaviour is still broken."""

from __future__ import annotations

import argparse
import io
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
import torch

from fairseq_xalign import compat
from fairseq_xalign.errors import UserError
from tests import trainings
from tests.trainings import TINY, run_function, train, wait

ROOT = Path(__file__).parent.parent
ALL, NONE, READ = ("apply",), (), ("allow_checkpoint_classes",)
"""Which workarounds a run has: ours, fairseq as it is, or just enough that it reads its own checkpoints."""
LIMIT = 20_000
"""Bytes that a file may have in the tests of a full disk; a tiny checkpoint has some 85,000."""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return trainings.tiny_data(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def two_updates(data, tmp_path_factory) -> Path:
    """A folder with the checkpoints of a run of two updates, written by fairseq as it is."""
    folder = tmp_path_factory.mktemp("two")
    assert wait(train([data, *TINY, "--max-update", "2", "--save-dir", folder], folder / "log")) == 0
    return folder


@pytest.fixture
def again(data, two_updates, tmp_path):
    """Start a run that goes on from the two updates: ``again(*arguments, workarounds=...) -> process, its log``."""
    (tmp_path / "ck").mkdir()
    (tmp_path / "ck" / "checkpoint_last.pt").write_bytes((two_updates / "checkpoint_last.pt").read_bytes())

    def start(*arguments, workarounds=ALL, log="log"):
        folder = ["--save-dir", tmp_path / "ck"]
        return train([data, *TINY, *folder, *arguments], tmp_path / log, workarounds), tmp_path / log

    return start


def updates_in(checkpoint: Path) -> int:
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(checkpoint)["optimizer_history"][-1]["num_updates"]


# Reading checkpoints


def test_fairseq_alone_cannot_resume(again):
    process, log = again("--max-update", "4", workarounds=NONE)
    assert wait(process) == 1
    assert "argparse.Namespace" in log.read_text()


def test_a_run_resumes_with_the_weights_only_protection_on(again):
    process, log = again("--max-update", "4")
    assert wait(process) == 0, log.read_text()
    assert updates_in(log.parent / "ck" / "checkpoint_last.pt") == 4


def _load_an_intruder():
    compat.allow_checkpoint_classes()
    buffer = io.BytesIO()
    torch.save({"cfg": subprocess.Popen}, buffer)
    buffer.seek(0)
    torch.load(buffer)


def test_other_classes_in_a_checkpoint_are_still_refused(tmp_path):
    assert wait(run_function(_load_an_intruder, log=tmp_path / "log")) == 1
    assert "Unsupported global" in (tmp_path / "log").read_text()


def _two_workers(again, *arguments, workarounds):
    """Two started workers, each with its log."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = ["--distributed-backend", "gloo", "--distributed-world-size", "2", "--distributed-no-spawn"]
    where += ["--distributed-init-method", f"tcp://127.0.0.1:{port}", "--ddp-backend", "legacy_ddp", *arguments]
    return [again(*where, "--distributed-rank", rank, workarounds=workarounds, log=f"log{rank}") for rank in (0, 1)]


def test_without_the_classes_of_the_broadcast_the_second_worker_cannot_resume(again):
    (first, _), (second, log) = _two_workers(again, "--max-update", "4", workarounds=READ)
    code = wait(second)
    first.kill()  # it would wait for the second for minutes
    assert code == 1
    assert "Unsupported global" in log.read_text() and "omegaconf" in log.read_text()


def test_two_workers_resume(again, tmp_path):
    for process, log in _two_workers(again, "--max-update", "4", workarounds=ALL):
        assert wait(process) == 0, log.read_text()
    assert updates_in(tmp_path / "ck" / "checkpoint_last.pt") == 4


# Writing checkpoints


def _copy_forever(source, target, patched):
    from fairseq.file_io import PathManager

    if patched:
        compat.apply()
    while True:
        PathManager.copy(str(source), str(target), overwrite=True)


@pytest.mark.parametrize("patched", [True, False])
def test_a_process_killed_while_copying_leaves_a_whole_checkpoint(tmp_path, patched):
    """... and as fairseq does it, it leaves a torn one."""
    source, target = tmp_path / "new.pt", tmp_path / "checkpoint_last.pt"
    size = 1 << 24
    source.write_bytes(b"n" * size)
    torn = 0
    for attempt in range(8):
        target.write_bytes(b"o" * size)
        process = run_function(_copy_forever, source, target, patched)
        while target.read_bytes()[:1] == b"o":
            assert process.is_alive()
            time.sleep(0.001)
        time.sleep(0.003 * attempt)
        process.kill()
        process.join()
        torn += target.read_bytes() not in (b"n" * size, b"o" * size)
    assert torn == 0 if patched else torn > 0


def test_a_checkpoint_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    from fairseq import checkpoint_utils

    compat.write_checkpoints_whole()
    events = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: events.append("fsync"))
    rename = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("rename"), rename(a, b)))
    checkpoint_utils.torch_persistent_save({"a": torch.zeros(3)}, str(tmp_path / "a.pt"))
    assert events == ["fsync", "rename", "fsync"]  # the file, then the folder's entry
    events.clear()
    monkeypatch.setattr(os, "rename", lambda a, b: (events.append("rename"), rename(a, b)))
    checkpoint_utils.torch_persistent_save.__wrapped__({"a": torch.zeros(3)}, str(tmp_path / "b.pt"))
    assert events == ["rename"], "fairseq flushes by itself now: the workaround may go"


def _train_on_a_full_disk(arguments):
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))
    trainings.command("fairseq_cli.train", arguments, ALL)


def test_a_full_disk_leaves_the_last_good_checkpoint_and_names_it(data, two_updates, tmp_path):
    good = tmp_path / "ck" / "checkpoint_last.pt"
    good.parent.mkdir()
    good.write_bytes((two_updates / "checkpoint_last.pt").read_bytes())
    arguments = [str(data), *TINY, "--save-dir", str(good.parent), "--max-update", "4"]
    process = run_function(_train_on_a_full_disk, arguments, log=tmp_path / "log")
    assert wait(process) == 1
    last = (tmp_path / "log").read_text().splitlines()[-1]
    assert last.startswith("fairseq-train: ") and "File too large" in last and str(good) in last
    assert [file.name for file in good.parent.iterdir()] == [good.name]
    assert updates_in(good) == 2


def test_a_failed_copy_keeps_the_old_file_and_names_the_newest(tmp_path, monkeypatch):
    from fairseq.file_io import PathManager

    compat.write_checkpoints_whole()
    best, last = tmp_path / "checkpoint_best.pt", tmp_path / "checkpoint_last.pt"
    last.write_bytes(b"old")
    best.write_bytes(b"new")
    os.utime(last, (1, 1))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compat.shutil, "copyfileobj", full)
    with pytest.raises(UserError, match=rf"No space left on device.*{re.escape(str(best))}"):
        PathManager.copy(str(best), str(last), overwrite=True)
    assert last.read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == [best, last]


# Finding our tasks

USER_DIRECTORY = """
import sys
sys.path.insert(0, {root!r})
{before}
import fairseq.utils, types
fairseq.utils.import_user_module(types.SimpleNamespace(user_dir={package!r}))
print("fairseq_xalign.tasks" in sys.modules)
"""


@pytest.mark.parametrize(
    ("before", "found"),
    [
        (
            "import fairseq_xalign, importlib; sys.meta_path[:] = [f for f in sys.meta_path if 'When' not in str(f)]",
            False,
        ),
        ("from fairseq_xalign import compat; compat.complete_user_directory()", True),
        ("import fairseq.utils; from fairseq_xalign import compat; compat.complete_user_directory()", True),
    ],
    ids=["package before, unpatched", "package before", "fairseq, then package before"],
)
def test_user_dir_registers_our_tasks_whatever_was_imported_before(tmp_path, before, found):
    """Unpatched, a package imported before keeps its tasks to itself: were that mended, `found` would be True."""
    package = tmp_path / "fairseq_xalign"
    (package / "tasks").mkdir(parents=True)
    (package / "models").mkdir()
    for name in ("compat", "errors", "files"):
        (package / f"{name}.py").write_bytes((ROOT / "fairseq_xalign" / f"{name}.py").read_bytes())
    for name in ("__init__", "tasks/__init__", "tasks/one", "models/__init__"):
        (package / f"{name}.py").write_text("")
    code = USER_DIRECTORY.format(root=str(tmp_path), before=before, package=str(package))
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert out.stdout.split()[-1:] == [str(found)], out.stderr


def test_waiting_for_fairseq_imports_nothing():
    code = (
        "import sys; from fairseq_xalign import compat; compat.complete_user_directory();"
        " print({*sys.modules} & {'torch', 'fairseq'})"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert out.stdout.strip() == "set()"


# The end of a training


def _until_it_trains(process, log: Path) -> None:
    deadline = time.monotonic() + 60
    while "train_inner" not in (log.read_text() if log.exists() else ""):
        assert time.monotonic() < deadline and process.is_alive(), log.read_text()
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_ends_training_with_a_checkpoint_and_status_1(again, tmp_path, number):
    process, log = again("--max-update", "100000")
    _until_it_trains(process, log)
    os.kill(process.pid, number)
    assert wait(process) == 1
    stopped = re.search(rf"stopped by {number.name}, (\d+) of 100000 updates done", log.read_text())
    assert stopped, log.read_text()
    done = int(stopped[1])
    assert done > 2 and updates_in(tmp_path / "ck" / "checkpoint_last.pt") == done
    process, second = again("--max-update", done + 3, log="second")
    assert wait(process) == 0
    assert f"@ {done} updates" in second.read_text()
    assert updates_in(tmp_path / "ck" / "checkpoint_last.pt") == done + 3


def test_a_process_that_waits_for_spawned_workers_passes_the_signal_on():
    code = """
import multiprocessing, time
from fairseq_xalign import stopping
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
    (first, log), (second, other) = _two_workers(again, "--max-update", "100000", workarounds=ALL)
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
    (["--max-update", "1000", "--stop-time-hours", "0.0000001"], 1, 3),
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


# Settings and errors


@pytest.mark.parametrize("option", ["fp16", "bf16", "amp"])
def test_reduced_precision_on_a_cpu_is_refused_and_the_option_to_use_is_named(data, tmp_path, option):
    process = train([data, *TINY, f"--{option}", "--save-dir", tmp_path], tmp_path / "log", ALL)
    assert wait(process) == 1
    lines = (tmp_path / "log").read_text().splitlines()
    assert re.fullmatch(rf"fairseq-train: --{option} does not work on a CPU.*--autocast bf16.*", lines[-1]), lines
    assert not any("Traceback" in line for line in lines)


@pytest.mark.parametrize("option", ["fp16", "bf16"])
def test_fairseq_alone_crashes_with_reduced_precision_on_a_cpu(data, tmp_path, option):
    process = train([data, *TINY, f"--{option}", "--max-update", "2", "--save-dir", tmp_path], tmp_path / "log")
    assert wait(process) == 1
    assert "Traceback" in (tmp_path / "log").read_text()


def test_precision_is_free_where_there_is_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    common = types.SimpleNamespace(cpu=False, fp16=True, bf16=False, amp=False)
    compat.check_precision(types.SimpleNamespace(common=common))
    common.cpu = True
    with pytest.raises(UserError):
        compat.check_precision(types.SimpleNamespace(common=common))


@pytest.mark.parametrize(("debug", "lines"), [("", 1), ("1", None)])
def test_a_users_mistake_is_one_line_even_behind_another_error(debug, lines):
    code = """
from fairseq_xalign import compat, errors
compat.shorten_user_errors()
try:
    raise errors.UserError("wrong", "here", 3, "Mend it")
except Exception:
    raise Exception("architectures")
"""
    environment = {**os.environ, compat.DEBUG_VARIABLE: debug}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert out.returncode == 1
    if lines:
        assert out.stderr == "-c: here:3: wrong. Mend it\n"
    else:
        assert out.stderr.count("Traceback") == 2


def test_apply_twice_wraps_once():
    from fairseq import checkpoint_utils

    compat.apply()
    first = checkpoint_utils.torch_persistent_save
    compat.apply()
    assert checkpoint_utils.torch_persistent_save is first
    assert not hasattr(first.__wrapped__, "__wrapped__")
