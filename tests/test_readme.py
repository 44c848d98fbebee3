"""The README's commands run as they stand, on small files and for a few updates."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.samples import sentences, write_lines

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8") if (ROOT / "README.md").exists() else ""
SMALLER = {"--vocab-size 8000": "--vocab-size 120", "xalign_small": "xalign_tiny", "--user-dir fairseq_xalign": ""}
"""What the test makes smaller in a command."""
SHORT = "--cpu --num-workers 0 --max-update 2 --max-epoch 1 --tokens-per-sample 64".split()


def commands(title: str) -> list[str]:
    """The commands of the indented blocks of a section, continuation lines joined, comments dropped."""
    section = README.split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = "\n".join(line[4:] for line in section.splitlines() if line.startswith("    "))
    joined = re.sub(r"\\\n\s*", " ", lines)
    return [line.split("  #")[0].strip() for line in joined.splitlines() if line.strip()]


def small_files(folder: Path) -> None:
    """Every file that the commands name, made up."""
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


def run(command: str, folder: Path) -> str:
    for long, short in SMALLER.items():
        command = command.replace(long, short)
    words = shlex.split(command)
    modules = {
        "xalign-preprocess": "preprocess",
        "xalign-evaluate": "fairseq_xalign.evaluate",
        "fairseq-train": "fairseq_cli.train",
    }
    options = words[1:]
    if words[0] == "fairseq-train":
        options += ["--user-dir", str(ROOT / "fairseq_xalign"), *SHORT]
        if "xling_tagging" in command:
            options = [o for o in options if o not in ("--tokens-per-sample", "64")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-m", modules[words[0]], *options], cwd=folder, env=environment, text=True,
                          capture_output=True, timeout=120)  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"
    return done.stdout


@pytest.mark.skipif(not README, reason="no README.md beside this package")
def test_the_commands_of_step_by_step_work_in_order(tmp_path):
    small_files(tmp_path)
    listed = commands("Step by step")
    assert len(listed) >= 9 and sum(c.startswith("fairseq-train") for c in listed) == 2
    for command in listed:
        if " fetch " in command:  # fetches megabytes: its own tests fetch small archives
            continue
        output = run(command, tmp_path)
    assert "accuracy" in output and "de" in output


def test_every_file_the_readme_links_to_exists():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links and all((ROOT / link).exists() for link in links), links


def test_nothing_in_the_readme_is_still_to_be_filled_in():
    assert not re.search(r"@[A-Z]+@|TODO|FIXME", README)
