"""Word links of an encoder's vectors in context, scored against links made by people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from fairseq_xalign import cli
from fairseq_xalign.api.encoder import TextEncoder
from fairseq_xalign.data.formats import pharaoh
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics import significance
from fairseq_xalign.evaluate.metrics.link_errors import METRICS, GoldLinks, Links
from fairseq_xalign.files import read_lines

Found = list[list[tuple[int, int]]]
"""What ``TextEncoder.align`` returns for lists of sentences."""
SEPARATOR = "|||"
"""What stands between the two sides of a line, as aligners read it."""


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
    links: list[GoldLinks] = []
    for number, (sure, possible) in enumerate(pharaoh.read_gold(gold, int(one_based)), 1):
        if number <= len(source):
            lengths = len(source[number - 1]), len(target[number - 1])
            wrong = next((link for link in sorted(possible) if link[0] >= lengths[0] or link[1] >= lengths[1]), None)
            if wrong is not None:
                raise UserError(
                    f"a link to source word {wrong[0] + one_based} and target word {wrong[1] + one_based} of a pair "
                    f"with {lengths[0]} and {lengths[1]} words",
                    gold,
                    number,
                    "Give the text whose words were linked"
                    + ("" if one_based else ", and --one-based if the links count from 1"),
                )
        links.append(GoldLinks(sure, possible))
    if len(links) != len(source):
        raise UserError(
            f"{len(links)} lines of links for {len(source)} sentence pairs", gold, remedy="Give a line for each pair"
        )
    if not any(link.possible for link in links):
        raise UserError("no links: every line is empty", gold, remedy="Give links made by people")
    return LinkedText(source, target, links)


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
            source.append(_words(sides[0]))
            target.append(_words(sides[1]))
    else:
        source, target = ([_words(line) for _, line in read_lines(file)] for file in files)
        if len(source) != len(target):
            raise UserError(
                f"{len(source)} lines, but {files[1]} has {len(target)}",
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


def _words(line: str) -> list[str]:
    return [word for word in re.split("[ \t]", line) if word]


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
        ``source``, ``target`` (languages), ``scores`` {aer, precision, recall, f1: per cent}, ``intervals`` {name:
        [low, high]} (95 %), ``links`` {found, sure, possible}, ``pairs`` and ``signature``.
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
    counts = METRICS[0].statistics(pairs)
    totals = counts.sum(axis=0)
    scores = {metric.name: float(metric.score(totals)) for metric in METRICS}
    # Of precision and recall, as aligners report it; with sure links alone it is 100 minus the error rate.
    precision, recall = scores["precision"], scores["recall"]
    scores["f1"] = _harmonic(precision, recall)
    intervals = {}
    if samples:
        for metric in METRICS:
            bounds = significance.bootstrap(metric.score, counts, samples)
            intervals[metric.name] = [bounds.low, bounds.high]
    return {
        "source": languages[0],
        "target": languages[1],
        "scores": scores,
        "intervals": intervals,
        "links": {
            "found": int(totals[2]),
            "sure": int(totals[3]),
            "possible": sum(len(gold.possible) for gold in text.gold),
        },
        "pairs": len(pairs),
        "signature": METRICS[0].signature(
            len(pairs),
            method=method,
            threshold=threshold if method == "softmax" else None,
            layer=layer,
            bootstrap=samples or None,
            seed=significance.SEED if samples else None,
        ),
    }


def _harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
