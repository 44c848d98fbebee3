"""The commands of the README and of the documentation work as printed, on small files and for a few updates."""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
from pathlib import Path

import pytest

from tests.support.samples import sentences, write_lines
from tests.support.warm import warm_python

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if page.exists()]
needs_pages = pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="no README.md beside this package")
SMALLER = {
    "--vocab-size 8000": "--vocab-size 120",
    "xalign_small": "xalign_tiny",
    "--user-dir fairseq_xalign": f"--user-dir {ROOT / 'fairseq_xalign'} --cpu --num-workers 0",
    r"--max-update \d+": "--max-update 2",
    r"--max-epoch \d+": "--max-epoch 1",
    r"--lr-scheduler polynomial_decay --warmup-updates \d+ --total-num-update \d+": "",
    r" --tokens-per-sample \d+": "",
    "--save-dir": "--tokens-per-sample 64 --save-dir",
}
"""What the test makes smaller in a command: a pattern and its replacement."""
PROGRAMS = {
    "xalign-preprocess": "preprocess",
    "xalign-evaluate": "fairseq_xalign.evaluate",
    "xalign-convert": "fairseq_xalign.convert",
    "fairseq-train": "fairseq_cli.train",
}


def commands(page: str) -> list[str]:
    """The commands of a page's ``bash`` blocks, which are those to copy; continuation lines are joined."""
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```$", (ROOT / page).read_text("utf-8"), re.M | re.S)
    joined = re.sub(r"\\\n\s*", "", "\n".join(textwrap.dedent(block).strip() for block in blocks))
    return [line for line in joined.splitlines() if line]


def small_files(folder: Path) -> None:
    """Write every file that the commands name."""
    for language in ("en", "de"):
        write_lines(folder / f"{language}.txt", sentences(language, 300))
        write_lines(folder / f"pair.{language}", sentences(language, 60, seed=2))
        write_lines(folder / f"valid.{language}.txt", sentences(language, 60, seed=3))
    words = zip(" ".join(sentences("en", 40)).split(), " ".join(sentences("de", 40)).split())
    write_lines(folder / "en-de.txt", sorted({f"{a} {b}" for a, b in words}))
    (folder / "TREEBANKS").mkdir()
    for name in ("train.en", "valid.en", "test.en", "test.de"):
        rows = []
        for sentence in sentences(name[-2:], 20):
            columns = [
                f"{i}\t{w}\t_\t{'NOUN' if len(w) > 5 else 'X'}\t_\t_\t0\t_\t_\t_"
                for i, w in enumerate(sentence.split(), 1)
            ]
            rows += [*columns, ""]
        write_lines(folder / "TREEBANKS" / f"{name}.conllu", rows)


def smaller(command: str) -> str:
    """The same command with little to do, by an interpreter that is warm."""
    program, rest = command.split(" ", 1)
    if program == "mkdir":
        return command
    if program == "python":
        return f"{warm_python()} {rest}"
    if program == "fairseq-train":
        for pattern, replacement in SMALLER.items():
            rest = re.sub(pattern, replacement, rest)
        if "xling" in rest:
            rest = rest.replace("--tokens-per-sample 64 ", "")
    else:
        rest = rest.replace("--vocab-size 8000", SMALLER["--vocab-size 8000"])
    return f"{warm_python()} -m {PROGRAMS[program]} {rest}"


def run(command: str, folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(smaller(command), cwd=folder, env=environment, text=True, capture_output=True, timeout=300,
                          shell=True, check=False)  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"
    return done.stdout


@needs_pages
def test_the_commands_of_the_readme_work_in_order(tmp_path):
    small_files(tmp_path)
    listed = commands("README.md")
    assert len(listed) == 10 and sum(c.startswith("fairseq-train") for c in listed) == 2
    output = [run(command, tmp_path) for command in listed]
    assert "accuracy" in output[-1] and "de" in output[-1]


@needs_pages
def test_the_commands_of_the_documentation_work_in_order(tmp_path):
    small_files(tmp_path)
    listed = [command for page in ("data", "training", "tasks", "languages") for command in commands(f"docs/{page}.md")]
    assert len(listed) >= 25
    for command in dict.fromkeys(listed):
        run(command, tmp_path)
    assert {"SUB2", "DATA", "POS", "RUN", "transfer.png"} <= {path.name for path in tmp_path.iterdir()}


@needs_pages
def test_every_step_of_the_readme_is_one_command_for_one_purpose():
    text = (ROOT / "README.md").read_text("utf-8")
    for title in ("Train on your own text", "Evaluate"):
        section = text.split(f"\n## {title}\n")[1].split("\n## ")[0]
        numbers = [int(number) for number in re.findall(r"^(\d+)\. ", section, re.M)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert section.count("```bash") == len(numbers)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_links_to_exists(page):
    for link, _, title in (found.partition("#") for found in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8"))):
        if ":" in link:
            continue
        target = page.parent / link if link else page
        assert target.exists(), link
        if title:
            headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.M)
            assert title in [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_nothing_is_still_to_be_filled_in(page):
    assert not re.search(r"@[A-Z]+@|TODO|FIXME", page.read_text("utf-8"))


@needs_pages
def test_the_readme_fits_on_a_few_screens():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 140
