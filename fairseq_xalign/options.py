"""Numbers given as options that must lie in a range: the error names option, value and range."""

from __future__ import annotations

from collections.abc import Iterable

from fairseq_xalign.errors import UserError


def flag(name: str) -> str:
    """The option of a setting: ``window_size`` is ``--window-size``."""
    return "--" + name.replace("_", "-")


def at_least(smallest: int, **settings: float | Iterable[float] | None) -> None:
    """Refuse a setting (or a list with a value) below ``smallest``; None is a default and passes."""
    for name, given in settings.items():
        for value in [] if given is None else given if isinstance(given, Iterable) else [given]:
            if not value >= smallest:  # not <, which lets NaN pass
                raise UserError(f"{flag(name)} {value} is too small", remedy=f"Choose {smallest} or more")


def share(*, whole: bool = False, **settings: float) -> None:
    """Refuse a setting that is not in [0, 1), with ``whole`` not in [0, 1]."""
    for name, value in settings.items():
        if not (0 <= value < 1 or (whole and value == 1)):
            remedy = f"Choose from 0 to {'1' if whole else 'below 1'}"
            raise UserError(f"{flag(name)} {value} is not a share", remedy=remedy)
