"""The files of a task that ``benchmark`` reads: named by hand, or below a folder, where names say what they are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fairseq_xalign import cli
from fairseq_xalign.constants import SPLIT_ALIASES, SPLITS
from fairseq_xalign.errors import UserError, first_of, no_folder, unknown_name
from fairseq_xalign.labelled.kind import Task
from fairseq_xalign.options import language_code, named_files
from preprocess.sets.published import PACKED, below

NAMED = 5
"""How many files a message names."""
ABOUT = re.compile(r"(?i)(readme|licen[cs]e|copying|changelog|changes|citation|metadata|dataset_infos?|package)\b")
"""Names of files about a corpus."""
Key = tuple[str, str]
"""Split and language."""


@dataclass(frozen=True)
class SplitFiles:
    """The files of one split of one language: one, or the parts of one in order.

    Attributes:
        source: what messages and counts call them: the file, or its name with ``-*`` for the parts.
    """

    source: Path
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class Named:
    """A file by what its name says.

    Attributes:
        part: which part of its split it is (``-c``, ``-a-1``); empty where the split is not in parts.
        source: the file, or its name with ``-*`` for the part, by which parts of one treebank know each other.
    """

    path: Path
    key: Key
    part: str
    source: Path


def find_files(task: Task, folder: str | Path | None, explicit: list[str] | None) -> dict[Key, SplitFiles]:
    """The files of each (split, language): those named by hand, then those whose names say it.

    Large treebanks of Universal Dependencies have a split in several files (``train-c``, ``train-l``): all are read.

    Raises:
        UserError: for two files of one split that are not such parts, and where there is no file at all.
    """
    chosen = _named_by_hand(explicit)
    if folder is not None and not Path(folder).is_dir():
        raise no_folder(folder, "Name one with --from; xalign-preprocess fetch makes some")
    found: dict[Key, list[Named]] = {}
    nameless: list[Path] = []
    for path in sorted(below(Path(folder))) if folder is not None else []:
        named = _named(task, path)
        if named is None:
            nameless.append(path)
            continue
        if named.key in chosen or not path.is_file():
            continue
        others = found.setdefault(named.key, [])
        if others and not (named.part and named.source == others[0].source):
            both = ".".join(named.key)
            what = f"{others[0].path} and {path} are both files for {both}"
            raise UserError(what, remedy=f"Choose one with --input {both}=FILE")
        others.append(named)
    if not (chosen or found):
        raise UserError(f"no file that {task.name} reads", folder, remedy=f"It reads {task.files}")
    if folder is not None:
        read = {path.resolve() for files in chosen.values() for path in files.paths}
        suffixes = {_suffix(one.path) for several in found.values() for one in several} - {""}
        alike = [path for path in nameless if _suffix(path) in suffixes and not ABOUT.match(path.name)]
        _say_nameless([path.relative_to(folder) for path in alike if path.resolve() not in read])
    return {key: _joined(several) for key, several in found.items()} | chosen


def _say_nameless(paths: list[Path]) -> None:
    """Name the files that look like those that are read, but whose names do not say what they are."""
    if paths:
        shown = first_of([str(path) for path in paths], NAMED)
        cli.say(
            f"passed over, since their names do not give a known split and a language: {shown}; "
            "--input SPLIT.LANG=FILE reads one"
        )


def _suffix(path: Path) -> str:
    """The ending of a file's name, without that of its compression; empty where there is none."""
    return Path(re.sub(f"{PACKED}$", "", path.name)).suffix


def _joined(several: Iterable[Named]) -> SplitFiles:
    """The parts of a split in order, numbers in their names as numbers: ``a-2`` comes before ``a-10``."""

    def order(named: Named) -> list[tuple[str, int]]:
        return [(text, int(digits or 0)) for text, digits in re.findall(r"([^0-9]*)([0-9]*)", named.part)]

    parts = sorted(several, key=order)
    return SplitFiles(parts[0].source, tuple(one.path for one in parts))


def _named(task: Task, path: Path) -> Named | None:
    """What a file is by its name; None for a file of something else."""
    match = next(filter(None, (pattern.fullmatch(path.name) for pattern in task.file_names)), None)
    said = (match["split"], match["lang"]) if match else task.place(path)
    split = _split_name(said[0]) if said else None
    if said is None or split is None:
        return None
    part = match.groupdict().get("part") if match else None
    if match is None or not part:
        return Named(path, (split, said[1]), "", path)
    begin, end = match.span("part")
    return Named(path, (split, said[1]), part, path.with_name(f"{path.name[:begin]}-*{path.name[end:]}"))


def _named_by_hand(explicit: list[str] | None) -> dict[Key, SplitFiles]:
    chosen: dict[Key, SplitFiles] = {}
    for place, file in named_files(explicit, "--input"):
        name, dot, language = place.partition(".")
        if not (dot and language):
            raise UserError(
                f"--input {place}={file}: {place!r} is not of the form SPLIT.LANG",
                remedy="Write, for example, test.en=FILE",
            )
        split = _split_name(name)
        if split is None:
            raise unknown_name("split", name, [*SPLITS, *SPLIT_ALIASES])
        language_code(language, "--input")
        if (split, language) in chosen:
            raise UserError(f"--input names {place} twice", remedy="Keep one: a split of a language is one file")
        chosen[split, language] = SplitFiles(Path(file), (Path(file),))
    return chosen


def _split_name(name: str) -> str | None:
    """Our name of a split; None for what is not one."""
    name = SPLIT_ALIASES.get(name, name)
    return name if name in SPLITS else None
