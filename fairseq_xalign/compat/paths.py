"""Paths with a colon."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from fairseq_xalign.compat.patching import workaround, wrap


@workaround
def keep_existing_paths_whole() -> None:
    """Let a path with a colon, such as ``2024-05-01T10:00``, name the folder of that name.

    Reason: fairseq splits every path at the colon, as ``A:B`` may stand for several shards of data, and then looks for
    ``2024-05-01T10``. A path that exists is now one path; any other is split as before.
    """
    module = sys.modules.get("fairseq.utils")
    if module is None:
        return

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def split_paths(paths: str, separator: str = os.pathsep) -> list[str]:
            return [paths] if os.path.exists(paths) else original(paths, separator)

        return split_paths

    wrap(module, "split_paths", make)
