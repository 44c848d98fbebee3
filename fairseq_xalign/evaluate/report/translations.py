"""The scores of translations: one JSON file, ``bleu.json``, that ``bleu --baseline``, ``compare`` and ``plot`` read.

The file, format 1 (scores in per cent)::

    {"format": 1, "kind": "translation",
     "name": "mmte_base",                       # what a table calls the model
     "settings": {"beam": 4, ...},              # how it was translated; checkpoint, split
     "directions": {"en-de": {"sentences": 100, "pairs": 24000,      # training pairs, or null
                              "bleu": 21.3, "chrf": 48.0, "length_ratio": 0.97,
                              "off_target": 1.0, "unknown": 4.0,     # null: not measured
                              "repetition": 0.0, "copies": 0.0,      # copies null: no sources
                              "of_references": {"off_target": 0.0, "unknown": 3.0, "repetition": 0.0},
                              "references_sha256": "...", "signatures": {"bleu": "..."}}},
     "averages": {"into en": {"directions": 6, "bleu": ..., ...}, ...},
     "threshold": 1000000}                      # training pairs from which a direction is high-resource
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics.identification import base_language
from fairseq_xalign.evaluate.report.tables import number, text_table
from fairseq_xalign.files import read_json
from fairseq_xalign.options import language_pair

TRANSLATION_FILE = "bleu.json"
TRANSLATION_FORMAT = 1
FIGURES = ("bleu", "chrf", "length_ratio", "off_target", "unknown", "repetition", "copies")
"""What a table shows of each direction, and what is averaged."""
HEADERS = {
    "bleu": "BLEU",
    "chrf": "chrF",
    "length_ratio": "length ratio",
    "off_target": "wrong language",
    "unknown": "unknown language",
    "repetition": "repetitive",
    "copies": "copied",
}
HIGH_RESOURCE = 1_000_000
"""Training pairs from which a direction counts as high-resource (NLLB Team 2022, "No Language Left Behind":
fewer than a million pairs are low-resource). MMTE does not say where it draws the line."""


@dataclass(frozen=True)
class Translations:
    """The scores of one model's translations; the fields are those of ``bleu.json``."""

    name: str
    directions: dict[str, dict[str, Any]]
    settings: dict[str, Any] = field(default_factory=dict)
    averages: dict[str, dict[str, Any]] = field(default_factory=dict)
    threshold: int = HIGH_RESOURCE
    path: str = field(default="", compare=False)
    """Where it was read from; not written."""

    def record(self) -> dict[str, Any]:
        """The contents of ``bleu.json``."""
        values = asdict(self)
        del values["path"]
        return {"format": TRANSLATION_FORMAT, "kind": "translation", **values}


