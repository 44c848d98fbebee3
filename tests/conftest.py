"""What several tests share: one thread per process, and tiny real trainings."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import Phase, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # pytest-xdist has one process per core already

from tests.support.trainings import ALL, COMPOSED, TINY, tiny_data, train, wait

# Without the phase that explains failures, which traces every line and makes property tests several times slower.
settings.register_profile("fast", deadline=None, phases=[p for p in Phase if p is not Phase.explain])
settings.load_profile("fast")

LONGEST = ("test_demo.py", "test_benchmarks.py", "test_readme.py", "test_style.py")
"""Files that take minutes. They come first, so that no worker is left alone with one of them at the end."""


def pytest_configure() -> None:
    if COMPOSED not in os.environ:  # the first process, from which those of pytest-xdist and all trainings have it
        folder = tempfile.mkdtemp(prefix="composed-")
        atexit.register(shutil.rmtree, folder)
        os.environ[COMPOSED] = folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_collection_finish() -> None:
    gc.freeze()  # the modules that all tests have imported stay: collecting them again and again takes time


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A small folder in fairseq's format."""
    return tiny_data(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def two_updates(tiny, tmp_path_factory) -> Path:
    """A folder with the checkpoints of a run of two updates, written by fairseq as it is."""
    folder = tmp_path_factory.mktemp("two")
    assert wait(train([tiny, *TINY, "--max-update", "2", "--save-dir", folder], folder / "log")) == 0
    return folder


@pytest.fixture
def again(tiny, two_updates, tmp_path):
    """Start a run that goes on from the two updates: ``again(*arguments, workarounds=...) -> process, its log``."""
    (tmp_path / "ck").mkdir()
    (tmp_path / "ck" / "checkpoint_last.pt").write_bytes((two_updates / "checkpoint_last.pt").read_bytes())

    def start(*arguments, workarounds=ALL, log="log"):
        folder = ["--save-dir", tmp_path / "ck"]
        return train([tiny, *TINY, *folder, *arguments], tmp_path / log, workarounds), tmp_path / log

    return start
