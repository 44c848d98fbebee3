"""A run's result: one JSON file, ``result.json``, that ``compare`` and ``plot`` read.

The file, format 1 (scores in per cent, never as fractions)::

    {"format": 1,
     "objective": "align_mlm",              # name of the criterion or preset
     "pair": "en-en_transinv",              # source and target language
     "transform": "Trans∘Inv",              # how the target was derived; "natural" for a language of its own
     "task": "pos",                         # a task of labelled/registry.py: pos, ner, classification
     "seed": 1,
     "dictionary": "25 % frequent",         # or null: no dictionary
     "scores": {"source": {"accuracy": 88.1, "chunk_f1": 86.0},   # fine-tuned on source, tested on source
                "sup": {...},               # fine-tuned and tested on target
                "zs": {...}},               # fine-tuned on source, tested on target: zero-shot
     "alignment": {"all": 25.4, "heldout": 0.3},   # or {}: names as in `align --json`
     "retrieval": 71.2,                     # or null: mean of both directions
     "signature": {"accuracy": "..."},      # metric to signature, or one text
     "settings": {"alpha": 10},             # optional: further settings; runs that differ in one of
                                            # VARIED are different rows of a table
     "failed": "out of memory"}             # optional: why this seed has no scores

``scores`` needs at least one of source, sup and zs, unless the run failed. SUP - ZS is computed when it is needed and
never stored. Settings that tables read: ``training`` says how the model was fine-tuned where that is not on the source
language alone (translate-train, few-shot, joint, feature-based), and ``predictions`` {source, zs, sup: file, relative
to the folder of the result} is what paired tests read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.files import read_json, write_json
from fairseq_xalign.labelled.registry import TASKS

RESULT_FILE = "result.json"
RESULT_FORMAT = 1
CONDITIONS = ("source", "sup", "zs")
VARIED = ("benchmark", "training", "dictionary_share", "overlap", "alpha", "parallel_share")
"""Settings that make two runs of an objective different rows: the labelled corpus, how the model was fine-tuned, and
what ALIGN-MLM's tables vary."""
SHARES = ("dictionary_share", "overlap", "parallel_share")
"""Those of ``VARIED`` that are from 0 to 1."""
NUMBERS, TEXTS = (*SHARES, "alpha"), ("benchmark", "training")
"""Those that are numbers, and those that are not."""
PER_CENT_SLACK = 1e-6


@dataclass(frozen=True)
class Result:
    """One run; the fields are those of the file (see the module's docstring)."""

    objective: str
    pair: str
    transform: str
    task: str
    seed: int
    scores: dict[str, dict[str, float]]
    dictionary: str | None = None
    alignment: dict[str, float] = field(default_factory=dict)
    retrieval: float | None = None
    signature: str | dict[str, str] = ""
    settings: dict[str, Any] = field(default_factory=dict)
    failed: str = ""
    path: str = field(default="", compare=False)
    """Where it was read from; not written."""

    @property
    def variant(self) -> tuple[tuple[str, str], ...]:
        """The settings of ``VARIED`` that the run records, as text; 10.0 is 10."""
        return tuple((name, str(self.settings[name]).removesuffix(".0")) for name in VARIED if name in self.settings)

    @property
    def row(self) -> tuple[Any, ...]:
        """What runs have in common that differ in their seed alone."""
        return self.objective, self.pair, self.transform, self.task, self.dictionary, self.variant

    def score(self, condition: str, metric: str) -> float | None:
        """The score of a condition (source, sup, zs), or None if there is none."""
        return self.scores.get(condition, {}).get(metric)

    def delta(self, metric: str) -> float | None:
        """SUP - ZS, the transfer gap (smaller is better), or None if either is missing."""
        sup, zs = self.score("sup", metric), self.score("zs", metric)
        return None if sup is None or zs is None else sup - zs


def validate(value: Any, where: str | Path | None = None) -> Result:
    """Return the result in a JSON value; a field that does not fit the schema is a :class:`UserError` that names it."""

    def wrong(what: str) -> UserError:
        return UserError(what, where, remedy="Correct it, or write the file again with `xalign-evaluate result`")

    if not isinstance(value, Mapping):
        raise wrong("a result must be a JSON object")
    version = value.get("format")
    if version != RESULT_FORMAT:
        raise wrong(f'"format" is {version!r}, not {RESULT_FORMAT}')
    known = {"format", *Result.__dataclass_fields__} - {"path"}
    for name in value:
        if name not in known:
            raise unknown_name("field of a result", str(name), sorted(known), where)
    for name in ("objective", "pair", "transform", "task"):
        if not (isinstance(value.get(name), str) and value[name]):
            raise wrong(f'"{name}" must be a text, and not empty')
    if value["task"] not in TASKS:
        raise unknown_name("task", value["task"], list(TASKS), where)
    if not isinstance(value.get("seed"), int) or isinstance(value["seed"], bool):
        raise wrong('"seed" must be a whole number')
    if not isinstance(value.get("dictionary"), str | None):
        raise wrong('"dictionary" must be a text or null')
    if not isinstance(value.get("failed", ""), str):
        raise wrong('"failed" must be a text: why there are no scores')
    scores = value.get("scores")
    if not isinstance(scores, Mapping) or not (scores or value.get("failed")):
        raise wrong(f'"scores" must hold at least one of {", ".join(CONDITIONS)}')
    for condition, by_metric in scores.items():
        if condition not in CONDITIONS:
            raise unknown_name('name in "scores"', str(condition), CONDITIONS, where)
        check_numbers(by_metric, f"scores.{condition}", wrong)
    if value.get("alignment") is not None:
        check_numbers(value["alignment"], "alignment", wrong)
    _check_settings(value, wrong, where)
    if value.get("retrieval") is not None:
        check_numbers({"retrieval": value["retrieval"]}, "retrieval", wrong)
    fields = {name: value[name] for name in known - {"format"} if value.get(name) is not None}
    return Result(**fields, path=str(where or ""))


