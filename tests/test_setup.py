"""The set-up: what is installed, from where, and that a checkout, an editable install and a wheel all work."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import fairseq_xalign
from tests.support.trainings import free_port, updates_in
from tests.test_imports import imported_modules

ROOT = Path(__file__).resolve().parent.parent
UNPINNED = {"torch", "ve-fairseq", "fairseq-fixed"}
"""The Makefile chooses or installs these separately."""
OURSELVES = "fairseq-xalign"
"""The extra ``dev`` names the package's other extras."""


def pins() -> dict[str, Requirement]:
    lines = (line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#"))
    requirements = [Requirement(line) for line in lines]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


@pytest.fixture(scope="module")
def requirements(tmp_path_factory) -> list[Requirement]:
    """What the package says that it needs, with every extra."""
    folder = tmp_path_factory.mktemp("egg")
    command = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    distribution = metadata.Distribution.at(folder / "fairseq_xalign.egg-info")
    return [Requirement(text) for text in distribution.requires or ()]


def test_every_requirement_has_one_pinned_version_that_fits(requirements):
    pinned = pins()
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        if name in UNPINNED or name == OURSELVES:
            continue
        assert name in pinned, f"{name} is missing in constraints.txt"
        version = re.fullmatch(r"==(\S+)", str(pinned[name].specifier))
        assert version and requirement.specifier.contains(version[1]), name


def test_torch_and_fairseq_are_left_to_their_own_steps_and_torchaudio_is_nowhere(requirements):
    assert not UNPINNED & pins().keys()
    names = {canonicalize_name(requirement.name) for requirement in requirements} | pins().keys()
    assert not names & {"torchaudio", "torchvision"}


def test_the_optional_parts_are_extras(requirements):
    plain = {canonicalize_name(requirement.name) for requirement in requirements if requirement.marker is None}
    optional = {"transformers", "systran-align", "matplotlib", "submitit", "pytest"}
    training = {"hydra-core", "omegaconf", "bitarray", "cffi", "cython", "scikit-learn"}
    assert not plain & (optional | training | UNPINNED - {"torch"})
    assert {"torch", "numpy", "sentencepiece", "tokenizers", "safetensors", "sacrebleu"} <= plain


def test_what_training_needs_is_one_extra_that_developers_install_too(requirements):
    def extra(name: str) -> set[str]:
        found = [r for r in requirements if r.marker is not None and r.marker.evaluate({"extra": name})]
        return {canonicalize_name(r.name) for r in found} | {e for r in found for e in r.extras}

    (fairseq,) = set(metadata.packages_distributions()["fairseq"])
    wanted = [Requirement(text) for text in metadata.distribution(fairseq).requires or ()]
    needed = {canonicalize_name(r.name) for r in wanted if r.marker is None}
    plain = {canonicalize_name(r.name) for r in requirements if r.marker is None}
    # torchaudio is never imported; numpy, torch, regex and sacrebleu are needed without training, too
    assert needed - {"torchaudio"} <= extra("train") | plain
    assert "train" in extra("dev")


DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "torchcrf": "pytorch-crf",
    "systran_align": "systran-align",
    "PIL": "pillow",
}
"""The distribution that a module comes from, where the names differ."""
APART = {"fairseq", "fairseq_cli", "preprocess", "fairseq_xalign", "sentence_transformers", "stanza"}
"""Modules that no requirement names: fairseq is installed apart, sentence-transformers is only compared with,
and stanza is for those who have it (its models come from elsewhere)."""


def test_everything_imported_is_a_requirement(requirements):
    named = {canonicalize_name(requirement.name) for requirement in requirements}
    for file in (file for top in ("fairseq_xalign", "preprocess") for file in (ROOT / top).rglob("*.py")):
        tops = {module.split(".")[0] for module in imported_modules(file)} - APART - sys.stdlib_module_names
        missing = {top for top in tops if canonicalize_name(DISTRIBUTIONS.get(top, top)) not in named}
        assert not missing, f"{file}: add {missing} to pyproject.toml, and its version to constraints.txt"


@pytest.mark.parametrize("command", ["preprocess.__main__", "fairseq_xalign.evaluate.__main__"])
def test_a_console_script_points_to_something(command):
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    assert f"{command}:main" in scripts.values()
    assert callable(importlib.import_module(command).main)


