"""Small memory-mapped streams with known contents, for the tests of drawing and laying out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fairseq_xalign.constants import EOS
from fairseq_xalign.data.batching import Budget
from fairseq_xalign.data.collate import CollateOptions, Collater
from fairseq_xalign.data.mmap import MappedTokens, Writer
from fairseq_xalign.data.streams import BitextStream, MonoStream
from fairseq_xalign.data.windows import Planner
from fairseq_xalign.objectives.masking import MaskingOptions, Vocabulary
from fairseq_xalign.objectives.view import View

V = 500
VOCABULARY = Vocabulary(size=V, mask=4, first=5, last=V, pieces=V - 5)


def write_tokens(prefix: Path, lengths: list[int], seed: int = 1) -> MappedTokens:
    """Sentences of given lengths (``</s>`` included) of random ordinary ids."""
    rng = np.random.default_rng(seed)
    with Writer(prefix, np.uint16) as writer:
        for length in lengths:
            writer.write([*rng.integers(5, V, length - 1).tolist(), EOS])
    return MappedTokens(prefix)


def mono(
    folder: Path, language: str, lengths: list[int], limit: int = 16, mode: str = "eos", seed: int = 1
) -> MonoStream:
    return MonoStream(language, write_tokens(folder / f"mono.{language}", lengths, seed), limit, mode)


def bitext(
    folder: Path, pair: tuple[str, str], lengths: list[int], limit: int = 32, packing: str = "pairs"
) -> BitextStream:
    sides = [write_tokens(folder / f"bitext.{name}", lengths, seed) for seed, name in enumerate(pair)]
    return BitextStream(*pair, (sides[0], sides[1]), limit, packing)


def collater(
    streams: list, languages: dict[str, int], hides: bool = True, positions: str = "reset", shuffle_order: bool = False,
    **changes,
) -> Collater:  # fmt: skip
    """A collater with one view of each kind of stream; pairs are packed as the streams are."""
    packing = "halves" if any(s.share and s.kind == "bitext" for s in streams) else "pairs"
    rates = MaskingOptions() if hides else None
    bitext_view = View("bitext", rates, packing=packing, positions=positions, shuffle_order=shuffle_order)
    values = {"views": {"mono": View("mono", rates), "bitext": bitext_view}, "vocabulary": VOCABULARY}
    return Collater(streams, CollateOptions(**{**values, "languages": languages, **changes}))


def planner(streams: list, probabilities: list[float], window: int = 32, seed: int = 1, **budget) -> Planner:
    return Planner(streams, np.array(probabilities), window, Budget(**(budget or {"tokens": 64})), seed)
