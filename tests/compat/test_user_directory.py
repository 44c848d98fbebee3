"""``--user-dir`` registers our tasks whatever was imported before."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USER_DIRECTORY = """
import sys
sys.path.insert(0, {root!r})
{before}
import fairseq.utils, types
fairseq.utils.import_user_module(types.SimpleNamespace(user_dir={package!r}))
print("fairseq_xalign.tasks" in sys.modules)
"""


@pytest.mark.parametrize(
    ("before", "found"),
    [
        (
            "import fairseq_xalign, importlib; sys.meta_path[:] = [f for f in sys.meta_path if 'When' not in str(f)]",
            False,
        ),
        ("from fairseq_xalign import compat; compat.complete_user_directory()", True),
    ],
    ids=["package before, unpatched", "package before"],
)
def test_user_dir_registers_our_tasks_whatever_was_imported_before(tmp_path, before, found):
    """Without the patch, the tasks of a package imported before are not found; once this is fixed, they are."""
    package = tmp_path / "fairseq_xalign"
    (package / "tasks").mkdir(parents=True)
    (package / "models").mkdir()
    shutil.copytree(ROOT / "fairseq_xalign" / "compat", package / "compat")
    for name in ("errors", "files", "outputs"):
        (package / f"{name}.py").write_bytes((ROOT / "fairseq_xalign" / f"{name}.py").read_bytes())
    for name in ("__init__", "tasks/__init__", "tasks/one", "models/__init__"):
        (package / f"{name}.py").write_text("")
    code = USER_DIRECTORY.format(root=str(tmp_path), before=before, package=str(package))
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert out.stdout.split()[-1:] == [str(found)], out.stderr


def test_waiting_for_fairseq_imports_nothing():
    code = (
        "import sys; from fairseq_xalign import compat; compat.complete_user_directory();"
        " print({*sys.modules} & {'torch', 'fairseq'})"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert out.stdout.strip() == "set()"
