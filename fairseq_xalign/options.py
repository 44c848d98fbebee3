"""Checks of options, and the forms in which tasks and commands take names: languages, pairs, lists, ``NAME=FILE``.

Every error names the option, the value and what can be chosen instead.
"""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from fairseq_xalign.errors import UserError

LANGUAGE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*")
"""A language code: BCP 47's (``en``, ``zh-TW``, ``sr-Latn``) or any name of letters, digits, ``_`` and single ``-``."""
PAIR_MARK = ":"
"""What separates the languages of a pair wherever a hyphen could also be part of a code: ``zh-TW:pt-BR``."""
PAIR_FILE_MARK = "--"
"""The same in file names, where a colon is not portable: no code has two hyphens in a row."""


# Numbers


def flag(name: str) -> str:
    """Return the option of a setting: ``window_size`` is ``--window-size``."""
    return "--" + name.replace("_", "-")


def at_least(smallest: int, **settings: float | Iterable[float] | None) -> None:
    """Refuse a setting (or a list with a value) below ``smallest`` or infinite; None is a default and passes."""
    for name, given in settings.items():
        for value in [] if given is None else given if isinstance(given, Iterable) else [given]:
            if not value >= smallest:  # not <, which lets NaN pass
                raise UserError(f"{flag(name)} {value} is too small", remedy=f"Choose {smallest} or more")
            if math.isinf(value):
                raise UserError(f"{flag(name)} {value} is not finite", remedy="Choose a finite number")


def share(*, whole: bool = False, **settings: float) -> None:
    """Refuse a setting that is not in [0, 1), with ``whole`` not in [0, 1]."""
    for name, value in settings.items():
        if not (0 <= value < 1 or (whole and value == 1)):
            remedy = "Choose a number from 0 to 1" if whole else "Choose a number of at least 0 and below 1"
            raise UserError(f"{flag(name)} {value} is not a share", remedy=remedy)


def positive(**settings: float) -> None:
    """Refuse a setting that is not a finite number above 0."""
    for name, value in settings.items():
        if not (value > 0 and math.isfinite(value)):
            raise UserError(f"{flag(name)} {value} is not a positive number", remedy="Choose a finite number above 0")


def between(smallest: float, largest: float, **settings: float) -> None:
    """Refuse a setting outside the closed range from ``smallest`` to ``largest``."""
    for name, value in settings.items():
        if not smallest <= value <= largest:
            raise UserError(
                f"{flag(name)} {value} is out of range", remedy=f"Choose a number from {smallest} to {largest}"
            )


def without_effect(why: str, remedy: str = "Leave it out", **settings: object) -> None:
    """Refuse an option that is given where it has no effect; None, False and what is empty are not given.

    Args:
        why: follows the option: "is for --margin".
        settings: the options and their values, before defaults take the place of None.
    """
    for name, value in settings.items():
        if value is not None and value is not False and value not in ("", [], ()):
            raise UserError(f"{flag(name)} {why}", remedy=remedy)


# Lists


