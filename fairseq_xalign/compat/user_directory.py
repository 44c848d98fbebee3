"""``--user-dir``: our tasks and models are registered whatever was imported before."""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairseq_xalign.compat.patching import apply, workaround, wrap


def register() -> None:
    """Import every task and model of ours, so that fairseq knows them, whatever was imported before."""
    from fairseq.models import import_models
    from fairseq.tasks import import_tasks

    package = Path(__file__).resolve().parent.parent
    import_tasks(str(package / "tasks"), "fairseq_xalign.tasks")
    import_models(str(package / "models"), "fairseq_xalign.models")


@workaround
def complete_user_directory() -> None:
    """Let ``--user-dir`` register our tasks and models even if the package was imported before.

    Reason: ``import_user_module`` imports tasks and models only when it imports the package itself.
    A program that imports ``fairseq_xalign`` first (a notebook, or a spawned worker that unpickles a
    configuration of ours) then gets "invalid choice: 'align_mlm'", and no workaround for what was
    imported since. Where ``fairseq.utils`` is not imported yet, this waits until it is, and imports nothing.
    """
    module = sys.modules.get("fairseq.utils")
    if module is None:
        if not any(isinstance(finder, _WhenImported) for finder in sys.meta_path):
            sys.meta_path.insert(0, _WhenImported("fairseq.utils", complete_user_directory))
        return

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def import_user_module(args: Any) -> None:
            original(args)
            user_directory = getattr(args, "user_dir", None)
            if user_directory is not None and Path(user_directory).resolve().name == "fairseq_xalign":
                register()
                apply()

        return import_user_module

    wrap(module, "import_user_module", make)


class _WhenImported(importlib.abc.MetaPathFinder):
    """Calls ``action`` once, right after the module ``name`` has been imported by any module."""

    def __init__(self, name: str, action: Callable[[], None]) -> None:
        self.name, self.action = name, action

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            self.action()

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