def user_dir(*arguments: str, cwd: Path, path: Path | None = None) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    command = [sys.executable, "-m", "fairseq_xalign", *arguments]
    out = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=True)
    assert out.stderr == ""
    return out.stdout


def test_the_user_dir_is_printed_in_a_checkout_and_from_elsewhere(tmp_path):
    expected = f"{ROOT / 'fairseq_xalign'}\n"
    assert user_dir(cwd=ROOT) == expected
    assert user_dir(cwd=tmp_path, path=ROOT) == expected  # what an editable install does, without depending on one
    assert user_dir("--version", cwd=ROOT) == f"{fairseq_xalign.__version__}\n"


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    """A source distribution of this checkout."""
    folder = tmp_path_factory.mktemp("sdist")
    source = folder / "source"  # a build leaves its folders in the tree
    made_here = shutil.ignore_patterns(".*", "tests", "build", "dist", "__pycache__", "*.egg-info", "demo")
    shutil.copytree(ROOT, source, ignore=lambda folder, names: made_here(folder, names) if folder == str(ROOT) else ())
    build = f"from setuptools.build_meta import build_sdist; build_sdist({str(folder)!r})"
    out = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    (archive,) = folder.glob("*.tar.gz")
    return archive


@pytest.fixture(scope="module")
def installed(sdist, tmp_path_factory) -> Path:
    """A folder with what a wheel installs that was built from the source distribution."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(sdist)]
    out = subprocess.run(build, capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    (wheel,) = folder.glob("*.whl")
    target = folder / "target"
    install = [*pip, "install", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    return target


def test_a_source_distribution_has_what_a_demo_needs(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    recipes = {str(file.relative_to(ROOT)) for file in (ROOT / "recipes").rglob("*.sh")}
    assert {"Makefile", "constraints.txt", "pyproject.toml", "setup.py", "README.md", "LICENSE"} | recipes <= names


def test_a_wheel_carries_version_commands_and_extras(installed):
    (info,) = installed.glob("*.dist-info")
    distribution = metadata.Distribution.at(info)
    assert distribution.version == fairseq_xalign.__version__
    assert {entry.name for entry in distribution.entry_points} == {
        "xalign-preprocess", "xalign-evaluate", "xalign-convert"
    }  # fmt: skip
    extras = {
        "train", "fairseq", "hf", "sklearn", "crf", "align", "plots", "cluster", "ctranslate2", "syntax", "docs", "dev"
    }  # fmt: skip
    assert extras == set(distribution.metadata.get_all("Provides-Extra"))
    assert distribution.metadata["Requires-Python"] == ">=3.11" and distribution.metadata["License-Expression"] == "MIT"


def test_a_wheel_has_everything_and_prints_its_own_path(installed, tmp_path):
    assert user_dir(cwd=tmp_path, path=installed) == f"{installed / 'fairseq_xalign'}\n"
    for top in ("fairseq_xalign", "preprocess"):
        wanted = {file.relative_to(ROOT) for suffix in ("py", "csv") for file in (ROOT / top).rglob(f"*.{suffix}")}
        missing = {str(file) for file in wanted if not (installed / file).exists()}
        assert not missing
    assert (installed / "fairseq_xalign" / "py.typed").exists()


TRAIN_LIKE_WITH_TWO_GPUS = """
import sys
import torch
torch.cuda.device_count = lambda: 2  # fairseq then spawns two workers; --cpu keeps them off the GPUs
from fairseq_cli.train import cli_main
cli_main()
import fairseq_xalign
print("package:", fairseq_xalign.__file__)
"""


def test_an_installed_wheel_binarizes_and_trains_with_two_spawned_workers_from_another_folder(installed, tmp_path):
    """The checkout is out of reach: spawned workers must find our task, criterion and optimizer by themselves."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}

    def python(*arguments: object) -> str:
        command = [sys.executable, *map(str, arguments)]
        out = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert out.returncode == 0, out.stderr[-3000:] + out.stdout[-1000:]
        return out.stdout + out.stderr

    (tmp_path / "text").write_bytes((ROOT / "tests" / "data" / "text.en.txt").read_bytes())
    python("-m", "preprocess", "subword", "--input", "en=text", "--vocab-size", 300, "--output", "SUB")
    python("-m", "preprocess", "binarize", "--subword", "SUB", "--workers", 1, "--mono", "en=text", "--split", "train",
           "--output", "DATA")  # fmt: skip
    workers = ["--distributed-world-size", 2, "--distributed-backend", "gloo", "--ddp-backend", "legacy_ddp"]
    workers += ["--distributed-init-method", f"tcp://127.0.0.1:{free_port()}", "--cpu", "--num-workers", 0]
    model = ["--arch", "xalign_tiny", "--encoder-layers", 1, "--encoder-embed-dim", 16, "--encoder-ffn-embed-dim", 16]
    training = ["--criterion", "mlm", "--optimizer", "adamw", "--lr", "1e-3", "--max-tokens", 512, "--max-update", 2]
    package = installed / "fairseq_xalign"
    log = python("-c", TRAIN_LIKE_WITH_TWO_GPUS, "DATA", "--user-dir", package, "--task", "align_mlm", *model,
                 *training, "--valid-subset", "train", "--save-dir", "RUN", "--no-progress-bar", *workers)  # fmt: skip
    assert f"package: {package}" in log and str(ROOT / "fairseq_xalign") not in log
    assert re.search(r"distributed init \(rank 1\)", log) and "training on 2 devices" in log
    assert updates_in(tmp_path / "RUN" / "checkpoint_last.pt") == 2


