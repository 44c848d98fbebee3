"""Every workaround does what it promises, and is still needed: the unpatched behaviour is still broken."""

from __future__ import annotations

import io
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import types
import warnings
from pathlib import Path

import pytest
import torch

from fairseq_xalign import compat
from fairseq_xalign.errors import UserError
from tests.support import trainings
from tests.support.trainings import ALL, NONE, READ, TINY, run_function, train, two_workers, updates_in, wait

ROOT = Path(__file__).parents[2]
LIMIT = 20_000
"""Bytes that a file may have in the tests of a full disk; a tiny checkpoint has some 85,000."""


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


def test_without_the_classes_of_the_broadcast_the_second_worker_cannot_resume(again):
    (first, _), (second, log) = two_workers(again, "--max-update", "4", workarounds=READ)
    code = wait(second)
    first.kill()  # it would wait for the second for minutes
    assert code == 1
    assert "Unsupported global" in log.read_text() and "omegaconf" in log.read_text()


def test_two_workers_resume(again, tmp_path):
    for process, log in two_workers(again, "--max-update", "4", workarounds=ALL):
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


class _Killer(io.FileIO):
    """A file whose process dies at its third write: in the midst of a checkpoint."""

    writes = 0

    def write(self, block):
        self.writes += 1
        if self.writes == 3:
            super().write(bytes(block)[: len(block) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return super().write(block)


def _save_and_die(path, moment):
    from fairseq import checkpoint_utils

    compat.write_checkpoints_whole()

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    if moment == "writing":
        vars(compat)["open"] = _Killer  # the module's own name hides the builtin
    elif moment == "renamed":
        compat.flush_to_disk = die
    else:
        setattr(os, {"flushing": "fsync", "renaming": "replace"}[moment], die)
    checkpoint_utils.torch_persistent_save(_weights(2.0), str(path))


def _weights(value):
    return {"model": {"a": torch.full((1000, 100), value), "b": torch.full((100,), value)}}


@pytest.mark.parametrize("moment", ["writing", "flushing", "renaming", "renamed"])
def test_a_process_killed_while_saving_leaves_a_whole_checkpoint_and_the_next_one_is_saved(tmp_path, moment):
    """The old one, or after the renaming the new one."""
    from fairseq import checkpoint_utils

    path = tmp_path / "checkpoint_last.pt"
    torch.save(_weights(1.0), path)
    process = run_function(_save_and_die, path, moment, log=tmp_path / "log")
    assert wait(process) == -signal.SIGKILL, (tmp_path / "log").read_text()
    value = 2.0 if moment == "renamed" else 1.0
    kept = torch.load(path)["model"]
    assert all(torch.equal(kept[name], tensor) for name, tensor in _weights(value)["model"].items())
    begun = tmp_path / f"checkpoint_last.pt{compat.TEMPORARY_SUFFIX}"
    assert begun.exists() == (moment != "renamed")
    if moment == "writing":
        assert 0 < begun.stat().st_size < path.stat().st_size, "it was killed in the midst of the file"
    compat.write_checkpoints_whole()
    checkpoint_utils.torch_persistent_save(_weights(3.0), str(path))
    assert torch.equal(torch.load(path)["model"]["a"], _weights(3.0)["model"]["a"]) and not begun.exists()


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


def test_a_full_disk_leaves_the_last_good_checkpoint_and_names_it(tiny, two_updates, tmp_path):
    good = tmp_path / "ck" / "checkpoint_last.pt"
    good.parent.mkdir()
    good.write_bytes((two_updates / "checkpoint_last.pt").read_bytes())
    arguments = [str(tiny), *TINY, "--save-dir", str(good.parent), "--max-update", "4"]
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
    ],
    ids=["package before, unpatched", "package before"],
)
def test_user_dir_registers_our_tasks_whatever_was_imported_before(tmp_path, before, found):
    """Unpatched, a package imported before keeps its tasks to itself: were that mended, `found` would be True."""
    package = tmp_path / "fairseq_xalign"
    (package / "tasks").mkdir(parents=True)
    (package / "models").mkdir()
    shutil.copytree(ROOT / "fairseq_xalign" / "compat", package / "compat")
    for name in ("errors", "files"):
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


# Settings and errors


