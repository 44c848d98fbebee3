"""What users read is plain English: phrases that are never right do not occur, and no reference leads nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("fairseq_xalign", "preprocess", "recipes", "benchmarks", "docs", ".")
FILES = sorted(
    {
        file
        for folder in FOLDERS
        for suffix in ("py", "sh", "md")
        for file in ((ROOT / folder).glob if folder == "." else (ROOT / folder).rglob)(f"*.{suffix}")
    }
)
NEVER = {
    r"\bfidelity\b": "cite the paper and its section",
    r"\(A\d+\)|\bA(?:4|18|20)\b": "cite the paper and its section",
    r"\bthis issue\b": "say what is meant",
    r"(?<![\"\x27`])\bmend(?:s|ed|ing)?\b(?![\"\x27])": "fix, correct, repair",
    r"\bcan(?:not)? be had\b": "available, can be downloaded",
    r"\bdivided by (?:a |one )?(?:tabs?|commas?|spaces?|white space)\b": "separated by",
    r"\bfor who\b|\bwho wants\b|\bwhose killing\b": "write a full sentence",
    r"\b(?:one|a) (?:sentence|example|label|word|entry|pair|cell|piece) a line\b": "per line",
    r"\b(?:tokens|sentences|updates|entries) a (?:batch|language|second|sentence|step|line)\b": "per",
    r"\bif so many\b|\bat most so many\b|\bso few not\b": "name the number",
    r"\bin the midst\b": "in the middle",
    r"\b(?:one|a) (?:thread|file) a (?:process|component|language)\b|\bonce a process\b|\ba side fits\b": "per",
}
"""Phrases that no reader should meet, and what to write instead."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_phrase_that_is_never_right(file):
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        for phrase, instead in NEVER.items():
            assert not re.search(phrase, line, re.I), f"{file.relative_to(ROOT)}:{number}: {line.strip()}\n{instead}"
