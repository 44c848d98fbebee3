"""What a user can correct ends a command with one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fairseq_xalign import compat

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("debug", "lines"), [("", 1), ("1", None)])
def test_a_users_mistake_is_one_line_even_behind_another_error(debug, lines):
    code = """
from fairseq_xalign import compat, errors
compat.shorten_user_errors()
try:
    raise errors.UserError("wrong", "here", 3, "Mend it")
except Exception:
    raise Exception("architectures")
"""
    environment = {**os.environ, compat.DEBUG_VARIABLE: debug}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert out.returncode == 1
    if lines:
        assert out.stderr == "-c: here:3: wrong. Mend it\n"
    else:
        assert out.stderr.count("Traceback") == 2


def test_a_refused_command_says_one_line_after_fairseqs_log_and_leaves_nothing(tmp_path):
    options = ["--user-dir", ROOT / "fairseq_xalign", "--task", "align_mlm", "--arch", "xalign_tiny", "--cpu"]
    options += ["--criterion", "mlm", "--optimizer", "adamw", "--max-tokens", "512", "--save-dir", tmp_path / "a" / "b"]
    command = [sys.executable, "-m", "fairseq_cli.train", tmp_path / "none", *options]
    out = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=ROOT)
    assert out.returncode == 1
    lines = [line for line in out.stderr.splitlines() if " | INFO | " not in line]
    assert len(lines) == 1 and f"{tmp_path}/none: no such data folder" in lines[0], out.stderr
    assert not list(tmp_path.iterdir())
