"""What all tests share: real data where it lies, one thread a process, no terminal bars."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # pytest-xdist has a process a core already
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of original evaluation files: ``XALIGN_DATA``, or ``shared/data`` beside the checkout."""
    folder = Path(os.environ.get("XALIGN_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("no original evaluation files: set XALIGN_DATA to their folder")
    return folder