# The Makefile, with a Python that only writes down what it is asked for

PRETENDER = """#!/bin/sh
# stands for the Python that makes .venv, and for the one inside it
echo "$@" >> "$CALLS"
case "$*" in
  *version_info*|--version) exit 0 ;;
  *ensurepip*) exit "${NO_VENV:-0}" ;;
  "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
  *"$FAILS"*) echo "it went wrong"; exit 3 ;;
esac
"""


@pytest.fixture
def make(tmp_path):
    """Run make in a copy with a pretended Python: ``make(*arguments, **environment) -> (result, calls)``."""
    for name in ("Makefile", "constraints.txt", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"
    python.write_text(PRETENDER)
    python.chmod(0o755)
    calls = tmp_path / "calls"

    def run(*arguments, **environment):
        calls.unlink(missing_ok=True)
        variables = {"PATH": os.environ["PATH"], "CALLS": str(calls), "FAILS": "nothing fails", **environment}
        command = ["make", f"PYTHON={python}", *arguments]
        out = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
        lines = [line for line in calls.read_text().splitlines() if line != "--version"] if calls.exists() else []
        return out, lines

    return run


def test_make_installs_once_and_again_only_when_something_changed(make, tmp_path):
    first, calls = make("venv")
    assert first.returncode == 0, first.stderr
    installed = [call for call in calls if "pip install" in call]
    order = ["torch==", "-r constraints.txt", "--no-deps --only-binary :all: ve-fairseq", "--no-build-isolation -e ."]
    assert len(installed) == len(order) and all(part in call for part, call in zip(order, installed))
    assert not any("torchaudio" in call for call in calls)
    assert len(first.stdout.splitlines()) == 5  # one line a step
    assert make("venv")[1] == []
    assert make("venv", "TORCH=torch==2.12.0 --index-url X")[1] != []
    make("venv")
    for name in ("constraints.txt", "pyproject.toml"):
        with (tmp_path / name).open("a") as file:
            file.write("# changed\n")
        assert make("venv")[1] != []


@pytest.mark.parametrize(("target", "script"), [("demo", "demo/run.sh"), ("test-recipes", "test.sh")])
def test_recipes_run_in_the_environment_that_was_made_whatever_python_made_it(make, tmp_path, target, script):
    """``make demo PYTHON=python3.12``: make hands its variables down, and the recipes read one of that name."""
    (tmp_path / "recipes" / "demo").mkdir(parents=True)
    (tmp_path / "recipes" / script).write_text('echo "run by $PYTHON"\n', "utf-8")
    done, _ = make(target)
    assert done.returncode == 0 and f"run by {tmp_path}/.venv/bin/python\n" in done.stdout


def test_an_interrupted_installation_is_redone_and_the_log_is_shown(make, tmp_path):
    failed, _ = make("venv", FAILS="-r constraints.txt")
    assert failed.returncode != 0
    assert "it went wrong" in failed.stderr and "set-up failed at: the versions of constraints.txt" in failed.stderr
    assert not list((tmp_path / ".venv").glob("installed-*"))
    done, calls = make("venv")
    assert done.returncode == 0 and calls


def test_fairseq_is_built_from_source_where_no_wheel_fits(make):
    done, calls = make("venv", FAILS="ve-fairseq")
    assert done.returncode == 0
    assert any("--no-deps --no-build-isolation fairseq-fixed" in call for call in calls)
    assert "set-up: no wheel of fairseq fits this Python" in done.stdout


def test_a_missing_venv_module_is_reported_with_the_remedy(make, tmp_path):
    out, _ = make("test", NO_VENV="1")
    assert out.returncode != 0
    assert "apt-get install python3-venv" in out.stderr
    assert not (tmp_path / ".venv").exists()


def test_make_bench_installs_its_peers_once_runs_all_and_names_what_failed(make, tmp_path):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "peers.txt").write_text("accelerate\n", "utf-8")
    names = ["one", "two", "three"]
    failed, calls = make("bench", f"BENCHMARKS={' '.join(names)}", FAILS="benchmarks/two.py")
    assert failed.returncode != 0 and "failed: two\n" in failed.stderr
    assert [call for call in calls if call.startswith("benchmarks/")] == [f"benchmarks/{name}.py" for name in names]
    assert len([call for call in calls if "--target .venv/peers -r benchmarks/peers.txt" in call]) == 1
    done, calls = make("bench", "BENCHMARKS=one")
    assert done.returncode == 0 and calls == ["benchmarks/one.py"]


