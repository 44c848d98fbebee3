"""What tests of ``binarize`` share: its command line, and what a folder holds."""

import json
from pathlib import Path

from preprocess.__main__ import main

ROOT = Path(__file__).parents[2]


def command(subword, output, *options, workers=1):
    return ["binarize", "--subword", str(subword), "--output", str(output), "--workers", str(workers), *options]


def run(subword, output, *options, workers=1):
    return main(command(subword, output, *options, workers=workers))


def everything(folder):
    """All files of a folder and their bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def assert_no_leftovers(folder):
    """Only what the manifest names and the subword folder has; no staging folder here or beside."""
    manifest = json.loads((folder / "manifest.json").read_text())
    named = {name for stream in manifest["streams"] for name in stream["files"]}
    assert set(everything(folder)) == named | {"manifest.json", "subword.json", "dict.txt", "spm.model"}
    assert not list(folder.parent.glob(".*.partial"))


def pair(texts, ending):
    return f"en-de={texts}/text.en{ending},{texts}/text.de{ending}"
