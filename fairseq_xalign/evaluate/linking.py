"""Word links scored against links made by people: those of a file, or of an encoder's vectors in context."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fairseq_xalign import cli
from fairseq_xalign.data.formats import pharaoh
from fairseq_xalign.data.words import SEPARATOR, space_words
from fairseq_xalign.errors import UserError, counted
from fairseq_xalign.evaluate.metrics import significance
from fairseq_xalign.evaluate.metrics.link_errors import GoldLinks, Links, link_scores
from fairseq_xalign.evaluate.report.tables import number, text_table
from fairseq_xalign.files import read_lines

if TYPE_CHECKING:  # links of a file are scored without torch
    from fairseq_xalign.api.encoder import TextEncoder

Found = list[list[tuple[int, int]]]
"""What ``TextEncoder.align`` returns for lists of sentences."""


@dataclass(frozen=True)
class LinkedText:
    """Sentence pairs as words, with their gold links.

    Attributes:
        source, target: the words of each sentence.
        gold: the links of each pair.
    """

    source: list[list[str]]
    target: list[list[str]]
    gold: list[GoldLinks]


def read_linked_text(files: Sequence[str | Path], gold: str | Path, one_based: bool = False) -> LinkedText:
    """Read sentence pairs and their gold links; words are separated by spaces and tabs.

    Another white space may be a word: KFTT's Japanese has the ideographic space among its words, and counts it.

    Args:
        files: a file whose lines are ``source ||| target``, or the files of the two sides.
        gold: Pharaoh lines, one for each pair; see ``data/formats/pharaoh.py``.
        one_based: whether the gold links count words from 1.

    Raises:
        UserError: with file and line, for a line without a separator or words, a link to a word that its sentence does
            not have, and files of unequal length.
    """
    source, target = _sides(files)
    links = []
    for line, found in enumerate(_gold_links(gold, one_based), 1):
        if line <= len(source):
            _check_places(found.possible, source[line - 1], target[line - 1], gold, line, one_based)
        links.append(found)
    if len(links) != len(source):
        raise UserError(
            f"{counted(len(links), 'line')} of links for {counted(len(source), 'sentence pair')}",
            gold,
            remedy="Give a line for each pair",
        )
    _check_not_empty(links, gold)
    return LinkedText(source, target, links)


def read_found_links(
    found: str | Path, gold: str | Path, one_based: bool = False, text: LinkedText | None = None
) -> list[tuple[GoldLinks, Links]]:
    """Read the links that an aligner has found, and those made by people.

    Args:
        found: Pharaoh lines, counted from 0.
        gold: Pharaoh lines, one for each of ``found``; see ``data/formats/pharaoh.py``.
        one_based: whether the gold links count words from 1.
        text: the sentence pairs, if it is to be checked that the found links lie within them.

    Raises:
        UserError: for files of unequal length, gold links on no line, and a link to a word that its sentence does not
            have.
    """
    every = list(pharaoh.read(found))
    links = text.gold if text else list(_gold_links(gold, one_based))
    if len(every) != len(links):
        raise UserError(
            f"{counted(len(every), 'line')} of links, but {gold} has {len(links)}",
            found,
            remedy="Link the text of the gold links",
        )
    _check_not_empty(links, gold)
    if text:
        for line, (places, source, target) in enumerate(zip(every, text.source, text.target), 1):
            _check_places(places, source, target, found, line)
    if not one_based and min(min(link) for gold_links in links for link in gold_links.possible) > 0:
        cli.say(f"{gold}: no link has the place 0. If it counts words from 1, add --one-based")
    return list(zip(links, every))


def _gold_links(path: str | Path, one_based: bool) -> Iterator[GoldLinks]:
    for sure, possible in pharaoh.read_gold(path, int(one_based)):
        yield GoldLinks(sure, possible)


def _check_not_empty(links: Sequence[GoldLinks], path: str | Path) -> None:
    if not any(link.possible for link in links):
        raise UserError("no links: every line is empty", path, remedy="Give links made by people")


def _check_places(
    links: Links, source: Sequence[str], target: Sequence[str], path: str | Path, line: int, one_based: bool = False
) -> None:
    """Refuse a link to a word that its sentence does not have."""
    wrong = next((link for link in sorted(links) if link[0] >= len(source) or link[1] >= len(target)), None)
    if wrong is not None:
        raise UserError(
            f"a link to source word {wrong[0] + one_based} and target word {wrong[1] + one_based} of a pair with "
            f"{len(source)} and {len(target)} words",
            path,
            line,
            "Give the text whose words were linked"
            + ("" if one_based else ", and --one-based if the links count from 1"),
        )


def _sides(files: Sequence[str | Path]) -> tuple[list[list[str]], list[list[str]]]:
    """The words of both sides of each pair."""
    if len(files) == 1:
        source, target = [], []
        for number, line in read_lines(files[0]):
            sides = line.split(SEPARATOR)
            if len(sides) != 2:
                raise UserError(
                    f"{len(sides)} sides instead of two",
                    files[0],
                    number,
                    f"Write `source {SEPARATOR} target`, or give two files: --bitext XX-YY=FILE,FILE",
                )
            source.append(space_words(sides[0]))
            target.append(space_words(sides[1]))
    else:
        source, target = ([space_words(line) for _, line in read_lines(file)] for file in files)
        if len(source) != len(target):
            raise UserError(
                f"{counted(len(source), 'line')}, but {files[1]} has {len(target)}",
                files[0],
                remedy="Line i of one file must be the translation of line i of the other",
            )
    for file, side in zip([files[0], files[-1]], (source, target)):
        empty = next((number for number, words in enumerate(side, 1) if not words), None)
        if empty is not None:
            raise UserError("a sentence without words", file, empty, "Remove the pair, and its line of links")
    if not source:
        raise UserError("no sentences: the file is empty", files[0], remedy="Give one pair of sentences per line")
    return source, target


def _visible(sentences: Sequence[Sequence[str]]) -> tuple[list[list[str]], list[list[int]]]:
    """The words that are more than white space, which alone an encoder can link, and their places."""
    places = [[i for i, word in enumerate(words) if word.strip()] for words in sentences]
    return [[words[i] for i in kept] for words, kept in zip(sentences, places)], places


def link_report(
    encoder: TextEncoder,
    text: LinkedText,
    languages: tuple[str, str],
    *,
    method: str,
    threshold: float,
    layer: int,
    device: str | None = None,
    samples: int = significance.SAMPLES,
) -> dict[str, Any]:
    """How an encoder's links agree with the gold ones.

    Args:
        languages: of the two sides; those that the model knows get their embeddings.
        method, threshold, layer: as in ``TextEncoder.align``.
        samples: bootstrap resamples; 0 for no intervals.

    Returns:
        ``source``, ``target`` (languages), and what :func:`link_scores` returns.
    """
    known = [name if name in encoder.languages else None for name in languages]
    (source, source_places), (target, target_places) = _visible(text.source), _visible(text.target)
    with cli.bar("aligning", 2 * len(source)) as advance:
        found = encoder.align(
            source,
            target,
            method=method,
            threshold=threshold,
            layer=layer,
            device=device,
            source_language=known[0],
            target_language=known[1],
            progress=advance,
        )
    pairs: list[tuple[GoldLinks, Links]] = [
        (gold, {(ours[i], theirs[j]) for i, j in links})
        for gold, links, ours, theirs in zip(text.gold, cast(Found, found), source_places, target_places)
    ]
    scores = link_scores(
        pairs, samples, method=method, threshold=threshold if method == "softmax" else None, layer=layer
    )
    return {"source": languages[0], "target": languages[1], **scores}


def links_table(report: dict[str, Any]) -> str:
    """The figures of :func:`link_scores` as text, with their signature."""
    names = {"aer": "alignment error rate", "precision": "precision", "recall": "recall", "f1": "F1"}
    rows = []
    for key, value in report["scores"].items():
        bounds = report["intervals"].get(key)
        shown = number(value, 2) + (f" [{number(bounds[0], 2)}, {number(bounds[1], 2)}]" if bounds else "")
        rows.append([names[key], shown])
    rows += [[f"links, {name}", str(count)] for name, count in report["links"].items()]
    return text_table(["measure", "value"], rows) + "\n" + report["signature"] + "\n"
