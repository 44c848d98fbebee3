"""What all our commands share: sub-commands, ``--debug``, exit codes, progress on stderr.

A command module has a docstring (its first line becomes the short help, the whole text the
description), ``add_arguments(parser)`` and ``run(args)``. ``EXAMPLE``, if it has one, ends
``--help``. Exit codes: 0 done, 1 failed (one line: what, where, remedy), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from fairseq_xalign.errors import UserError

Item = TypeVar("Item")


def main(program: str, description: str, commands: Mapping[str, str], argv: Sequence[str] | None = None) -> int:
    """Run ``program``; ``commands`` maps a sub-command's name to its module, imported when used."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog=program, description=description)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    # Only the module that is asked for is imported, unless help on all of them is.
    wanted = {argv[0]} & set(commands) if argv else set()
    modules: dict[str, Any] = {}
    for name, module_name in commands.items():
        if wanted and name not in wanted:
            subparsers.add_parser(name)
            continue
        module = modules[name] = importlib.import_module(module_name)
        text = (module.__doc__ or "").strip()
        child = subparsers.add_parser(
            name,
            help=text.splitlines()[0] if text else None,
            description=text,
            epilog=getattr(module, "EXAMPLE", None),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        child.add_argument("--debug", action="store_true", help="on failure show the whole traceback")
        module.add_arguments(child)
    args = parser.parse_args(argv)
    try:
        return int(modules[args.command].run(args) or 0)
    except UserError as error:
        if args.debug:
            raise
        print(f"{program} {args.command}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if args.debug:
            raise
        place = f"{error.filename}: " if error.filename else ""
        print(f"{program} {args.command}: {place}{error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{program} {args.command}: interrupted; nothing half-written was left", file=sys.stderr)
        return 130


def progress(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Pass ``items`` on, with a progress bar on stderr where that is a terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, description=what, total=total, console=Console(stderr=True), transient=True)


def say(text: str) -> None:
    """One line for the person at the terminal, on stderr: results alone go to stdout."""
    print(text, file=sys.stderr, flush=True)
