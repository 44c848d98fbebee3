"""What the figures of vectors show: sentences and linked words in each of several encoders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from fairseq_xalign.api.opening import open_encoder
from fairseq_xalign.constants import SENTENCE_POOLINGS
from fairseq_xalign.data.formats import pharaoh
from fairseq_xalign.data.words import split_words
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.commands.retrieve import Side, check_same_length, language_place, parallel_lines
from fairseq_xalign.evaluate.metrics.alignment import mean_cosine
from fairseq_xalign.evaluate.metrics.retrieval import normalized_distances
from fairseq_xalign.evaluate.metrics.word_pairs import mean_rows
from fairseq_xalign.evaluate.report.projections import Space
from fairseq_xalign.evaluate.report.tables import number
from fairseq_xalign.files import read_lines
from fairseq_xalign.models.device import choose_device
from fairseq_xalign.models.pooling import check_pooling
from fairseq_xalign.models.sentences import check_layer, encode_sentences
from fairseq_xalign.tokenizer.framing import frame_of

MOST_SENTENCES = 300
"""Pairs that a figure shows: more cover each other."""
WORD_PAIRS = 20
"""WEAM, Figure 2."""


@dataclass(frozen=True)
class Reading:
    """How sentences become vectors."""

    layer: int | None = None
    pooling: str = "mean"
    device: str | None = None


def sentence_spaces(
    checkpoints: Sequence[str | Path],
    names: Sequence[str],
    source: Side,
    target: Side,
    reading: Reading,
    most: int = MOST_SENTENCES,
) -> list[tuple[Space, Any]]:
    """The vectors of the first ``most`` pairs of two parallel files in each encoder, and their distances.

    Raises:
        UserError: for files that are not parallel, and fewer than three pairs.
    """
    sides = [lines[:most] for lines in parallel_lines(source[1], target[1])]
    if len(sides[0]) < 3:
        raise UserError(f"{len(sides[0])} sentences are too few for a figure", source[1], remedy="Give at least three")
    found = []
    for checkpoint, name in zip(checkpoints, names):
        encoder, tokenizer, meta = open_encoder(checkpoint)
        check_layer(reading.layer, encoder.config.layers, checkpoint)
        check_pooling(reading.pooling, frame_of(meta), SENTENCE_POOLINGS)
        encoder = encoder.to(choose_device(reading.device))
        vectors: list[Tensor] = [
            encode_sentences(
                encoder,
                tokenizer,
                lines,
                reading.pooling,
                layer=reading.layer,
                language=language_place(encoder, meta, language),
                frame=frame_of(meta),
            )
            for (language, _), lines in zip((source, target), sides)
        ]
        distances = normalized_distances(vectors[0], vectors[1])
        said = f"mean distance of translations {number(float(distances.of_all.mean()), 2)} of the largest"
        found.append((Space(name, vectors[0].numpy(), vectors[1].numpy(), said), distances))
    return found


def frequent_pairs(
    source: Side,
    target: Side,
    links: str | Path,
    stop_words: tuple[Collection[str], Collection[str]],
    most: int = WORD_PAIRS,
) -> list[tuple[str, str]]:
    """The most frequently linked pairs of words of which neither is a stop word, the most frequent first.

    Words are compared in lower case; numbers, marks and single letters of an alphabet are left out.

    Raises:
        UserError: files of unequal length, links that do not fit the text, and no pair that is left.
    """
    counts: Counter[tuple[str, str]] = Counter()
    sides = [[text for _, text in read_lines(file)] for _, file in (source, target)]
    check_same_length(sides[0], sides[1], source[1], target[1])
    every = list(pharaoh.read(links))
    if len(every) != len(sides[0]):
        raise UserError(
            f"{len(every)} lines of links, but {source[1]} has {len(sides[0])} lines",
            links,
            remedy="Give the links of this text",
        )
    for number_, (one, other, found) in enumerate(zip(*sides, every), 1):
        ours, theirs = split_words(one.lower()), split_words(other.lower())
        for i, j in found:
            if i >= len(ours) or j >= len(theirs):
                raise UserError(
                    f"a link {i}-{j} of a pair with {len(ours)} and {len(theirs)} words",
                    links,
                    number_,
                    "Give the text that was linked",
                )
            counts[ours[i], theirs[j]] += 1
    chosen = [
        pair
        for pair, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if all(_shown(word) and word not in stops for word, stops in zip(pair, stop_words))
    ]
    if len(chosen) < 3:
        raise UserError(f"{len(chosen)} pairs of words are left: too few for a figure", links, remedy="Give more text")
    return chosen[:most]


def _shown(word: str) -> bool:
    """Whether a word has letters, and more than one where they are those of an alphabet."""
    return word.isalpha() and (len(word) > 1 or ord(word) > 0x2E7F)


def word_spaces(
    checkpoints: Sequence[str | Path], names: Sequence[str], pairs: Sequence[tuple[str, str]]
) -> list[Space]:
    """The embeddings of both words of each pair, each the mean of its pieces, in each encoder."""
    found = []
    for checkpoint, name in zip(checkpoints, names):
        encoder, tokenizer, _ = open_encoder(checkpoint)
        weight = encoder.embed_tokens.weight.detach().float()
        sides = []
        for side in zip(*pairs):
            entries = [tuple(tokenizer.encode(word)) for word in side]
            if not all(entries):
                raise UserError(
                    f"its vocabulary has nothing of {side[entries.index(())]!r}", checkpoint, remedy="Give other text"
                )
            sides.append(mean_rows(weight, entries))
        said = f"mean cosine of the pairs {number(mean_cosine(sides[0], sides[1]), 2)}"
        found.append(Space(name, sides[0].numpy(), sides[1].numpy(), said))
    return found


def stop_words_of(language: str, files: Sequence[tuple[str, str | Path]]) -> set[str]:
    """The stop words of a language, in lower case: a file of the user's, otherwise the collection ``stopwordsiso``.

    Raises:
        UserError: there is neither.
    """
    own = [file for name, file in files if name == language]
    if own:
        return {line.strip().lower() for file in own for _, line in read_lines(file) if line.strip()}
    remedy = f"Give a file with one word per line: --stop-words {language}=FILE"
    try:
        import stopwordsiso
    except ImportError:
        raise UserError(
            "stopwordsiso is not installed", remedy=f'{remedy}, or pip install "fairseq_xalign[plots]"'
        ) from None
    code = language.partition("-")[0].partition("_")[0].lower()
    if not stopwordsiso.has_lang(code):
        raise UserError(f"no stop words are known for {language!r}", remedy=remedy)
    return {word.lower() for word in stopwordsiso.stopwords(code)}
