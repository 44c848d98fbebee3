"""What a command does when something goes wrong: one line, or none where nobody reads any more."""

import argparse
import errno
import importlib
import io
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
import torch

from fairseq_xalign import cli, files
from fairseq_xalign.errors import UserError, counted, explained
from preprocess.__main__ import main as preprocess

ROOT = Path(__file__).parents[1]


@pytest.fixture
def command(monkeypatch):
    """Make a program whose one command calls a function."""

    def make(work, *options):
        module = types.ModuleType("made_up", "Do it.")
        module.add_arguments = lambda parser: None
        module.run = lambda args: work()
        monkeypatch.setitem(sys.modules, "made_up", module)
        return cli.main("prog", "Text.", {"do": "made_up"}, ["do", *options])

    return make


def failing(error):
    def work():
        raise error

    return work


def torch_error(call):
    try:
        call()
    except Exception as error:
        return error
    pytest.skip("this machine has the device")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("bad", "f", 3, "Do better"), "f:3: bad. Do better"),
        (OSError(errno.EROFS, "Read-only file system", "/x"), "/x: Read-only file system. Choose a place that can be"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device. Free space"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "f"), "f: No such file or directory. Check"),
        (PermissionError(errno.EACCES, "Permission denied", "f"), "f: Permission denied. Choose another place"),
        (TimeoutError(), "TimeoutError"),
        (MemoryError(), "memory ran out. Use smaller batches"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried\nmore"), "memory ran out: CUDA out of memory. Tried. Use"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9"),
            "memory ran out: [enforce fail]",
        ),
        (RuntimeError("Found no NVIDIA driver on your system."), "the device cannot be used: Found no NVIDIA"),
        (AssertionError("Torch not compiled with CUDA enabled"), "the device cannot be used: Torch not compiled"),
        (
            RuntimeError("CUDA error: invalid device ordinal\nmore"),
            "the device cannot be used: CUDA error: invalid dev",
        ),
        (UnicodeEncodeError("ascii", "aü", 1, 2, "no"), "U+00FC (LATIN SMALL LETTER U WITH DIAERESIS) cannot be writ"),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no"), "U+D800 is half a character (a surrogate), which utf-8"),
        (
            ModuleNotFoundError("no", name="matplotlib.x"),
            "the package matplotlib is not installed. Install it with pip",
        ),
        (ModuleNotFoundError("no", name="zzz"), "the package zzz is not installed. Install it with pip install zzz"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_that_is_no_fault_of_ours_is_one_line(command, capsys, error, line):
    assert command(failing(error)) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"prog do: {line}") and said.count("\n") == 1


@pytest.mark.parametrize("device", ["cuda", "cuda:99", "mps", "xpu", "nonsense"])
def test_a_device_that_is_not_there_is_one_line_with_a_remedy(command, capsys, device):
    error = torch_error(lambda: torch.zeros(1).to(device))
    assert command(failing(error)) == 1
    said = capsys.readouterr().err
    assert said.startswith("prog do: the device cannot be used: ") and "--device cpu" in said


@pytest.mark.parametrize("error", [UserError("bad"), OSError(5, "x"), MemoryError(), ModuleNotFoundError(name="zzz")])
def test_debug_shows_the_traceback(command, error):
    with pytest.raises(type(error)):
        command(failing(error), "--debug")


@pytest.mark.parametrize(
    "error", [KeyError("x"), RuntimeError("shapes differ"), AssertionError(), ModuleNotFoundError(name="preprocess.x")]
)
def test_a_fault_of_ours_keeps_its_traceback(command, error):
    assert explained(error) is None
    with pytest.raises(type(error)):
        command(failing(error))


def test_an_interrupted_command_has_the_status_of_the_shell(command, capsys):
    assert command(failing(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "prog do: interrupted; no incomplete output was left behind\n"


def test_a_terminated_command_leaves_nothing_half_written(command, capsys, tmp_path):
    def work():
        with files.atomic_file(tmp_path / "out") as stream:
            stream.write("half")
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)

    before = signal.getsignal(signal.SIGTERM)
    assert command(work) == 143
    assert capsys.readouterr().err == "prog do: terminated; no incomplete output was left behind\n"
    assert not list(tmp_path.iterdir()) and signal.getsignal(signal.SIGTERM) is before


def test_a_module_that_cannot_be_imported_is_one_line(capsys):
    assert cli.main("prog", "Text.", {"do": "no_such_package.command"}, ["do"]) == 1
    assert capsys.readouterr().err.startswith("prog do: the package no_such_package is not installed")


def piped(arguments, reader="head -1", **environment):
    """The status of a command, what the reader of its output saw, and what it said on stderr."""
    script = f'set -o pipefail; "{sys.executable}" {arguments} | {reader}; echo "${{PIPESTATUS[0]}}" >&2'
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, cwd=ROOT, env={**os.environ, **environment}, check=False
    )
    *said, status = done.stderr.splitlines()
    return int(status), done.stdout, said


LONG = "import sys; from fairseq_xalign import cli; sys.exit(cli.guarded(lambda: print('x\\n' * 10**6) or 0, 'p'))"


@pytest.mark.parametrize(
    "arguments",
    [
        f'-c "{LONG}"',
        "-m fairseq_xalign.evaluate papers align_mlm.1",
        "-m preprocess --help",
        "-m preprocess derive --help",
        "-m fairseq_xalign",
    ],
)
@pytest.mark.parametrize("reader", ["head -1", "true"])
def test_a_reader_that_goes_away_ends_the_command_quietly(arguments, reader):
    status, _, said = piped(arguments, reader)
    assert said == [] and status in (0, 141)


