"""Folders that look like runs and have no result: they are counted as seeds without scores where their names tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from fairseq_xalign import cli
from fairseq_xalign.evaluate.report.gather import SOURCE
from fairseq_xalign.evaluate.report.paired import PREDICTIONS
from fairseq_xalign.evaluate.report.results import RESULT_FILE, Result, read_runs

NUMBER = re.compile(r"([0-9]+)")


def read_every_run(runs: Sequence[str | Path]) -> tuple[list[Result], list[Path]]:
    """The results of runs, with one that says so for each seed that has a folder and no result; and all such folders.

    The folders are named on the terminal, whether they are counted or not.
    """
    results = read_runs(runs)
    counted: list[Result] = []
    folders = unfinished_runs(results, runs)
    for folder in folders:
        found = seeds_without_result(folder, results)
        if found:
            cli.say(f"{folder}: no {RESULT_FILE}; counted as seed {found[0].seed}, without scores. Did it fail?")
        else:
            cli.say(
                f"{folder}: no {RESULT_FILE}, and nothing tells its seed and its row; it is in no table. Did it fail? "
                "Record it with `xalign-evaluate result --failed REASON`"
            )
        counted += found
    return results + counted, folders


def unfinished_runs(results: Iterable[Result], runs: Iterable[str | Path] = ()) -> list[Path]:
    """Folders that look like runs, and have no result in or below them: training may have failed there.

    A folder looks like a run if it has a source.json, or if a run beside it has files or folders of the same names.

    Args:
        runs: where to look for a source.json.
    """
    folders = {Path(result.path).resolve().parent for result in results if Path(result.path).name == RESULT_FILE}
    found = {file.resolve().parent for run in runs if Path(run).is_dir() for file in Path(run).rglob(SOURCE)}
    for parent in {folder.parent for folder in folders}:
        names = {item.name for folder in folders if folder.parent == parent for item in folder.iterdir()}
        beside = (item for item in parent.iterdir() if item.is_dir() and item not in folders)
        found |= {folder for folder in beside if any(item.name in names for item in folder.iterdir())}
    return sorted(folder for folder in found if not any(folder.rglob(RESULT_FILE)))


def seeds_without_result(folder: Path, results: Sequence[Result]) -> list[Result]:
    """What a folder without a result is counted as: a seed, which has failed, of each row that the folder belongs to.

    It belongs to the rows of a run whose path differs from its own in one number, which is that run's seed:
    ``mlm/seed4`` beside ``mlm/seed3``. If the number is not the seed of every such run, it means something else.
    """
    alike: dict[int, list[tuple[Result, int, int]]] = {}
    for result in results:
        place = Path(result.path).resolve().parent
        for known in (place, place.parent):  # a run of several targets has a folder for each below its own
            if (numbers := _other_number(known, folder)) is not None:
                alike.setdefault(numbers[0], []).append((result, *numbers[1:]))
    found: dict[tuple[object, ...], Result] = {}
    for pairs in alike.values():
        if all(number == result.seed for result, number, _ in pairs):
            for result, _, seed in pairs:
                settings = {name: value for name, value in result.settings.items() if name != PREDICTIONS}
                found[(*result.row, seed)] = replace(
                    result,
                    seed=seed,
                    scores={},
                    alignment={},
                    retrieval=None,
                    signature="",
                    settings=settings,
                    failed=f"no {RESULT_FILE}",
                    path=str(folder / RESULT_FILE),
                )
    there = {(*result.row, result.seed) for result in results}
    return [result for key, result in found.items() if key not in there]


def _other_number(one: Path, other: Path) -> tuple[int, int, int] | None:
    """Where the names of two folders differ in one number and nothing else, and what the numbers are."""
    ours, theirs = NUMBER.split(str(one)), NUMBER.split(str(other))
    different = [i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b]
    if len(ours) != len(theirs) or len(different) != 1 or different[0] % 2 == 0:
        return None
    return different[0], int(ours[different[0]]), int(theirs[different[0]])
