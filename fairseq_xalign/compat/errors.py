"""Errors that a user can correct end fairseq's commands with one line instead of a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairseq_xalign.compat.patching import workaround, wrap
from fairseq_xalign.errors import UserError

DEBUG_VARIABLE = "XALIGN_DEBUG"
"""Set in the environment, it shows the whole traceback of a user's mistake too."""


def in_chain(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    """The first error of ``kind`` among an error and those that led to it."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error


@workaround
def shorten_user_errors() -> None:
    """End fairseq's commands with one line, not a traceback, where the user can put things right.

    Reason: fairseq has no such class of errors, and hides those raised while a model is loaded behind
    "please ensure that the architectures match". ``XALIGN_DEBUG=1`` shows the traceback.
    """

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def excepthook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
            cause = in_chain(error, UserError)
            if cause is None or os.environ.get(DEBUG_VARIABLE):
                original(kind, error, trace)
            else:
                print(f"{Path(sys.argv[0]).name}: {cause}", file=sys.stderr, flush=True)

        return excepthook

    wrap(sys, "excepthook", make)
