"""Checks of the arguments of Python functions: of their types, which a command line settles, and of their values.

Every error names the argument as it is written in Python, its value and what can be chosen instead.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

from fairseq_xalign.errors import UserError


def check_whole(smallest: int, **arguments: Any) -> None:
    """Refuse what is not a whole number, Python's or NumPy's, of at least ``smallest``."""
    for name, value in arguments.items():
        check_type(Integral, "a whole number", f"Choose {smallest} or more", **{name: value})
        _refuse_below(smallest, name, value)


def check_number(smallest: int, **arguments: Any) -> None:
    """Refuse what is not a finite number of at least ``smallest``."""
    for name, value in arguments.items():
        check_type(Real, "a number", f"Choose {smallest} or more", **{name: value})
        _refuse_below(smallest, name, value)
        if math.isinf(value):
            raise UserError(f"{name} {value} is not finite", remedy="Choose a finite number")


def check_string(**arguments: Any) -> None:
    """Refuse what is not a string."""
    check_type(str, "a string", "Give its name", **arguments)


def check_path(path: Any) -> None:
    """Refuse what cannot name a checkpoint or a folder, and the empty string, which would be the current folder."""
    if not isinstance(path, (str, os.PathLike)) or path == "":
        raise UserError(f"path is {path!r}, not the name of a file or folder", remedy="Name a checkpoint or its folder")


def check_type(kind: type, called: str, remedy: str, **arguments: Any) -> None:
    """Refuse arguments of other types; True and False are not numbers."""
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, kind):
            raise UserError(f"{name} is {value!r}, not {called}", remedy=remedy)


def if_given(check: Callable[..., None], *settings: Any, **arguments: Any) -> None:
    """Check the arguments that are not None."""
    check(*settings, **{name: value for name, value in arguments.items() if value is not None})


def _refuse_below(smallest: int, name: str, value: Any) -> None:
    if not value >= smallest:  # not <, which lets NaN pass
        raise UserError(f"{name} {value} is too small", remedy=f"Choose {smallest} or more")
