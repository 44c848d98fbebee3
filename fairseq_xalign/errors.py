"""The one error class for what a user can put right: it says what, where and how."""

from __future__ import annotations

from pathlib import Path


class UserError(Exception):
    """A mistake outside our code: bad data, bad settings, a full disk.

    Args:
        what: what is wrong, in one clause.
        where: the file concerned, if one is.
        line: its line, counted from 1.
        remedy: what to do about it.
    """

    def __init__(self, what: str, where: str | Path | None = None, line: int | None = None, remedy: str = "") -> None:
        self.what, self.where, self.line, self.remedy = what, where, line, remedy
        place = "" if where is None else f"{where}:{line}: " if line is not None else f"{where}: "
        super().__init__(f"{place}{what}" + (f". {remedy}" if remedy else ""))

    def __reduce__(self):  # worker processes send it back to their parent
        return (UserError, (self.what, self.where, self.line, self.remedy))


def unknown_name(kind: str, name: str, known: list[str] | tuple[str, ...]) -> UserError:
    """The error for a name that is not one of ``known``: lists them, the nearest first."""
    import difflib

    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return UserError(f"unknown {kind} {name!r}", remedy=f"{hint}Known: {', '.join(known) or 'none'}")
