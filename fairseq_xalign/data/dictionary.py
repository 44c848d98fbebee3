"""Bilingual dictionaries over pieces of the vocabulary (docs/design.md, "Dictionary file")."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairseq_xalign.errors import UserError
from fairseq_xalign.files import atomic_file, read_lines

if TYPE_CHECKING:
    from fairseq_xalign.tokenizer.tokenizer import Tokenizer

FORMAT = 1
Ids = list[int]
DICTIONARY_MARK = "#xalign-dictionary"
"""What the first line of a dictionary file begins with, ahead of a tab and JSON."""
MADE_WITH = "Make it with `xalign-preprocess dictionary --subword` and the subword folder that is used here"


def is_dictionary(path: str | Path) -> bool:
    """Whether a file begins as a dictionary of ours, and not as a list of words."""
    return next((line for _, line in read_lines(path, 0)), "").startswith(DICTIONARY_MARK)


@dataclass
class Dictionary:
    """Translation pairs as ids.

    Attributes:
        source, target: for each entry the ids of its side, at least one; several are averaged (``mean``).
        weights: for each entry a positive, finite number.
        header: how it was made: ``source`` and ``target`` are the languages.
        duplicates: how many lines of the file repeat an earlier pair; such lines are left out.
        sha256: of the file.
    """

    source: list[list[int]]
    target: list[list[int]]
    weights: list[float]
    header: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""
    duplicates: int = 0

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def single(self) -> bool:
        """Whether every side of every entry is one piece."""
        return all(len(ids) == 1 for ids in (*self.source, *self.target))

    @property
    def source_language(self) -> str:
        """The language of the first column."""
        return self.header["source"]

    @property
    def target_language(self) -> str:
        """The language of the second column."""
        return self.header["target"]

    @classmethod
    def load(cls, path: str | Path, tokenizer: Tokenizer) -> Dictionary:
        """Read a dictionary file, each pair once; its pieces are looked up in ``tokenizer``.

        Raises:
            UserError: with file and line, for a header or an entry that is not of the form described, a piece that the
                vocabulary does not have or no text contains, another vocabulary, or no entry at all.
        """
        lines = read_lines(path)
        result = cls([], [], [], _header(path, next(lines, (1, ""))[1]))
        made_for = result.header.get("vocabulary_sha256")
        if made_for not in (None, tokenizer.sha256):
            raise UserError(
                f"made for another vocabulary ({made_for[:12]}, not {tokenizer.sha256[:12]})", path, 1, MADE_WITH
            )
        seen: set[tuple[tuple[int, ...], ...]] = set()
        for number, line in lines:
            columns = line.split("\t")
            if len(columns) != 3:
                raise UserError(
                    f"{len(columns)} columns, not 3 (source pieces, target pieces and weight, separated by tabs)",
                    path,
                    number,
                    MADE_WITH,
                )
            source, target = (_ids(column, tokenizer, path, number) for column in columns[:2])
            weight = _weight(columns[2], path, number)
            pair = (tuple(source), tuple(target))
            if pair in seen:
                result.duplicates += 1
                continue
            seen.add(pair)
            result.source.append(source)
            result.target.append(target)
            result.weights.append(weight)
        if not result.weights:
            raise UserError("has no entry", path, remedy=MADE_WITH)
        with open(path, "rb") as stream:
            result.sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        return result


def distinct_pairs(dictionaries: Iterable[Dictionary]) -> tuple[list[Ids], list[Ids]]:
    """Return the sources and targets of all dictionaries together, each pair once.

    A pair counts once for the loss whether one file or several have it, and in whichever direction: a dictionary of
    en-de and the same one of de-en are one dictionary. The first occurrence decides order and direction.
    """
    found: dict[frozenset[tuple[int, ...]], tuple[Ids, Ids]] = {}
    for dictionary in dictionaries:
        for source, target in zip(dictionary.source, dictionary.target):
            found.setdefault(frozenset((tuple(source), tuple(target))), (source, target))
    return [source for source, _ in found.values()], [target for _, target in found.values()]


def write(
    path: str | Path,
    tokenizer: Tokenizer,
    languages: tuple[str, str],
    pieces: str,
    made: dict[str, Any],
    entries: Iterable[tuple[Ids, Ids]],
) -> None:
    """Write a dictionary file, all weights 1.

    Args:
        languages: source and target.
        pieces: ``single``, ``first`` or ``mean``.
        made: how it was made, for the header.
        entries: source ids and target ids of each pair.
    """
    header = {
        "format": FORMAT,
        "source": languages[0],
        "target": languages[1],
        "pieces": pieces,
        "made": made,
        "vocabulary_sha256": tokenizer.sha256,
    }
    with atomic_file(path) as stream:
        stream.write(f"{DICTIONARY_MARK}\t{json.dumps(header, ensure_ascii=False)}\n")
        for entry in entries:
            sides = (" ".join(tokenizer.piece(number) for number in ids) for ids in entry)
            stream.write("\t".join((*sides, "1")) + "\n")


def read_header(path: str | Path) -> dict[str, Any]:
    """Return the header of a dictionary file, in which ``source`` and ``target`` are the languages."""
    return _header(path, next(read_lines(path), (1, ""))[1])


def _header(path: str | Path, line: str) -> dict[str, Any]:
    mark, _, rest = line.partition("\t")
    if mark != DICTIONARY_MARK:
        raise UserError(
            f"not a dictionary of ours: it does not begin with {DICTIONARY_MARK} and a tab",
            path,
            1,
            MADE_WITH,
        )
    try:
        header = json.loads(rest)
    except json.JSONDecodeError as error:
        raise UserError(f"the header is not valid JSON: {error}", path, 1, MADE_WITH) from error
    if not isinstance(header, dict) or not all(isinstance(header.get(key), str) for key in ("source", "target")):
        raise UserError("the header does not name source and target", path, 1, MADE_WITH)
    return header


def _ids(column: str, tokenizer: Tokenizer, path: str | Path, number: int) -> list[int]:
    """The ids of a column's pieces: ordinary ones, which text can contain."""
    ids = []
    for piece in column.split(" "):
        index = tokenizer.id(piece) if piece else None
        if index is None:
            raise UserError(f"piece {piece!r} is not in the vocabulary", path, number, MADE_WITH)
        if index not in tokenizer.natural_ids and index not in tokenizer.derived_ids:
            raise UserError(f"piece {piece!r} is a symbol that no text contains", path, number, MADE_WITH)
        ids.append(index)
    return ids


def _weight(column: str, path: str | Path, number: int) -> float:
    try:
        weight = float(column)
    except ValueError:
        weight = math.nan
    if not (math.isfinite(weight) and weight > 0):
        raise UserError(f"weight {column!r} is not a positive number", path, number, MADE_WITH)
    return weight
