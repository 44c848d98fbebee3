"""hydra's warnings about fairseq are hidden, and no others."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from fairseq_xalign import compat
from tests.support.trainings import TINY

ROOT = Path(__file__).parents[2]


def _warning(message, module):
    """What the log of a run says where nothing hides the warning."""
    return module.replace(r"\.", "/") + r"(\.py|>):\d+: UserWarning: " + message


def test_fairseq_alone_gives_every_warning_that_is_hidden(tiny, tmp_path):
    command = [
        sys.executable,
        "-m",
        "fairseq_cli.train",
        tiny,
        *TINY,
        "--max-update",
        "1",
        "--save-dir",
        tmp_path / "ck",
    ]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=ROOT)
    log = done.stdout + done.stderr
    assert done.returncode == 0, log
    unneeded = [message for message, module in compat.HYDRA_WARNINGS if not re.search(_warning(message, module), log)]
    assert not unneeded, "hydra or fairseq no longer says this: its filter may go"


def test_other_warnings_stay_and_python_can_show_all(tmp_path):
    code = """
import warnings
from fairseq_xalign import compat
compat.silence_hydra()
warnings.warn_explicit("mind this", UserWarning, "x.py", 1, "hydra.compose")
warnings.warn_explicit("\\nThe strict flag in the compose API is deprecated.", UserWarning, "x.py", 2, "hydra.compose")
"""
    for options, shown in (([], ["mind this"]), (["-W", "always"], ["mind this", "strict flag"])):
        out = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, cwd=ROOT)
        assert [word for word in ("mind this", "strict flag") if word in out.stderr] == shown, out.stderr