def test_make_alone_lists_the_targets(make):
    out, _ = make()
    targets = re.search(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(), re.M)[1].split()
    assert {"help", "venv", "demo", "test", "check", "bench", "clean"} <= set(targets)
    assert sorted(line.split()[0] for line in out.stdout.splitlines()[:-1]) == sorted(targets)


def test_ci_runs_the_tests_and_hides_nothing():
    text = (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "set -euo pipefail" in text and text.splitlines()[-2] == "make test"
    assert text.splitlines()[-1].startswith("exec make test-recipes")


def test_the_worked_example_of_contributing_works(tmp_path):
    """The file, the line and the test of the text, in a copy of the package: the objective and its option are there."""
    whole = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    text = whole.partition("## Adding an objective")[2].partition("\n## ")[0]
    file, example = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)[-2:]
    (line,) = re.findall(r"^    (LISTED = .*)$", text, re.M)
    shutil.copytree(ROOT / "fairseq_xalign", tmp_path / "fairseq_xalign", ignore=shutil.ignore_patterns("__pycache__"))
    folder = tmp_path / "fairseq_xalign" / "objectives"
    (folder / "norm.py").write_text(file, "utf-8")
    registry = (folder / "registry.py").read_text("utf-8")
    (listed,) = re.findall(r"^LISTED = .*$", registry, re.M)
    assert line == listed.replace(")", ", Norm)"), "the line in CONTRIBUTING.md is out of date"
    imported = "from fairseq_xalign.objectives.norm import Norm\n"
    (folder / "registry.py").write_text(registry.replace(listed, imported + line), "utf-8")
    names = "from fairseq_xalign.objectives.norm import Norm, NormOptions\n"
    (tmp_path / "test_norm.py").write_text(names + example, "utf-8")
    run = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(tmp_path)}, "text": True, "capture_output": True}
    here = [sys.executable, "-m"]
    tested = subprocess.run([*here, "pytest", "-q", "-p", "no:cacheprovider", "test_norm.py"], **run)
    assert tested.returncode == 0 and "1 passed" in tested.stdout, tested.stdout
    options = subprocess.run([*here, "fairseq_xalign", "--options"], **run)
    assert options.returncode == 0, options.stderr
    groups = {group.splitlines()[0]: group for group in options.stdout.split("\n\n") if group}
    assert "--norm-length" in groups["--criterion xalign"] and "norm, tlm" in groups["--criterion xalign"]
    assert "--norm-length" not in groups["--criterion mlm, tlm, xlm"]