def averages(directions: Mapping[str, Mapping[str, Any]], threshold: int) -> dict[str, dict[str, Any]]:
    """Unweighted means over directions: all, into and out of English, between others, high and low resource.

    A group without directions is left out; a figure is the mean over the directions that have it.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for name, entry in directions.items():
        source, target = (base_language(code) for code in language_pair(name, "direction"))
        groups.setdefault("all", []).append(entry)
        kind = "into English" if target == "en" else "out of English" if source == "en" else "without English"
        groups.setdefault(kind, []).append(entry)
        if entry.get("pairs") is not None:
            resource = "high resource" if entry["pairs"] >= threshold else "low resource"
            groups.setdefault(resource, []).append(entry)
    order = ("all", "into English", "out of English", "without English", "high resource", "low resource")
    return {name: _mean(groups[name]) for name in order if name in groups}


def _mean(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {"directions": len(entries)}
    for figure in FIGURES:
        values = [entry[figure] for entry in entries if entry.get(figure) is not None]
        result[figure] = math.fsum(values) / len(values) if values else None
    return result


def is_translations(path: str | Path) -> bool:
    """Whether a file or folder holds such a result."""
    path = Path(path)
    return path.name == TRANSLATION_FILE if path.is_file() else (path / TRANSLATION_FILE).is_file()


def read_translations(path: str | Path) -> Translations:
    """Read a ``bleu.json``, or that of a folder.

    Raises:
        UserError: it is missing, or not what ``bleu`` writes.
    """
    path = Path(path)
    file = path / TRANSLATION_FILE if path.is_dir() else path
    if not file.exists():
        raise UserError(f"no {TRANSLATION_FILE} there", path, remedy="Write it with `xalign-evaluate bleu --output`")
    value = read_json(file)
    if not isinstance(value, Mapping) or value.get("kind") != "translation":
        raise UserError("not the scores of translations", file, remedy="Write it with `xalign-evaluate bleu --output`")
    if value.get("format") != TRANSLATION_FORMAT:
        raise UserError(
            f'"format" is {value.get("format")!r}, not {TRANSLATION_FORMAT}', file, remedy="Update the plugin"
        )
    directions = value.get("directions")
    if not isinstance(directions, Mapping) or not all(_is_entry(entry) for entry in directions.values()):
        raise UserError('damaged: "directions" must hold the scores of each', file, remedy="Write the file again")
    known = Translations.__dataclass_fields__.keys() - {"path"}
    return Translations(**{k: v for k, v in value.items() if k in known}, path=str(file))


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, Mapping) and all(
        isinstance(entry.get(name), int | float) and math.isfinite(entry[name]) for name in ("bleu", "chrf")
    )


def merged(results: Iterable[Translations]) -> Translations | None:
    """One set of scores from those of several models of one direction or more each, as bilingual baselines are.

    Raises:
        UserError: two of them have the same direction.
    """
    directions: dict[str, dict[str, Any]] = {}
    where: dict[str, str] = {}
    for result in results:
        for name, entry in result.directions.items():
            if name in directions:
                raise UserError(f"{name} is in {where[name]} too", result.path, remedy="Leave one of them out")
            directions[name], where[name] = entry, result.path
    return Translations("baseline", directions) if directions else None


def check_same_test_set(ours: Translations, other: Translations) -> None:
    """Refuse to compare directions whose references differ."""
    for name in sorted(ours.directions.keys() & other.directions.keys()):
        hashes = [result.directions[name].get("references_sha256") for result in (ours, other)]
        if None not in hashes and hashes[0] != hashes[1]:
            raise UserError(
                f"{name}: scored against other references than {other.path or 'the baseline'}",
                ours.path or None,
                remedy="Score both on the same test set",
            )


def translations_text(result: Translations, baseline: Translations | None = None) -> str:
    """The scores as a table: directions, averages, signatures; with ``baseline`` also its BLEU and the difference."""
    shown = [name for name in FIGURES if any(e.get(name) is not None for e in result.directions.values())]
    pairs = any(entry.get("pairs") is not None for entry in result.directions.values())
    header = ["direction", "sentences", *(["training pairs"] if pairs else []), *(HEADERS[name] for name in shown)]
    header += ["baseline BLEU", "difference"] if baseline else []
    rows = []
    for name, entry in result.directions.items():
        counts = [f"{entry['sentences']:,}", *([_count(entry.get("pairs"))] if pairs else [])]
        rows.append([name, *counts, *(_figure(entry, figure) for figure in shown), *_against(name, entry, baseline)])
    means = averages(result.directions, result.threshold)
    against = _baseline_averages(result, baseline)
    for name, entry in means.items() if len(result.directions) > 1 else ():
        title = f"average, {name} ({entry['directions']})"
        extra = [number(value) for value in against.get(name, (None, None))] if baseline else []
        rows.append([title, *([""] * (1 + pairs)), *(_figure(entry, figure) for figure in shown), *extra])
    text = text_table(header, rows)
    if any(entry.get("pairs") is not None for entry in result.directions.values()):
        text += f"high resource: at least {result.threshold:,} training pairs\n"
    signatures = dict.fromkeys(
        signature
        for entry in result.directions.values()
        for name, signature in entry.get("signatures", {}).items()
        if name in ("bleu", "chrf")
    )
    return text + "".join(f"{signature}\n" for signature in signatures)


def _figure(entry: Mapping[str, Any], name: str) -> str:
    """A figure as a table shows it: per cents with one decimal, the ratio of lengths with two."""
    return number(entry.get(name), 2 if name == "length_ratio" else 1)


def _count(pairs: int | None) -> str:
    return number(None) if pairs is None else f"{pairs:,}"


def _against(name: str, entry: Mapping[str, Any], baseline: Translations | None) -> list[str]:
    if baseline is None:
        return []
    theirs = baseline.directions.get(name, {}).get("bleu")
    return [number(theirs), _difference(None if theirs is None else entry["bleu"] - theirs)]


def _difference(value: float | None) -> str:
    text = number(value)
    return text if value is None or text.startswith("-") or float(text) == 0 else f"+{text}"


def _baseline_averages(result: Translations, baseline: Translations | None) -> dict[str, tuple[float, float]]:
    """Per group the baseline's mean BLEU and the mean difference, over the directions that both have."""
    if baseline is None:
        return {}
    both = [name for name in result.directions if name in baseline.directions]
    ours = averages({name: result.directions[name] for name in both}, result.threshold)
    # The baseline's directions belong to the groups of ours, whatever it says of its own training pairs.
    theirs = averages(
        {name: {**baseline.directions[name], "pairs": result.directions[name].get("pairs")} for name in both},
        result.threshold,
    )
    return {name: (theirs[name]["bleu"], ours[name]["bleu"] - theirs[name]["bleu"]) for name in ours}
