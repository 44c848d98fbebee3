"""Translations of a test set, direction by direction: made and kept in a folder, or read from files.

In the folder, a direction is two files: ``en-de.hyp.txt``, one translation per line, and ``en-de.json``, written after
it, which says what was translated how. A direction whose files agree with what is asked for is read, not translated
again, so that a command that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_xalign import cli
from fairseq_xalign.data.formats.generate_log import is_generate_log, read_generate_log
from fairseq_xalign.data.test_set import Direction, TestSet, text_lines
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import atomic_file, read_json, write_json
from fairseq_xalign.options import PAIR_MARK, language_pair, pair_file_name, pair_name

CHUNK = 512
"""Sentences translated in one call: the progress bar moves this often, and batches are sorted by length within it."""
BREAKS = {ord(c): " " for c in "\n\r\0"}
"""What a line of a file cannot hold."""

Translate = Callable[[Sequence[str], str, str], list[str]]
"""A function (sentences, source language, target language) -> translations, one per sentence."""


@dataclass(frozen=True)
class Translated:
    """One direction of a test set and its translations, line by line."""

    direction: Direction
    sources: list[str]
    references: list[str]
    hypotheses: list[str]


def lines_sha256(lines: Sequence[str]) -> str:
    """A short hash of lines, each with its line end."""
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def translated(
    test: TestSet,
    directions: Sequence[Direction],
    translate: Translate,
    settings: Mapping[str, Any],
    folder: Path | None,
) -> Iterator[Translated]:
    """Yield the directions in order, each as soon as it is translated (and written, where there is a folder).

    Args:
        test: where sources and references come from.
        translate: the model.
        settings: everything that decides what the model answers; translations under other settings are made again.
        folder: where translations are kept; it is made where it is missing.
    """
    kept = {d: found for d in directions if folder and (found := _kept(test, d, settings, folder)) is not None}
    if kept:
        cli.say(
            f"{len(kept)} of {len(directions)} directions were translated before: {', '.join(map(pair_name, kept))}"
        )
    open_ones = [direction for direction in directions if direction not in kept]
    sizes = {direction: len(test.lines(direction)[0]) for direction in open_ones}
    steps = [(direction, start) for direction in open_ones for start in range(0, sizes[direction], CHUNK)]
    done: dict[Direction, list[str]] = dict(kept)
    bar = cli.progress(steps, "translating", len(steps))
    for direction in directions:
        sources, references = test.lines(direction)
        if direction not in kept:
            answers: list[str] = []
            while len(answers) < len(sources):
                _, start = next(bar)
                part = sources[start : start + CHUNK]
                answers += [text.translate(BREAKS) for text in translate(part, *direction)]
            done[direction] = answers
            if folder:
                _keep(direction, sources, answers, settings, folder)
        yield Translated(direction, sources, references, done.pop(direction))
    for _ in bar:  # lets the progress bar end
        raise AssertionError("a step was left over")


def _names(direction: Direction, folder: Path) -> tuple[Path, Path]:
    name = pair_file_name(direction)
    return folder / f"{name}.hyp.txt", folder / f"{name}.json"


def _fingerprint(sources: Sequence[str], settings: Mapping[str, Any]) -> dict[str, Any]:
    return {**settings, "sources_sha256": lines_sha256(sources)}


def _keep(
    direction: Direction, sources: Sequence[str], answers: Sequence[str], settings: Mapping[str, Any], folder: Path
) -> None:
    text, about = _names(direction, folder)
    with atomic_file(text) as stream:
        stream.writelines(f"{line}\n" for line in answers)
    write_json(about, {**_fingerprint(sources, settings), "hypotheses_sha256": lines_sha256(answers)})


def _kept(test: TestSet, direction: Direction, settings: Mapping[str, Any], folder: Path) -> list[str] | None:
    """The translations of a direction that the folder holds, or None if it must be translated (again)."""
    text, about = _names(direction, folder)
    if not (text.is_file() and about.is_file()):
        return None
    sources, said = test.lines(direction)[0], read_json(about)
    lines = text_lines(text, allow_empty=True)
    expected = {**_fingerprint(sources, settings), "hypotheses_sha256": lines_sha256(lines)}
    return lines if said == expected and len(lines) == len(sources) else None


def given_translations(
    hypotheses: Mapping[str, str | Path],
    wanted: Sequence[Direction] | None,
    test: TestSet | None,
    references: Mapping[str, str | Path],
) -> Iterator[Translated]:
    """Yield translations that files hold, each direction with its references.

    Args:
        hypotheses: files by direction: one translation per line, or what fairseq-generate printed.
        wanted: directions to score (default: all of ``hypotheses``).
        test: where sources and references come from that ``references`` does not name.
        references: files by direction or target language. Without any, a log's own references serve.

    Raises:
        UserError: no translations or references of a direction, or unequal numbers of them.
    """
    known = [*(test.languages if test else ()), *references]
    files = {language_pair(name, "--hypotheses", known): path for name, path in hypotheses.items()}
    for direction in wanted if wanted is not None else files:
        if direction not in files:
            raise UserError(
                f"--directions {pair_name(direction)}: no translations",
                remedy=f"Add --hypotheses {pair_name(direction)}=FILE",
            )
        answers, own = _read_translations(files[direction])
        sources, expected, where = _references(direction, files[direction], test, references, own)
        if len(answers) != len(expected):
            raise UserError(
                f"has {len(answers)} translations, but there are {len(expected)} references ({where})",
                files[direction],
                remedy="Translate the whole test set, each sentence once",
            )
        yield Translated(direction, sources, expected, answers)


def _references(
    direction: Direction,
    file: str | Path,
    test: TestSet | None,
    references: Mapping[str, str | Path],
    own: list[str] | None,
) -> tuple[list[str], list[str], str]:
    """Sources (none where they are not known), references, and where these come from."""
    named = {pair_name(direction), PAIR_MARK.join(direction)}
    given = next((path for name, path in references.items() if name in named), references.get(direction[1]))
    sources: list[str] = []
    expected = own
    if test is not None and direction in test.directions:
        sources, expected = test.lines(direction)
    if given is not None:
        return sources, text_lines(given), str(given)
    if expected is None:
        raise UserError(
            f"no references for {pair_name(direction)}",
            file,
            remedy=f"Add --references {direction[1]}=FILE, or --data or --text",
        )
    return sources, expected, test.name if test is not None and sources else f"{file}, T- lines"


def _read_translations(path: str | Path) -> tuple[list[str], list[str] | None]:
    """The translations in a file, and its references if it is a log of fairseq-generate that has them."""
    lines = text_lines(path, allow_empty=True)
    if not is_generate_log(lines):
        return lines, None
    log = read_generate_log(path)
    return log.hypotheses, log.references
