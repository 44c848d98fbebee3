"""What all our commands share: sub-commands, ``--debug``, exit codes, progress on stderr.

A command module has a docstring (its first line becomes the short help, the whole text the
description), ``add_arguments(parser)`` and ``run(args)``. ``EXAMPLE``, if it has one, ends
``--help``. Exit codes: 0 done, 1 failed (one line: what, where, remedy), 2 wrong usage,
130 interrupted, 143 terminated, 141 nobody reads the output any more.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from datetime import timedelta
from typing import Any, TypeVar

from fairseq_xalign.errors import UserError, explained
from fairseq_xalign.inputs import forget_copies

Item = TypeVar("Item")
BROKEN_PIPE = 128 + 13
"""The exit status if the reader of the output has gone away: what shells report after SIGPIPE."""
TERMINATED = 128 + 15
"""The exit status after SIGTERM: the shell's for a command that it ended."""
INTERRUPTED = 128 + 2
"""The exit status after Ctrl-C: what shells report after SIGINT."""
STANDARD_OUTPUT = "/dev/stdout"
LINE_EVERY = 30
"""Seconds between two lines of progress where stderr is no terminal."""


def main(program: str, description: str, commands: Mapping[str, str], argv: Sequence[str] | None = None) -> int:
    """Run ``program``; ``commands`` maps a sub-command's name to its module, imported when used."""
    argv = list(sys.argv[1:] if argv is None else argv)
    name = " ".join([program, *argv[:1]] if argv and argv[0] in commands else [program])
    return guarded(lambda: _run(program, description, commands, argv), name, debug="--debug" in argv)


