"""Named entities: the task ``ner``, whose tags are IOB2, with seqeval's scores and readers of the original files.

=============  ===============================================  ====================================================
corpus         its files, as ``benchmark`` finds them           what is done
=============  ===============================================  ====================================================
CoNLL-2002/03  ``esp.train``, ``ned.testa``, ``eng.testb`` ...  first and last column, ISO-8859-1, IOB1 to IOB2
WikiAnn/PAN-X  ``en/train`` or ``en-train``                     ``en:`` ahead of tokens is taken away
SSEA-2008      ``test-data-hindi.txt``                          brackets to IOB2, the outermost entity
MasakhaNER     ``yor/train.txt``                                as it is
Universal NER  ``da_ddt-ud-train.iob2``                         token and tag, without the columns on annotators
=============  ===============================================  ====================================================

The layouts of lines are described in ``data/formats/columns.py`` and ``ssf.py``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fairseq_xalign.data.formats import columns, conllu, ssf
from fairseq_xalign.evaluate.metrics.chunks import ChunkF1, is_iob2
from fairseq_xalign.evaluate.metrics.labels import Metric, Pair, TokenAccuracy
from fairseq_xalign.labelled.kind import LANGUAGE_IN_NAME, FileRow, Row, Task

ENTITY_TAGS = "Named-entity tags are O, B-TYPE and I-TYPE; for parts of speech use --task pos"
CONLL_LANGUAGES = {"esp": "es", "ned": "nl", "eng": "en", "deu": "de"}
CONLL_SPLITS = {"train": "train", "testa": "valid", "testb": "test"}
SSEA_LANGUAGES = {"hindi": "hi", "bengali": "bn", "oriya": "or", "telugu": "te", "urdu": "ur"}
SSEA_NAME = re.compile(r"test-data-(?P<lang>[a-z]+)\.txt")
_PACKED = r"(\.(gz|xz|bz2|zst))?"
_SPLIT, _CODE = "(?P<split>train|dev|test)", r"(?P<lang>[a-z]{2,3}(-[a-z]+)*)"
PLACES = (
    re.compile(rf"{_CODE}-{_SPLIT}{_PACKED}"),  # PAN-X as XTREME got it
    re.compile(rf"{_CODE}/{_SPLIT}(\.txt)?{_PACKED}"),  # PAN-X by language, MasakhaNER
)
"""Names without a suffix, or with one that says nothing: of the file, or of its folder and the file."""


def metrics(pairs: Sequence[Pair]) -> list[Metric]:
    """Micro F1 of entities, its strict reading where all gold tags are IOB2, and accuracy."""
    strict = [ChunkF1("strict")] if all(is_iob2(gold) for gold, _ in pairs) else []
    return [ChunkF1(), *strict, TokenAccuracy()]


def by_type(pairs: Sequence[Pair]) -> list[Metric]:
    """The F1 of each type of entity that is in the gold tags or predictions; seqeval's report has the same."""
    tags = {tag for pair in pairs for side in pair for tag in side if tag is not None}
    types = sorted({tag[2:] for tag in tags if tag != columns.OUTSIDE and is_iob2([tag])})
    return [ChunkF1(type_=each) for each in types]


def fault(tag: str) -> str | None:
    """Why a tag is not an IOB2 tag: entities read from other schemes would be meaningless."""
    return None if is_iob2([tag]) else "is not an IOB2 tag"


def place(path: Path) -> tuple[str, str] | None:
    """The split and the language that a corpus's own file names say; None for other names."""
    conll = columns.CONLL_NAME.fullmatch(path.name)
    if conll:
        return CONLL_SPLITS[conll["split"]], CONLL_LANGUAGES[conll["lang"]]
    ssea = SSEA_NAME.fullmatch(path.name)
    if ssea and ssea["lang"] in SSEA_LANGUAGES:
        return "test", SSEA_LANGUAGES[ssea["lang"]]
    names = (path.name, f"{path.parent.name}/{path.name}")
    found = next(filter(None, (pattern.fullmatch(name) for pattern, name in zip(PLACES, names))), None)
    return (found["split"], found["lang"]) if found else None


def rows(path: Path, counts: Counter[str], header: str = "") -> Iterator[FileRow]:
    """Rows of a file of entities, with IOB2 tags; ids are the sentences' numbers.

    An ``I-`` tag that continues no entity begins one, as the lenient CoNLL scorer reads it (this turns IOB1 into
    IOB2); how many did is counted.
    """
    for found in answers(path, counts, gold=False):
        tags = list(found.row["tags"])
        for number, tag in enumerate(tags):
            before = tags[number - 1] if number else columns.OUTSIDE
            if tag.startswith("I-") and before[2:] != tag[2:]:
                tags[number] = "B-" + tag[2:]
                counts["I- tags that begin an entity, written B-"] += 1
        yield FileRow(found.row | {"tags": tags}, found.line, found.lines)


def retyped(row: Row, types: Mapping[str, str], met: Counter[str]) -> Row:
    """The row with the types of its entities renamed: corpora have tag sets of their own, as SSEA-2008's NEP for PER.

    Args:
        types: new names by old ones; :data:`columns.OUTSIDE` for a type whose entities become ordinary words. Types
            that are not among them stay.
        met: gets how many entities each of ``types`` has.
    """
    tags = []
    for tag in row["tags"]:
        prefix, old = tag[:2], tag[2:]
        if tag == columns.OUTSIDE or old not in types:
            tags.append(tag)
            continue
        met[old] += prefix == "B-"
        tags.append(columns.OUTSIDE if types[old] == columns.OUTSIDE else prefix + types[old])
    return {**row, "tags": tags}


def answers(path: Path, counts: Counter[str], gold: bool) -> Iterator[FileRow]:
    """Gold tags as :func:`rows` reads them; predicted tags unchanged, so that strict chunk F1 sees them."""
    if gold:
        yield from rows(path, counts)
        return
    for sentence in ssf.read(path, counts) if ssf.is_ssf(path) else _in_columns(path, counts):
        row = {"id": str(sentence.number), "tokens": sentence.tokens, "tags": sentence.tags}
        yield FileRow(row, sentence.line, tuple(sentence.lines))


def _in_columns(path: Path, counts: Counter[str]) -> Iterator[columns.Sentence]:
    if columns.is_latin1(path):
        counts["file in ISO-8859-1 converted"] += 1
    for sentence in columns.read(path):
        counts["comments skipped"] += sentence.comments
        counts["-DOCSTART- lines skipped"] += sentence.documents
        counts["tags without a token skipped"] += sentence.empty
        counts["tokens without the language ahead of them (en:)"] += sentence.prefixed
        yield sentence


NER = Task(
    "ner",
    metrics,
    (
        re.compile(rf"(?P<split>[a-z]+)\.{LANGUAGE_IN_NAME}\.(tsv|iob2|bio|conll|ssf)(\.[a-z0-9]+)?"),
        re.compile(
            rf"(?P<lang>[a-z]{{2,3}})_[A-Za-z0-9]+-ud-(?P<split>train|dev|test){conllu.PART}\.iob2(\.[a-z0-9]+)?"
        ),
    ),
    "{split}.{lang}.tsv, .iob2, .bio, .conll or .ssf, or the names of Universal NER (en_ewt-ud-train.iob2), CoNLL "
    "(eng.testa), WikiAnn (en/train, en-train), MasakhaNER (yor/train.txt) or SSEA-2008 (test-data-hindi.txt): tokens "
    "and IOB tags",
    rows,
    answers,
    fault=fault,
    place=place,
    parts=by_type,
    validated=lambda: (ChunkF1(),),
    retyped=retyped,
)
