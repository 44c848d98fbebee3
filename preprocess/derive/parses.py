"""The parses of a text: made once by a parser, kept as CoNLL-U, and read again for each derived language.

A file of parses has the sentences of each passage one after the other. Their first comment names the passage (its line,
or its place in the document); tokens with ``SpaceAfter=No`` are attached to the next one, and all tokens up to the
next white space are one word of the passage, which takes the place of its topmost token in the tree.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from fairseq_xalign import cli
from fairseq_xalign.data.formats import conllu
from fairseq_xalign.data.formats.conllu import DEPREL, FORM, HEAD, MISC, UPOS
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import atomic_file
from preprocess.derive.syntax import with_span
from preprocess.derive.tree import ROOT
from preprocess.parsers.interface import NO_SPACE, Parser, Rows, Unparsed, row
from preprocess.readers.words import Arrangement, Change, Passage, Place

PASSAGE = re.compile(r"#\s*passage\s*=\s*(.*)")
SUFFIX = ".parses.conllu"
PUNCTUATION = "PUNCT"
OTHERS = "Delete it to have the text parsed again, or name the file that belongs to the text with --parses"


def parses_path(source: Path) -> Path:
    """Where the parses of a file are kept unless --parses says otherwise: beside it."""
    return Path(f"{source}{SUFFIX}")


def name_of(place: Place) -> str:
    """A passage's name in the comments: its place in its file."""
    return " ".join(str(part) for part in place)


class Collected(Change):
    """A change that leaves all as it is and notes the passages that a reader hands it."""

    def __init__(self) -> None:
        self.passages: list[Passage] = []

    def arrange(self, passage: Passage) -> Arrangement:
        """The same order; passages without words are not noted."""
        if passage.words:
            self.passages.append(passage)
        none = [0] * len(passage.words)
        return Arrangement(list(range(len(passage.words))), passage.words, none, none)

    def spell(self, word: str) -> str:
        """The word itself."""
        return word


def passages_of(reader: object, examples: Iterable[object]) -> Iterator[Passage]:
    """All passages of a file, in the order in which ``derive`` will ask for them.

    Args:
        reader: a module of :mod:`preprocess.readers`.
        examples: what it reads.
    """
    collected = Collected()
    for example in examples:
        reader.derive(example, collected, Counter())  # type: ignore[attr-defined]
        yield from collected.passages
        collected.passages = []


def write_parses(passages: Iterable[Passage], parser: Parser, path: Path) -> None:
    """Parse passages and write them into ``path``, which appears whole or not at all."""
    waiting: deque[Passage] = deque()

    def unparsed() -> Iterator[Unparsed]:
        for passage in passages:
            waiting.append(passage)
            yield Unparsed(passage.words, passage.attached)

    with atomic_file(path) as stream:
        stream.write(f"# parser = {parser.name}\n")
        for sentences in cli.progress(parser.parse(unparsed()), "parse"):
            passage = waiting.popleft()
            if passage.spans is not None:
                sentences = _with_spans(sentences, passage.spans)
            for rows in sentences:
                comments = [f"# passage = {name_of(passage.place)}"]
                conllu.write(stream, conllu.Sentence(0, 0, comments, rows))


def _with_spans(sentences: list[Rows], spans: list[int]) -> list[Rows]:
    """The rows of labelled words, each saying which span it belongs to."""
    numbers = iter(spans)
    return [[with_span(token, next(numbers)) for token in rows] for rows in sentences]


