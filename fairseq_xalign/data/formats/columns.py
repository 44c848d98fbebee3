"""Tokens and tags in columns: named entities in IOB, a token and its tag per line, an empty line after each sentence.

Columns are separated by a tab, or by spaces, and these layouts are told apart by their lines:

- token and tag (MasakhaNER, PAN-X as XTREME writes it);
- the token, columns of other things (lemma, part of speech, chunk), and the tag at the end: CoNLL-2002 and CoNLL-2003;
- the token's number, the token, its tag, and columns about the annotators: Universal NER;
- the language and a colon ahead of every token, ``en:London``, and the tag: the original files of PAN-X.

CoNLL's files are in ISO-8859-1; a file that is not UTF-8 is read as that if its name is one of theirs. Comments
(``# text = ...``) and CoNLL's ``-DOCSTART-`` lines are not tokens: they are counted and left out. Any character but
white space of ASCII is a token, U+00A0 too (PAN-X has such tokens).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from fairseq_xalign.data.formats.blank import SPACES, is_blank
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import decoded_lines, read_lines
from fairseq_xalign.inputs import open_input

OUTSIDE = "O"
IOB2_TAG = re.compile(r"O|[BI]-.+")
COMMENT = re.compile(r"# (?!(O|[BI]-\S+)\s*$)[^\t]*$")
"""A comment, unless it is the token ``#`` and its tag."""
DOCUMENT = "-DOCSTART-"
NO_TOKEN = re.compile(r" O\s*")
"""A tag behind a space, without a token and outside of entities: MasakhaNER 2.0 has such lines in isiXhosa."""
LAYOUT = "Write two columns separated by a tab: token, tag. Of more, the first must be the token and the last the tag"
PREFIX = re.compile(r"[a-z]+(-[a-z]+)*:(?=[^\t]*\t)")
"""The language that PAN-X writes ahead of a token: a code of Wikipedia, such as ``en`` or ``zh-min-nan``."""
CONLL_NAME = re.compile(r"(?P<lang>esp|ned|eng|deu)\.(?P<split>train|testa|testb)(\.(gz|xz|bz2|zst))?")
"""What the files of CoNLL-2002 (Spanish and Dutch) and CoNLL-2003 (English and German) are called."""
LATIN1 = "iso-8859-1"


@dataclass
class Sentence:
    """A sentence: its tokens and IOB2 tags.

    Attributes:
        line: the line of the first token.
        number: its place in the file, from 1.
        lines: the line of each token; empty in a sentence that was not read from a file.
        comments, documents, empty: how many comments, ``-DOCSTART-`` lines and tags without a token were left out
            before or in it.
        prefixed: how many of its tokens had the language ahead of them.
    """

    line: int
    number: int
    tokens: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list, compare=False)
    comments: int = field(default=0, compare=False)
    documents: int = field(default=0, compare=False)
    empty: int = field(default=0, compare=False)
    prefixed: int = field(default=0, compare=False)


def read(path: str | Path) -> Iterator[Sentence]:
    """Yield the sentences of a file.

    Raises:
        UserError: with file and line, for a line that is not a token and a tag, and for a tag that is not IOB.
    """
    sentence = Sentence(0, 1)
    layout = Layout(path, panx_prefix(path))
    for line, text in _lines(path):
        if is_blank(text):
            if sentence.tokens:
                yield sentence
                sentence = Sentence(0, sentence.number + 1)
        elif layout.is_comment(text):
            sentence.comments += 1
        elif re.split("[\t ]", text, maxsplit=1)[0] == DOCUMENT:
            sentence.documents += 1
        elif NO_TOKEN.fullmatch(text):
            sentence.empty += 1
        else:
            token, tag = layout.token_and_tag(text, len(sentence.tokens) + 1, line)
            sentence.line = sentence.line or line
            sentence.tokens.append(token)
            sentence.tags.append(tag)
            sentence.lines.append(line)
            sentence.prefixed += bool(layout.prefix)
    if sentence.tokens:
        yield sentence


