"""Imports point one way, as `docs/design.md` draws it, and light parts stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GROUND = {"constants", "errors", "inputs", "outputs", "files", "cli", "options", "version", "__init__"}
"""Below all: these import nothing else of ours."""
EVALUATE = {"evaluate.metrics", "evaluate.report", "evaluate.papers"}
MAY_IMPORT = {
    **dict.fromkeys(GROUND, GROUND),
    "__init__": GROUND | {"compat", "api"},  # to complete the user directory; lazily, what Python programs use
    "__main__": GROUND | {"tasks", "criterions", "models", "optimizers", "compat"},  # lists their options
    "compat": GROUND | {"models"},  # lazily, for the rule which checkpoint a folder stands for
    "optimizers": GROUND,
    "tokenizer": GROUND,
    "objectives": GROUND,
    "models": GROUND | {"tokenizer", "objectives"},
    "data": GROUND | {"tokenizer", "objectives"},
    "evaluate.metrics": GROUND,
    "labelled": GROUND | {"tokenizer", "objectives", "models", "data", "evaluate.metrics"},
    "evaluate.report": GROUND | EVALUATE | {"labelled"},
    "evaluate.papers": GROUND | EVALUATE,
    "evaluate": GROUND | EVALUATE | {"tokenizer", "objectives", "models", "data", "labelled", "api"},
    "convert": GROUND | {"tokenizer", "objectives", "models", "data", "labelled"},
    "api": GROUND | {"tokenizer", "objectives", "models", "data", "labelled", "convert"},  # opens others' models
    "preprocess": GROUND | {"tokenizer", "objectives", "data", "labelled", "evaluate.metrics"},
    "criterions": GROUND | {"objectives", "models", "labelled"},
    "tasks": GROUND
    | {
        "tokenizer",
        "objectives",
        "models",
        "data",
        "labelled",
        "criterions",
        "evaluate.metrics",
        "compat",
        "optimizers",
    },
}
"""Each part, and the parts of ours that it may import; ``evaluate`` is its commands."""
MAY_IMPORT_FAIRSEQ = (
    "tasks/",
    "criterions/",
    "models/xalign_",
    "compat/",
    "optimizers/",
    "__main__.py",
)
FILES = sorted(file for folder in ("fairseq_xalign", "preprocess") for file in (ROOT / folder).rglob("*.py"))


def part_of(file: Path) -> str:
    """``fairseq_xalign/data/mmap.py`` -> ``data``; all of ``preprocess`` is one part."""
    return imported_part(module_of(file)) or ""


def module_of(file: Path) -> str:
    """``fairseq_xalign/data/mmap.py`` -> ``fairseq_xalign.data.mmap``; a package has the name of its folder."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_modules(file: Path) -> Iterator[str]:
    """Every module that a file imports anywhere, lazily too; ``from x import y`` gives ``x.y``."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"), str(file))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: import {node.module} by its whole name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_part(module: str) -> str | None:
    """The part of ours that a module belongs to; None for anything else."""
    top, *rest = module.split(".")
    if top == "preprocess":
        return "preprocess"
    if top != "fairseq_xalign":
        return None
    if ".".join(rest[:2]) in EVALUATE:
        return ".".join(rest[:2])
    return rest[0] if rest and (not rest[0].startswith("_") or rest[0] == "__main__") else "__init__"


def test_the_picture_has_no_circle():
    graph = {part: others - {part} - GROUND for part, others in MAY_IMPORT.items() if part not in GROUND}
    graph = {
        part: others - (EVALUATE if part in EVALUATE - {"evaluate.metrics"} else set())
        for part, others in graph.items()
    }
    assert list(TopologicalSorter(graph).static_order())


def imports_of_files() -> dict[str, set[str]]:
    """The files of ours that each file imports, by the names of their modules."""
    known = {module_of(file): file for file in FILES}
    imports: dict[str, set[str]] = {}
    for module, file in known.items():
        named = {name if name in known else name.rpartition(".")[0] for name in imported_modules(file)}
        imports[module] = (named & known.keys()) - {module}
    return imports


def test_no_files_import_each_other_in_a_circle_of_any_length():
    imports = imports_of_files()
    assert len(list(TopologicalSorter(imports).static_order())) == len(imports)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_point_one_way(file):
    part = part_of(file)
    assert part in MAY_IMPORT, f"say in docs/design.md and here what {part} may import"
    for module in imported_modules(file):
        other = imported_part(module)
        assert other in (None, part) or other in MAY_IMPORT[part], f"{part} must not import {module}"
        if module.split(".")[0] in ("fairseq", "fairseq_cli", "omegaconf", "hydra"):
            name = str(file.relative_to(ROOT / "fairseq_xalign")) if part != "preprocess" else "preprocess"
            assert name.startswith(MAY_IMPORT_FAIRSEQ), f"{name} must work without {module}"


def test_the_models_are_our_own():
    for file in FILES:
        for module in imported_modules(file):
            assert not module.startswith(("fairseq.models.transformer", "fairseq.modules")), f"{file}: {module}"


def test_the_mathematics_needs_torch_and_numpy_alone():
    allowed = {"torch", "numpy", "fairseq_xalign"} | sys.stdlib_module_names
    for file in (ROOT / "fairseq_xalign" / "objectives").glob("*.py"):
        assert {module.split(".")[0] for module in imported_modules(file)} <= allowed, file.name


LIGHT = [
    ("fairseq_xalign", {"fairseq", "torch", "numpy"}),
    ("fairseq_xalign.cli", {"fairseq", "torch", "numpy"}),
    ("fairseq_xalign.compat", {"fairseq", "torch", "numpy"}),
    ("fairseq_xalign.evaluate.__main__", {"fairseq", "torch"}),
    ("fairseq_xalign.convert.__main__", {"fairseq", "torch"}),
    ("preprocess.__main__", {"fairseq", "torch"}),
    ("fairseq_xalign.api", {"fairseq", "hydra", "omegaconf", "sklearn", "transformers"}),
    ("fairseq_xalign.evaluate.commands.encode", {"fairseq", "hydra", "omegaconf", "sklearn", "transformers"}),
    ("fairseq_xalign.models.encoder", {"fairseq", "omegaconf"}),
    ("fairseq_xalign.models.checkpoint", {"fairseq", "omegaconf"}),
    ("fairseq_xalign.data.folder", {"fairseq", "omegaconf"}),
]


@pytest.mark.parametrize(("module", "absent"), LIGHT, ids=[module for module, _ in LIGHT])
def test_importing_it_alone_does_not_import(module, absent):
    code = f"import sys, {module}; print(*sorted({{*sys.modules}} & {absent!r}))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert out.returncode == 0, out.stderr
    assert out.stdout.split() == []
