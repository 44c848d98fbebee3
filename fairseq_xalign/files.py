"""Files that appear whole or not at all, and text that is read strictly."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from fairseq_xalign.errors import UserError


def flush_to_disk(path: str | Path) -> None:
    """Ask the operating system to write a file's (or a folder's entries') bytes to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def atomic_file(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary neighbour of ``path`` that takes its place when the block ends well.

    A reader, or a process killed at any moment, sees the old file or the new one. Text is UTF-8
    with ``\\n`` line ends.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with os.fdopen(descriptor, mode, **text) as stream:  # type: ignore[call-overload]
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        flush_to_disk(path.parent)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise UserError(
            f"cannot write: {error.strerror or error}",
            path,
            remedy="Nothing was changed; free space or choose another place",
        ) from error
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def exchange(one: Path, other: Path) -> bool:
    """Let two paths swap places in one step (Linux's renameat2); False where that cannot be done."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return call is not None and call(here, os.fsencode(one), here, os.fsencode(other), swap) == 0


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder that becomes ``path`` when the block ends well.

    An existing ``path`` is replaced whole and at once, so that a process killed at any moment leaves the
    old folder or the new one, never a mixture.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    try:
        yield temporary
        os.chmod(temporary, 0o755)
        for file in temporary.rglob("*"):
            if file.is_file():
                flush_to_disk(file)
        if not path.exists():
            os.replace(temporary, path)
        elif exchange(temporary, path):
            shutil.rmtree(temporary)
        else:  # a moment without either, where the file system can do no better
            aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
            os.replace(path, aside / "old")
            os.replace(temporary, path)
            shutil.rmtree(aside)
        flush_to_disk(path.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    with atomic_file(path) as stream:
        json.dump(value, stream, ensure_ascii=False, indent=2, sort_keys=False)
        stream.write("\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file; a missing or damaged one is a :class:`UserError` that names it."""
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except FileNotFoundError:
        raise UserError("no such file", path, remedy="Check the name") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"not valid JSON: {error}", path, getattr(error, "lineno", None), "Make the file again, or copy it again"
        ) from error


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file, in hexadecimal; memory does not grow with the file."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_lines(path: str | Path, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, text without its line end) of a UTF-8 file, strictly.

    Only ``\\n`` ends a line (``\\r\\n`` too, its ``\\r`` is dropped): U+2028, U+0085 and a form
    feed stay inside their line, so that parallel files keep their line counts. A byte order mark
    at the start is dropped. Invalid UTF-8 and NUL are a :class:`UserError` with file and line.
    Memory does not grow with the file.

    Args:
        start, stop: byte offsets that begin a line; only lines that begin within them are read,
            numbered from the first of them.
    """
    path = Path(path)
    try:
        stream: io.BufferedReader = open(path, "rb")  # noqa: SIM115
    except OSError as error:
        raise UserError(error.strerror or str(error), path) from error
    with stream:
        stream.seek(start)
        place = start
        for number, raw in enumerate(stream, start=1):
            if stop is not None and place >= stop:
                return
            if place == 0 and raw.startswith(b"\xef\xbb\xbf"):
                text_bytes = raw[3:]
            else:
                text_bytes = raw
            place += len(raw)
            text_bytes = text_bytes.removesuffix(b"\n").removesuffix(b"\r")
            if b"\0" in text_bytes:
                raise UserError("a NUL byte", path, number, "Remove it: text must be UTF-8 without NUL")
            try:
                yield number, text_bytes.decode("utf-8")
            except UnicodeDecodeError as error:
                raise UserError(
                    f"invalid UTF-8 at byte {error.start} of the line", path, number, "Convert the file to UTF-8"
                ) from error
