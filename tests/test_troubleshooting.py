"""Every message that the page on troubleshooting quotes is one that this version prints."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.test_imports import FILES, ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"
QUOTED = re.compile(r"^#### (.*)$", re.M)
LITERAL = 10
"""Fewer characters of a message that are the same in every case do not identify it."""


def templates(file: Path) -> set[tuple[str, ...]]:
    """The parts between what is filled in, of every string of a file that could be a message."""
    tree = ast.parse(file.read_text("utf-8"))
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = "".join(str(p.value) if isinstance(p, ast.Constant) else "\0" for p in node.values).split("\0")
            found.add(tuple(parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside | documentation:
            found.add((node.value,))
    return {parts for parts in found if max(len(part.strip()) for part in parts) >= LITERAL}


MESSAGES = set().union(*map(templates, FILES))


def quoted() -> list[str]:
    return [message for title in QUOTED.findall(PAGE.read_text("utf-8")) for message in re.findall("`([^`]+)`", title)]


def is_printed(message: str) -> bool:
    """Whether some string of the source reads like this, with anything filled in, with or without place and remedy."""
    near = (parts for parts in MESSAGES if max(parts, key=len).strip() in message)
    return any(re.fullmatch(rf"(?:\S+: )?{pattern(parts)}(?:\. .*)?", message) for parts in near)


def pattern(parts: tuple[str, ...]) -> str:
    """A message with anything between its parts, and after the last if the sentence goes on there."""
    return ".+".join(map(re.escape, parts)) + (".+" if parts[-1].endswith(" ") else "")


def test_the_page_quotes_many_messages():
    assert len(quoted()) > 50


@pytest.mark.parametrize("message", quoted())
def test_a_quoted_message_is_in_the_source(message):
    assert is_printed(message), "reword the quotation as the source has it, or remove it"


@pytest.mark.parametrize("message", ["DATA: no such data holder", "a batch needs a limitation", "17", "the x is y"])
def test_a_message_that_nothing_prints_is_found(message):
    assert not is_printed(message)
