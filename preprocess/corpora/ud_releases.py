"""Treebanks of Universal Dependencies as the papers use them: GUM (TPP), and a treebank per language of UD 2.3 (MMTE).

MMTE tags 48 languages of UD 2.3 that its translation model knows, and does not print which. Here are the 47 languages
of UD 2.3 with training, development and test data that are among those of the model's family (Arivazhagan et al. 2019),
and four more (Armenian, Irish, Kazakh, Kurmanji) without development data. Of a language with several treebanks it is
the one that is largest or most used; the paper names none. Names end in the release: ``ud-german-gsd-2.3``.

The table ``ud_releases.tsv`` beside this file has the commit of each release, and for every file git's own checksum of
its content (the SHA-1 of its blob), by which the release's tag names it. The size of a large file is 0: not known
before the download.
"""

from __future__ import annotations

import csv
from importlib import resources

from preprocess.corpora.archive import GIT, Archive
from preprocess.corpora.corpus import Corpus
from preprocess.corpora.universal_dependencies import SERVER, build_treebank

LARGE = 60_000_000
"""Bytes of disk space that are kept free for a file of unknown size."""
CITE = {
    "2.3": "Nivre et al., Universal Dependencies 2.3, LINDAT/CLARIN 2018, and the treebank's README",
    "2.8": "Zeldes, The GUM Corpus, Language Resources and Evaluation 51, 2017; Universal Dependencies 2.8",
}


def _rows() -> dict[tuple[str, str], list[dict[str, str]]]:
    """The table's rows of each treebank and release."""
    text = resources.files(__package__).joinpath("ud_releases.tsv").read_text("utf-8")
    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in csv.DictReader(text.splitlines(), delimiter="\t"):
        found.setdefault((row["treebank"], row["release"]), []).append(row)
    return found


def _archive(row: dict[str, str]) -> Archive:
    folder = f"UD_{row['treebank']}"
    return Archive(
        "https",
        folder,
        row["release"],
        row["file"],
        int(row["size"]),
        GIT + row["git_blob"],
        url=f"{SERVER}/{folder}/{row['commit']}/{row['file']}",
        folder=f"ud/{folder}",
    )


def _corpus(treebank: str, release: str, rows: list[dict[str, str]]) -> Corpus:
    archives = tuple(_archive(row) for row in rows)
    language = rows[0]["file"].partition("_")[0]
    return Corpus(
        name="ud-english-gum" if treebank == "English-GUM" else f"ud-{treebank.lower()}-{release}",
        summary=f"UD_{treebank} of UD {release}: words, UPOS and dependencies",
        kind="treebank",
        languages=(language,),
        licence=rows[0]["licence"],
        attribution=CITE[release],
        cleaning="none: the release's files, byte for byte",
        archives=archives,
        build=build_treebank(language),
        working_space=sum(archive.size or LARGE for archive in archives),
    )


CORPORA = tuple(_corpus(treebank, release, rows) for (treebank, release), rows in sorted(_rows().items()))
