"""Shares of streams: temperature within a kind, weights between kinds."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from fairseq_xalign.data.sampling import temperature_probabilities
from fairseq_xalign.data.streams import Stream
from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.options import PAIR_MARK

OTHERS = 1.0
"""The weight in ``--sampling-weights`` of a language or direction that it does not name."""


def parse_weights(text: str, option: str, known: Sequence[str], others: float = 0.0) -> dict[str, float]:
    """Read ``name:weight,...``; every name must be known, every weight at least 0, and one of them above 0.

    Args:
        others: the weight of each name that is known and not listed.
    """
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
    if sum(weights.get(name, others) for name in known) <= 0:
        raise UserError(
            f"{option} {text!r} gives no weight to anything", remedy=f"Give one of {', '.join(known)} more than 0"
        )
    return weights


def stream_probabilities(
    streams: Sequence[Stream],
    temperature: float,
    language_weights: str | None = None,
    stream_weights: str | None = None,
    weighed: Collection[str] | None = None,
) -> np.ndarray:
    """Return the probability of each stream, float64 [streams], summing to 1.

    Within a kind it follows the temperature over the units of its streams, or ``language_weights`` (languages, and
    ``en-de`` directions) where these name one of the kind; those that they do not name have weight 1. Between kinds it
    follows ``stream_weights``, which must name every kind; without them it is proportional to units, so that all kinds
    end a pass together, as if one concatenation were shuffled (ALIGN-MLM, Appendix G.3).

    Args:
        weighed: the kinds that ``language_weights`` are about; None for all.
    """
    names = [s.name.split("/", 1)[1] for s in streams]
    sizes = np.array([len(s) for s in streams], dtype=np.float64)
    kinds = list(dict.fromkeys(s.kind for s in streams))
    weighable = [n for n, s in zip(names, streams) if weighed is None or s.kind in weighed]
    by_hand = parse_weights(language_weights, "--sampling-weights", weighable, OTHERS) if language_weights else {}
    shares = _parse_shares(stream_weights, kinds) if stream_weights else None
    result = np.zeros(len(streams))
    for kind in kinds:
        ours = np.array([s.kind == kind for s in streams])
        if (weighed is None or kind in weighed) and any(n in by_hand for n, o in zip(names, ours) if o):
            weights = np.array([by_hand.get(n, OTHERS) for n in names])[ours]
            within = weights / (weights.sum() or 1.0)
        else:
            within = temperature_probabilities(sizes[ours], temperature)
        share = shares[kind] if shares else sizes[ours].sum()
        result[ours] = share * within
    if not result.sum() > 0:
        raise UserError(
            f"--sampling-weights {language_weights} and --stream-weights {stream_weights} leave nothing to draw",
            remedy=f"Give one of {', '.join(names)} more than 0 in both",
        )
    return result / result.sum()


def _parse_shares(text: str, kinds: Sequence[str]) -> dict[str, float]:
    """Read ``--stream-weights``; a kind without a weight would never be read, so every kind must have one."""
    shares = parse_weights(text, "--stream-weights", kinds)
    missing = [kind for kind in kinds if kind not in shares]
    if missing:
        raise UserError(
            f"--stream-weights {text} gives no weight to {' and '.join(missing)}, which this run reads too",
            remedy=f"Add {','.join(f'{kind}:1' for kind in missing)} (0 leaves out a kind)",
        )
    return shares