def test_the_status_is_that_of_a_command_that_a_pipe_ended():
    assert piped(f'-c "{LONG}"') == (141, "x\n", [])


@pytest.mark.parametrize("lines", [1, 10**6])
def test_standard_output_that_takes_no_more_is_one_line(lines):
    code = LONG.replace("10**6", str(lines))
    status, _, said = piped(f'-c "{code}" > /dev/full', PYTHONUNBUFFERED="")
    assert status == 1 and len(said) == 1
    assert said[0].startswith("p: ") and "No space left on device" in said[0]


def test_a_terminal_that_lacks_a_character_is_told_how_to_get_it(tmp_path):
    work = "lambda: print(chr(252)) or 0"
    code = f"import sys; from fairseq_xalign import cli; sys.exit(cli.guarded({work}, 'p'))"
    status, _, said = piped(f'-c "{code}"', "cat", PYTHONIOENCODING="ascii")
    assert status == 1 and said[0].startswith("p: U+00FC") and "PYTHONIOENCODING=utf-8" in said[0]


def test_a_stream_without_a_file_behind_it_is_left_alone(command, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert command(failing(BrokenPipeError())) == 141


class Clock:
    """A clock that the test sets."""

    now = 100.0

    def __call__(self):
        return self.now


def test_progress_in_a_log_is_a_line_every_half_minute_with_count_rate_and_time_left(capsys):
    clock = Clock()
    lines = cli.ProgressLines("encoding", 10_000, clock)
    for clock.now in (110, 129, 130, 140, 161):
        lines.advance(1000)
    assert capsys.readouterr().err.splitlines() == [
        "encoding: 3,000 of 10,000 (30%), 100/s, 0:01:10 left",
        "encoding: 5,000 of 10,000 (50%), 82/s, 0:01:01 left",
    ]


@pytest.mark.parametrize(
    ("total", "amount", "line"),
    [
        (None, 1500, "reading: 1,500 done, 50/s"),
        (100, 3, "reading: 3 of 100 (3%), 0.100/s, 0:16:10 left"),
        (10, 0, "reading: 0 of 10 (0%), 0.000/s, unknown time left"),
    ],
)
def test_progress_in_a_log_says_what_is_known(capsys, total, amount, line):
    clock = Clock()
    lines = cli.ProgressLines("reading", total, clock)
    clock.now += 30
    lines.advance(amount)
    assert capsys.readouterr().err == f"{line}\n"


def test_long_work_reports_in_a_log_and_results_pass_unchanged(capsys, monkeypatch):
    monkeypatch.setattr(cli, "LINE_EVERY", 0)
    assert list(cli.progress(iter("abc"), "letters", 3)) == list("abc")
    assert [line.partition(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        "letters: 1 of 3 (33%)",
        "letters: 2 of 3 (67%)",
        "letters: 3 of 3 (100%)",
    ]


def test_progress_that_is_not_wanted_stays_silent(capsys, monkeypatch):
    monkeypatch.setattr(cli, "LINE_EVERY", 0)
    with cli.bar("letters", 3, shown=False) as advance:
        advance(1)
    assert capsys.readouterr().err == ""


COMMANDS = [
    (program, name)
    for program in ("preprocess", "fairseq_xalign.evaluate", "fairseq_xalign.convert")
    for name in importlib.import_module(f"{program}.__main__").COMMANDS
]


def output_of(program, name):
    """The option --output of a command; None for one without."""
    parser = argparse.ArgumentParser()
    importlib.import_module(importlib.import_module(f"{program}.__main__").COMMANDS[name]).add_arguments(parser)
    return next((action for action in parser._actions if action.dest == "output" and action.option_strings), None)


def test_a_hyphen_is_standard_output(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = ROOT / "tests" / "data" / "text.en.txt"
    assert preprocess(["links", "--source", f"en={text}", "--target", f"xx={text}", "--output", "-"]) == 0
    assert len(capfd.readouterr().out.splitlines()) == 300
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("program", "name"), COMMANDS)
def test_a_hyphen_is_refused_as_the_name_of_a_folder(program, name, monkeypatch, capsys, tmp_path):
    action = output_of(program, name)
    if action is None:
        return
    module = importlib.import_module(importlib.import_module(f"{program}.__main__").COMMANDS[name])
    monkeypatch.setattr(module, "add_arguments", lambda parser: parser._add_action(action))
    monkeypatch.setattr(module, "run", lambda args: print(args.output))
    status = importlib.import_module(f"{program}.__main__").main([name, "--output", "-"])
    said = capsys.readouterr()
    if str(action.metavar).startswith("FILE"):
        assert (status, said.out) == (0, "/dev/stdout\n")
    else:
        assert action.metavar in {"DIR", "DATA", "PREFIX", "LABELLED", "SUBMISSION"} and status == 1
        assert f"--output - is standard output, but {name} writes a folder or several files" in said.err


def test_a_number_stands_with_the_singular_or_the_plural_of_its_noun():
    assert [counted(n, "line") for n in (0, 1, 2, 2500)] == ["0 lines", "1 line", "2 lines", "2,500 lines"]
    assert [counted(n, "entry", "entries") for n in (1, 2)] == ["1 entry", "2 entries"]
