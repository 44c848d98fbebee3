"""The JSON files of a run, checked: what each says of itself is compared with what is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.report.results import check_numbers
from fairseq_xalign.files import read_json
from fairseq_xalign.labelled.registry import TASKS

SOURCE, TARGET, ALIGNMENT, RETRIEVAL = "source.json", "target.json", "alignment.json", "retrieval.json"
NOT_ABOUT_THE_TEST_SET = {"v", "bootstrap", "seed", "labels"}
"""Fields of a signature that may differ between two scores of one test set."""


@dataclass(frozen=True)
class Gathered:
    """What a run's files hold; the fields are those of ``result.json``."""

    scores: dict[str, dict[str, float]]
    signature: dict[str, str]
    alignment: dict[str, float]
    retrieval: float | None
    predictions: dict[str, Path]
    set: str = ""
    """The published set that the scores are of, where they name one."""

    @classmethod
    def nothing(cls) -> Gathered:
        """What a run that failed has."""
        return cls({}, {}, {}, None, {})


def gather(folder: Path, source: str, target: str, task: str, several: bool = False) -> Gathered:
    """Read the JSON files of a run.

    Args:
        folder: has source.json, and may have target.json, alignment.json and retrieval.json.
        source, target: the languages with and without labels.
        task: what was learned.
        several: the run has several targets, so that the other files are ``target.de.json`` and so on; ``target.json``
            and ``retrieval.json`` may hold the figures of all of them.

    Raises:
        UserError: naming the file, for one that another command wrote, and for scores of another task, language
            or test set.
    """
    if not (folder / SOURCE).exists():
        raise UserError(f"no {SOURCE} in it", folder, remedy="Write it with `xalign-evaluate score --json`")
    first = _scores_file(folder / SOURCE, task)
    scores = {
        name: _language_scores(first, folder / SOURCE, language)
        for name, language in (("source", source), ("zs", target))
    }
    signature = _signatures(first, target)
    predictions: dict[str, Path | None] = dict.fromkeys(("source", "zs"), _predictions(first, folder))
    supervised = _own(folder, TARGET, target) if several else folder / TARGET
    if several and not supervised.exists() and target in _languages(folder / TARGET, task):
        supervised = folder / TARGET
    if supervised.exists():
        second = _scores_file(supervised, task)
        scores["sup"] = _language_scores(second, supervised, target)
        predictions["sup"] = _predictions(second, folder)
        _check_same_test_set(supervised, signature, _signatures(second, target), target)
    _check_same_split(folder / SOURCE, _signatures(first, source), signature)
    alignment = _figures(folder, ALIGNMENT, "align", "alignment", (source, target), several)
    retrieval = _figures(folder, RETRIEVAL, "retrieve", "mean", (source, target), several)
    return Gathered(
        scores,
        signature,
        alignment or {},
        retrieval,
        {name: file for name, file in predictions.items() if file is not None},
        first["set"] if isinstance(first.get("set"), str) else "",
    )


def _own(folder: Path, name: str, target: str) -> Path:
    """A target's own file in a run of several: ``alignment.de.json``."""
    return folder / f"{Path(name).stem}.{target}.json"


def _languages(path: Path, task: str) -> Mapping[str, Any]:
    return _scores_file(path, task)["scores"] if path.exists() else {}


def _predictions(value: Mapping[str, Any], folder: Path) -> Path | None:
    """The file of predictions that scores come from, where it can be found: as it was named, or in the run's folder."""
    named = value.get("predictions")
    places = [Path(named), folder / Path(named).name] if isinstance(named, str) else []
    return next((place for place in places if place.is_file()), None)


def signature_fields(text: str) -> dict[str, str]:
    """The fields of a signature: ``accuracy|per:token|n:20`` has ``per`` and ``n``; its name is under ``metric``."""
    name, *fields = str(text).split("|")
    return {"metric": name} | {key: value for key, _, value in (field.partition(":") for field in fields)}


def _object(path: Path, needed: str, command: str) -> dict[str, Any]:
    """A JSON object that has the field ``needed``, which ``command`` writes."""
    value = read_json(path)
    if not isinstance(value, dict) or needed not in value:
        raise UserError(
            f'no "{needed}" in it: not what `{command}` prints',
            path,
            remedy=f"Write it with `xalign-evaluate {command} --json`",
        )
    return value


def _scores_file(path: Path, task: str) -> dict[str, Any]:
    """What ``score --json`` printed, of this task."""
    value = _object(path, "scores", "score")
    said = value.get("task")
    if said is not None and said != task:
        known = isinstance(said, str) and said in TASKS
        raise UserError(
            f"scores of the task {said}, not {task}",
            path,
            remedy=f"Give --task {said}, or score with --task {task}" if known else f"Score with --task {task}",
        )
    return value


