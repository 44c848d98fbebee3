"""A made-up language pair whose dictionary is known: sentences are translated word for word, their order turned."""

from __future__ import annotations

import random
from pathlib import Path

from tests.support.samples import write_lines

SYLLABLES = ("ka mo ri tu se", "Bel dor fin gus lam")


def vocabulary(size: int = 40) -> dict[str, str]:
    """``size`` words and their translations, capitalised in the second language."""
    draws = random.Random(3)
    sides: list[list[str]] = []
    for syllables in SYLLABLES:
        words: dict[str, None] = {}
        while len(words) < size:
            words["".join(draws.choices(syllables.lower().split(), k=draws.randint(2, 4)))] = None
        sides.append(list(words))
    return {source: target.capitalize() for source, target in zip(*sides)}


def parallel(folder: Path, count: int = 200, swap: bool = True) -> tuple[str, str]:
    """Write ``count`` sentence pairs of three to eight words and a full stop, two neighbours swapped in the target."""
    draws = random.Random(5)
    words = vocabulary()
    sides: tuple[list[str], list[str]] = ([], [])
    for _ in range(count):
        source = draws.choices(list(words), k=draws.randint(3, 8))
        target = [words[word] for word in source]
        if swap:
            place = draws.randrange(len(target) - 1)
            target[place : place + 2] = reversed(target[place : place + 2])
        sides[0].append(" ".join(source).capitalize() + ".")
        sides[1].append(" ".join(target) + ".")
    return tuple(str(write_lines(folder / f"pair.{name}", side)) for name, side in zip(("xx", "yy"), sides))
