"""Shares of streams: temperature within a kind, weights between kinds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fairseq_xalign.data.sampling import temperature_probabilities
from fairseq_xalign.data.streams import Stream
from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.options import PAIR_MARK


def parse_weights(text: str, option: str, known: Sequence[str]) -> dict[str, float]:
    """Read ``name:weight,...``; every name must be known, every weight at least 0, and one of them above 0."""
    weights: dict[str, float] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        # The last colon, since pairs have one too; "zh-TW-pt-BR" is another way to write "zh-TW:pt-BR".
        name, _, value = (part.strip() for part in (item if ":" in item else f"{item}:").rpartition(":"))
        name = next((own for own in known if own.replace(PAIR_MARK, "-") == name), name)
        if name not in known:
            raise unknown_name(f"name in {option}", name, list(known))
        try:
            weights[name] = float(value)
        except ValueError:
            weights[name] = -1.0
        if not 0 <= weights[name] < float("inf"):
            raise UserError(
                f"{option}: the weight of {name!r} must be a number of at least 0, not {value!r}",
                remedy=f"Write {option} {name}:1",
            )
    if sum(weights.values()) <= 0:
        raise UserError(
            f"{option} {text!r} gives no weight to anything", remedy=f"Give one of {', '.join(known)} more than 0"
        )
    return weights


def stream_probabilities(
    streams: Sequence[Stream],
    temperature: float,
    language_weights: str | None = None,
    stream_weights: str | None = None,
) -> np.ndarray:
    """Return the probability of each stream, float64 [streams], summing to 1.

    Within a kind it follows the temperature over the units of its streams, or ``language_weights`` (languages, and
    ``en-de`` directions). Between kinds it follows ``stream_weights``; without them it is proportional to units, so
    that all kinds end a pass together, as if one concatenation were shuffled (ALIGN-MLM, Appendix G.3).
    """
    names = [s.name.split("/", 1)[1] for s in streams]
    sizes = np.array([len(s) for s in streams], dtype=np.float64)
    by_hand = parse_weights(language_weights, "--sampling-weights", names) if language_weights else None
    kinds = list(dict.fromkeys(s.kind for s in streams))
    shares = parse_weights(stream_weights, "--stream-weights", kinds) if stream_weights else None
    result = np.zeros(len(streams))
    for kind in kinds:
        ours = np.array([s.kind == kind for s in streams])
        if by_hand and any(n in by_hand for n, o in zip(names, ours) if o):
            weights = np.array([by_hand.get(n, 0.0) for n in names])[ours]
            within = weights / (weights.sum() or 1.0)
        else:
            within = temperature_probabilities(sizes[ours], temperature)
        share = shares.get(kind, 0.0) if shares else sizes[ours].sum()
        result[ours] = share * within
    if not result.sum() > 0:
        raise UserError(
            f"--sampling-weights {language_weights} and --stream-weights {stream_weights} leave nothing to draw",
            remedy=f"Give one of {', '.join(names)} more than 0 in both",
        )
    return result / result.sum()
