"""The folder of the checkpoints: none is left empty."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.trainings import TINY, train, wait

ROOT = Path(__file__).parents[2]


def test_fairseq_alone_leaves_the_folder_of_a_refused_run(tmp_path):
    process = train([tmp_path / "no", *TINY, "--save-dir", tmp_path / "runs" / "one"], tmp_path / "log")
    assert wait(process) == 1
    assert (tmp_path / "runs" / "one").exists(), "fairseq makes it later now: the workaround may go"


def test_a_save_dir_that_stays_empty_goes_and_what_was_there_stays(tmp_path):
    code = """
from pathlib import Path
from fairseq import checkpoint_utils
from fairseq_xalign import compat
compat.remove_empty_save_dir()
for name in ("new/a/b", "there", "there/new", "used/a"):
    checkpoint_utils.verify_checkpoint_directory(name)
Path("used/a/checkpoint_last.pt").touch()
"""
    (tmp_path / "there").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == [
        "there",
        "used",
        "used/a",
        "used/a/checkpoint_last.pt",
    ]
