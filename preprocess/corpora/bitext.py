"""The parallel corpora of PPA, WEAM and TPP, under the names that the recipes use.

Europarl, MultiUN and EUbookshop come from OPUS, IITB and translation2019zh from their makers, WikiMatrix from LASER's
server, Tatoeba and Wikidata from their own. No checksum of these files is known here: they are large, and Tatoeba's
and Wikidata's are made anew every week. What was taken is told and kept in ``corpus.json``; archives have checksums
within, so that a damaged one is noticed.

A few pairs of a thousand are held out, by their English sentence: near repetitions are in the same split.
"""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO

from fairseq_xalign.cli import progress
from fairseq_xalign.constants import SPLITS
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import decoded_lines
from preprocess.corpora.archive import Archive
from preprocess.corpora.cleaning import clean, split_of
from preprocess.corpora.corpus import Corpus, CorpusFolder
from preprocess.corpora.interface import english_key
from preprocess.pairs import tatoeba, wikidata, wikimatrix
from preprocess.pairs.interface import Wanted
from preprocess.pairs.wikimatrix import MARGIN
from preprocess.parallel import available_cores

OPUS = "https://object.pouta.csc.fi/OPUS-{corpus}/{version}/moses/{pair}.txt.zip"
TATOEBA = "https://downloads.tatoeba.org/exports/per_language"
WIKIMATRIX = "https://dl.fbaipublicfiles.com/laser/WikiMatrix/v1"
WIKIDATA = "https://dumps.wikimedia.org/wikidatawiki/entities"
IITB = "http://www.cfilt.iitb.ac.in/~moses/iitb_en_hi_parallel/iitb_corpus_download/parallel.tgz"
TRANSLATION_2019 = "https://drive.google.com/file/d/1EX8eE5YWBxCaohBO8Fh4e2j3b9C2bTVQ/view"
SMALL, LARGE = (20, 20), (1, 1)
"""Of a thousand pairs, how many are in ``valid`` and in ``test``."""
TPP_LANGUAGES = {"ar": "ara", "hi": "hin", "ja": "jpn"}
Pairs = Iterable[tuple[str, str]]


def write_pairs(pairs: Pairs, target: str, folder: CorpusFolder, held_out: tuple[int, int] = LARGE) -> None:
    """Write pairs (English, target), cleaned, into the files of their splits."""
    with ExitStack() as stack:
        files = {
            (split, side): stack.enter_context(folder.open(f"{split}.en-{target}.{side}.txt"))
            for split in SPLITS
            for side in ("en", target)
        }
        for english, other in progress(pairs, f"en-{target}", None):
            texts = clean(english), clean(other)
            if not all(texts):
                folder.dropped["empty side"] += 1
                continue
            split = split_of(english_key(texts[0]) or texts[0], *held_out)
            for side, text in zip(("en", target), texts):
                files[split, side].line(text)


def side_by_side(streams: list[IO[bytes]], names: list[str], where: Path) -> Iterator[tuple[str, str]]:
    """The lines of two files of an archive, which must be as many."""
    sides = [decoded_lines(stream, f"{where}:{name}") for stream, name in zip(streams, names)]
    count = 0
    while True:
        lines = [next(side, None) for side in sides]
        if None in lines:
            break
        count += 1
        yield lines[0][1], lines[1][1]  # type: ignore[index]
    if any(lines):
        raise UserError(
            f"{names[0]} and {names[1]} have different numbers of lines: one ends after {count}", where,
            remedy="Download it again",
        )  # fmt: skip


def build_opus(archives: dict[str, Path], folder: CorpusFolder, corpus: str, pair: str, target: str) -> None:
    """Two text files in a zip archive, as OPUS writes them for Moses."""
    (path,) = archives.values()
    names = [f"{corpus}.{pair}.{side}" for side in ("en", target)]
    with zipfile.ZipFile(path) as archive, ExitStack() as stack:
        missing = [name for name in names if name not in archive.namelist()]
        if missing:
            raise UserError(f"has no {' and no '.join(missing)}", path, remedy="Download it again")
        streams = [stack.enter_context(archive.open(name)) for name in names]
        write_pairs(side_by_side(streams, names, path), target, folder)


