"""``xalign-preprocess binarize``: what a crash, a full disk and a second process leave."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from fairseq_xalign.data.folder import DataFolder
from preprocess.__main__ import main
from preprocess.staging import FolderUpdate
from tests.support.binarizing import ROOT, assert_no_leftovers, command, everything, run
from tests.support.samples import sentences, write_lines


def test_two_processes_cannot_write_one_folder(texts, subword, capsys):
    for data in (texts / "new", texts / "old"):
        if data.name == "old":
            assert run(subword, data, "--mono", f"en={texts}/text.en") == 0
        with FolderUpdate(data, subword):
            assert run(subword, data, "--mono", f"de={texts}/text.de") == 1
            assert "another process is writing this data folder" in capsys.readouterr().err
        assert run(subword, data, "--mono", f"de={texts}/text.de") == 0
        assert_no_leftovers(data)


@pytest.mark.parametrize(
    "lines, limit, full",
    [
        (sentences("de", 6000), 60_000, ["old", "new"]),
        (["er"] * 6000, 40_000, ["old", "new"]),
        (["er"] * 10, 20_000, ["new"]),
    ],
    ids=["ids", "index", "model"],
)
def test_a_full_disk_is_one_line_and_leaves_the_old_folder(texts, subword, lines, limit, full):
    assert run(subword, texts / "old", "--mono", f"en={texts}/text.en") == 0
    before = everything(texts / "old")
    write_lines(texts / "text.de", lines)
    for name in full:
        done = subprocess.run(
            [sys.executable, "-m", "preprocess", *command(subword, texts / name, "--mono", f"de={texts}/text.de")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)),
        )
        assert done.returncode == 1
        assert "cannot write: File too large" in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
    assert everything(texts / "old") == before
    assert not (texts / "new").exists()
    assert not list(texts.glob(".*"))


def marked_processes(mark):
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes():
                found.append(process.name)
        except OSError:
            continue  # it ended meanwhile, or is not ours
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
@pytest.mark.parametrize("existing", [False, True], ids=["new folder", "existing folder"])
def test_killed_at_any_moment_the_folder_is_old_or_new_and_a_rerun_completes(texts, subword, existing):
    data = texts / "data"
    for language in ("en", "de"):
        write_lines(texts / f"long.{language}", sentences(language, 25_000))
    if existing:
        assert run(subword, data, "--mono", f"en={texts}/text.en") == 0
    before = everything(data) if existing else None
    options = ["--mono", f"en={texts}/long.en", "--bitext", f"en-de={texts}/long.en,{texts}/long.de"]
    program = [sys.executable, "-m", "preprocess", *command(subword, data, *options, workers=2)]
    environment = os.environ | {"XALIGN_TEST_MARK": str(texts)}
    outcomes: Counter[str] = Counter()
    for delay in (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0):
        process = subprocess.Popen(program, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        outcomes["killed" if process.wait() == -signal.SIGKILL else "finished"] += 1
        if not data.exists():
            assert not existing
        else:
            folder = DataFolder.open(data)
            if outcomes["finished"] == 0 and existing and len(folder.mono("train")["en"]) == 300:
                assert {k: v for k, v in everything(data).items() if k in before} == before
            else:
                assert len(folder.mono("train")["en"]) == 25_000
    assert outcomes["killed"] > 0
    deadline = time.monotonic() + 10
    while marked_processes(str(texts).encode()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert marked_processes(str(texts).encode()) == [], "workers outlive their parent"
    assert subprocess.run(program, cwd=ROOT).returncode == 0
    assert len(DataFolder.open(data).bitext("train")["en", "de"][1]) == 25_000
    assert_no_leftovers(data)
    assert main(["check", str(data)]) == 0


@pytest.mark.parametrize("step", ["place", "manifest"])
def test_killed_between_the_steps_of_a_change_the_old_folder_stays_and_is_swept(texts, subword, monkeypatch, step):
    data = texts / "data"
    assert run(subword, data, "--mono", f"en={texts}/text.en") == 0
    before = everything(data)
    write_lines(texts / "text.en", sentences("en", 100))
    options = ["--mono", f"en={texts}/text.en", "--mono", f"de={texts}/text.de"]
    program = f"""
import os, signal, sys
from preprocess import staging
from preprocess.__main__ import main
replace, write = os.replace, staging.write_json
def kill_at_place(source, target):
    replace(source, target)
    if str(target).endswith("train.en.1.bin"): os.kill(os.getpid(), signal.SIGKILL)
def kill_at_manifest(path, value):
    if str(path).endswith("data/manifest.json"): os.kill(os.getpid(), signal.SIGKILL)
    write(path, value)
if {step!r} == "place": os.replace = kill_at_place
else: staging.write_json = kill_at_manifest
main({command(subword, data, *options)!r})
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert len(DataFolder.open(data).mono("train")["en"]) == 300
    assert {k: v for k, v in everything(data).items() if k in before} == before
    assert (data / "mono/train.en.1.bin").exists()
    assert run(subword, data, "--mono", f"de={texts}/text.de", "--split", "test") == 0
    assert_no_leftovers(data)
    assert run(subword, data, *options) == 0
    assert {name: len(mapped) for name, mapped in DataFolder.open(data).mono("train").items()} == {"en": 100, "de": 300}
    assert_no_leftovers(data)
