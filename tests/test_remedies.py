"""Commands that messages, help texts and docstrings quote: each exists, with the options that it is quoted with."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
from pathlib import Path

import pytest

from tests.test_imports import FILES, ROOT

QUOTED = re.compile(r"`((?:xalign-preprocess|xalign-evaluate|xalign-convert)\b[^`]*)`")
PROGRAMS = {
    "xalign-preprocess": "preprocess.__main__",
    "xalign-evaluate": "fairseq_xalign.evaluate.__main__",
    "xalign-convert": "fairseq_xalign.convert.__main__",
}


def texts(file: Path) -> list[tuple[int, str]]:
    """Every string of a file with its line; what an f-string fills in is `X`."""
    tree = ast.parse(file.read_text("utf-8"))
    inside = {id(v) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for v in node.values}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [str(v.value) if isinstance(v, ast.Constant) else "X" for v in node.values]
            found.append((node.lineno, "".join(parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            found.append((node.lineno, node.value))
    return found


def quoted() -> list[tuple[str, str]]:
    """(place, command line) of every quoted command that names a sub-command."""
    return [
        (f"{file.relative_to(ROOT)}:{line}", " ".join(command.split()))
        for file in FILES
        for line, text in texts(file)
        for command in QUOTED.findall(text)
        if len(command.split()) > 1 and command.split()[1] != "X"
    ]


def parser_of(program: str, name: str) -> argparse.ArgumentParser:
    commands = importlib.import_module(PROGRAMS[program]).COMMANDS
    parser = argparse.ArgumentParser()
    importlib.import_module(commands[name]).add_arguments(parser)
    return parser


def test_there_are_commands_to_check():
    assert len(quoted()) > 15


@pytest.mark.parametrize(("place", "command"), quoted(), ids=[f"{p} {c}" for p, c in quoted()])
def test_a_quoted_command_and_its_options_exist(place, command):
    program, name, *rest = command.split()
    assert name in importlib.import_module(PROGRAMS[program]).COMMANDS, place
    actions = {option: a for a in parser_of(program, name)._actions for option in a.option_strings}
    for option, value in zip(rest, [*rest[1:], "--"]):
        if option.startswith("--"):
            option, _, given = option.strip(",.;").partition("=")
            assert option in actions, f"{place}: {name} has no {option}"
            choices, value = actions[option].choices, given or value
            if choices and not value.startswith("--") and value != "X":
                assert value in choices, f"{place}: {option} {value}"