def build_iitb(archives: dict[str, Path], folder: CorpusFolder) -> None:
    """The training text; its authors' own development and test sets are other archives."""
    (path,) = archives.values()
    names = [f"parallel/IITB.en-hi.{side}" for side in ("en", "hi")]
    with tarfile.open(path) as archive:
        try:  # a compressed tarball is read from its beginning for each file: keep one of the two in memory
            first, second = (archive.extractfile(name) for name in names)
        except KeyError as error:
            raise UserError(f"has no {error.args[0]}", path, remedy="Download it again") from error
        assert first is not None and second is not None, "regular files"
        streams: list[IO[bytes]] = [io.BytesIO(first.read()), second]
        write_pairs(side_by_side(streams, names, path), "hi", folder)


def build_translation2019zh(archives: dict[str, Path], folder: CorpusFolder) -> None:
    """JSON lines with ``english`` and ``chinese``; its training part is split, its validation part left alone."""
    (path,) = archives.values()
    name = "translation2019zh_train.json"
    with zipfile.ZipFile(path) as archive:
        member = next((found for found in archive.namelist() if Path(found).name == name), None)
        if member is None:
            raise UserError(f"has no {name}", path, remedy="Download it again")
        with archive.open(member) as stream:
            write_pairs(_json_pairs(stream, f"{path}:{name}"), "zh", folder)


def _json_pairs(stream: IO[bytes], where: str) -> Iterator[tuple[str, str]]:
    for number, line in decoded_lines(stream, where):
        try:
            row = json.loads(line)
            english, chinese = row["english"], row["chinese"]
            for key, text in (("english", english), ("chinese", chinese)):
                if not isinstance(text, str):
                    raise TypeError(f"{key!r} must be a text, not {text!r:.60}")
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"not a pair of translation2019zh: {error}", where, number, "Download it again") from error
        yield english, chinese


def build_wikimatrix(archives: dict[str, Path], folder: CorpusFolder, target: str) -> None:
    """Pairs of TPP's margin and more, in the order of the file: the highest first."""
    wanted = Wanted("en", target, MARGIN)
    write_pairs(wikimatrix.read([str(path) for path in archives.values()], wanted), target, folder)
    folder.dropped.update(wanted.counts)


def build_tatoeba(archives: dict[str, Path], folder: CorpusFolder, target: str) -> None:
    """Every link between the two languages."""
    wanted = Wanted("eng", TPP_LANGUAGES[target])
    write_pairs(tatoeba.read([str(path) for path in archives.values()], wanted), target, folder, SMALL)
    folder.dropped.update(wanted.counts)


def build_wikidata(archives: dict[str, Path], folder: CorpusFolder) -> None:
    """Label and description of every item in English and each language of TPP, in one pass over the dump."""
    (path,) = archives.values()
    languages = tuple(("en", target) for target in TPP_LANGUAGES)
    counts = Counter[str]()
    with ExitStack() as stack:
        files = {
            (split, pair, side): stack.enter_context(folder.open(f"{split}.en-{pair[1]}.{side}.txt"))
            for split in SPLITS
            for pair in languages
            for side in pair
        }
        found = wikidata.read_pairs(str(path), languages, available_cores(), counts)
        for pair, *texts in progress(found, "wikidata", None):
            cleaned = [clean(text) for text in texts]
            if not all(cleaned):
                folder.dropped["empty side"] += 1
                continue
            split = split_of(english_key(cleaned[0]) or cleaned[0], *LARGE)
            for side, text in zip(pair, cleaned):
                files[split, pair, side].line(text)
    folder.dropped.update(counts)


def _file(name: str, url: str, package: str, version: str, kind: str = "https", size: int = 0) -> Archive:
    return Archive(kind, package, version, name, size, "", url=url, folder=f"bitext/{package}")


def _parallel(
    name: str, summary: str, target: tuple[str, ...], licence: str, attribution: str, archives: tuple[Archive, ...],
    build: Callable[[dict[str, Path], CorpusFolder], None], working_space: int, cleaning: str = "",
) -> Corpus:  # fmt: skip
    return Corpus(
        name=name, summary=summary, kind="parallel", languages=("en", *target), licence=licence,
        attribution=attribution, cleaning="NFC, no control characters; pairs with an empty side dropped" + cleaning,
        archives=archives, build=build, working_space=working_space,
    )  # fmt: skip


def _opus(corpus: str, version: str, target: str, summary: str, licence: str, attribution: str, space: int) -> Corpus:
    pair = "-".join(sorted(("en", target)))
    url = OPUS.format(corpus=corpus, version=version, pair=pair)
    archive = _file(f"{corpus}.{pair}.txt.zip", url, f"OPUS-{corpus}", version)
    build = partial(build_opus, corpus=corpus, pair=pair, target=target)
    name = f"{corpus.lower()}-en-{target}"
    return _parallel(name, summary, (target,), licence, attribution, (archive,), build, space)


