"""Public data for tests: only from the folder that ``XALIGN_DATA`` names; without it such tests skip, saying so."""

import os
from pathlib import Path

import pytest


def public_files(pattern: str) -> list[Path]:
    """The files below ``$XALIGN_DATA`` that match a glob pattern, sorted; skips the test if there are none."""
    folder = os.environ.get("XALIGN_DATA", "")
    found = sorted(Path(folder).glob(pattern)) if folder else []
    if not found:
        pytest.skip(f"needs {pattern} below XALIGN_DATA" + ("" if folder else ", which is not set"))
    return found