def name_list(text: str) -> list[str]:
    """Return the names in a list separated by commas, without blanks and repetitions."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def named_files(values: Iterable[str] | None, option: str) -> list[tuple[str, str]]:
    """Split repeated ``NAME=VALUE`` options into pairs, in the order given."""
    pairs = []
    for value in values or ():
        name, equals, rest = value.partition("=")
        if not (name and equals and rest):
            raise UserError(
                f"{option} {value!r} is not of the form NAME=VALUE", remedy="Write, for example, en=news.en.txt"
            )
        pairs.append((name, rest))
    return pairs


def files_between_commas(text: str) -> list[str]:
    """Split ``FILE`` or ``FILE,FILE``; a name with a comma is told by the files that exist.

    Without files that tell, every comma separates two names, so that the caller can say how many it has found.
    """
    if text.count(",") and os.path.exists(text):
        return [text]
    pairs = [[text[: match.start()], text[match.end() :]] for match in re.finditer(",", text)]
    there = [pair for pair in pairs if all(map(os.path.exists, pair))]
    return there[0] if len(there) == 1 else text.split(",")


def two_files(text: str, option: str, form: str) -> tuple[str, str]:
    """Split ``FILE,FILE``, the value of ``option`` (as it is written before the value); ``form`` is how to write it."""
    names = files_between_commas(text)
    if len(names) != 2 or not all(names):
        raise UserError(f"{option}{text} does not name two files", remedy=f"Write {form}")
    return names[0], names[1]


def add_sides(parser: argparse.ArgumentParser) -> None:
    """Declare ``--source`` and ``--target``, two files whose lines are translations of each other."""
    parser.add_argument(
        "--source", required=True, metavar="XX=FILE", help="Language and file of its text, one sentence per line."
    )
    parser.add_argument(
        "--target", required=True, metavar="YY=FILE", help="Language and file of the translation, line by line."
    )


def named_sides(args: argparse.Namespace) -> tuple[tuple[str, str], tuple[str, str]]:
    """The language and the file that ``--source`` and ``--target`` name; the languages are two."""
    source, target = named_files([args.source], "--source")[0], named_files([args.target], "--target")[0]
    different_languages(source[0], target[0])
    return source, target


# Languages


def language_code(code: str, option: str) -> str:
    """Return a language code as it is, or refuse what cannot be one.

    Raises:
        UserError: for anything but letters, digits, ``_`` and single ``-``, a letter first.
    """
    if not LANGUAGE.fullmatch(code):
        raise UserError(
            f"{option} {code!r} is not a language code",
            remedy="Begin with a letter, and use letters, digits, '_' and single '-', as in en, zh-TW or sr_Latn",
        )
    return code


def different_languages(source: str, target: str) -> tuple[str, str]:
    """Return the languages of ``--source`` and ``--target``, each checked by :func:`language_code`.

    Raises:
        UserError: for no code, and for one language on both sides.
    """
    pair = language_code(source, "--source"), language_code(target, "--target")
    if source == target:
        raise UserError(f"--source and --target are both {source!r}", remedy="Name the languages of the two sides")
    return pair


def language_list(text: str, option: str) -> list[str]:
    """Return the language codes of a list, each checked by :func:`language_code`."""
    return [language_code(name, option) for name in name_list(text)]


def pair_splits(text: str) -> list[tuple[str, str]]:
    """Return every way to read ``XX-YY`` or ``XX:YY`` as two different language codes."""
    if PAIR_MARK in text:
        halves = [tuple(text.split(PAIR_MARK, 1))]
    else:
        halves = [(text[: match.start()], text[match.end() :]) for match in re.finditer("-", text)]
    return [(a, b) for a, b in halves if a != b and LANGUAGE.fullmatch(a) and LANGUAGE.fullmatch(b)]


def language_pair(text: str, option: str, known: Collection[str] = ()) -> tuple[str, str]:
    """Split the name of a pair into its source and its target language.

    ``zh-TW:pt-BR`` says where to split. ``zh-TW-pt-BR`` is split so that both parts are languages of ``known``;
    if these allow no way or several, it is refused. A name with one hyphen needs no known languages.

    Raises:
        UserError: with the spelling to use instead.
    """
    splits = pair_splits(text)
    if not splits:
        raise UserError(f"{option} {text!r} is not a pair of two languages", remedy="Write XX-YY, or XX:YY")
    sure = [pair for pair in splits if set(pair) <= set(known)]
    whole = text in known
    if len(sure) == 1 or (len(splits) == 1 and not whole):
        return (sure or splits)[0]
    ways = " or ".join(PAIR_MARK.join(pair) for pair in (sure or splits))
    if whole and not sure:
        what = f"{option} {text!r} is one language here, not a pair"
        raise UserError(what, remedy=f"Write XX:YY; if a pair is meant, {ways}")
    raise UserError(f"{option} {text!r} can be split in several ways", remedy=f"Write {ways}")


def pair_name(pair: Sequence[str]) -> str:
    """Return the name of a pair as :func:`language_pair` reads it back: ``en-de``, ``zh-TW:pt-BR``."""
    return ("-" if not any("-" in code for code in pair) else PAIR_MARK).join(pair)


def pair_file_name(pair: Sequence[str]) -> str:
    """Return the name of a pair within file names: ``en-de``, ``zh-TW--pt-BR``."""
    return ("-" if not any("-" in code for code in pair) else PAIR_FILE_MARK).join(pair)


def other_spelling(code: str, known: Iterable[str]) -> str | None:
    """Return a known code that differs from ``code`` only in case or in ``-`` and ``_``: probably the same language."""
    folded = code.lower().replace("_", "-")
    return next((other for other in known if other != code and other.lower().replace("_", "-") == folded), None)


def spelling_notes(codes: Iterable[str], known: Collection[str]) -> Iterator[str]:
    """For each code that a known one differs from in spelling alone, a line that says so."""
    for code in codes:
        if other := other_spelling(code, sorted(known)):
            yield f"{code} and {other} are treated as two languages; if they are the same, use one spelling"
