"""Parallel text to be translated: the split of a data folder, or plain text files with one sentence per line.

A test set answers which directions it has, and gives the sources and references of one direction at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

from fairseq_xalign.constants import EOS, UNK
from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.errors import UserError, counted
from fairseq_xalign.files import read_lines
from fairseq_xalign.options import language_code, pair_name

Direction = tuple[str, str]
"""A source and a target language."""


class TestSet(ABC):
    """Sentences of several languages and their translations.

    Attributes:
        name: where they are from, for messages.
        directions: every direction that there are sources and references for.
    """

    __test__ = False  # not a class of tests, whatever its name looks like to pytest

    name: str
    directions: list[Direction]

    @abstractmethod
    def lines(self, direction: Direction) -> tuple[list[str], list[str]]:
        """The sources and the references of a direction, of equal number, at least one."""

    @property
    def languages(self) -> list[str]:
        """All languages of the directions, in their order."""
        return list(dict.fromkeys(language for direction in self.directions for language in direction))


class TextTestSet(TestSet):
    """Files that are parallel line by line, one for each language: each direction between them can be translated.

    Args:
        files: the file of each language.

    Raises:
        UserError: fewer than two languages, files of unequal length, an empty file, or an empty line.
    """

    def __init__(self, files: Mapping[str, str | Path]) -> None:
        if len(files) < 2:
            raise UserError(
                f"--text names {len(files)} language{'s' * (len(files) != 1)}",
                remedy="Name at least two, as --text en=FILE --text de=FILE",
            )
        self.name = "text files"
        self._lines = {language_code(language, "--text"): text_lines(path) for language, path in files.items()}
        (first, expected), *others = ((path, len(self._lines[name])) for name, path in files.items())
        for path, count in others:
            if count != expected:
                raise UserError(
                    f"has {counted(count, 'line')}, but {first} has {expected}",
                    path,
                    remedy="Line i of every file must be the same sentence",
                )
        self.directions = list(permutations(files, 2))

    def lines(self, direction: Direction) -> tuple[list[str], list[str]]:
        source, target = direction
        return list(self._lines[source]), list(self._lines[target])


def text_lines(path: str | Path, allow_empty: bool = False) -> list[str]:
    """The lines of a file.

    Args:
        allow_empty: whether a line may be empty, as a translation may.

    Raises:
        UserError: no line, or an empty one that is not allowed.
    """
    lines = []
    for number, text in read_lines(path):
        if not (allow_empty or text.strip()):
            raise UserError(
                "an empty line where a sentence should be", path, number, "Remove the line from all parallel files"
            )
        lines.append(text)
    if not lines:
        raise UserError("has no lines", path, remedy="Give a file with one sentence per line")
    return lines


class FolderTestSet(TestSet):
    """The bitext of one split of a data folder, in both directions of every pair, as text.

    The text is what the ids of the folder stand for: normalised as the tokenizer does it, with a mark for what the
    vocabulary does not have. BLEU against it may differ a little from BLEU against the original text.

    Args:
        folder: an opened data folder with a tokenizer.
        split: the name of the split.

    Raises:
        UserError: the split has no bitext.
    """

    def __init__(self, folder: DataFolder, split: str) -> None:
        self.name = f"{folder.path}, {split}"
        self._tokenizer = folder.tokenizer
        self._pairs = folder.require("bitext", split)
        self.directions = [direction for pair in self._pairs for direction in (pair, (pair[1], pair[0]))]
        # Where both en-de and de-en are streams of their own, each direction has its own.
        self.directions = list(dict.fromkeys(self.directions))

    def lines(self, direction: Direction) -> tuple[list[str], list[str]]:
        own = direction in self._pairs
        sides = self._pairs[direction] if own else self._pairs[direction[1], direction[0]]
        texts = [[self._text(side[i]) for i in range(len(side))] for side in sides]
        return (texts[0], texts[1]) if own else (texts[1], texts[0])

    def _text(self, ids: Any) -> str:
        return self._tokenizer.decode(int(i) for i in ids if i != EOS)

    def unknown_share(self, direction: Direction) -> float:
        """The share of ``<unk>`` among the ids of the references of a direction."""
        own = direction in self._pairs
        side = self._pairs[direction][1] if own else self._pairs[direction[1], direction[0]][0]
        return float((side.tokens[:] == UNK).mean()) if len(side.tokens) else 0.0


def chosen_directions(wanted: Sequence[Direction] | None, test: TestSet, trained: Sequence[str]) -> list[Direction]:
    """The directions to translate: those that are wanted, else those of the checkpoint that the test set has.

    Args:
        wanted: directions by name, or None for all.
        test: the test set.
        trained: names of the directions that a checkpoint was trained on; empty for no restriction.

    Raises:
        UserError: a wanted direction is not in the test set, or none is left.
    """
    known = {pair_name(direction): direction for direction in test.directions}
    if wanted is not None:
        for direction in wanted:
            if direction not in test.directions:
                raise UserError(
                    f"--directions {pair_name(direction)}: not in the test set",
                    test.name,
                    remedy=f"It has {', '.join(known)}",
                )
        return list(dict.fromkeys(wanted))
    found = [direction for name, direction in known.items() if not trained or name in trained]
    if not found:
        raise UserError(
            f"none of its directions ({', '.join(known)}) is one that the checkpoint was trained on "
            f"({', '.join(trained)})",
            test.name,
            remedy="Name the directions with --directions: others are translated zero-shot",
        )
    return found
