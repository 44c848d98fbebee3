"""Which lines of each language a vocabulary is trained on: counted in one pass, drawn in another.

Languages are sampled at a temperature (MMTE, Siddhant et al. 2020, section 2.2); memory is bounded by the sample of
each language that rates are measured on.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fairseq_xalign import cli
from fairseq_xalign.data.sampling import temperature_probabilities
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines
from fairseq_xalign.tokenizer.tokenizer import has_reserved

SAMPLE = 1000
"""Lines of each language that the report's rates are measured on."""


@dataclass
class Corpus:
    """One language's files and what a first pass found in them."""

    language: str
    files: list[Path] = field(default_factory=list)
    lines: int = 0
    """Lines with text."""
    empty: int = 0
    derived: int = 0
    """Lines with private-use characters: transliterated text, which has no place in training."""
    sample: list[str] = field(default_factory=list)

    def texts(self) -> Iterator[str]:
        """The usable lines, stripped, file by file."""
        for path in self.files:
            for _, line in read_lines(path):
                text = line.strip()
                if text and not has_reserved(text):
                    yield text


def survey(languages: dict[str, list[Path]], seed: int) -> list[Corpus]:
    """Count every language's lines, check their encoding, and draw a sample of each (a reservoir)."""
    corpora = []
    for name, files in languages.items():
        corpus, draw = Corpus(name, files), random.Random(f"{seed}/sample/{name}")
        for path in files:
            before = corpus.lines
            for _, line in cli.progress(read_lines(path), f"reading {path.name}"):
                text = line.strip()
                if not text:
                    corpus.empty += 1
                elif has_reserved(text):
                    corpus.derived += 1
                else:
                    corpus.lines += 1
                    place = len(corpus.sample) if corpus.lines <= SAMPLE else draw.randrange(corpus.lines)
                    if place < SAMPLE:
                        corpus.sample[place : place + 1] = [text]
            if corpus.lines == before:
                remedy = "Train on natural text" if corpus.derived else "Give a file with one sentence per line"
                raise UserError("no line has natural text", path, remedy=remedy)
        corpora.append(corpus)
    return corpora


def quotas(sizes: Sequence[int], temperature: float, sentences: int) -> list[int]:
    """How many lines each language gives: ``p_l * min(sentences, sum n)``, by largest remainder."""
    total = min(sentences, sum(sizes))
    exact = temperature_probabilities(sizes, temperature) * total
    whole = [int(share) for share in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda i: (whole[i] - exact[i], i))
    for i in by_remainder[: total - sum(whole)]:
        whole[i] += 1
    return [max(1, count) for count in whole]


def draw_lines(corpus: Corpus, quota: int, seed: int) -> Iterator[str]:
    """Exactly ``quota`` lines: whole passes while the language is too small, then a uniform subset.

    The subset is drawn in one pass and no memory (selection sampling: Knuth, The Art of Computer
    Programming 2, section 3.4.2, algorithm S).
    """
    passes, needed = divmod(quota, corpus.lines)
    for _ in range(passes):
        yield from corpus.texts()
    if needed:
        draw, left = random.Random(f"{seed}/lines/{corpus.language}"), corpus.lines
        for text in corpus.texts():
            if draw.random() * left < needed:
                yield text
                needed -= 1
                if not needed:
                    return
            left -= 1
