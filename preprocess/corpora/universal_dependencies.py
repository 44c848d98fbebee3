"""Universal Dependencies treebanks at pinned commits: English EWT (train, valid, test) and the parallel PUD (test).

The files are kept byte for byte: they are gold data, and their readers normalise what they need. EWT: Silveira et al.
2014; PUD: Zeman et al. 2017 (CoNLL shared task).
"""

from __future__ import annotations

import re
from pathlib import Path

from fairseq_xalign.constants import SPLIT_ALIASES
from fairseq_xalign.data.formats.conllu import PART
from preprocess.corpora.archive import Archive
from preprocess.corpora.corpus import Corpus, CorpusFolder, CountedFile

SERVER = "https://raw.githubusercontent.com/UniversalDependencies"

SPLIT = re.compile(rf"-ud-(?P<split>train|dev|test){PART}\.conllu")
"""The split in the name of a release's file; large treebanks have several files of one (``train-c``, ``train-l``)."""

# Treebank -> (language, commit, {part of the release: (bytes, SHA-256)}).
_EWT = (
    "en",
    "2f5eba2de9e9847308fd808e9526cd4422daf3e0",
    {
        "train": (13473379, "0f6e92f3fe4b461df863ff4c6c63a936ed4a16f39b7136d4635bc20b87d230b3"),
        "dev": (1712318, "9af2d3fb48c7a2084130633e30ba1494cd089ad56450b087e3a587d8dc4fd98a"),
        "test": (1713436, "751116e1e4e8488273d58e13bfc823ab1c47c8753afe43d062be618a0bd07a8e"),
    },
)
_PUD = {
    "Arabic": (
        "ar",
        "be733f45d21f42d506c62930f806ed2182a5ee3d",
        (2339267, "a6d574a46815f6d6e7fa2e92944a2bbde0acaad5013010d92a99f1ef711ce17b"),
    ),
    "Chinese": (
        "zh",
        "2849afd946a8c01b3e9acdf3e7afa8670cf2777d",
        (2199911, "e12582af2e2bbc2e27155ca7dc12b6fc4a037dbc716e1f805d67e34ffb2596b3"),
    ),
    "English": (
        "en",
        "f16eba4ae7f3d161870ed320676c5088b8fa476c",
        (1386858, "c80584f2bc2b31d5bada78a1136f9feec7ac49e5e18898db02dea434b5b8f0aa"),
    ),
    "French": (
        "fr",
        "c245786cfb3020d43bcfc96215ae531a1b07bcbc",
        (1820910, "793540702db111d2bfe04f846edddb23e7a2a432294fe17cb612dd795fb0301f"),
    ),
    "German": (
        "de",
        "ff80846ae60a0a70fc4d6251ef73e6a483a620ee",
        (1717993, "a530bdb50349bbd7c13706b6a759a9d73e8f514fff41fbf27149e914b0c3e723"),
    ),
    "Hindi": (
        "hi",
        "8bc630f73e0737ce5ed9eaa97abf11f172ecc9bd",
        (3043589, "3562b7f49420912acad70a45a483f683dcb44624ea92f82e21b29f2ee41a9dff"),
    ),
    "Indonesian": (
        "id",
        "765fb3fe486201f094cb177aff5aa84bc6b06800",
        (1161372, "07efad4d64863ab442aef820afdb34c269f80366c6efb583225f943e5baf88b2"),
    ),
    "Italian": (
        "it",
        "71d932aa096368331ba2fd9bc906ec8dd853da8e",
        (1697113, "ad5d302bdfd05194155d9ad43dc54c3cb915076d66b3eb6ef33eca9a11f1372a"),
    ),
    "Japanese": (
        "ja",
        "54b1bff9d9fa5c39423647b25b0a124b05c1c01e",
        (1660744, "5ca56f22fbf184345375a08135f293e4e539b3093d504ea9498c87e175136ef8"),
    ),
    "Russian": (
        "ru",
        "da5b3816eeaa24283c1d81a48bb1de4d062fc5d5",
        (1868376, "a37e076d24f0c3cfd5d48a11bbfec36026da5dc46180b7a12dc991dc372de1ea"),
    ),
    "Spanish": (
        "es",
        "818a82b8628c9cbec78750c7e83ccba34b9ce22b",
        (1730033, "48a7b5c7f409100b24eba90c7397e01f6fecaaf3207315a9a1bda029f77e98d3"),
    ),
    "Turkish": (
        "tr",
        "63a134a087c8475ea832713b960baba8ff2f9401",
        (1382437, "7c1b6fe01662a7617758fbecdda6af6fc3914ace46b1809d6514af0a1c1df88c"),
    ),
}


def _archives(treebank: str, language: str, commit: str, parts: dict[str, tuple[int, str]]) -> tuple[Archive, ...]:
    folder = f"UD_{treebank}"
    stem = f"{language}_{treebank.partition('-')[2].lower()}-ud"
    return tuple(
        Archive(
            "https",
            folder,
            commit[:12],
            f"{stem}-{part}.conllu",
            size,
            sha256,
            url=f"{SERVER}/{folder}/{commit}/{stem}-{part}.conllu",
            folder=f"ud/{folder}",
        )
        for part, (size, sha256) in parts.items()
    )


def build_treebank(language: str):
    """A reader that gives a release's files their names in the corpus; several files of a split become one."""

    def build(archives: dict[str, Path], folder: CorpusFolder) -> None:
        parts: dict[str, list[Path]] = {}
        for file, path in archives.items():
            found = SPLIT.search(file)
            assert found is not None, file
            parts.setdefault(SPLIT_ALIASES.get(found["split"], found["split"]), []).append(path)
        for split, paths in parts.items():
            with folder.open(f"{split}.{language}.conllu") as stream:
                for path in paths:
                    _copy(path, stream)

    return build


def _copy(path: Path, stream: CountedFile) -> None:
    """Write the sentences of a file."""
    with open(path, encoding="utf-8", newline="\n") as rows:
        sentence: list[str] = []
        for row in rows:
            row = row.removesuffix("\n")
            if row:
                sentence.append(row)
            elif sentence:
                stream.tree(sentence, sum(1 for line in sentence if line.partition("\t")[0].isdigit()))
                sentence = []


def _corpus(
    treebank: str, licence: str, cite: str, language: str, commit: str, parts: dict[str, tuple[int, str]]
) -> Corpus:
    archives = _archives(treebank, language, commit, parts)
    splits = ", ".join(SPLIT_ALIASES.get(part, part) for part in parts)
    return Corpus(
        name=f"ud-{treebank.lower()}",
        summary=f"UD_{treebank}: words, UPOS and dependencies ({splits})",
        kind="treebank",
        languages=(language,),
        licence=licence,
        attribution=cite,
        cleaning="none: the release's files, byte for byte",
        archives=archives,
        build=build_treebank(language),
        working_space=sum(archive.size for archive in archives),
    )


_CITE_EWT = "Silveira et al., A Gold Standard Dependency Corpus for English, LREC 2014; release 2.8"
_CITE_PUD = "Zeman et al., CoNLL 2017 Shared Task: Multilingual Parsing from Raw Text to Universal Dependencies"

CORPORA = (
    _corpus("English-EWT", "CC BY-SA 4.0", _CITE_EWT, *_EWT),
    *(
        _corpus(f"{name}-PUD", "CC BY-SA 3.0", _CITE_PUD, language, commit, {"test": test})
        for name, (language, commit, test) in _PUD.items()
    ),
)
