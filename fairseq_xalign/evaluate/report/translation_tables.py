"""Translations of several models side by side, and beside MMTE's Table 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate import papers
from fairseq_xalign.evaluate.metrics.identification import base_language
from fairseq_xalign.evaluate.report.tables import WRITERS, number
from fairseq_xalign.evaluate.report.translations import (
    FIGURES,
    HEADERS,
    TRANSLATION_FILE,
    Translations,
    averages,
    check_same_test_set,
    read_translations,
)
from fairseq_xalign.options import language_pair

PAPER_TABLE = "mmte.1"
"""The printed table of BLEU: ten directions, bilingual baselines and one multilingual model."""
PAPER_MODELS = {"bilingual baseline": "paper baseline", "mNMT": "paper mNMT"}


def translation_runs(runs: Sequence[str | Path]) -> list[Translations]:
    """The scores of translations in files and folders, and below them; [] where there are none.

    Raises:
        UserError: directions that were scored against different references.
    """
    found: list[Translations] = []
    seen: set[Path] = set()
    for run in map(Path, runs):
        files = [run] if run.is_file() and run.name == TRANSLATION_FILE else sorted(run.rglob(TRANSLATION_FILE))
        for file in files:
            if file.resolve() not in seen:
                seen.add(file.resolve())
                found.append(read_translations(file))
    for i, result in enumerate(found):
        for other in found[:i]:
            check_same_test_set(result, other)
    return found


def run_names(results: Sequence[Translations]) -> list[str]:
    """What to call each of several models: its name, with its folder where two have the same."""
    names = [result.name for result in results]
    return [
        name if names.count(name) == 1 else f"{name} ({Path(result.path).parent.name or i})"
        for i, (name, result) in enumerate(zip(names, results), 1)
    ]


def printed_bleu(direction: str) -> dict[str, float]:
    """MMTE's BLEU for a direction, by the names of its models here; {} where Table 1 does not have it."""
    wanted = [base_language(code) for code in language_pair(direction, "direction")]
    return {
        PAPER_MODELS[cell.model]: cell.number
        for cell in papers.cells(PAPER_TABLE)
        if cell.number is not None and cell.language.split("-") == wanted
    }


def records(results: Sequence[Translations], with_paper: bool) -> list[dict[str, Any]]:
    """One flat record per model and direction, every digit kept."""
    rows = []
    for name, result in zip(run_names(results), results):
        for direction, entry in result.directions.items():
            row = {"model": name, "direction": direction, "sentences": entry["sentences"], "pairs": entry.get("pairs")}
            row |= {figure: entry.get(figure) for figure in FIGURES}
            if with_paper:
                printed = printed_bleu(direction)
                row |= {label.replace(" ", "_"): printed.get(label) for label in PAPER_MODELS.values()}
            rows.append(row)
    return rows


def comparison(results: Sequence[Translations], with_paper: bool, form: str) -> str:
    """BLEU and chrF of each model by direction, with averages over the directions that all of them have.

    Args:
        with_paper: whether to add the figures of MMTE's Table 1, which are of another test set.
        form: a key of ``tables.WRITERS``.
    """
    if not results:
        raise UserError("no scores of translations", remedy="Write them with `xalign-evaluate bleu --output`")
    names = run_names(results)
    directions = list(dict.fromkeys(d for result in results for d in result.directions))
    printed = {d: printed_bleu(d) if with_paper else {} for d in directions}
    extra = [label for label in PAPER_MODELS.values() if any(label in cells for cells in printed.values())]
    header = ["direction", *(f"{n} {HEADERS[figure]}" for figure in ("bleu", "chrf") for n in names), *extra]
    rows = [
        [
            d,
            *(number(result.directions.get(d, {}).get(f)) for f in ("bleu", "chrf") for result in results),
            *(number(printed[d].get(label), 2) for label in extra),
        ]
        for d in directions
    ]
    common = [d for d in directions if all(d in result.directions for result in results)]
    means = [averages(_common(result, common), result.threshold) for result in results]
    for group in means[0] if len(common) > 1 else ():
        title = f"average, {group} ({means[0][group]['directions']})"
        cells = [number(mean.get(group, {}).get(f)) for f in ("bleu", "chrf") for mean in means]
        rows.append([title, *cells, *("" for _ in extra)])
    notes = ""
    if with_paper:
        notes = f"paper: {PAPER_TABLE} as printed, on an internal test set: not comparable figure by figure\n"
        if not extra:
            notes += "it prints no figure for any of these directions\n"
    signatures = dict.fromkeys(
        entry["signatures"][name]
        for result in results
        for entry in result.directions.values()
        for name in ("bleu", "chrf")
        if name in entry.get("signatures", {})
    )
    return WRITERS[form](header, rows, left=1) + notes + "".join(f"{text}\n" for text in signatures)


def _common(result: Translations, directions: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    return {d: result.directions[d] for d in directions}
