"""What taking labelled sets out of their archives promises."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_json
from preprocess.__main__ import main
from preprocess.corpora.catalogue import CORPORA
from preprocess.corpora.corpus import CORPUS_FILE

SPLITS = {"train": "{0}:Berlin\tB-LOC\n{0}:is\tO\n\n", "dev": "{0}:Ann\tB-PER\n\n", "test": "{0}:ACL\tB-ORG\n\n"}
"""Columns of the files of WikiAnn: its loader in huggingface/datasets, datasets/wikiann/wikiann.py."""


def tarball(language: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as made:
        for name, text in {**SPLITS, "extra": "{0}:more\tO\n\n"}.items():
            data = text.format(language).encode()
            about = tarfile.TarInfo(name)
            about.size = len(data)
            made.addfile(about, io.BytesIO(data))
    return buffer.getvalue()


def wikiann(path: Path, *languages: str) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for language in languages:
            made.writestr(f"{language}.tar.gz", tarball(language))
    return path


def test_wikiann_has_a_folder_for_each_language_that_benchmark_ner_reads(tmp_path):
    path, folder = wikiann(tmp_path / "panx_dataset.zip", "en", "zh-min-nan"), tmp_path / "wikiann"
    folder.mkdir()
    CORPORA["wikiann"].write({path.name: path}, folder)
    splits = [f"{language}/{split}" for language in ("en", "zh-min-nan") for split in ("dev", "test", "train")]
    assert sorted(read_json(folder / CORPUS_FILE)["files"]) == splits
    assert sorted(str(one.relative_to(folder)) for one in folder.rglob("*")) == sorted(
        [*splits, "en", "zh-min-nan", CORPUS_FILE]
    )
    assert (folder / "zh-min-nan" / "train").read_text("utf-8") == SPLITS["train"].format("zh-min-nan")
    assert main(["benchmark", "ner", "--from", str(folder), "--output", str(tmp_path / "ner")]) == 0
    assert '"tokens": ["Berlin", "is"]' in (tmp_path / "ner" / "train.zh-min-nan.jsonl").read_text("utf-8")


def test_an_archive_of_wikiann_without_languages_is_refused(tmp_path):
    path, folder = wikiann(tmp_path / "panx_dataset.zip"), tmp_path / "wikiann"
    folder.mkdir()
    with pytest.raises(UserError, match="no archive of a language in it"):
        CORPORA["wikiann"].write({path.name: path}, folder)


def test_the_list_of_corpora_fits_a_terminal_however_many_languages_one_has(capsys):
    assert main(["fetch", "--list"]) == 0
    shown = capsys.readouterr().out.splitlines()
    rows = [line for line in shown if not line.startswith("      licence: ")]
    begins = {row.index(text) for row, text in zip(rows, ["what", *(one.summary for one in CORPORA.values())])}
    assert len(begins) == 1 and begins.pop() <= 110
    (ntrex,) = (line for line in rows if line.startswith("ntrex "))
    assert "129 languages" in ntrex and " 0.0 MB" not in "".join(rows)
