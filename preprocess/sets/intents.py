"""What a speaker wants: xSID, the sets of Schuster et al. (2019) and MASSIVE, and commands to a smart home.

============  =============================================================================================
set           to cite
============  =============================================================================================
xsid          van der Goot et al., NAACL 2021; Aepli et al., VarDial 2023; Winkler et al., LREC-COLING 2024
schuster      Schuster et al., Cross-lingual Transfer Learning for Multilingual Task Oriented Dialog, NAACL 2019
massive       FitzGerald et al., MASSIVE, ACL 2023
============  =============================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fairseq_xalign.data.formats import json_lines
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines
from fairseq_xalign.labelled.classification import CLASSIFICATION
from fairseq_xalign.labelled.kind import FileRow
from preprocess.sets.published import Counts, Part, PublishedSet, matching, text_row

GET_AGAIN = json_lines.GET_AGAIN


def _xsid(path: Path, counts: Counts) -> Iterator[FileRow]:
    """One example per block of lines; its text and intent are in comments. Ids are the numbers of examples."""
    said: dict[str, str] = {}
    number, begin, words = 0, 0, False
    for line, text in read_lines(path):
        if text.startswith("#"):
            begin = begin or line
            key, equals, value = text[1:].partition("=")
            if equals and (words or key.strip() in said) and key.strip() in ("text", "intent"):
                raise UserError("another example begins without an empty line before it", path, line, GET_AGAIN)
            if equals:
                said[key.strip()] = value.strip()
        elif text.strip():
            begin, words = begin or line, True
        elif begin:
            if said or words:  # otherwise a remark
                number += 1
                yield _xsid_row(said, number, path, begin)
            said, begin, words = {}, 0, False
    if said or words:
        yield _xsid_row(said, number + 1, path, begin)


def _xsid_row(said: dict[str, str], number: int, path: Path, line: int) -> FileRow:
    missing = next((key for key in ("text", "intent") if key not in said), None)
    if missing:
        raise UserError(f"the example that begins here has no comment # {missing} =", path, line, GET_AGAIN)
    return text_row(str(number), said["text"], said["intent"], line)


def find_xsid(folder: Path) -> Iterator[Part]:
    """``{lang}.train.conll``, ``{lang}.valid.conll`` and ``{lang}.test.conll``."""
    for one in matching(folder, r"(?P<lang>[a-z]{2,3}(-[a-z]+)?)\.(?P<split>train|valid|test)\.conll"):
        yield Part(one.split, one.groups["lang"], one.path, partial(_xsid, one.path))


SCHUSTER_COLUMNS = 5
SCHUSTER_SPLITS = {"train": "train", "eval": "valid", "test": "test"}


def _schuster(path: Path, counts: Counts) -> Iterator[FileRow]:
    """Intent, slots, utterance, locale and tokens in columns without names."""
    for line, text in read_lines(path):
        fields = text.split("\t")
        if len(fields) != SCHUSTER_COLUMNS:
            raise UserError(f"{len(fields)} columns instead of {SCHUSTER_COLUMNS}", path, line, GET_AGAIN)
        yield text_row(str(line), fields[2], fields[0], line)


def find_schuster(folder: Path) -> Iterator[Part]:
    """``en/train-en.tsv``, ``en/eval-en.tsv``, ``en/test-en.tsv`` and so on; ``th/train-th_TH.tsv`` has its country."""
    for one in matching(folder, r"(?P<name>train|eval|test)-(?P<lang>en|es|th)(_TH)?\.tsv"):
        split = SCHUSTER_SPLITS[one.groups["name"]]
        yield Part(split, one.groups["lang"], one.path, partial(_schuster, one.path))


PARTITIONS = {"train": "train", "dev": "valid", "test": "test"}


def _massive(path: Path, partition: str, counts: Counts) -> Iterator[FileRow]:
    """The examples of one partition of a locale's file."""
    for line, row in json_lines.read(path):
        name = json_lines.identifier(row, "id", path, line)
        said, text, intent = json_lines.texts(row, ("partition", "utt", "intent"), path, line)
        if said not in PARTITIONS:
            raise UserError(f"partition {said!r} is none of {', '.join(PARTITIONS)}", path, line, GET_AGAIN)
        if said == partition:
            yield text_row(name, text, intent, line)


def find_massive(folder: Path) -> Iterator[Part]:
    """``en-US.jsonl`` and so on; a locale is a language here, without its country where no other has its language."""
    found = list(matching(folder, r"(?P<lang>[a-z]{2})-(?P<country>[A-Z]{2})\.jsonl"))
    languages = [one.groups["lang"] for one in found]
    for one in found:
        language = one.groups["lang"]
        if languages.count(language) > 1:
            language = f"{language}-{one.groups['country']}"
        for partition, split in PARTITIONS.items():
            yield Part(split, language, one.path, partial(_massive, one.path, partition))


def _table(path: Path, counts: Counts) -> Iterator[FileRow]:
    return CLASSIFICATION.rows(path, counts, "no")


def find_home_assistant(folder: Path) -> Iterator[Part]:
    """What ``fetch intents`` writes: ``{split}.{lang}.tsv``, an intent and a sentence per line."""
    for one in matching(folder, r"(?P<split>train|valid|test)\.(?P<lang>[a-z]{2,3}(-[A-Za-z]+)?)\.tsv"):
        yield Part(one.split, one.groups["lang"], one.path, partial(_table, one.path))


SETS = (
    PublishedSet("xsid", "classification", "{lang}.train.conll, {lang}.valid.conll, {lang}.test.conll", find_xsid,
                 "https://github.com/mainlp/xsid", "CC BY-SA 4.0"),
    PublishedSet("schuster", "classification", "en/train-en.tsv, eval-en.tsv, test-en.tsv, the same for es, and "
                 "th/train-th_TH.tsv, eval-th_TH.tsv, test-th_TH.tsv", find_schuster,
                 "https://fb.me/multilingual_task_oriented_data", "CC BY-SA"),
    PublishedSet("massive", "classification", "en-US.jsonl and the other locales", find_massive,
                 "https://amazon-massive-nlu-dataset.s3.amazonaws.com/amazon-massive-dataset-1.0.tar.gz", "CC BY 4.0"),
    PublishedSet("home-assistant-intents", "classification", "{split}.{lang}.tsv, as fetch intents writes them",
                 find_home_assistant, "xalign-preprocess fetch intents", "Apache-2.0"),
)  # fmt: skip
