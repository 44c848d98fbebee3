"""Sentiment: NusaX, AfriSenti and SemEval-2017.

===========  =========================================================================================
set          to cite
===========  =========================================================================================
nusax        Winata et al., NusaX, EACL 2023
afrisenti    Muhammad et al., AfriSenti, EMNLP 2023
semeval2017  Rosenthal et al., SemEval-2017 Task 4 (subtask A, English)
===========  =========================================================================================

TPP (Mishra and Haghighi 2021, Appendix B) classifies positive and negative posts: neutral ones are left out of
SemEval-2017, on which it trains, and of its tests, which are in ``posts.py``. NusaX and AfriSenti have three labels;
``--drop neutral`` leaves two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from fairseq_xalign.data.formats import csv_table, named_columns
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines
from fairseq_xalign.labelled.kind import FileRow
from preprocess.sets.published import CONFLICTING, REPEATED, Counts, Part, PublishedSet, matching, text_row

LABELS = ("negative", "neutral", "positive")
NUSAX = {
    "acehnese": "ace",
    "balinese": "ban",
    "banjarese": "bjn",
    "buginese": "bug",
    "english": "en",
    "indonesian": "id",
    "javanese": "jv",
    "madurese": "mad",
    "minangkabau": "min",
    "ngaju": "nij",
    "sundanese": "su",
    "toba_batak": "bbc",
}
"""Names of NusaX's folders and codes of their languages."""


def _nusax(path: Path, counts: Counts) -> Iterator[FileRow]:
    names = ["id", "text", "label"]
    for place, (line, row) in enumerate(csv_table.read_records(path)):
        if place == 0 and row == names:
            continue
        if place == 0 or len(row) != len(names):
            raise UserError(
                f"{len(row)} columns, {','.join(row)[:60]}", path, line, "The columns are id,text,label: get it again"
            )
        yield text_row(row[0], row[1], row[2], line)


def find_nusax(folder: Path) -> Iterator[Part]:
    """``sentiment/acehnese/train.csv`` and so on."""
    for one in matching(folder, rf"(?P<name>{'|'.join(NUSAX)})/(?P<split>train|valid|test)\.csv"):
        yield Part(one.split, NUSAX[one.groups["name"]], one.path, partial(_nusax, one.path))


def _afrisenti(path: Path, counts: Counts) -> Iterator[FileRow]:
    for line, (text, label) in named_columns.read(path, ("tweet", "label")):
        yield text_row(str(line), text, label, line)


def find_afrisenti(folder: Path) -> Iterator[Part]:
    """``data/amh/amh_train.tsv``, ``data/yor/train.tsv`` and so on."""
    for one in matching(folder, r"(?P<lang>[a-z]{3})/([a-z]{2,3}_)?(?P<split>train|dev|test)\.tsv"):
        yield Part(one.split, one.groups["lang"], one.path, partial(_afrisenti, one.path))


SEMEVAL_TEST = r"SemEval2017-task4-test\.subtask-A\.english"
SEMEVAL_SPLITS = {"train": "train", "dev": "valid", "devtest": "valid"}


def _semeval(paths: Sequence[Path], counts: Counts) -> Iterator[FileRow]:
    """Id, label and text; a post that several files have is read once."""
    seen: dict[str, str] = {}
    for path in paths:
        for line, text in read_lines(path):
            fields = text.rstrip("\t").split("\t", 2)
            if len(fields) != 3:
                raise UserError(f"{len(fields)} columns instead of 3", path, line, "Rows are an id, a label and a text")
            name, label, post = fields
            if name in seen:
                counts[REPEATED if seen[name] == label else CONFLICTING] += 1
                continue
            seen[name] = label
            yield text_row(name, post.replace("\t", " "), label, line, path)


def find_semeval(folder: Path) -> Iterator[Part]:
    """The yearly files of training and development together, and the test of 2017."""
    by_split: dict[str, list[Path]] = {}
    for one in matching(folder, r"twitter-20\d\d(?P<name>train|devtest|dev)-A\.(txt|tsv)"):
        by_split.setdefault(SEMEVAL_SPLITS[one.groups["name"]], []).append(one.path)
    for one in matching(folder, rf"{SEMEVAL_TEST}\.(txt|tsv)"):
        by_split.setdefault("test", []).append(one.path)
    for split, paths in by_split.items():
        yield Part(split, "en", paths[0], partial(_semeval, paths))


SETS = (
    PublishedSet("nusax", "classification", "{language}/train.csv, valid.csv, test.csv", find_nusax,
                 "https://github.com/IndoNLP/nusax", "CC BY-SA 4.0", LABELS),
    PublishedSet("afrisenti", "classification", "data/{lang}/{lang}_train.tsv or train.tsv, and so on", find_afrisenti,
                 "https://github.com/afrisenti-semeval/afrisent-semeval-2023", "CC BY 4.0", LABELS),
    PublishedSet("semeval2017", "classification", "twitter-2013train-A.txt and its kin, "
                 "SemEval2017-task4-test.subtask-A.english.txt", find_semeval,
                 "https://alt.qcri.org/semeval2017/task4/", "for research, see its site", LABELS,
                 dropped=("neutral",)),
)  # fmt: skip
