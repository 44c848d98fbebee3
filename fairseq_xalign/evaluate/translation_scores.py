"""The scores of each direction of a test set, as ``bleu.json`` holds them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from fairseq_xalign import cli
from fairseq_xalign.errors import explained
from fairseq_xalign.evaluate.metrics import translation as metrics
from fairseq_xalign.evaluate.metrics.identification import Identifier
from fairseq_xalign.evaluate.translating import Translated, lines_sha256
from fairseq_xalign.options import pair_name


def score_directions(
    items: Iterable[Translated], languages: Collection[str], pairs: Mapping[str, int], tokenizer: str | None = None
) -> dict[str, dict[str, Any]]:
    """The entry of each direction (:mod:`fairseq_xalign.evaluate.report.translations`).

    Args:
        items: translations; they are all made before the first is scored.
        languages: further languages that a translation may be in by mistake.
        pairs: training pairs by direction.
        tokenizer: BLEU's (default: by target language).
    """
    found = list(items)
    identifier = _identifier({*languages, *(language for item in found for language in item.direction)})
    return {pair_name(item.direction): _entry(item, pairs, tokenizer, identifier) for item in found}


def _identifier(languages: Iterable[str]) -> Identifier | None:
    try:
        return Identifier(languages)
    except ModuleNotFoundError as error:
        cli.say(f"translations in a wrong language are not counted: {explained(error) or error}")
        return None


def _entry(
    item: Translated, pairs: Mapping[str, int], tokenizer: str | None, identifier: Identifier | None
) -> dict[str, Any]:
    target = item.direction[1]
    bleu = metrics.corpus_bleu(item.hypotheses, item.references, target, tokenizer)
    chrf = metrics.corpus_chrf(item.hypotheses, item.references)
    repetition = metrics.repetition_rate(item.hypotheses, target)
    copies = metrics.copy_rate(item.hypotheses, item.sources) if item.sources else None
    language = identifier.off_target(item.hypotheses, target) if identifier else None
    gold = identifier.off_target(item.references, target) if identifier else None
    found = {"bleu": bleu, "chrf": chrf, "off_target": language, "repetition": repetition, "copies": copies}
    return {
        "sentences": len(item.references),
        "pairs": pairs.get(pair_name(item.direction)),
        "bleu": bleu.score,
        "chrf": chrf.score,
        "length_ratio": bleu.length_ratio,
        "off_target": language and language.off_target,
        "unknown": language and language.unknown,
        "repetition": repetition.score,
        "copies": copies and copies.score,
        "of_references": {
            "off_target": gold and gold.off_target,
            "unknown": gold and gold.unknown,
            "repetition": metrics.repetition_rate(item.references, target).score,
        },
        "references_sha256": lines_sha256(item.references),
        "signatures": {name: score.signature for name, score in found.items() if score is not None},
    }
