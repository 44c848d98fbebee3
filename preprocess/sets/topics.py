"""Topics of sentences and documents: SIB-200 (Adelani et al., EACL 2024) and MLDoc (Schwenk and Li, LREC 2018).

MLDoc's repository has lists of documents; the documents are in Reuters Corpora volumes 1 and 2, which NIST gives out.
A line of a list, ``FDCH5-39373``, is the file ``FDCH5/39373.xml``; its text is in the elements ``p``, and its label is
the one of four topics that it has. The folder ``FDCH5`` is in ``RCV2_Multilingual_Corpus/chinese``, and those of the
English documents, one for each day, are in ``rcv1`` (MLDoc's ``generate_all_documents.sh``). They are found wherever
they are; no two languages have folders of the same name.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from fairseq_xalign.data.formats import named_columns
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines
from fairseq_xalign.labelled.kind import FileRow
from preprocess.sets.published import Counts, Part, PublishedSet, matching, text_row

SIB_LABELS = (
    "entertainment",
    "geography",
    "health",
    "politics",
    "science/technology",
    "sports",
    "travel",
)


def _sib(path: Path, counts: Counts) -> Iterator[FileRow]:
    for line, (name, label, text) in named_columns.read(path, ("index_id", "category", "text")):
        yield text_row(name, text, label, line)


def find_sib(folder: Path) -> Iterator[Part]:
    """``eng_Latn/train.tsv`` and so on; languages are named as FLORES-200 names them."""
    for one in matching(folder, r"(?P<lang>[a-z]{3}_[A-Z][a-z]{3})/(?P<split>train|dev|test)\.tsv"):
        yield Part(one.split, one.groups["lang"], one.path, partial(_sib, one.path))


MLDOC_LANGUAGES = {
    "chinese": "zh",
    "english": "en",
    "french": "fr",
    "german": "de",
    "italian": "it",
    "japanese": "ja",
    "russian": "ru",
    "spanish": "es",
}
MLDOC_TOPICS = ("CCAT", "ECAT", "GCAT", "MCAT")
TOPIC_CODES = ".//codes[@class='bip:topics:1.0']/code"
DOCUMENT_PIECES = 200
"""How many subwords of a document are read (MMTE, section 3.2)."""
TRAINING_SIZE = 1000
"""The size of the training set that the papers use (MMTE, Table 3); the repository has 2,000, 5,000 and 10,000 too."""


NIST = "https://trec.nist.gov/data/reuters/reuters.html"
LAYOUT = "rcv1/19970617/667588newsML.xml for English, RCV2_Multilingual_Corpus/german/FDG2/327466.xml for others"
Folders = Mapping[str, Sequence[Path]]
"""The folders of documents by their names."""


def folders_named(folder: Path, names: Collection[str]) -> dict[str, list[Path]]:
    """The folders of these names below ``folder``, links followed, those nearest to it first.

    What is in them is not listed: volume 1 alone has 800,000 documents.
    """
    found: dict[str, list[Path]] = {}
    waiting, known = [folder], {folder.resolve()}
    while waiting:
        inner = []
        for place in waiting:
            with os.scandir(place) as entries:
                below = sorted(Path(entry.path) for entry in entries if entry.is_dir())
            for path in below:
                if path.name in names:
                    found.setdefault(path.name, []).append(path)
                elif path.resolve() not in known:
                    known.add(path.resolve())
                    inner.append(path)
        waiting = inner
    return found


def _document(path: Path) -> tuple[str, str]:
    """The label and the text of a document.

    Raises:
        UserError: for a file that is not XML, and for one without exactly one of the four topics.
    """
    remedy = f"Get the Reuters corpora again from NIST: {NIST}"
    try:
        document = ElementTree.fromstring(path.read_bytes())
    except ElementTree.ParseError as error:
        raise UserError(f"not valid XML: {error}", path, error.position[0], remedy) from error
    topics = [code.get("code", "") for code in document.iterfind(TOPIC_CODES)]
    labels = [topic for topic in topics if topic in MLDOC_TOPICS]
    if len(labels) != 1:
        raise UserError(f"{len(labels)} of the topics {', '.join(MLDOC_TOPICS)} instead of one", path, remedy=remedy)
    return labels[0], " ".join("".join(paragraph.itertext()) for paragraph in document.iterfind(".//p"))


def _mldoc(index: Path, folder: Path, folders: Folders, counts: Counts) -> Iterator[FileRow]:
    """The documents that an index lists; ``folder`` is where they were looked for, for messages."""
    for line, name in read_lines(index):
        corpus, dash, number = name.strip().partition("-")
        if not dash:
            raise UserError(f"{name[:40]!r} is not of the form CORPUS-NUMBER", index, line, "Get the index again")
        paths = (place / f"{number}.xml" for place in folders.get(corpus, ()))
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            raise UserError(
                f"no document {corpus}/{number}.xml below {folder}, which this line lists",
                index,
                line,
                f"The documents are {LAYOUT}; get them from NIST: {NIST}",
            )
        label, text = _document(path)
        yield text_row(name.strip(), text, label, line)


def find_mldoc(folder: Path) -> Iterator[Part]:
    """The indices, ``english.train.1000``, ``english.dev`` and so on, with the folders of documents below DIR."""
    names = "|".join(MLDOC_LANGUAGES)
    pattern = rf"mldoc-indices/(?P<name>{names})\.(?P<split>train|dev|test)(\.{TRAINING_SIZE})?"
    indices = list(matching(folder, pattern))
    wanted = {name.strip().partition("-")[0] for one in indices for _, name in read_lines(one.path)}
    folders = folders_named(folder, wanted)
    for one in indices:
        rows = partial(_mldoc, one.path, folder, folders)
        yield Part(one.split, MLDOC_LANGUAGES[one.groups["name"]], one.path, rows)


SETS = (
    PublishedSet("sib-200", "classification", "{lang}/train.tsv, dev.tsv, test.tsv", find_sib,
                 "https://github.com/dadelani/sib-200", "Apache-2.0; sentences of FLORES-200: CC BY-SA 4.0",
                 SIB_LABELS),
    PublishedSet("mldoc", "classification", "mldoc-indices/english.train.1000 and its kin, and the documents, "
                 f"{LAYOUT}", find_mldoc, f"https://github.com/facebookresearch/MLDoc and {NIST}",
                 "the documents: NIST's agreement", MLDOC_TOPICS, pieces=DOCUMENT_PIECES),
)  # fmt: skip
