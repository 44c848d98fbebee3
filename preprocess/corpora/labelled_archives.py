"""Labelled sets that are published as one archive: their files are taken out of it, byte for byte.

Checksums are those under which others distribute or test the archives; that of WikiAnn is in
``datasets/wikiann/dataset_infos.json`` of huggingface/datasets. The machine-translated training sets of XNLI, PAWS-X
and the sets of which no checksum is known are not fetched here: ``benchmark`` names their addresses, and reads them
wherever they are.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fairseq_xalign.cli import progress
from fairseq_xalign.errors import UserError
from preprocess.corpora.archive import Archive
from preprocess.corpora.corpus import Corpus, CorpusFolder

XNLI = Archive(
    "https", "XNLI", "1.0", "XNLI-1.0.zip", 17_865_352,
    "4ba1d5e1afdb7161f0f23c66dc787802ccfa8a25a3ddd3b165a35e50df346ab1",
    url="https://dl.fbaipublicfiles.com/XNLI/XNLI-1.0.zip", folder="nli/xnli",
)  # fmt: skip
MULTINLI = Archive(
    "https", "MultiNLI", "1.0", "multinli_1.0.zip", 226_850_426,
    "049f507b9e36b1fcb756cfd5aeb3b7a0cfcb84bf023793652987f7e7e0957822",
    url="https://cims.nyu.edu/~sbowman/multinli/multinli_1.0.zip", folder="nli/multinli",
)  # fmt: skip
MASSIVE = Archive(
    "https", "MASSIVE", "1.0", "amazon-massive-dataset-1.0.tar.gz", 39_500_415,
    "7df623fd2d300a4d235d6ee5bd396c9a28258d3a0ccb29abdb054506eba153f8",
    url="https://amazon-massive-nlu-dataset.s3.amazonaws.com/amazon-massive-dataset-1.0.tar.gz",
    folder="intent-slot/massive",
)  # fmt: skip
WIKIANN = Archive(
    "https", "WikiAnn", "1.1.0", "panx_dataset.zip", 234_008_884,
    "164814b64f749ad000988b5ab45050b5116913b3db466ab173008955ddf649a4",
    url="https://s3.amazonaws.com/datasets.huggingface.co/wikiann/1.1.0/panx_dataset.zip", folder="ner/wikiann",
)  # fmt: skip
WIKIANN_SPLITS = ("train", "dev", "test")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[list[str], Callable[[str], IO[bytes] | None]]]:
    """The names in a zip file or tarball, and what opens one of them."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield archive.namelist(), archive.open
    else:
        with tarfile.open(path) as tarball:
            yield tarball.getnames(), tarball.extractfile


def _build(archive: Archive, suffix: str) -> Callable[[dict[str, Path], CorpusFolder], None]:
    """What takes the files with this end out of the archive, without their folders."""

    def build(archives: dict[str, Path], folder: CorpusFolder) -> None:
        path = archives[archive.file]
        with _opened(path) as (names, opener), tempfile.TemporaryDirectory(dir=folder.path) as place:
            for name in sorted(names):
                file = Path(name).name
                stream = opener(name) if file.endswith(suffix) and not file.startswith(".") else None
                if stream is None or "__MACOSX" in name:
                    continue
                copy = Path(place) / file
                with stream, open(copy, "wb") as target:
                    shutil.copyfileobj(stream, target, 1 << 20)
                folder.keep(file, copy)
        if not folder.files:
            raise UserError(f"no file in it ends in {suffix}", path, remedy="Get it again")

    return build


def _build_wikiann(archives: dict[str, Path], folder: CorpusFolder) -> None:
    """A tarball for each language, ``en.tar.gz``, with train, dev and test; ``extra``, which it has too, is left."""
    path = archives[WIKIANN.file]
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory(dir=folder.path) as place:
        inner = [name for name in sorted(archive.namelist()) if name.endswith(".tar.gz") and "__MACOSX" not in name]
        for name in progress(inner, WIKIANN.package, len(inner)):
            language = Path(name).name.removesuffix(".tar.gz")
            with archive.open(name) as stream, tarfile.open(fileobj=stream, mode="r|gz") as tarball:
                for member in tarball:
                    split = Path(member.name).name
                    content = tarball.extractfile(member) if split in WIKIANN_SPLITS else None
                    if content is None:
                        continue
                    copy = Path(place) / split
                    with content, open(copy, "wb") as target:
                        shutil.copyfileobj(content, target, 1 << 20)
                    folder.keep(f"{language}/{split}", copy)
    if not folder.files:
        raise UserError("no archive of a language in it", path, remedy="Get it again")


CORPORA = (
    Corpus(
        name="xnli",
        summary="XNLI 1.0: natural language inference in 15 languages; dev and test",
        kind="pairs",
        languages=tuple("ar bg de el en es fr hi ru sw th tr ur vi zh".split()),
        licence="CC BY-NC 4.0; see the README in the archive",
        attribution="Conneau et al., XNLI: Evaluating Cross-lingual Sentence Representations, EMNLP 2018",
        cleaning="none: the files of the archive, byte for byte",
        archives=(XNLI,),
        build=_build(XNLI, ".tsv"),
        working_space=90_000_000,
    ),
    Corpus(
        name="multinli",
        summary="MultiNLI 1.0: natural language inference in English; train and two dev sets",
        kind="pairs",
        languages=("en",),
        licence="OANC and other licences by genre; see the paper",
        attribution="Williams, Nangia, Bowman, A Broad-Coverage Challenge Corpus, NAACL 2018",
        cleaning="none: the files of the archive, byte for byte",
        archives=(MULTINLI,),
        build=_build(MULTINLI, ".jsonl"),
        working_space=900_000_000,
    ),
    Corpus(
        name="massive",
        summary="MASSIVE 1.0: intents and slots of commands in 51 languages; train, dev and test",
        kind="classification",
        languages=("en", "…"),
        licence="CC BY 4.0",
        attribution="FitzGerald et al., MASSIVE, ACL 2023",
        cleaning="none: the files of the archive, byte for byte",
        archives=(MASSIVE,),
        build=_build(MASSIVE, ".jsonl"),
        working_space=500_000_000,
    ),
    Corpus(
        name="wikiann",
        summary="WikiAnn (PAN-X): entities in 176 languages of Wikipedia, as Rahimi et al. split it; see benchmark ner",
        kind="tagging",
        languages=("en", "…"),
        licence="Apache-2.0 (its repository); texts of Wikipedia: CC BY-SA",
        attribution="Pan et al., Cross-lingual Name Tagging and Linking for 282 Languages, ACL 2017; "
        "splits: Rahimi et al., Massively Multilingual Transfer for NER, ACL 2019",
        cleaning="none: train, dev and test of each language, byte for byte; extra is left out",
        archives=(WIKIANN,),
        build=_build_wikiann,
        working_space=1_000_000_000,
    ),
)
