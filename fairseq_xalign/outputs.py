"""Where outputs go: through links, with the permissions that the umask leaves, and into devices and pipes as they are.

A name that is a symbolic link stands for what it leads to: that is replaced, the link stays. A file or folder that is
replaced keeps its permissions; a new one has those of the umask. What is no regular file (a device, a pipe, a socket,
``/dev/stdout``, a process substitution ``>(...)``) is written to, never renamed over.

Whatever appears whole is filled under a temporary name beside its own, ``.NAME.HOST.RANDOM.tmp``, which is locked while
somebody fills it. A process that is killed cannot remove it; the next one with the same output on this machine does.
"""

from __future__ import annotations

import contextlib
import glob
import io
import os
import secrets
import shutil
import socket
import stat
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from fairseq_xalign.errors import UserError, first_of
from fairseq_xalign.inputs import descriptor_named

BUFFER = 1 << 18
"""Bytes that are handed to the system at once."""
SHOWN = 40
"""How many characters of a name its temporary neighbour keeps: the length of names is limited."""
NAMED = 3
"""How many things that would be lost a message names."""
FREE_SPACE = "Nothing was changed; free space or choose another place"


def final_place(path: str | Path) -> Path:
    """The path that a name stands for: where its links lead, or the name itself if it is no link."""
    path = Path(path)
    if not path.is_symlink():
        return path
    place = Path(os.path.realpath(path))
    if place.is_symlink():
        raise UserError("is a symbolic link that leads in a circle", path, remedy="Remove the link")
    return place


@contextlib.contextmanager
def refusals(path: str | Path) -> Iterator[None]:
    """Turn what the system refuses within the block into a :class:`UserError` about the output ``path``."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise refused(error, path) from error


def refused(error: OSError, path: str | Path) -> UserError:
    """The error for an output that the system refuses."""
    return UserError(f"cannot write: {error.strerror or error}", path, remedy=FREE_SPACE)


def new_file(target: Path) -> tuple[int, Path]:
    """Make a temporary neighbour of the file ``target``, with its permissions or, without one, the umask's.

    Returns:
        its descriptor, open for reading and writing, which locks it until it is closed, and its name.
    """
    unlocked = _unlocked_neighbour(target)
    descriptor = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)
    with contextlib.suppress(FileNotFoundError):
        os.fchmod(descriptor, stat.S_IMODE(target.stat().st_mode))
    return descriptor, _locked(unlocked, descriptor)


def new_folder(target: Path) -> tuple[int, Path]:
    """Make a temporary neighbour of the folder ``target``, with the permissions that the umask leaves.

    Returns:
        a descriptor that locks it until it is closed, and its name.
    """
    unlocked = _unlocked_neighbour(target)
    unlocked.mkdir()
    descriptor = os.open(unlocked, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    return descriptor, _locked(unlocked, descriptor)


def _unlocked_neighbour(target: Path) -> Path:
    """A new name beside ``target`` that :func:`_remove_leftovers` does not know yet, after removing what it knows."""
    _remove_leftovers(target)
    return target.with_name(f"{_neighbours(target)}{secrets.token_hex(4)}")


def _locked(unlocked: Path, descriptor: int) -> Path:
    """Lock a new neighbour, then give it the name that tells others to ask for the lock."""
    _lock(descriptor)
    temporary = unlocked.with_name(unlocked.name + ".tmp")
    os.rename(unlocked, temporary)
    return temporary


def _neighbours(target: Path) -> str:
    """How the names of the temporary neighbours begin that this machine makes: locks of others may not be seen here."""
    return f".{target.name[:SHOWN]}.{zlib.crc32(socket.gethostname().encode()) & 0xFFFF:04x}."


def _remove_leftovers(target: Path) -> None:
    """Remove temporary neighbours of ``target`` that a killed process left: those that nobody has locked."""
    for name in glob.glob(glob.escape(str(target.parent / _neighbours(target))) + "*.tmp"):
        with contextlib.suppress(OSError):  # another user's, or already removed
            descriptor = os.open(name, os.O_RDONLY)
            try:
                if not _lock(descriptor):
                    continue
                if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                    shutil.rmtree(name)
                else:
                    os.unlink(name)
            finally:
                os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock a file or folder until it is closed; False if somebody else has, or on a file system without locks."""
    import fcntl  # not on every system, and reading needs none

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_special(path: str | Path) -> bool:
    """Whether an output is no regular file and no folder, so that it is written to and cannot be read back."""
    if descriptor_named(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def open_special(path: str | Path) -> int:
    """Open an output that :func:`is_special` for writing, and return its descriptor."""
    with refusals(path):
        number = descriptor_named(path)
        if number is not None:
            if sys.stdout is not None and not sys.stdout.closed:
                sys.stdout.flush()  # what was printed before stands before
            return os.dup(number)
        if stat.S_ISSOCK(os.stat(path).st_mode):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(path))
                return os.dup(connection.fileno())
        return os.open(path, os.O_WRONLY)


def stream_to(descriptor: int, path: str | Path, mode: str) -> IO[Any]:
    """A stream (text in UTF-8 with ``\\n`` line ends, or bytes) into a descriptor, which it closes.

    An error of writing is a :class:`UserError` about ``path``; other errors of the block that writes are not.
    """
    buffered = io.BufferedWriter(_Output(descriptor, path), BUFFER)
    return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding="utf-8", newline="\n")


class _Output(io.FileIO):
    """A file whose errors name it."""

    def __init__(self, descriptor: int, path: str | Path) -> None:
        super().__init__(descriptor, "wb")
        self.path = path

    def write(self, data: Any) -> int:
        with refusals(self.path):
            return super().write(data)


def refuse_to_replace(inputs: Iterable[str | Path | None], outputs: Iterable[str | Path | None]) -> None:
    """Refuse outputs that are inputs of the same command, which would be lost; None stands for a file not given.

    Raises:
        UserError: naming the output.
    """
    given = [Path(path) for path in inputs if path is not None and Path(path).is_file()]
    for output in outputs:
        if output is not None and any(Path(output).is_file() and Path(output).samefile(path) for path in given):
            raise UserError("is read by this command, which would replace it", output, remedy="Choose another output")


def refuse_to_remove(folder: Path, own: Callable[[Path], bool], what: str) -> None:
    """Refuse to replace a folder in which somebody keeps other things, which would be lost with it.

    Args:
        folder: may be missing or empty.
        own: whether something in the folder is of its kind, and may be replaced.
        what: what the folder is, with its article.

    Raises:
        UserError: naming what would be lost.
    """
    others = sorted(path.name for path in folder.iterdir() if not own(path)) if folder.is_dir() else []
    if others:
        raise UserError(
            f"is {what} that holds other things too, which replacing it would remove: {first_of(others, NAMED)}",
            folder,
            remedy="Move them elsewhere, or choose another --output",
        )
