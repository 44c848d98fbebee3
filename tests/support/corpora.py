"""Archives of small corpora, and what is built from them."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path

from preprocess.corpora.catalogue import CORPORA
from preprocess.corpora.corpus import CORPUS_FILE


def make_zip(path: Path, members: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def make_tarball(path: Path, members: dict[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            data = content.encode()
            about = tarfile.TarInfo(name)
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    return path


def built(name: str, archives: dict[str, Path], tmp_path: Path) -> tuple[Path, dict]:
    """Write a corpus from made archives; give its folder and its ``corpus.json``."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    CORPORA[name].write(archives, folder)
    return folder, json.loads((folder / CORPUS_FILE).read_text("utf-8"))


def lines(path: Path) -> list[str]:
    return path.read_text("utf-8").split("\n")[:-1]
