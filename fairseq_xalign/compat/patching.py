"""The helper that all workarounds share: replace a function once, and put every workaround in place.

A workaround is a function marked with :func:`workaround`. Its docstring gives the reason, and `tests/compat` has a test
that fails once the unpatched behaviour is fixed, so that what is no longer needed can be removed.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

WORKAROUNDS: list[Callable[[], None]] = []
"""Every workaround, in the order in which the modules of this package are imported."""


def workaround(function: Callable[[], None]) -> Callable[[], None]:
    """Mark a function that puts a workaround in place: :func:`apply` calls it."""
    WORKAROUNDS.append(function)
    return function


def apply() -> None:
    """Put every workaround in place for what has been imported so far. Calling it again is harmless."""
    for function in WORKAROUNDS:
        function()


def wrap(owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replace ``owner.name`` by ``make(original)`` once; the original is its ``__wrapped__``."""
    original = getattr(owner, name)
    if getattr(original, "_xalign_workaround", False):
        return
    static = isinstance(inspect.getattr_static(owner, name), staticmethod)
    replacement = functools.wraps(original)(make(original))
    replacement._xalign_workaround = True  # type: ignore[attr-defined]
    setattr(owner, name, staticmethod(replacement) if static else replacement)