def check_setting(name: str, value: Any, where: str | Path | None = None, shown: str = "") -> None:
    """Refuse a setting that no table could show.

    Args:
        value: a share of ``SHARES`` is a number from 0 to 1, another number must be finite, and what else makes rows
            is a text.
        where: the file that it is in.
        shown: what the message calls it, with what follows before the value.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    said = f"{shown or f'--setting {name}='}{value if number or not shown else repr(value)},"
    if not (name in TEXTS or _finite(value)) or (name in NUMBERS and not number):
        raise UserError(f"{said} not a finite number", where, remedy="Write a finite number, or leave it out")
    if name in SHARES and not 0 <= value <= 1:
        remedy = f"Write {value / 100:g}" if 1 < value <= 100 else "Write a number from 0 to 1"
        raise UserError(f"{said} not a share from 0 to 1", where, remedy=remedy)
    if name in VARIED and not (number or isinstance(value, str)):
        raise UserError(f"{said} neither a number nor a text", where, remedy="Write a text, or leave it out")


def _finite(value: Any) -> bool:
    """Whether a setting, and every part of one that has parts, is finite where it is a number or reads like one."""
    if isinstance(value, Mapping | list):
        return all(map(_finite, value.values() if isinstance(value, Mapping) else value))
    try:
        return isinstance(value, int) or value is None or math.isfinite(float(value))
    except (TypeError, ValueError):
        return True  # a text


def _check_settings(value: Mapping[str, Any], wrong: Callable[[str], UserError], where: str | Path | None) -> None:
    settings, signature = value.get("settings"), value.get("signature")
    if not isinstance(settings, Mapping | None):
        raise wrong('"settings" must be an object of name and value')
    for name, found in (settings or {}).items():
        check_setting(name, found, where, f'"settings.{name}" is ')
    texts = [signature] if isinstance(signature, str) else signature.values() if isinstance(signature, Mapping) else ()
    if signature is not None and not (isinstance(signature, str | Mapping) and all(isinstance(x, str) for x in texts)):
        raise wrong('"signature" must be a text, or an object of name and text')


def check_numbers(values: Any, name: str, wrong: Callable[[str], UserError]) -> None:
    """Refuse what is no object of percentages; ``wrong`` makes the error of what it is, which names the field."""
    if not isinstance(values, Mapping):
        raise wrong(f'"{name}" must be an object of name and number')
    for key, number in values.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise wrong(f'"{name}.{key}" is {number!r}, not a number')
        if not -PER_CENT_SLACK <= number <= 100 + PER_CENT_SLACK:
            raise wrong(f'"{name}.{key}" is {number}, not a per cent')


def write(path: str | Path, result: Result) -> None:
    """Write a result, validated, to ``path`` (a file, or a folder that gets ``result.json``), atomically."""
    path = Path(path)
    value = {"format": RESULT_FORMAT, **asdict(result)}
    del value["path"]
    if not result.failed:
        del value["failed"]
    validate(value, path)
    write_json(path / RESULT_FILE if path.is_dir() else path, value)


def read(path: str | Path) -> Result:
    """Read one ``result.json``."""
    return validate(read_json(path), path)


def read_runs(runs: Iterable[str | Path]) -> list[Result]:
    """All results under the given folders (or files), each once, in the order of their paths.

    Two results of the same objective, pair, transform, task, dictionary, settings and seed are refused: one of them
    is a copy, or the seed was not changed, and a deviation over both would be wrong. Where a seed failed and was run
    again, the result stands.
    """
    results: list[Result] = []
    read_paths: set[Path] = set()
    for run in runs:
        found = list(_result_files(Path(run)))
        if not found:
            raise UserError(
                f"no {RESULT_FILE} in it",
                run,
                remedy="Write it with `xalign-evaluate result`, or give a folder that holds several",
            )
        for path in found:
            if path.resolve() not in read_paths:
                read_paths.add(path.resolve())
                results.append(read(path))
    seen: dict[tuple[Any, ...], Result] = {}
    for result in sorted(results, key=lambda result: bool(result.failed)):
        key = (*result.row, result.seed)
        if key in seen and result.failed:
            results.remove(result)
            continue
        if key in seen:
            raise UserError(
                f"the same run as {seen[key].path}: {result.objective}, {result.pair}, {result.task}, "
                f"seed {result.seed}",
                result.path,
                remedy="Leave one of them out",
            )
        seen[key] = result
    return results


def files_of_runs(runs: Iterable[str | Path]) -> list[Path]:
    """Every ``result.json`` that :func:`read_runs` reads."""
    return [path for run in runs for path in _result_files(Path(run))]


def _result_files(run: Path) -> Iterator[Path]:
    if run.is_file():
        yield run
    elif run.is_dir():
        yield from sorted(run.rglob(RESULT_FILE))
    else:
        raise UserError("no such file or folder", run, remedy=f"Name a {RESULT_FILE}, or a folder that holds some")
