"""What a user can correct ends a command with one line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fairseq_xalign import compat
from fairseq_xalign.compat.errors import explain
from fairseq_xalign.errors import UserError
from tests.support.trainings import ALL, TINY, free_port, train, wait

ROOT = Path(__file__).parents[2]


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


def test_a_refused_command_says_one_line_after_fairseqs_log_and_leaves_nothing(tmp_path):
    options = ["--user-dir", ROOT / "fairseq_xalign", "--task", "align_mlm", "--arch", "xalign_tiny", "--cpu"]
    options += ["--criterion", "mlm", "--optimizer", "adamw", "--max-tokens", "512", "--save-dir", tmp_path / "a" / "b"]
    command = [sys.executable, "-m", "fairseq_cli.train", tmp_path / "none", *options]
    out = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=ROOT)
    assert out.returncode == 1
    lines = [line for line in out.stderr.splitlines() if " | INFO | " not in line]
    assert len(lines) == 1 and f"{tmp_path}/none: no such data folder" in lines[0], out.stderr
    assert not list(tmp_path.iterdir())


def _behind(error, cause):
    error.__cause__ = cause
    return error


class ProcessRaisedException(Exception):
    """As torch.multiprocessing names what a spawned worker ended of."""


EXPLAINED = [
    (OSError(28, "", "x.pt"), "x.pt: No space left on device. Free space on the disk"),
    (OSError(30, "", "runs"), "runs: Read-only file system. Choose a place on a file system that can be written to"),
    (PermissionError(13, "", "runs"), "runs: Permission denied. Change its permissions, or choose another place"),
    (_behind(RuntimeError("PytorchStreamWriter failed"), OSError(28, "")), "No space left on device. Free space"),
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "out of memory.*Lower --max-tokens or"),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "out of memory.*Lower --max-tokens or"),
    (RuntimeError("No CUDA GPUs are available"), "no GPU to use: No CUDA GPUs are available. Add --cpu"),
    (RuntimeError("Found no NVIDIA driver on your system."), "no GPU to use.*Add --cpu"),
    (AssertionError("Torch not compiled with CUDA enabled"), "no GPU to use.*Add --cpu"),
    (
        ValueError("ProcessGroupNCCL is only supported with GPUs, no GPUs found!"),
        "no GPU.*--distributed-backend",
    ),
    (AssertionError("Optimizer does not match; please reset the optimizer (--reset-optimizer). a vs b"), "a vs b. Res"),
    (
        Exception("Cannot load model parameters; please ensure that the architectures match."),
        "options",
    ),
    (
        ProcessRaisedException("\nTraceback\nfairseq_xalign.errors.UserError: d: bad. Fix it\n"),
        "^d: bad. Fix it$",
    ),
]


@pytest.mark.parametrize(("error", "said"), EXPLAINED, ids=[str(error)[:30] for error, _ in EXPLAINED])
def test_errors_of_torch_and_the_system_say_what_where_and_what_to_do(error, said):
    found = explain(_behind(Exception("architectures"), error))
    assert found is not None and re.search(said, str(found)), found


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("shapes differ"), AssertionError(), ValueError("x")])
def test_a_mistake_of_ours_keeps_its_traceback(error):
    assert explain(error) is None


def test_a_users_mistake_goes_before_what_the_system_said():
    assert explain(_behind(UserError("wrong", "here"), OSError(28, "", "x"))).where == "here"


@pytest.mark.parametrize("place", ["/proc/none/run", "/proc"], ids=["cannot be made", "cannot be written to"])
def test_a_save_dir_that_cannot_be_written_to_is_one_line(tiny, tmp_path, place):
    process = train([tiny, *TINY, "--max-update", "1", "--save-dir", place], tmp_path / "log", ALL)
    assert wait(process) == 1
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log, log[-1500:]
    assert log.splitlines()[-1].startswith(f"fairseq-train: {place}: --save-dir: cannot write there: ")
    assert "Choose another --save-dir" in log.splitlines()[-1]


def test_workers_on_gpus_that_are_not_there_are_one_line(tiny, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    where = ["--distributed-world-size", "1", "--distributed-init-method", f"tcp://127.0.0.1:{free_port()}"]
    arguments = [a for a in TINY if a != "--cpu"]
    process = train([tiny, *arguments, *where, "--distributed-no-spawn", "--save-dir", tmp_path], tmp_path / "log", ALL)
    assert wait(process) == 1
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log and "no GPU to use" in log.splitlines()[-1], log[-1500:]


def test_an_interrupted_training_says_one_line_and_that_it_goes_on():
    code = """
import sys
from fairseq_xalign import compat
compat.shorten_user_errors()
sys.argv[0] = "fairseq-train"
raise KeyboardInterrupt
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert out.stderr == "fairseq-train: interrupted. The same command goes on from the last checkpoint\n"
    assert out.returncode in (-signal.SIGINT, 128 + signal.SIGINT)