def _run(program: str, description: str, commands: Mapping[str, str], argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog=program, description=description)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    # Only the module that is needed is imported, unless the user asks for help on all of them.
    wanted = {argv[0]} & set(commands) if argv else set()
    modules: dict[str, Any] = {}
    children: dict[str, argparse.ArgumentParser] = {}
    for name, module_name in commands.items():
        if wanted and name not in wanted:
            subparsers.add_parser(name)
            continue
        module = modules[name] = importlib.import_module(module_name)
        text = (module.__doc__ or "").strip()
        child = children[name] = subparsers.add_parser(
            name,
            help=text.splitlines()[0] if text else None,
            description=text,
            epilog=getattr(module, "EXAMPLE", None),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        child.add_argument("--debug", action="store_true", help="Show the whole traceback if the command fails.")
        module.add_arguments(child)
    args = parser.parse_args(argv)
    _let_a_hyphen_be_standard_output(args, children[args.command])
    return int(modules[args.command].run(args) or 0)


def _let_a_hyphen_be_standard_output(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Let ``--output -`` name standard output; refused where a command writes a folder or several files."""
    if str(getattr(args, "output", None)) != "-":
        return
    (action,) = [action for action in parser._actions if action.dest == "output"]
    if not str(action.metavar).startswith("FILE"):
        raise UserError(
            f"--output - is standard output, but {args.command} writes a folder or several files",
            remedy=f"Name the {action.metavar} to write",
        )
    args.output = STANDARD_OUTPUT


def _one_line(name: str, shown: Callable[..., None]) -> Callable[..., None]:
    """What shows a warning of ours as one line, and those of others as before."""

    def show(message: Warning | str, category: type[Warning], *place: Any, **options: Any) -> None:
        if category.__module__.partition(".")[0] == __name__.partition(".")[0]:
            print(f"{name}: {message}", file=sys.stderr)
        else:
            shown(message, category, *place, **options)

    return show


def guarded(work: Callable[[], int], name: str, debug: bool = False) -> int:
    """Run a command and return its exit status; an error is printed as one line on stderr.

    When the reader of standard output has gone away (``... | head``), the command ends silently, as others do.

    Args:
        name: name of the command, which begins the line.
        debug: let errors through, with their tracebacks.
    """
    try:
        try:
            with _terminable(), warnings.catch_warnings():
                warnings.showwarning = _one_line(name, warnings.showwarning)
                return work()
        finally:
            forget_copies()
            _flush_stdout()
    except BrokenPipeError:
        _discard_stdout()
        return BROKEN_PIPE
    except _Terminated:
        print(f"{name}: terminated; no incomplete output was left behind", file=sys.stderr)
        return TERMINATED
    except KeyboardInterrupt:
        print(f"{name}: interrupted; no incomplete output was left behind", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        meaning = explained(error)
        if debug or meaning is None:
            raise
        print(f"{name}: {meaning}", file=sys.stderr)
        return 1


class _Terminated(BaseException):
    """SIGTERM has come. Like KeyboardInterrupt it is no Exception, so that nothing but clean-up takes note of it."""


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM undo what is half-written, as Ctrl-C does, instead of ending the process where it stands."""
    process = os.getpid()

    def stop(*_: Any) -> None:
        if os.getpid() != process:  # a forked child: it has nothing to undo
            os._exit(TERMINATED)
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():  # Python takes signals in the main thread alone
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def _flush_stdout() -> None:
    """Flush standard output now, while an error can still be reported."""
    if sys.stdout is None or sys.stdout.closed:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _discard_stdout()
        raise UserError(f"cannot write: {error.strerror or error}", "standard output") from error


def _discard_stdout() -> None:
    """Discard what is still buffered: Python would otherwise try to write it at exit, and complain."""
    with contextlib.suppress(OSError, ValueError):  # no file behind it: nothing will be tried
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def progress(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Pass ``items`` on and show progress on stderr, as :func:`bar` does."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with bar(what, total) as advance:
        for item in items:
            yield item
            advance(1)


@contextlib.contextmanager
def bar(what: str, total: int | None, shown: bool | None = None) -> Iterator[Callable[[float], None]]:
    """Give a function that reports some units as done: progress on stderr.

    That is a bar on a terminal, and a line every ``LINE_EVERY`` seconds in a file or a pipe.

    Args:
        shown: False for nothing at all, True for a bar wherever stderr leads.
    """
    if shown is False:
        yield lambda amount: None
        return
    if not (shows_bars() or shown):
        yield ProgressLines(what, total).advance
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as shown_bar:
        task = shown_bar.add_task(what, total=total)
        yield lambda amount: shown_bar.advance(task, amount)


class ProgressLines:
    """Progress for stderr that is no terminal (nohup, a batch job's log, ``tee``): now and then one line.

    Args:
        what: what is being done; it begins every line.
        total: how many units there are, if that is known.
        clock: gives the seconds that have passed since some moment.
    """

    def __init__(self, what: str, total: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.what, self.total, self.clock = what, total, clock
        self.done = 0.0
        self.began = self.said = clock()

    def advance(self, amount: float) -> None:
        """Count some units, and say where the work stands if nothing was said for ``LINE_EVERY`` seconds."""
        self.done += amount
        now = self.clock()
        if now - self.said >= LINE_EVERY:
            self.said = now
            say(self._line(now - self.began))

    def _line(self, seconds: float) -> str:
        rate = self.done / seconds
        speed = f"{rate:,.{0 if rate >= 10 else 1 if rate >= 1 else 3}f}/s"
        if not self.total:
            return f"{self.what}: {self.done:,.0f} done, {speed}"
        left = timedelta(seconds=round(max(0.0, self.total - self.done) / rate)) if rate else "unknown time"
        share = f"{self.done / self.total:.0%}"
        return f"{self.what}: {self.done:,.0f} of {self.total:,.0f} ({share}), {speed}, {left} left"


def shows_bars() -> bool:
    """Whether progress bars are shown: on a terminal."""
    return sys.stderr.isatty()


def say(text: str) -> None:
    """Print one line for the person at the terminal, on stderr: only results go to stdout."""
    print(text, file=sys.stderr, flush=True)
