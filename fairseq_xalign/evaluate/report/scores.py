"""Scores of predictions by language, with intervals, signatures and a paired test against another system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics import significance
from fairseq_xalign.evaluate.metrics.labels import Metric
from fairseq_xalign.evaluate.report.tables import number, text_table
from fairseq_xalign.labelled.kind import Item
from fairseq_xalign.labelled.registry import TASKS, kind_of


@dataclass(frozen=True)
class Rival:
    """Another system's items, and the file that they come from."""

    items: Sequence[Item]
    name: str


def score_report(
    task: str,
    items: Sequence[Item],
    split: str | None = None,
    samples: int = significance.SAMPLES,
    seed: int = significance.SEED,
    rival: Rival | None = None,
) -> dict[str, Any]:
    """Scores by language, in per cent.

    Args:
        task: the name of a task, see ``labelled/registry.py``.
        split: its name, for the signature.
        samples: bootstrap resamples; 0 for no intervals.
        rival: compare with these predictions of the same items.

    Returns:
        ``task``; ``scores`` {language: {metric: value}}; ``intervals`` {language: {metric: [low, high]}}
        (95 %); ``counts`` {language: {items, tokens, missing}}; ``average`` {metric: mean over languages}
        if there are several; ``parts`` {language: {metric: value}} where the task has parts (types of entities), with
        signatures as well; ``signatures`` {language: {metric: text}}; with ``rival`` also ``paired``
        {language: {metric: {difference, low, high, p}}}.
    """
    pairs = [item.pair for item in [*items, *(rival.items if rival else ())]]
    metrics, parts = TASKS[task].metrics(pairs), TASKS[task].parts(pairs)
    report: dict[str, Any] = {"task": task, "scores": {}, "intervals": {}, "counts": {}, "signatures": {}}
    languages = list(dict.fromkeys(item.language for item in items))
    for language in languages:
        chosen = [item for item in items if item.language == language]
        other = _matched(chosen, rival, language) if rival else None
        report["counts"][language] = kind_of(task).counts(chosen)
        for metric in metrics:
            _add(report, metric, language, chosen, other, split, samples, seed)
        for metric in parts:
            _add_part(report, metric, language, chosen, split)
    if len(languages) > 1:
        report["average"] = {
            metric.name: float(np.mean([report["scores"][language][metric.name] for language in languages]))
            for metric in metrics
        }
    return report


def _add(
    report: dict[str, Any],
    metric: Metric,
    language: str,
    items: Sequence[Item],
    other: Sequence[Item] | None,
    split: str | None,
    samples: int,
    seed: int,
) -> None:
    """Enter one metric of one language."""
    counts = metric.statistics([item.pair for item in items])
    report["scores"].setdefault(language, {})[metric.name] = float(metric.score(counts.sum(axis=0)))
    fields: dict[str, object] = {"split": split, "lang": language}
    if samples:
        interval = significance.bootstrap(metric.score, counts, samples, seed)
        report["intervals"].setdefault(language, {})[metric.name] = [interval.low, interval.high]
        fields |= {"bootstrap": samples, "seed": seed}
    report["signatures"].setdefault(language, {})[metric.name] = metric.signature(len(items), **fields)
    if other is not None:
        other_counts = metric.statistics([item.pair for item in other])
        test = significance.paired_bootstrap(metric.score, counts, other_counts, samples, seed)
        report.setdefault("paired", {}).setdefault(language, {})[metric.name] = vars(test)


def _add_part(report: dict[str, Any], metric: Metric, language: str, items: Sequence[Item], split: str | None) -> None:
    """Enter one part of the answers of one language, without an interval: single types may be rare."""
    pairs = [item.pair for item in items]
    report.setdefault("parts", {}).setdefault(language, {})[metric.name] = metric.corpus(pairs)
    signature = metric.signature(len(items), split=split, lang=language)
    report["signatures"].setdefault(language, {})[metric.name] = signature


def _matched(items: Sequence[Item], rival: Rival, language: str) -> list[Item]:
    """The other system's items in this one's order; refuses different sets or gold labels."""
    others = {item.id: item for item in rival.items if item.language == language}
    if len(others) != len(items) or any(i.id not in others or others[i.id].gold != i.gold for i in items):
        raise UserError(
            f"does not hold the same items with the same gold labels for language {language!r}",
            rival.name,
            remedy="A paired test needs two systems' predictions of one test set",
        )
    return [others[item.id] for item in items]


def scores_text(report: dict[str, Any]) -> str:
    """The report as a table, the paired tests if there are any, and the signatures."""
    names = list(next(iter(report["scores"].values())))
    rows = []
    for language, scores in report["scores"].items():
        row = [language, str(report["counts"][language]["items"])]
        for name in names:
            bounds = report["intervals"].get(language, {}).get(name)
            row.append(
                number(scores[name], 2) + (f" [{number(bounds[0], 2)}, {number(bounds[1], 2)}]" if bounds else "")
            )
        rows.append(row)
    if "average" in report:
        rows.append(["average", "", *(number(report["average"][name], 2) for name in names)])
    parts = [text_table(["language", "items", *names], rows)]
    if "parts" in report:
        names = list(next(iter(report["parts"].values())))
        rows = [[language, *(number(of[name], 2) for name in names)] for language, of in report["parts"].items()]
        parts.append(text_table(["language", *names], rows))
    if "paired" in report:
        tests = [
            [language, name, f"{t['difference']:+.2f}", f"[{t['low']:+.2f}, {t['high']:+.2f}]", f"{t['p']:.4f}"]
            for language, by_name in report["paired"].items()
            for name, t in by_name.items()
        ]
        parts.append(text_table(["language", "metric", "difference", "95 %", "p"], tests, left=2))
    lines = [text for by_name in report["signatures"].values() for text in by_name.values()]
    return "\n".join([*parts, "\n".join(lines) + "\n"])