def _language_scores(value: Mapping[str, Any], path: Path, language: str) -> dict[str, float]:
    """The figures of one language in what ``score --json`` printed."""
    found = value["scores"]
    if not isinstance(found, dict) or not all(isinstance(by_metric, dict) for by_metric in found.values()):
        raise UserError('"scores" must be an object of languages', path, remedy="Write it with `score --json`")
    if language not in found:
        raise UserError(f"no scores of {language!r}", path, remedy=f"It has {', '.join(found) or 'none'}")
    for metric, text in _signatures(value, language).items():
        said = signature_fields(text).get("lang", language)
        if said != language:
            raise UserError(
                f"the signature of {metric} says {said}, the scores {language}", path, remedy="Score it again"
            )
    again = "Write it again with `xalign-evaluate score --json`"
    check_numbers(found[language], f"scores.{language}", lambda what: UserError(what, path, remedy=again))
    return {name: float(score) for name, score in found[language].items()}


def _signatures(value: Mapping[str, Any], language: str) -> dict[str, str]:
    """{metric: signature} of one language; empty where the file has none."""
    signatures = value.get("signatures")
    found = signatures.get(language) if isinstance(signatures, dict) else None
    return found if isinstance(found, dict) else {}


def _check_same_test_set(path: Path, zero_shot: dict[str, str], supervised: dict[str, str], target: str) -> None:
    """SUP and ZS are compared, so both must be scores of the same test set, computed in the same way."""
    for metric in sorted(zero_shot.keys() & supervised.keys()):
        ours, theirs = signature_fields(zero_shot[metric]), signature_fields(supervised[metric])
        for name in sorted((ours.keys() & theirs.keys()) - NOT_ABOUT_THE_TEST_SET):
            if ours[name] != theirs[name]:
                raise UserError(
                    f"{metric} of {target} was computed with {name}:{theirs[name]}, in {SOURCE} with "
                    f"{name}:{ours[name]}",
                    path,
                    remedy="Score both models on the same test set",
                )


def _check_same_split(path: Path, source: dict[str, str], target: dict[str, str]) -> None:
    """Source and target language are tested on the same split."""
    splits = [{signature_fields(text).get("split") for text in side.values()} - {None} for side in (source, target)]
    if all(splits) and splits[0] != splits[1]:
        names = [", ".join(sorted(map(str, side))) for side in splits]
        raise UserError(f"the source is scored on {names[0]}, the target on {names[1]}", path, remedy="Use one split")


def _figures(folder: Path, name: str, command: str, needed: str, pair: tuple[str, str], several: bool) -> Any:
    """The field ``needed`` of what ``command --json`` printed of a pair of languages; None where there is no file.

    Args:
        pair: source and target; either direction will do.
        several: the run has several targets. A target's own file comes first; one of the run must say which pair each
            of its figures is of, and have one for every target.

    Raises:
        UserError: for figures of other languages only, two of this pair, or a file of another command.
    """
    own = _own(folder, name, pair[1])
    shared = several and not own.exists()
    path = own if several and not shared else folder / name
    if not path.exists():
        return None
    value = _object(path, needed, command)
    if "pairs" in value and name == RETRIEVAL:  # of `align` it is the number of entries
        return _of_pair(path, value["pairs"], needed, pair)[needed]
    said = [value.get("source"), value.get("target")]
    if None in said:
        if shared:
            raise UserError(
                "it does not say which languages it is of, and there are several targets",
                path,
                remedy=f"Name it {own.name} if it is of {pair[1]}, or measure every target",
            )
    elif not _same_languages(said, pair):
        remedy = "Give --source and --target as they were measured, or measure again"
        if shared and pair[0] in said:
            other = str(said[1] if said[0] == pair[0] else said[0])
            remedy = f"Name it {_own(folder, name, other).name}, or measure every target"
        raise UserError(f"figures for {said[0]} and {said[1]}, not for {pair[0]} and {pair[1]}", path, remedy=remedy)
    found = value[needed]
    again = f"Write it again with `xalign-evaluate {command} --json`"
    whole, figures = (needed, found) if name == ALIGNMENT else (command, {needed: found})
    check_numbers(figures, whole, lambda what: UserError(what, path, remedy=again))
    return found


def _same_languages(said: Sequence[Any], pair: tuple[str, str]) -> bool:
    """Whether figures are of these two languages, in either direction."""
    return sorted(map(str, said)) == sorted(pair)


def _of_pair(path: Path, found: Any, needed: str, pair: tuple[str, str]) -> dict[str, Any]:
    """The figures of one pair where a file has several; their mean is of none of them."""
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise UserError('"pairs" must be a list of objects', path, remedy="Measure again with --json")
    chosen = [one for one in found if _same_languages((one.get("source"), one.get("target")), pair)]
    if not chosen:
        known = ", ".join(f"{one.get('source')}-{one.get('target')}" for one in found) or "no pair"
        raise UserError(
            f"figures for {known}, not for {pair[0]} and {pair[1]}",
            path,
            remedy="Give --source and --target as they were measured, or measure this pair too",
        )
    if len(chosen) > 1:
        raise UserError(f"{len(chosen)} figures for {pair[0]} and {pair[1]}", path, remedy="Keep one of them")
    if needed not in chosen[0]:
        raise UserError(f'no "{needed}" for {pair[0]} and {pair[1]}', path, remedy="Measure again with --json")
    return chosen[0]
