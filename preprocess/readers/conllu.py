"""CoNLL-U treebanks (universaldependencies.org/format): words, tags and heads, read strictly.

A malformed line is an error with file and line. Ranges of multiword tokens (``1-2``) and empty
nodes (``8.1``) are not words: they are read, counted and left out, as taggers and XTREME do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from fairseq_xalign.errors import UserError
from preprocess.readers.source import lines
from preprocess.readers.words import Change, Counts, Passage

SENTENCE_BY_SENTENCE = False
ID, FORM, LEMMA, UPOS, XPOS, FEATS, HEAD, DEPREL, DEPS, MISC = range(10)
COLUMNS = 10
RANGE = re.compile(r"[0-9]+-[0-9]+")
EMPTY_NODE = re.compile(r"[0-9]+\.[0-9]+")
SENTENCE_ID = re.compile(r"#\s*sent_id\s*=\s*(.+)")
OPEN_CLASS_TAGS = ("ADJ", "ADV", "INTJ", "NOUN", "PROPN", "VERB")
CLOSED_CLASS_TAGS = ("ADP", "AUX", "CCONJ", "DET", "NUM", "PART", "PRON", "SCONJ")
OTHER_TAGS = ("PUNCT", "SYM", "X")
UPOS_TAGS = frozenset((*OPEN_CLASS_TAGS, *CLOSED_CLASS_TAGS, *OTHER_TAGS))
"""The 17 universal tags, as universaldependencies.org/u/pos groups them."""
NO_TAG = "_"
ORDER = "Ids count 1, 2, 3, ... in each sentence, and an empty line ends it"
HEADS = "A head is the id of a word of the sentence, 0 for its root, or _ for none"
OLDER_TAGS = {".": "PUNCT", "CONJ": "CCONJ", "PRT": "PART"}
"""Tags of the older universal set (Petrov et al. 2012) that UD names otherwise; its other nine are UD's."""


@dataclass
class Sentence:
    """A sentence: its comments and the ten columns of each of its words.

    Attributes:
        line: the line of its first word.
        number: from 1 within the file.
        ranges, empty_nodes: how many rows of these kinds were left out.
        lines: the line of each word; empty in a sentence that was not read from a file.
    """

    line: int
    number: int
    comments: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    ranges: int = 0
    empty_nodes: int = 0
    lines: list[int] = field(default_factory=list, compare=False)

    def column(self, index: int) -> list[str]:
        """One column of all words."""
        return [row[index] for row in self.rows]

    @property
    def name(self) -> str:
        """Its ``sent_id``, or its number where it has none."""
        found = (SENTENCE_ID.match(comment) for comment in self.comments)
        return next((match[1].strip() for match in found if match), str(self.number))


def read(path: str | Path) -> Iterator[Sentence]:
    """Yield the sentences of a file, plain or ``.xz``.

    Raises:
        UserError: with file and line, for a row without ten columns, an empty form, ids that do
            not count 1, 2, 3..., a head that is no word of the sentence.
    """
    number = 1
    sentence = Sentence(0, number)
    for line, text in lines(path):
        if not text.strip():
            if sentence.rows:
                _check_heads(sentence, path)
                yield sentence
                number += 1
            sentence = Sentence(0, number)
        elif text.startswith("#"):
            sentence.comments.append(text)
        else:
            _add_row(sentence, text, path, line)
    if sentence.rows:
        _check_heads(sentence, path)
        yield sentence


def _add_row(sentence: Sentence, text: str, path: str | Path, line: int) -> None:
    row = text.split("\t")
    if len(row) != COLUMNS:
        raise UserError(
            f"{len(row)} columns instead of {COLUMNS}", path, line, "CoNLL-U rows have ten columns divided by tabs"
        )
    if RANGE.fullmatch(row[ID]):
        sentence.ranges += 1
    elif EMPTY_NODE.fullmatch(row[ID]):
        sentence.empty_nodes += 1
    elif row[ID] != str(len(sentence.rows) + 1):
        raise UserError(f"word id {row[ID]!r} where {len(sentence.rows) + 1} should stand", path, line, ORDER)
    elif not row[FORM].strip():
        raise UserError("a word without form", path, line, "The second column holds the word; _ where it is unknown")
    else:
        sentence.line = sentence.line or line
        sentence.rows.append(row)
        sentence.lines.append(line)
        if row[HEAD] != "_" and not row[HEAD].isdecimal():
            raise UserError(f"head {row[HEAD]!r} is not a number", path, line, HEADS)


def _check_heads(sentence: Sentence, path: str | Path) -> None:
    for row in sentence.rows:
        if row[HEAD] != "_" and int(row[HEAD]) > len(sentence.rows):
            raise UserError(
                f"word {row[ID]} has head {row[HEAD]} in a sentence of {len(sentence.rows)} words",
                path,
                sentence.line,
                HEADS,
            )


def derive(example: Sentence, change: Change, counts: Counts) -> Sentence:
    """The sentence in its new order: tags stay with their words, ids and heads are rewritten.

    Ranges, empty nodes (and enhanced dependencies on them) and ``SpaceAfter`` are dropped, since they speak of the
    old order; ``# text`` becomes the words divided by spaces. All are counted.
    """
    forms = example.column(FORM)
    counts["words"] += len(forms)
    counts["multiword ranges dropped"] += example.ranges
    counts["empty nodes dropped"] += example.empty_nodes
    arrangement = change.arrange(Passage(forms, (example.number,), attached=False, rows=example.rows))
    new_ids = {"0": "0"} | {str(old + 1): str(new + 1) for old, new in enumerate(arrangement.new_indices())}
    rows = []
    for new, (old, form) in enumerate(zip(arrangement.order, arrangement.words), 1):
        row = list(example.rows[old])
        row[ID], row[FORM] = str(new), form
        row[LEMMA] = row[LEMMA] if row[LEMMA] == "_" else change.spell(row[LEMMA])
        row[HEAD] = row[HEAD] if row[HEAD] == "_" else new_ids[str(int(row[HEAD]))]
        row[DEPS] = _enhanced(row[DEPS], new_ids, counts)
        row[MISC] = _without_space_after(row[MISC], counts)
        rows.append(row)
    comments = [
        f"# text = {' '.join(arrangement.words)}" if re.match(r"#\s*text\s*=", comment) else comment
        for comment in example.comments
    ]
    return Sentence(example.line, example.number, comments, rows)


def _enhanced(dependencies: str, new_ids: dict[str, str], counts: Counts) -> str:
    """``4:nsubj|8.1:conj`` with new ids, sorted as the format asks; items on empty nodes are dropped."""
    if dependencies == "_":
        return "_"
    kept = []
    for item in dependencies.split("|"):
        head, colon, relation = item.partition(":")
        if head in new_ids:
            kept.append((int(new_ids[head]), colon + relation))
        else:
            counts["enhanced dependencies dropped"] += 1
    return "|".join(f"{head}{rest}" for head, rest in sorted(kept)) or "_"


def _without_space_after(misc: str, counts: Counts) -> str:
    items = misc.split("|")
    kept = [item for item in items if not item.startswith("SpaceAfter=")]
    counts["SpaceAfter dropped"] += len(items) - len(kept)
    return "|".join(kept) or "_"


def write(stream: IO[str], example: Sentence) -> None:
    """Write one sentence and the empty line after it."""
    for comment in example.comments:
        stream.write(comment + "\n")
    for row in example.rows:
        stream.write("\t".join(row) + "\n")
    stream.write("\n")
