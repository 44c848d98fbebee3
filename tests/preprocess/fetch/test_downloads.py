"""``fetch`` over https: downloads go on where they stopped, and wrong files are refused."""

from __future__ import annotations

import hashlib
import lzma
import time

import pytest

from tests.support.fetching import run, with_archive


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
