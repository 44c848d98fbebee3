"""Tatoeba: sentences that volunteers translate, as its site exports them.

Either one file per pair, with the columns number, sentence, number, translation; or sentences (number, language, text,
and more in ``sentences_detailed``) and links (number, number) in files of their own, for all languages or for one.
Every link is a pair, so that a sentence with several translations is in several of them, as in TPP.
"""

from __future__ import annotations

from collections.abc import Iterator

from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines
from preprocess.pairs.interface import Wanted

SENTENCES, LINKS, PAIRS = "sentences", "links", "pairs"
MOST_DIGITS = 18
"""Of the number of a sentence."""
LINK_COLUMNS, PAIR_COLUMNS, FEWEST_SENTENCE_COLUMNS = 2, 4, 3


def read(files: list[str], wanted: Wanted) -> Iterator[tuple[str, str]]:
    """Yield every pair of sentences of the two languages that are linked, in the order of the links.

    Memory grows with the sentences of the two languages, not with the others.

    Raises:
        UserError: a line that is none of an export, or links without sentences.
    """
    kinds = {path: _kind(path) for path in files}
    for path in files:
        if kinds[path] == PAIRS:
            for _, columns in _rows(path, PAIRS):
                yield columns[1], columns[3]
    texts: dict[str, dict[int, str]] = {wanted.source: {}, wanted.target: {}}
    for path in files:
        if kinds[path] == SENTENCES:
            for number, (sentence, language, text, *_) in _rows(path, SENTENCES):
                if language in texts:
                    known = texts[language].setdefault(_integer(sentence, path, number), text)
                    if known != text:
                        raise UserError(
                            f"sentence {sentence} has another text than before", path, number, "Keep one of the two"
                        )
    links = [path for path in files if kinds[path] == LINKS]
    if not links and PAIRS in kinds.values():
        unused = [path for path in files if kinds[path] == SENTENCES]
        if unused:
            raise UserError(
                "sentences without the links between them", unused[0], remedy="Give the links too, or leave it out"
            )
        return
    for language, found in texts.items():
        if not links or not found:
            missing = f"no sentence of {language!r}" if links else "no links"
            raise UserError(
                f"{missing} in {', '.join(files)}",
                remedy="Give the sentences of both languages and the links between them, or a file of pairs; Tatoeba "
                "calls languages by three letters: eng, hin, jpn, ara",
            )
    seen: set[tuple[int, int]] = set()
    for path in links:
        yield from _linked(path, texts[wanted.source], texts[wanted.target], wanted, seen)


def _linked(
    path: str, sources: dict[int, str], targets: dict[int, str], wanted: Wanted, seen: set[tuple[int, int]]
) -> Iterator[tuple[str, str]]:
    """The pairs of a file of links; files that have each link in both directions give each pair once."""
    for number, columns in _rows(path, LINKS):
        first, second = (_integer(column, path, number) for column in columns)
        pair = (first, second) if first in sources and second in targets else (second, first)
        if pair[0] not in sources or pair[1] not in targets:
            wanted.counts["link to no sentence of the two languages"] += 1
        elif pair in seen:
            wanted.counts["link that came before, in this or the other direction"] += 1
        else:
            seen.add(pair)
            yield sources[pair[0]], targets[pair[1]]


def _kind(path: str) -> str:
    """What a file holds, by its first line."""
    _, first = next(read_lines(path), (1, ""))
    columns = first.split("\t")
    numbers = [column.isdecimal() for column in columns]
    if numbers == [True, True]:
        return LINKS
    if numbers[:1] == [True] and numbers[2:3] == [True] and len(columns) == PAIR_COLUMNS:
        return PAIRS
    if numbers[:1] == [True] and len(columns) >= FEWEST_SENTENCE_COLUMNS:
        return SENTENCES
    raise UserError(
        "not an export of Tatoeba: neither sentences, links nor pairs", path, 1,
        remedy="Name files of https://tatoeba.org/downloads, without the tar archive around them",
    )  # fmt: skip


def _rows(path: str, kind: str) -> Iterator[tuple[int, list[str]]]:
    """The columns of each line, numbered from 1."""
    for number, line in read_lines(path):
        columns = line.split("\t")
        wrong = {
            LINKS: len(columns) != LINK_COLUMNS,
            PAIRS: len(columns) != PAIR_COLUMNS,
            SENTENCES: len(columns) < FEWEST_SENTENCE_COLUMNS,
        }[kind]
        if wrong:
            raise UserError(f"{len(columns)} columns are none of Tatoeba's {kind}", path, number, "Download it again")
        yield number, columns


def _integer(text: str, path: str, number: int) -> int:
    if not text.isdecimal() or len(text) > MOST_DIGITS:
        raise UserError(
            f"{text[:MOST_DIGITS]!r} is not the number of a sentence", path, number, "Download the file again"
        )
    return int(text)