class Parsed(Change):
    """Hands each passage on together with its parse, which is read from a file.

    Args:
        change: what arranges the passages.
        path: parses, or the natural treebank, whose sentences are passages of their own.
        natural: whether the passages have the words of the parses, which is then checked; on the way back not.
    """

    def __init__(self, change: Change, path: Path, natural: bool) -> None:
        self.change, self.path, self.natural = change, path, natural
        self._groups = itertools.groupby(conllu.read(path), key=_passage_name)

    def spell(self, word: str) -> str:
        """One word in the new script."""
        return self.change.spell(word)

    def arrange(self, passage: Passage) -> Arrangement:
        """The words in their new order and script.

        Raises:
            UserError: if the next parse of the file is of another passage.
        """
        if not passage.words:
            return self.change.arrange(replace(passage, rows=[]))
        name, group = next(self._groups, (None, iter(())))
        sentences = list(group)
        if not sentences:
            raise UserError(f"no parse of passage {name_of(passage.place)}", self.path, remedy=OTHERS)
        line = sentences[0].line
        if name != name_of(passage.place):
            raise UserError(
                f"the parse of passage {name} stands where that of {name_of(passage.place)} is expected",
                self.path,
                line,
                OTHERS,
            )
        rows = word_rows(sentences, passage.attached)
        forms = [token[FORM] for token in rows]
        if len(forms) != len(passage.words):
            raise UserError(
                f"the parse has {len(forms)} words, the text has {len(passage.words)}", self.path, line, OTHERS
            )
        if self.natural and forms != passage.words:
            word, other = next((a, b) for a, b in zip(forms, passage.words) if a != b)
            raise UserError(f"the parse has {word!r} where the text has {other!r}", self.path, line, OTHERS)
        return self.change.arrange(replace(passage, rows=rows))

    def finish(self) -> None:
        """Check that no parse is left over when the text has ended."""
        name, group = next(self._groups, (None, iter(())))
        if name is not None:
            raise UserError(
                f"the parse of passage {name} belongs to no text", self.path, next(iter(group)).line, OTHERS
            )


def _passage_name(sentence: conllu.Sentence) -> str:
    matches = (PASSAGE.match(comment) for comment in sentence.comments)
    return next((match[1] for match in matches if match), str(sentence.number))


def word_rows(sentences: Iterable[conllu.Sentence], attached: bool) -> Rows:
    """One row for each word of a passage, numbered through all of its sentences.

    Args:
        sentences: the parse of the passage.
        attached: whether tokens without a space between them are one word; its row is that of its topmost token,
            punctuation without dependents being looked at last, and its form that of all of them together.
    """
    tokens: Rows = []
    heads: list[int] = []
    for sentence in sentences:
        first = len(tokens)
        tokens += sentence.rows
        heads += [ROOT if token[HEAD] in ("0", "_") else first + int(token[HEAD]) - 1 for token in sentence.rows]
    words = _words(tokens) if attached else [[index] for index in range(len(tokens))]
    word_of = {index: number for number, word in enumerate(words) for index in word}
    depths = _depths(heads)
    rows = []
    for number, word in enumerate(words, 1):
        top = min(word, key=lambda index: (_is_mark(index, tokens, heads), depths[index], index))
        head = 0 if heads[top] == ROOT else word_of[heads[top]] + 1
        form = "".join(tokens[index][FORM] for index in word)
        made = row(number, form, tokens[top][UPOS], head, tokens[top][DEPREL], False)
        made[MISC] = tokens[top][MISC]
        rows.append(made)
    return rows


def _words(tokens: Rows) -> list[list[int]]:
    """The tokens of each word: those up to the next white space."""
    words: list[list[int]] = []
    joined = False
    for index, token in enumerate(tokens):
        if joined:
            words[-1].append(index)
        else:
            words.append([index])
        joined = NO_SPACE in token[MISC].split("|")
    return words


def _is_mark(index: int, tokens: Rows, heads: list[int]) -> bool:
    return tokens[index][UPOS] == PUNCTUATION and index not in heads


def _depths(heads: list[int]) -> list[int]:
    """How far each token is from its root; a circle counts as far as it is long."""
    depths = []
    for index in range(len(heads)):
        depth = 0
        while heads[index] != ROOT and depth <= len(heads):
            index, depth = heads[index], depth + 1
        depths.append(depth)
    return depths