@pytest.mark.parametrize("option", ["fp16", "bf16", "amp"])
def test_reduced_precision_on_a_cpu_is_refused_and_the_option_to_use_is_named(tiny, tmp_path, option):
    process = train([tiny, *TINY, f"--{option}", "--save-dir", tmp_path], tmp_path / "log", ALL)
    assert wait(process) == 1
    lines = (tmp_path / "log").read_text().splitlines()
    assert re.fullmatch(rf"fairseq-train: --{option} does not work on a CPU.*--autocast bf16.*", lines[-1]), lines
    assert not any("Traceback" in line for line in lines)


@pytest.mark.parametrize("option", ["fp16", "bf16"])
def test_fairseq_alone_crashes_with_reduced_precision_on_a_cpu(tiny, tmp_path, option):
    process = train([tiny, *TINY, f"--{option}", "--max-update", "2", "--save-dir", tmp_path], tmp_path / "log")
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


def test_fairseq_alone_leaves_the_folder_of_a_refused_run(tmp_path):
    process = train([tmp_path / "no", *TINY, "--save-dir", tmp_path / "runs" / "one"], tmp_path / "log")
    assert wait(process) == 1
    assert (tmp_path / "runs" / "one").exists(), "fairseq makes it later now: the workaround may go"


def test_a_save_dir_that_stays_empty_goes_and_what_was_there_stays(tmp_path):
    code = """
from pathlib import Path
from fairseq import checkpoint_utils
from fairseq_xalign import compat
compat.remove_empty_save_dir()
for name in ("new/a/b", "there", "there/new", "used/a"):
    checkpoint_utils.verify_checkpoint_directory(name)
Path("used/a/checkpoint_last.pt").touch()
"""
    (tmp_path / "there").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == [
        "there",
        "used",
        "used/a",
        "used/a/checkpoint_last.pt",
    ]


def _warning(message, module):
    """What the log of a run says where nothing hides the warning."""
    return module.replace(r"\.", "/") + r"(\.py|>):\d+: UserWarning: " + message


def test_fairseq_alone_gives_every_warning_that_is_hidden(tiny, tmp_path):
    process = train([tiny, *TINY, "--max-update", "1", "--save-dir", tmp_path / "ck"], tmp_path / "log")
    assert wait(process) == 0
    log = (tmp_path / "log").read_text()
    unneeded = [message for message, module in compat.HYDRA_WARNINGS if not re.search(_warning(message, module), log)]
    assert not unneeded, "hydra or fairseq no longer says this: its filter may go"


def test_a_refused_command_says_one_line_after_fairseqs_log_and_leaves_nothing(tmp_path):
    options = ["--user-dir", ROOT / "fairseq_xalign", "--task", "align_mlm", "--arch", "xalign_tiny", "--cpu"]
    options += ["--criterion", "mlm", "--optimizer", "adamw", "--max-tokens", "512", "--save-dir", tmp_path / "a" / "b"]
    command = [sys.executable, "-m", "fairseq_cli.train", tmp_path / "none", *options]
    out = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=ROOT)
    assert out.returncode == 1
    lines = [line for line in out.stderr.splitlines() if " | INFO | " not in line]
    assert len(lines) == 1 and f"{tmp_path}/none: no such data folder" in lines[0], out.stderr
    assert not list(tmp_path.iterdir())


def test_other_warnings_stay_and_python_can_show_all(tmp_path):
    code = """
import warnings
from fairseq_xalign import compat
compat.silence_hydra()
warnings.warn_explicit("mind this", UserWarning, "x.py", 1, "hydra.compose")
warnings.warn_explicit("\\nThe strict flag in the compose API is deprecated.", UserWarning, "x.py", 2, "hydra.compose")
"""
    for options, shown in (([], ["mind this"]), (["-W", "always"], ["mind this", "strict flag"])):
        out = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, cwd=ROOT)
        assert [word for word in ("mind this", "strict flag") if word in out.stderr] == shown, out.stderr


def test_apply_twice_wraps_once():
    from fairseq import checkpoint_utils

    compat.apply()
    first = checkpoint_utils.torch_persistent_save
    compat.apply()
    assert checkpoint_utils.torch_persistent_save is first
    assert not hasattr(first.__wrapped__, "__wrapped__")
    assert len(warnings.filters) == len({*warnings.filters})
