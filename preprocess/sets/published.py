"""What a published labelled set is: which files it has, and how they are read.

A set's files are found by their names, whatever folders are around them, and compressed ones too. What a reader leaves
out, it counts. Ids are those of the set where it has some, and else the number of the example's line, so that the lines
of translations keep the id of the original.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fairseq_xalign.constants import SPLIT_ALIASES, SPLITS
from fairseq_xalign.errors import UserError
from fairseq_xalign.labelled.kind import FileRow, Row

PACKED = r"(\.(gz|xz|bz2|zst))?"
"""The ends of compressed files that ``files.read_lines`` opens."""
Counts = Counter[str]
EMPTY = "examples with an empty text"
REPEATED = "posts that an earlier line has, left out"
CONFLICTING = "posts that an earlier line has with another label, left out"


@dataclass(frozen=True)
class Part:
    """One split of one language.

    Attributes:
        rows: reads its examples; what is left out is counted.
        source: the file, or the folder of several, for messages.
    """

    split: str
    language: str
    source: Path
    rows: Callable[[Counts], Iterable[FileRow]]


@dataclass(frozen=True)
class PublishedSet:
    """A set with files of its own names and columns.

    Attributes:
        name: as ``benchmark`` takes it.
        task: the name of the task, see ``labelled/registry.py``.
        files: what it reads, in words.
        find: the parts below a folder, in any order; none where there is nothing of the set.
        address: where its makers publish it.
        licence: under which it may be used.
        labels: all labels; others are refused. Empty where the set has an open list.
        dropped: labels whose examples are left out unless the user wants them.
        pieces: how many subwords of a document are read by default; None for sentences.
    """

    name: str
    task: str
    files: str
    find: Callable[[Path], Iterable[Part]]
    address: str
    licence: str
    labels: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    pieces: int | None = None

    @property
    def published(self) -> bool:
        """Whether the address is its makers', and not a command of ours."""
        return self.address.startswith(("https://", "http://"))


@dataclass(frozen=True)
class Found:
    """A file whose path matches a pattern, and the pattern's groups."""

    path: Path
    groups: dict[str, str]

    @property
    def split(self) -> str:
        """Our name of its split."""
        said = self.groups["split"]
        return SPLIT_ALIASES.get(said, said)


def below(folder: Path) -> Iterator[Path]:
    """All files below a folder, in no order and one folder's names in memory at a time; links to folders are left."""
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names)


def matching(folder: Path, pattern: str) -> Iterator[Found]:
    """The files below a folder whose path ends in what the pattern says, compressed or not, sorted.

    Args:
        pattern: a regular expression with ``/`` between folders, which may have a group ``split``.
    """
    ending = re.compile(rf"(.*/)?{pattern}{PACKED}")
    found: list[tuple[Path, dict[str, str]]] = []
    for path in below(folder):  # of a corpus of a million files few match: only those are kept
        match = ending.fullmatch(path.absolute().as_posix())
        if match and path.is_file():
            found.append((path, {k: v for k, v in match.groupdict().items() if v is not None}))
    for path, groups in sorted(found, key=lambda one: one[0]):
        yield Found(path, groups)


def pair_row(name: str, texts: tuple[str, str], label: str, line: int) -> FileRow:
    """An example of the task ``pairs``."""
    return FileRow({"id": name, "text": texts[0].strip(), "text_pair": texts[1].strip(), "label": label.strip()}, line)


def text_row(name: str, text: str, label: str, line: int, path: Path | None = None) -> FileRow:
    """An example of the task ``classification``; ``path`` is its file, where the part has several."""
    return FileRow({"id": name, "text": text.strip(), "label": label.strip()}, line, path=path)


def renamed(label: str, names: dict[str, str], path: Path, line: int) -> str:
    """Our name of a label.

    Raises:
        UserError: for a label that the set does not have.
    """
    if label.strip() not in names:
        raise UserError(
            f"unknown label {label.strip()!r}", path, line, f"Known: {', '.join(names)}. Get the file again"
        )
    return names[label.strip()]


def checked(known: PublishedSet, dropped: Collection[str], part: Part, counts: Counts) -> Iterator[FileRow]:
    """The rows of a part without those of dropped labels, which are counted.

    Examples with an empty text are not trained on. In other splits they stay: a score is over all of a test set.

    Raises:
        UserError: for a label that the set does not have.
    """
    for found in part.rows(counts):
        label = found.row.get("label")
        if known.labels and label not in known.labels:
            remedy = f"{known.name} has {', '.join(known.labels)}"
            raise found.fault(f"unknown label {label!r}", part.source, remedy)
        if label is not None and label in dropped:
            counts[f"examples with the label {label} left out"] += 1
        elif part.split == SPLITS[0] and _is_empty(found.row):
            counts[f"{EMPTY}, left out"] += 1
        else:
            counts[f"{EMPTY}, kept"] += _is_empty(found.row)
            yield found


def _is_empty(row: Row) -> bool:
    return any(key in row and not row[key].strip() for key in ("text", "text_pair"))
