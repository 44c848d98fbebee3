"""Labelled sets at pinned commits of their repositories, byte for byte, for ``benchmark NAME --from FOLDER``.

Tatoeba's test sets have no labels; they are here because they come in the same way, for ``xalign-evaluate retrieve``.

The table ``labelled.tsv`` beside this file has the name, size and checksum of each file. A set that is larger, or that
may not be passed on, is fetched by hand: ``preprocess/sets`` says which files ``benchmark`` reads of it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from fairseq_xalign.cli import progress
from preprocess.corpora.archive import Archive
from preprocess.corpora.corpus import Corpus, CorpusFolder

_SERVER = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class Source:
    """Where a set is, and what is told of it.

    Attributes:
        repository, commit, path: of the files on the server.
        folder: their folder below ``$XALIGN_DATA``.
    """

    repository: str
    commit: str
    path: str
    folder: str
    summary: str
    languages: tuple[str, ...]
    licence: str
    attribution: str
    kind: str


SOURCES = {
    "cad-nli": Source(
        "acmi-lab/counterfactually-augmented-data", "6f232a1d2a11462a30ce08fb4825b734ab30828e", "NLI", "nli/cad-nli-en",
        "CAD-NLI: pairs of SNLI and their counterfactual revisions; train, dev and test", ("en",), "Apache-2.0",
        "Kaushik, Hovy, Lipton, Learning the Difference that Makes a Difference, ICLR 2020", "pairs",
    ),
    "kornli": Source(
        "kakaobrain/kor-nlu-datasets", "0df0fe7d496eb61b092e022e238c2230b29f1cbc", "KorNLI", "nli/kor-nlu/KorNLI",
        "KorNLI: the development and test sets of XNLI in Korean", ("ko",), "CC BY-SA 4.0",
        "Ham et al., KorNLI and KorSTS, Findings of EMNLP 2020", "pairs",
    ),
    "indonli": Source(
        "ir-nlp-csui/indonli", "7b55d8217cc8417a8268b2ee6ba07bbfb75a4c8b", "data/indonli", "nli/indonli",
        "IndoNLI: pairs written by people, with tests by lay authors and by experts", ("id",),
        "no licence file: for evaluation; ask its authors before you pass it on",
        "Mahendra et al., IndoNLI, EMNLP 2021", "pairs",
    ),
    "americasnli": Source(
        "abteen/americasnli", "bebd02ca1e4529016fca2e4554a5c48c285b8fba", "data/anli_final", "nli/americasnli",
        "AmericasNLI: XNLI in ten indigenous languages of the Americas; dev and test",
        ("aym", "bzd", "cni", "gn", "hch", "nah", "oto", "quy", "shp", "tar"), "CC BY-SA 4.0",
        "Ebrahimi et al., AmericasNLI, ACL 2022", "pairs",
    ),
    "nusax": Source(
        "IndoNLP/nusax", "75b0be5d982348332509f296e10d9bf9cb66d60f", "datasets/sentiment", "sentiment/nusax/sentiment",
        "NusaX: sentiment of the same sentences in twelve languages; train, valid and test",
        ("id", "en", "ace", "ban", "bbc", "bjn", "bug", "jv", "mad", "min", "nij", "su"), "CC BY-SA 4.0",
        "Winata et al., NusaX, EACL 2023", "classification",
    ),
    "sib-200": Source(
        "dadelani/sib-200", "593cea88519930f776c1a4a1980b6a35b39dca57", "data/annotated", "topic/sib-200",
        "SIB-200: topics of sentences; test in 205 languages, train and dev in 13 of them", ("en", "…"),
        "Apache-2.0; sentences of FLORES-200: CC BY-SA 4.0", "Adelani et al., SIB-200, EACL 2024", "classification",
    ),
    "xsid": Source(
        "mainlp/xsid", "761d926c3f2e9f6bea13192d2f39cec1d04d9777", "data/xSID-0.7", "intent-slot/xsid-0.7",
        "xSID 0.7: intents (and slots) of commands; valid and test",
        ("ar", "da", "de", "de-ba", "de-muc", "de-st", "en", "gsw", "id", "it", "ja", "kk", "lt", "nap", "nl", "no",
         "sr", "tr", "zh"), "CC BY-SA 4.0",
        "van der Goot et al., NAACL 2021; Aepli et al., VarDial 2023; Winkler et al., LREC-COLING 2024; Krückl et al. "
        "2025; Mæhlum and Scherrer, VarDial 2024", "classification",
    ),
    "tatoeba": Source(
        "facebookresearch/LASER", "74bc6ae7ffb7cba670fe0f428d0ede9f666fb821", "data/tatoeba/v1",
        "retrieval/tatoeba-v1",
        "Tatoeba: up to 1,000 sentences of each of 112 languages and their English translations, for retrieve",
        ("en", "…"), "CC BY 2.0 FR", "Artetxe and Schwenk, TACL 7, 2019; the sentences: tatoeba.org", "retrieval",
    ),
    "masakhaner": Source(
        "masakhane-io/masakhane-ner", "ba5843cd08aa491d5f96a5e809e71eb9ec461391", "data", "ner/masakhaner",
        "MasakhaNER: persons, places, organisations and dates in ten languages of Africa; train, dev and test",
        ("amh", "hau", "ibo", "kin", "lug", "luo", "pcm", "swa", "wol", "yor"), "CC BY-NC 4.0",
        "Adelani et al., MasakhaNER, TACL 9, 2021", "entities",
    ),
    "masakhaner2": Source(
        "masakhane-io/masakhane-ner", "ba5843cd08aa491d5f96a5e809e71eb9ec461391", "MasakhaNER2.0/data",
        "ner/masakhaner2",
        "MasakhaNER 2.0: the same in twenty languages; train, dev and test",
        ("bam", "bbj", "ewe", "fon", "hau", "ibo", "kin", "lug", "luo", "mos", "nya", "pcm", "sna", "swa", "tsn", "twi",
         "wol", "xho", "yor", "zul"), "CC BY-NC 4.0",
        "Adelani et al., MasakhaNER 2.0, EMNLP 2022", "entities",
    ),
    **{
        f"uner-{treebank.lower()}": Source(
            f"UniversalNER/UNER_{treebank}", commit, "", f"ner/UNER_{treebank}",
            f"Universal NER on UD_{treebank}: persons, places and organisations ({splits})", (language,), licence,
            "Mayhew et al., Universal NER, NAACL 2024", "entities",
        )
        for treebank, language, splits, licence, commit in (
            ("Danish-DDT", "da", "train, dev, test", "CC BY-SA 4.0", "983c4cdc09f8ece6069d2b692b60dc4b3649ec6e"),
            ("English-EWT", "en", "dev, test", "CC BY-SA 4.0", "8ed072de2fd24022cc62458997fe96a8fe191ea4"),
            ("German-PUD", "de", "test", "CC BY-SA 3.0", "47eb039b6d80079b280ba70efe4136413fb7af9c"),
            ("Portuguese-PUD", "pt", "test", "CC BY-SA 3.0", "cda2cf86b68d45e896aab97ceca5e91d43a86db7"),
            ("Chinese-PUD", "zh", "test", "CC BY-SA 3.0", "647ba53747e1aa1818541965db99a0196440b7d2"),
        )
    },
    "squad": Source(
        "rajpurkar/SQuAD-explorer", "240e165ab706d95bd4323653bb92421f446208cf", "dataset", "qa/squad",
        "SQuAD v1.1: questions about Wikipedia; train and dev", ("en",), "CC BY-SA 4.0",
        "Rajpurkar et al., SQuAD, EMNLP 2016", "qa",
    ),
    "xquad": Source(
        "google-deepmind/xquad", "7d30520c717524000f0d9d2f9c10a069acd9d285", "", "qa/xquad",
        "XQuAD: 1,190 questions of SQuAD's development set, translated by professionals; test",
        ("ar", "de", "el", "en", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh"), "CC BY-SA 4.0",
        "Artetxe, Ruder, Yogatama, ACL 2020; Romanian: Dumitrescu et al., LiRo, NeurIPS 2021", "qa",
    ),
    "jaquad": Source(
        "SkelterLabsInc/JaQuAD", "23f5d72cc273c49b35e2d9efe0f51757aa1770bd", "data", "qa/jaquad",
        "JaQuAD: questions about Wikipedia in Japanese; train and dev", ("ja",), "CC BY-SA 3.0",
        "So, Byun, Kang, Cho, JaQuAD, 2022", "qa",
    ),
    "arcd": Source(
        "husseinmozannar/SOQAL", "1229d34aa2b7a0b9a2e4858c9268e68f45d7e3c4", "data", "qa/arcd",
        "ARCD: questions about Wikipedia in Arabic; train and test", ("ar",), "MIT",
        "Mozannar et al., Neural Arabic Question Answering, WANLP 2019", "qa",
    ),
}  # fmt: skip


def _archives(name: str, source: Source) -> tuple[Archive, ...]:
    text = resources.files(__package__).joinpath("labelled.tsv").read_text("utf-8")
    return tuple(
        Archive(
            "https",
            source.repository.partition("/")[2],
            source.commit[:12],
            row["file"],
            int(row["size"]),
            row["sha256"],
            url=f"{_SERVER}/{source.repository}/{source.commit}/{source.path}{'/' * bool(source.path)}{row['file']}",
            folder=source.folder,
        )
        for row in csv.DictReader(text.splitlines(), delimiter="\t")
        if row["set"] == name
    )


def build(archives: dict[str, Path], folder: CorpusFolder) -> None:
    """The files as they are, in the folders of the set."""
    for file, path in progress(archives.items(), "files", len(archives)):
        folder.keep(file, path)


CORPORA = tuple(
    Corpus(
        name=name,
        summary=source.summary,
        kind=source.kind,
        languages=source.languages,
        licence=source.licence,
        attribution=source.attribution,
        cleaning="none: the files of the repository, byte for byte",
        archives=(archives := _archives(name, source)),
        build=build,
        working_space=sum(archive.size for archive in archives),
    )
    for name, source in SOURCES.items()
)
