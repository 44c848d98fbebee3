"""Lint, formatting and types are part of the tests, so that ``make test`` and continuous integration fail on them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CHECKS = ("ruff check .", "ruff format --check .", "mypy")
"""The checks beside the tests, as a developer types them."""


@pytest.mark.parametrize("check", CHECKS)
def test_the_code_passes(check):
    command = [sys.executable, "-m", *check.split()]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert out.returncode == 0, f"{check}\n{out.stdout[-3000:]}{out.stderr[-3000:]}"


def test_make_check_runs_the_same_checks():
    rules = (ROOT / "Makefile").read_text("utf-8").split("\ncheck:")[1].split("\n\n")[0]
    assert tuple(re.findall(r"^\t@\$\(BIN\)/((?:ruff|mypy).*)$", rules, re.M)) == CHECKS


def test_the_pre_commit_hooks_run_the_same_checks_and_download_nothing():
    text = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    assert tuple(re.findall(r"^ +entry: (.*)$", text, re.M)) == CHECKS
    assert re.findall(r"repo: (.*)", text) == ["local"]
    assert re.findall(r"language: (.*)", text) == ["system"] * len(CHECKS)
