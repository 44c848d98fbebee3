"""What a corpus is, and the folder that it is written to.

Files of a corpus folder: running text ``text.{lang}.txt`` (one sentence per line), parallel text ``{split}.{lang}.txt``
(line n is the same sentence in all languages) or ``{split}.{src}-{tgt}.{lang}.txt``, treebanks
``{split}.{lang}.conllu``, labelled sentences ``{split}.{lang}.tsv`` (label, TAB, text), dictionaries
``{src}-{tgt}.txt`` (word, space, word), and ``corpus.json``,
which describes them.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from fairseq_xalign.cli import say
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_json, sha256, write_json
from preprocess.corpora.archive import Archive

CORPUS_FILE = "corpus.json"
CORPUS_FORMAT = 1


class CorpusFolder:
    """The folder a reader writes to: it counts what goes into every file and what was left out.

    Attributes:
        dropped: reason -> how many sentences (verses, pairs ...) were left out for it.
        notes: more that ``corpus.json`` should tell.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: dict[str, dict[str, int]] = {}
        self.dropped: Counter[str] = Counter()
        self.notes: dict[str, Any] = {}

    @contextmanager
    def open(self, name: str) -> Iterator[CountedFile]:
        """Open a new file of the corpus for writing, UTF-8 with ``\\n`` line ends."""
        with open(self.path / name, "w", encoding="utf-8", newline="\n") as stream:
            counted = CountedFile(stream, "sentences" if name.endswith(".conllu") else "lines")
            yield counted
        size = (self.path / name).stat().st_size
        self.files[name] = {counted.unit: counted.items, "words": counted.words, "size": size}

    def keep(self, name: str, source: Path) -> None:
        """Keep a file of the source as it is, byte for byte; ``name`` may have folders."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        with open(target, "rb") as stream:
            lines = sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))
        self.files[name] = {"lines": lines, "size": target.stat().st_size}


class CountedFile:
    """A text file that counts its items (lines or sentences) and words (split at spaces)."""

    def __init__(self, stream: IO[str], unit: str) -> None:
        self._stream = stream
        self.items = self.words = 0
        self.unit = unit

    def line(self, text: str) -> None:
        """Write one line."""
        self._stream.write(f"{text}\n")
        self.items += 1
        self.words += len(text.split())

    def tree(self, rows: list[str], words: int) -> None:
        """Write one CoNLL-U sentence: its comment and token lines, and the blank line after them."""
        self._stream.write("\n".join(rows) + "\n\n")
        self.items += 1
        self.words += words


@dataclass(frozen=True)
class Corpus:
    """One entry of the catalogue.

    Attributes:
        build: reads the archives (by file name) and writes the corpus.
        working_space: bytes that building needs at most on the disk beside the archives.
        revision: goes up when ``build`` changes, so that caches made by an older one are built again.
    """

    name: str
    summary: str
    kind: str
    languages: tuple[str, ...]
    licence: str
    attribution: str
    cleaning: str
    archives: tuple[Archive, ...]
    build: Callable[[dict[str, Path], CorpusFolder], None] = field(repr=False)
    working_space: int
    revision: int = 1

    @property
    def download_size(self) -> int:
        """Bytes of all archives."""
        return sum(archive.size for archive in self.archives)

    @property
    def needs(self) -> str:
        """The command or means that downloading takes: ``pip``, ``npm`` or ``https``."""
        return ", ".join(sorted({archive.kind for archive in self.archives}))

    @property
    def data_folder(self) -> str:
        """Where its files may lie below ``$XALIGN_DATA``, or "" where they are packages."""
        return next((archive.folder for archive in self.archives if archive.folder), "")

    @property
    def version(self) -> str:
        """Versions of the sources, as ``package version``."""
        return ", ".join(dict.fromkeys(f"{archive.package} {archive.version}" for archive in self.archives))

    def describe(self) -> dict[str, Any]:
        """What ``--list --json`` tells, and the head of ``corpus.json``."""
        return {
            "name": self.name,
            "summary": self.summary,
            "kind": self.kind,
            "languages": list(self.languages),
            "version": self.version,
            "licence": self.licence,
            "attribution": self.attribution,
        }

    def write(self, archives: dict[str, Path], path: Path) -> None:
        """Read ``archives`` and write the whole corpus, ``corpus.json`` last, into the folder ``path``."""
        folder = CorpusFolder(path)
        self.build(archives, folder)
        write_json(
            path / CORPUS_FILE,
            {
                "format": CORPUS_FORMAT,
                "revision": self.revision,
                **self.describe(),
                "cleaning": self.cleaning,
                "dropped": dict(folder.dropped),
                **folder.notes,
                "archives": {archive.file: archive.sha256 for archive in self.archives},
                **self._taken(archives),
                "files": {name: folder.files[name] for name in sorted(folder.files)},
            },
        )

    def _taken(self, archives: dict[str, Path]) -> dict[str, Any]:
        """The checksums found of archives for which none is known."""
        unknown = [archive.file for archive in self.archives if not archive.sha256 and archive.file in archives]
        found = {name: sha256(archives[name]) for name in unknown}
        for name, digest in found.items():
            say(f"{self.name}: no checksum of {name} is known beforehand; what was taken has the SHA-256 {digest}")
        return {"taken": found} if found else {}

    def state(self, path: Path) -> str:
        """How the folder ``path`` stands: ``ready``, ``missing``, ``outdated`` or ``damaged``. Reads no corpus file."""
        if not path.exists():
            return "missing"
        try:
            about = read_json(path / CORPUS_FILE)
            expected = (CORPUS_FORMAT, self.revision, {archive.file: archive.sha256 for archive in self.archives})
            if (about["format"], about["revision"], about["archives"]) != expected:
                return "outdated"
            whole = all((path / name).stat().st_size == file["size"] for name, file in about["files"].items())
        except (UserError, OSError, LookupError, TypeError):
            return "damaged"
        return "ready" if whole else "damaged"