_TIEDEMANN = "; J. Tiedemann, Parallel Data, Tools and Interfaces in OPUS, LREC 2012"
_EUROPARL = "P. Koehn, Europarl: A Parallel Corpus for Statistical Machine Translation, MT Summit 2005" + _TIEDEMANN
_MULTIUN = "A. Eisele, Y. Chen, MultiUN: A Multilingual Corpus from United Nation Documents, LREC 2010" + _TIEDEMANN
_WIKIMATRIX = "Schwenk et al., WikiMatrix: Mining 135M Parallel Sentences in 1620 Language Pairs from Wikipedia (2019)"
_IITB = "Kunchukuttan, Mehta, Bhattacharyya, The IIT Bombay English-Hindi Parallel Corpus, LREC 2018"

CORPORA = (
    *(
        _opus(
            "Europarl", "v8", target, "Europarl, proceedings of the European Parliament (PPA, WEAM)",
            "its makers know of no restrictions by copyright", _EUROPARL, 1_500_000_000,
        )
        for target in ("bg", "de", "es", "fr")
    ),
    *(
        _opus(
            "MultiUN", "v1", target, "MultiUN, documents of the United Nations (PPA)",
            "not stated; documents of the United Nations", _MULTIUN, 9_000_000_000,
        )
        for target in ("ar", "es", "fr", "zh")
    ),
    *(
        _opus(
            "EUbookshop", "v2", target, "EUbookshop, publications of the European Union (PPA)",
            "not stated; publications of the European Union",
            "Skadins et al., Billions of Parallel Words for Free, LREC 2014" + _TIEDEMANN, 6_000_000_000,
        )
        for target in ("bg", "de")
    ),
    _parallel(
        "iitb-en-hi", "IIT Bombay's English-Hindi corpus, 1.6 million pairs (PPA)", ("hi",), "CC BY-NC 4.0", _IITB,
        (_file("parallel.tgz", IITB, "IITB", "1.5"),), build_iitb, 1_500_000_000,
    ),
    _parallel(
        "translation2019zh", "translation2019zh, 5.2 million pairs of English and Chinese (WEAM)", ("zh",),
        "not stated for the texts; ask before you pass them on",
        "B. Xu, NLP Chinese Corpus: Large Scale Chinese Corpus for NLP (2019)",
        (_file("translation2019zh.zip", TRANSLATION_2019, "translation2019zh", "2019", "hand"),),
        build_translation2019zh, 3_000_000_000,
    ),
    *(
        _parallel(
            f"wikimatrix-en-{target}", "WikiMatrix, sentences mined from Wikipedia (TPP)", (target,), "CC BY-SA 3.0",
            _WIKIMATRIX,
            (_file(
                f"WikiMatrix.{pair}.tsv.gz", f"{WIKIMATRIX}/WikiMatrix.{pair}.tsv.gz", "WikiMatrix", "v1",
            ),),
            partial(build_wikimatrix, target=target), 1_500_000_000, f"; pairs of a margin below {MARGIN} left out",
        )
        for target in TPP_LANGUAGES
        for pair in ("-".join(sorted(("en", target))),)
    ),
    *(
        _parallel(
            f"tatoeba-en-{target}", "Tatoeba, sentences translated by volunteers, as of this week (TPP)", (target,),
            "CC BY 2.0 FR", "Tatoeba, https://tatoeba.org",
            (
                _file("eng_sentences.tsv.bz2", f"{TATOEBA}/eng/eng_sentences.tsv.bz2", "Tatoeba", "weekly"),
                *(
                    _file(name, f"{TATOEBA}/{folder}/{name}", "Tatoeba", "weekly")
                    for folder, name in (
                        (code, f"{code}_sentences.tsv.bz2"), ("eng", f"eng-{code}_links.tsv.bz2"),
                    )
                ),
            ),
            partial(build_tatoeba, target=target), 400_000_000, "; every link is a pair",
        )
        for target, code in TPP_LANGUAGES.items()
    ),
    _parallel(
        "wikidata", "Wikidata, label and description of each item, as of this week (TPP); over 100 GB to download",
        tuple(TPP_LANGUAGES), "CC0", "Wikidata, https://www.wikidata.org",
        (_file("latest-all.json.gz", f"{WIKIDATA}/latest-all.json.gz", "Wikidata", "weekly"),),
        build_wikidata, 2_000_000_000, "; items without both texts, or with equal ones, left out",
    ),
)  # fmt: skip
