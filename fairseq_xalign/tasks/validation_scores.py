"""BLEU and chrF during training: translate the first sentences of every direction of a validation set.

Beside them stand what they do not show: the share of repetitive outputs, and that of outputs in a wrong language.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fairseq_xalign.data.batching import Budget
from fairseq_xalign.data.collate_translation import TranslationCollater
from fairseq_xalign.data.directions import DirectionStream, direction_key
from fairseq_xalign.data.windows import Place, Window, assemble
from fairseq_xalign.errors import explained
from fairseq_xalign.evaluate.metrics.identification import Identifier
from fairseq_xalign.evaluate.metrics.translation import corpus_bleu, corpus_chrf, repetition_rate
from fairseq_xalign.models.generate import beam_search
from fairseq_xalign.objectives.translation import TranslationBatch
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

logger = logging.getLogger(__name__)
LENGTHS, MORE = 2.0, 10
"""A translation has at most twice the tokens of its source, and ten more: an untrained model writes without end."""

FIGURES = ("bleu", "chrf", "repetition", "off_target")
"""What is measured of each direction, and averaged; ``off_target`` only into languages that py3langid knows."""


@dataclass(frozen=True)
class Search:
    """How validation translates.

    Attributes:
        sentences: how many of each direction, the first ones; 0 for all.
        beam: size of the beam.
        tokens: tokens per batch, source and target.
    """

    sentences: int
    beam: int
    tokens: int


def validation_scores(
    model: Any, tokenizer: Tokenizer, collater: TranslationCollater, search: Search
) -> dict[str, float]:
    """Return ``bleu_en_de``, ``chrf_en_de`` and so on, and means over directions: ``bleu``, ``chrf`` and so on.

    The workers share the sentences, and all of them get the same scores.

    Args:
        model: a translation model in evaluation mode.
        collater: of a validation set; its streams that are no directions are passed over.
    """
    several = torch.distributed.is_available() and torch.distributed.is_initialized()
    rank, world = (torch.distributed.get_rank(), torch.distributed.get_world_size()) if several else (0, 1)
    identifier = _identifier(collater.streams)
    scores: dict[str, float] = {}
    signatures: dict[str, None] = {}
    for number, stream in enumerate(collater.streams):
        if not isinstance(stream, DirectionStream):
            continue
        window = _first_pairs(collater.streams, number, search)
        outputs: dict[int, str] = {}
        for b in range(rank, len(window.batches), world):
            outputs.update(_translated(model, tokenizer, collater, window, b, search.beam))
        outputs = _gathered(outputs, world)
        units = sorted(outputs)
        references = [tokenizer.decode(stream.mapped[1][unit].tolist()) for unit in units]
        hypotheses = [outputs[unit] for unit in units]
        key = direction_key(stream.languages)
        target = stream.languages[1]
        for name, found in (
            ("bleu", corpus_bleu(hypotheses, references, target)),
            ("chrf", corpus_chrf(hypotheses, references)),
        ):
            scores[f"{name}_{key}"] = found.score
            signatures[found.signature] = None
        scores[f"repetition_{key}"] = repetition_rate(hypotheses, target).score
        language = identifier.off_target(hypotheses, target) if identifier else None
        if language is not None:
            scores[f"off_target_{key}"] = language.off_target
    logger.info(f"signatures of BLEU and chrF: {'; '.join(signatures)}")
    for name in FIGURES:
        values = [score for key, score in scores.items() if key.startswith(f"{name}_")]
        if values:
            scores[name] = float(np.mean(values))
    return scores


def score_names(streams: Sequence[Any]) -> list[str]:
    """Return the names of the scores of :func:`validation_scores`."""
    directions = [stream for stream in streams if isinstance(stream, DirectionStream)]
    identifier = _identifier(streams)
    names = []
    for name in FIGURES:
        known = [s for s in directions if name != "off_target" or (identifier and identifier.knows(s.languages[1]))]
        names += [f"{name}{key}" for key in ("", *(f"_{direction_key(s.languages)}" for s in known)) if known]
    return names


def _identifier(streams: Sequence[Any]) -> Identifier | None:
    """What tells the languages of these directions apart; None where py3langid is not installed, which is logged."""
    languages = {language for s in streams if isinstance(s, DirectionStream) for language in s.languages}
    try:
        return Identifier(languages)
    except ModuleNotFoundError as error:
        logger.info(f"outputs in a wrong language are not counted: {explained(error) or error}")
        return None


def _first_pairs(streams: Sequence[Any], number: int, search: Search) -> Window:
    """The pairs of one stream that are translated, in batches."""
    stream = streams[number]
    unit = np.arange(len(stream))
    lengths = stream.lengths(unit)
    fits = np.flatnonzero(lengths[:, 0] >= 0)[: search.sentences or None]
    where = np.full(len(fits), number)
    return assemble(streams, where, unit[fits], unit[fits], lengths[fits], Budget(search.tokens), Place())


def _translated(
    model: Any, tokenizer: Tokenizer, collater: TranslationCollater, window: Window, number: int, beam: int
) -> dict[int, str]:
    """The translations of one batch, by the number of their pair."""
    sample = collater(window, number)
    device = next(model.parameters()).device
    batch = TranslationBatch.from_dict(sample["translation"]).to(device)
    limits = [int(LENGTHS * length) + MORE for length in batch.source.lengths.tolist()]
    found = beam_search(model, batch.source, batch.tags, limits, beam)
    units = sample["units"]["direction"][:, 1].tolist()
    return {unit: tokenizer.decode(hypotheses[0].tokens) for unit, hypotheses in zip(units, found)}


def _gathered(outputs: dict[int, str], world: int) -> dict[int, str]:
    """The translations of all workers."""
    if world == 1:
        return outputs
    parts: list[Any] = [None] * world
    torch.distributed.all_gather_object(parts, outputs)
    return {unit: text for part in parts for unit, text in part.items()}
