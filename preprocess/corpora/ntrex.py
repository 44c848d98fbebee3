"""NTREX-128: English news and its translation into 128 languages and varieties, line by line, for testing only.

1,997 sentences of newstest2019 in 129 files, at a pinned commit of its repository (Federmann, Kocmi, Xin 2022). The
table ``ntrex.tsv`` beside this file has the language code, name, size and checksum of each. Codes are those of the
other corpora: ISO 639-1's where the language has one, ``zh-Hans`` and ``zh-Hant``, ``sr`` and ``sr-Latn``;
``es-ref2`` is a second translation into Spanish.
"""

from __future__ import annotations

import csv
from importlib import resources
from pathlib import Path

from fairseq_xalign.cli import progress
from fairseq_xalign.errors import UserError, counted
from fairseq_xalign.files import read_lines
from preprocess.corpora.archive import Archive
from preprocess.corpora.corpus import Corpus, CorpusFolder

COMMIT = "8561f6a622db9edad1217683e5c83daefd8bb2bf"
_SERVER = f"https://raw.githubusercontent.com/MicrosoftTranslator/NTREX/{COMMIT}/NTREX-128"
LINES = 1997


def _table() -> dict[str, Archive]:
    """The file of every language, English first."""
    text = resources.files(__package__).joinpath("ntrex.tsv").read_text("utf-8")
    return {
        row["language"]: Archive(
            "https",
            "NTREX",
            COMMIT[:12],
            row["file"],
            int(row["size"]),
            row["sha256"],
            url=f"{_SERVER}/{row['file']}",
            folder="ntrex/NTREX-128",
        )
        for row in csv.DictReader(text.splitlines(), delimiter="\t")
    }


FILES = _table()


def build_ntrex(archives: dict[str, Path], folder: CorpusFolder) -> None:
    """Line n is the same sentence in all languages; nothing but white space at the ends of lines is removed."""
    for language, archive in progress(FILES.items(), "ntrex", len(FILES)):
        with folder.open(f"test.{language}.txt") as stream:
            for _, line in read_lines(archives[archive.file]):
                stream.line(line.strip())
        if stream.items != LINES:
            raise UserError(f"{archive.file} has {counted(stream.items, 'line')}, not {LINES}", archives[archive.file])


CORPORA = (
    Corpus(
        name="ntrex",
        summary="NTREX-128: 1,997 sentences of news in English and 128 translations; a test set, never for training",
        kind="parallel",
        languages=tuple(FILES),
        licence="CC BY-SA 4.0",
        attribution="Federmann, Kocmi, Xin, NTREX-128, SUMEval 2022; Barrault et al., WMT 2019",
        cleaning="white space at the ends of lines removed",
        archives=tuple(FILES.values()),
        build=build_ntrex,
        working_space=45_000_000,
    ),
)
