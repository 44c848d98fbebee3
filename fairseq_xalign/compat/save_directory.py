"""``--save-dir``: no empty folder is left behind by a run that is refused."""

from __future__ import annotations

import atexit
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairseq_xalign.compat.patching import workaround, wrap
from fairseq_xalign.errors import UserError


@workaround
def remove_empty_save_dir() -> None:
    """Leave no empty ``--save-dir`` behind, nor folders above it that were made for it.

    Reason: ``fairseq-train`` makes it before it looks at the data or builds the model, so every run that is
    refused leaves one. What was there before, or holds anything, stays. A file in its place is refused in one
    line, where fairseq's attempt to write into it is a traceback.
    """
    from fairseq import checkpoint_utils

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def verify_checkpoint_directory(save_dir: str) -> None:
            folder = Path(save_dir).absolute()
            for place in (folder, *folder.parents):
                if place.exists() and not place.is_dir():
                    raise UserError("--save-dir: a file, not a folder", place, remedy="Choose another --save-dir")
            made = [place for place in (folder, *folder.parents) if not place.exists()]
            original(save_dir)
            if made:
                atexit.register(_remove_empty, made)

        return verify_checkpoint_directory

    wrap(checkpoint_utils, "verify_checkpoint_directory", make)


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders, the deepest first, up to the first that holds something or is gone."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()
