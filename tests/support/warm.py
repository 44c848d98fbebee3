"""Recipes, benchmarks and commands of the documentation in tests: their interpreter has imported torch and fairseq."""

from __future__ import annotations

import atexit
import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "recipes" / "lib" / "warm_python.py"


@functools.cache
def warm_python() -> str:
    """A program that stands in for ``python`` and starts in hundredths of a second (``recipes/lib/warm_python.py``).

    Its server is started once per test process and ends with it. Without the recipes, it is the interpreter itself.
    """
    if not SCRIPT.exists():
        return sys.executable
    folder = Path(tempfile.mkdtemp(prefix="warm"))
    socket, program = folder / "socket", folder / "python"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{SCRIPT}" run "{socket}" "$@"\n', "utf-8")
    program.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WARM_PYTHON": str(program)}
    server = subprocess.Popen(
        [sys.executable, SCRIPT, "serve", socket, "tests.support.quick_hydra"],
        cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdin and server.stdout
    atexit.register(server.stdin.close)
    while server.stdout.readline().strip() != "ready":
        assert server.poll() is None, "the server of warm interpreters did not start"
    return str(program)
