"""Score predictions: part-of-speech and named-entity tags, or class labels.

Predictions are predict's JSON lines, which carry their gold labels; or, with --gold, CoNLL-U (pos),
two columns of token and tag (ner), one label a line (classification). Every figure is in per cent,
comes with a bootstrap interval over items, and with a signature that says how it was computed.
Part-of-speech tags get two figures: accuracy, and the chunk F1 that seqeval gives (XTREME,
ALIGN-MLM), which is not comparable with accuracy.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from fairseq_xalign import cli
from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics import significance
from fairseq_xalign.evaluate.metrics.labels import Metric
from fairseq_xalign.evaluate.report.tables import json_text, number, text_table
from fairseq_xalign.labelled.kind import Item
from fairseq_xalign.labelled.predictions import read_items
from fairseq_xalign.labelled.registry import TASKS, kind_of

EXAMPLE = """example:
  xalign-evaluate score --task pos --predictions hi.jsonl
  xalign-evaluate score --task ner --predictions guess.tsv --gold gold.tsv --language de --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate score``."""
    parser.add_argument("--task", required=True, choices=TASKS, help="what the labels are")
    parser.add_argument(
        "--predictions", required=True, metavar="FILE", help="predict's JSON lines, or another form with --gold"
    )
    parser.add_argument("--gold", metavar="FILE", help="gold labels, when the predictions do not carry them")
    parser.add_argument("--language", metavar="XX", help="score only this language (default: each that occurs)")
    parser.add_argument("--split", help="name of the split, for the signature")
    parser.add_argument(
        "--against", metavar="FILE", help="another system's predictions of the same items: paired bootstrap test"
    )
    parser.add_argument(
        "--bootstrap",
        type=int,
        default=significance.SAMPLES,
        metavar="N",
        help="resamples; 0 for none (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=significance.SEED, help="of the resampling (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    """Read, score and print."""
    if args.bootstrap < 0:
        raise UserError(f"--bootstrap {args.bootstrap} is negative", remedy="Give 0 for no resampling")
    if args.against and not args.bootstrap:
        raise UserError("--against needs resamples, and --bootstrap is 0", remedy="Leave --bootstrap out")
    items = read_items(args.task, args.predictions, args.gold, args.language)
    other = read_items(args.task, args.against, args.gold, args.language) if args.against else None
    report = score_report(args.task, items, args.split, args.bootstrap, args.seed, other, args.against)
    missing = sum(counts["missing"] for counts in report["counts"].values())
    if missing:
        cli.say(f"{missing} tokens or items have no prediction and count as wrong")
    print(json_text({"predictions": args.predictions, **report}) if args.json else _text(report), end="")


def score_report(
    task: str,
    items: Sequence[Item],
    split: str | None = None,
    samples: int = significance.SAMPLES,
    seed: int = significance.SEED,
    other: Sequence[Item] | None = None,
    other_name: str | None = None,
) -> dict[str, Any]:
    """Scores by language, in per cent.

    Returns:
        ``task``; ``scores`` {language: {metric: value}}; ``intervals`` {language: {metric: [low, high]}}
        (95 %); ``counts`` {language: {items, tokens, missing}}; ``average`` {metric: mean over languages}
        when there are several; ``signatures`` {language: {metric: text}}; with ``other`` also ``paired``
        {language: {metric: {difference, low, high, p}}}.
    """
    metrics = TASKS[task].metrics([item.pair for item in [*items, *(other or ())]])
    report: dict[str, Any] = {"task": task, "scores": {}, "intervals": {}, "counts": {}, "signatures": {}}
    languages = list(dict.fromkeys(item.language for item in items))
    for language in languages:
        chosen = [item for item in items if item.language == language]
        rivals = _matched(chosen, other, language, other_name) if other is not None else None
        report["counts"][language] = kind_of(task).counts(chosen)
        for metric in metrics:
            _add(report, metric, language, chosen, rivals, split, samples, seed)
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
    rivals: Sequence[Item] | None,
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
    if rivals is not None:
        rival_counts = metric.statistics([item.pair for item in rivals])
        test = significance.paired_bootstrap(metric.score, counts, rival_counts, samples, seed)
        report.setdefault("paired", {}).setdefault(language, {})[metric.name] = vars(test)


def _matched(items: Sequence[Item], other: Sequence[Item], language: str, name: str | None) -> list[Item]:
    """The other system's items in this one's order; refuses different sets or gold labels."""
    rivals = {item.id: item for item in other if item.language == language}
    if len(rivals) != len(items) or any(i.id not in rivals or rivals[i.id].gold != i.gold for i in items):
        raise UserError(
            f"does not hold the same items with the same gold labels for language {language!r}",
            name,
            remedy="A paired test needs two systems' predictions of one test set",
        )
    return [rivals[item.id] for item in items]


def _text(report: dict[str, Any]) -> str:
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
    if "paired" in report:
        tests = [
            [language, name, f"{t['difference']:+.2f}", f"[{t['low']:+.2f}, {t['high']:+.2f}]", f"{t['p']:.4f}"]
            for language, by_name in report["paired"].items()
            for name, t in by_name.items()
        ]
        parts.append(text_table(["language", "metric", "difference", "95 %", "p"], tests, left=2))
    lines = [text for by_name in report["signatures"].values() for text in by_name.values()]
    return "\n".join([*parts, "\n".join(lines) + "\n"])