def panx_prefix(path: str | Path) -> str:
    """``en:`` for a file in which every token begins like that, as in PAN-X; an empty text for any other."""
    prefix = ""
    for _, text in _lines(path):
        if is_blank(text):
            continue
        found = PREFIX.match(text)
        if found is None or found[0] != (prefix or found[0]):
            return ""
        prefix = found[0]
    return prefix


def is_latin1(path: str | Path) -> bool:
    """Whether a file is one of CoNLL's by its name, and in their encoding."""
    if not CONLL_NAME.fullmatch(Path(path).name):
        return False
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_input(path) as stream:
        try:
            for raw in stream:
                decoder.decode(raw)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return True
    return False


def _lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """The numbered lines of a file in UTF-8, or of one of CoNLL's in its own encoding."""
    if not is_latin1(path):
        yield from read_lines(path)
        return
    with open_input(path) as stream:
        yield from decoded_lines((raw.decode(LATIN1).encode() for raw in stream), path)


def write(stream: IO[str], sentence: Sentence) -> None:
    """Write one sentence in two columns, and the empty line after it."""
    for token, tag in zip(sentence.tokens, sentence.tags):
        stream.write(f"{token}\t{tag}\n")
    stream.write("\n")


def check_tag(tag: str, path: str | Path, line: int, what: str = "") -> None:
    """Refuse a tag that is neither ``O``, ``B-TYPE`` nor ``I-TYPE``; ``what`` says which of a line's tags it is."""
    if not IOB2_TAG.fullmatch(tag):
        raise UserError(
            f"tag {tag!r}{what} is not an IOB2 tag",
            path,
            line,
            "Named-entity tags are O, B-TYPE and I-TYPE; for parts of speech use --task pos",
        )


class Layout:
    """How the lines of one file are read.

    Args:
        path: the file, for messages.
        prefix: what stands ahead of every token, see :func:`panx_prefix`.
    """

    def __init__(self, path: str | Path, prefix: str = "") -> None:
        self.path, self.prefix = path, prefix
        self.numbered = False  # whether the first column is the token's number
        self.width = 0  # otherwise: columns of the lines that have more than two, once there was one

    def is_comment(self, text: str) -> bool:
        """Whether a line is a comment, and not the token ``#`` with its tag or, in CoNLL's files, more columns."""
        fields = text.split(" ")
        conll = len(fields) == self.width and IOB2_TAG.fullmatch(fields[-1].strip(SPACES)) is not None
        return COMMENT.match(text) is not None and not conll

    def token_and_tag(self, text: str, place: int, line: int) -> tuple[str, str]:
        """The token and the tag of a line.

        Args:
            place: the number that Universal NER's first column would have.
            line: the line's number, for messages.
        """
        fields = text.split("\t") if "\t" in text else re.split(" +", text.strip(" "))
        if len(fields) > 2 and "\t" in text and fields[0] == str(place) and not self.width:
            self.numbered = True
            fields = fields[1:3]
        elif len(fields) > 2 and not self.numbered and IOB2_TAG.fullmatch(fields[-1].strip(SPACES)):
            fields = self._first_and_last(fields, line)
        token = fields[0].removeprefix(self.prefix)
        if len(fields) != 2 or is_blank(token):
            raise UserError(f"not a token and a tag: {len(fields)} columns", self.path, line, LAYOUT)
        tag = fields[1].strip(SPACES)
        check_tag(tag, self.path, line)
        return token, tag

    def _first_and_last(self, fields: list[str], line: int) -> list[str]:
        """The first and the last of several columns, of which every line must have equally many."""
        self.width = self.width or len(fields)
        if len(fields) != self.width:
            raise UserError(f"{len(fields)} columns, {self.width} in the lines before", self.path, line, LAYOUT)
        return [fields[0], fields[-1]]
