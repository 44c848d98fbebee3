"""What a training wrote into its log: losses and validation scores by update, and its settings.

Logs of ``fairseq-train`` are read in the formats ``json`` and ``simple`` (``--log-format``). Other lines are messages.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines

LOG_NAME = "train.log"
LINE = re.compile(r"(?:.* \| INFO \| )?(?P<kind>train_inner|train|valid[\w.-]*) \| (?P<text>.*)")
SETTINGS = re.compile(r".* \| INFO \| fairseq_cli\.train \| (?P<text>\{'_name'.*\})")
SIMPLE = re.compile(r"([A-Za-z_]\w*)[ =](-?(?:\d+\.?\d*(?:e[+-]?\d+)?|inf|nan))(?=[,| ]|$)")
NOT_MEASURED = {
    "wpb",
    "bsz",
    "wps",
    "ups",
    "num_updates",
    "ppl",
    "lr",
    "gnorm",
    "train_wall",
    "wall",
    "epoch",
    "update",
}
"""Fields about speed and progress, and perplexity, which is the loss again."""

Curve = list[tuple[int, float]]
"""(update, value), in the order of updates."""


@dataclass
class TrainingLog:
    """A training.

    Attributes:
        name: what to call it.
        loss: training loss by update.
        valid: {measure: curve}: ``loss``, and the scores that validation gives.
        settings: fairseq's, as logged; {} where the log does not have them.
    """

    name: str
    loss: Curve = field(default_factory=list)
    valid: dict[str, Curve] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


def log_files(runs: Iterable[str | Path]) -> list[Path]:
    """The logs named, and those called ``train.log`` in and below the folders named, each once."""
    found: dict[Path, None] = {}
    for run in map(Path, runs):
        if not run.exists():
            raise UserError("no such file or folder", run, remedy=f"Name a log, or a folder with a {LOG_NAME}")
        found |= dict.fromkeys([run] if run.is_file() else sorted(run.rglob(LOG_NAME)))
    return list(found)


def names_of(paths: Iterable[Path]) -> list[str]:
    """Short names of logs: their folders, without the parts that all of them share."""
    parts = [path.resolve().parent.parts if path.name == LOG_NAME else path.resolve().parts for path in paths]
    shared = 0
    while parts and all(len(part) > shared + 1 and part[shared] == parts[0][shared] for part in parts):
        shared += 1
    return ["/".join(part[shared:]) for part in parts]


def read_log(path: str | Path, name: str = "") -> TrainingLog:
    """Read a log; where a training was resumed, later lines replace earlier ones of the same update.

    Raises:
        UserError: no losses in it.
    """
    losses: dict[int, float] = {}
    valid: dict[str, dict[int, float]] = {}
    found = TrainingLog(name or Path(path).stem)
    for _, line in read_lines(path):
        if not found.settings and (match := SETTINGS.fullmatch(line)):
            found.settings = _settings(match["text"])
        if not (match := LINE.fullmatch(line)):
            continue
        values = dict(_values(match["text"]))
        prefix = match["kind"] if match["kind"] in ("train", "train_inner") else "valid"
        update = values.get("num_updates", values.get(f"{prefix}_num_updates"))
        if update is None:
            continue
        if match["kind"] == "train_inner" and "loss" in values:
            losses[int(update)] = values["loss"]
        if prefix == "valid":
            for key, value in values.items():
                short = key.removeprefix("valid_")
                if short not in NOT_MEASURED and not short.startswith("best_") and not short.endswith("ppl"):
                    valid.setdefault(short, {})[int(update)] = value
    if not losses and not valid:
        raise UserError(
            "no losses in it",
            path,
            remedy="Give the log of fairseq-train --log-format json (or simple), with INFO lines",
        )
    found.loss = sorted(losses.items())
    found.valid = {key: sorted(curve.items()) for key, curve in valid.items()}
    return found


def _values(text: str) -> Iterator[tuple[str, float]]:
    """The numbers of a line, by name."""
    if text.startswith("{"):
        try:
            pairs: Iterable[tuple[str, Any]] = json.loads(text).items()
        except json.JSONDecodeError:  # a line that was cut off when the process was killed
            return
    else:
        pairs = SIMPLE.findall(text)
    for name, value in pairs:
        try:
            yield name, float(value)
        except (TypeError, ValueError):
            continue


def _settings(text: str) -> dict[str, Any]:
    """The settings as plain values; ``Namespace(...)``, which fairseq logs for a part of them, becomes a dictionary."""
    try:
        value = _plain(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError):  # a line that was cut off
        return {}
    return value if isinstance(value, dict) else {}


def _plain(node: ast.expr) -> Any:
    if isinstance(node, ast.Dict):
        return {str(_plain(key)): _plain(value) for key, value in zip(node.keys, node.values) if key is not None}
    if isinstance(node, ast.List | ast.Tuple):
        return [_plain(item) for item in node.elts]
    if isinstance(node, ast.Call):
        return {keyword.arg: _plain(keyword.value) for keyword in node.keywords if keyword.arg}
    return node.value if isinstance(node, ast.Constant) else ast.unparse(node)
