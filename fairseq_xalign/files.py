"""Files that appear whole or not at all, and text that is read strictly."""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import hashlib
import io
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from fairseq_xalign.errors import UserError
from fairseq_xalign.inputs import open_input, regular
from fairseq_xalign.outputs import (
    final_place,
    is_special,
    new_file,
    new_folder,
    open_special,
    refusals,
    stream_to,
)

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
"""How files in other encodings than ours begin; UTF-32's comes first, for it begins with UTF-16's."""
NULS_OF_UTF_16 = 0.3
"""Text without a byte order mark is taken for UTF-16 where more than this share of every other byte is NUL."""


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

    A reader, or a process killed at any moment, sees the old file or the new one. Text is UTF-8 with ``\\n`` line ends.
    Links, permissions, and outputs that are no regular files: see :mod:`fairseq_xalign.outputs`.

    Raises:
        UserError: the system refuses to write ``path``. Other errors of the block pass as they are.
    """
    if is_special(path):
        with stream_to(open_special(path), path, mode) as stream:
            yield stream
        return
    target = final_place(path)
    if target.is_dir():
        raise UserError("is a folder, not a file", path, remedy="Name a file")
    with refusals(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = new_file(target)
    stream = stream_to(descriptor, path, mode)
    try:
        yield stream
        with refusals(path):
            stream.flush()
            os.fsync(descriptor)
            os.replace(temporary, target)
            stream.close()  # and with it the lock
            flush_to_disk(target.parent)
    except BaseException:
        with contextlib.suppress(UserError, OSError):  # closing writes what is buffered: a full disk refuses that again
            stream.close()
        temporary.unlink(missing_ok=True)
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
    old folder or the new one, never a mixture. Links and permissions: see :mod:`fairseq_xalign.outputs`.
    """
    target = final_place(path)
    if target.exists() and not target.is_dir():
        raise UserError("is a file, not a folder", path, remedy="Name a folder")
    with refusals(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        lock, temporary = new_folder(target)
    try:
        yield temporary
        with refusals(path):
            for file in temporary.rglob("*"):
                if file.is_file():
                    flush_to_disk(file)
            _replace_folder(temporary, target)
            flush_to_disk(target.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    finally:
        os.close(lock)


def _replace_folder(temporary: Path, target: Path) -> None:
    if not target.exists():
        os.replace(temporary, target)
        return
    os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
    if exchange(temporary, target):
        shutil.rmtree(temporary)
    else:  # a moment without either, where the file system can do no better
        lock, displaced = new_folder(target)
        try:
            os.replace(target, displaced / "old")
            os.replace(temporary, target)
            shutil.rmtree(displaced)
        finally:
            os.close(lock)


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    with atomic_file(path) as stream:
        json.dump(value, stream, ensure_ascii=False, indent=2, sort_keys=False)
        stream.write("\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file, compressed or not; a missing or damaged one is a :class:`UserError` that names it."""
    again = "Make the file again, or copy it again"
    try:
        return parse_json(read_text(path), path, remedy=again)
    except UserError as error:
        if error.line is None:
            raise
        raise UserError(
            error.what if NOT_JSON in error.what else f"{NOT_JSON}: {error.what}", path, error.line, again
        ) from error


NOT_JSON = "not valid JSON"
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""How half a character may be written in JSON; a whole one has two of them, which fit each other."""


def parse_json(
    text: str,
    path: str | Path,
    line: int | None = None,
    remedy: str = "",
    pairs: Callable[[list[tuple[str, Any]]], Any] | None = None,
) -> Any:
    """The value of a JSON text.

    Args:
        path, line: where the text is; without a line it is the whole file.
        pairs: what makes an object of its pairs; it may refuse them with a ``ValueError``.

    Raises:
        UserError: for what is not JSON, is nested too deeply or has numbers that are too long, what ``pairs`` refuses,
            and half a character (a surrogate), which cannot be written or encoded anywhere.
    """
    try:
        value = json.loads(text, object_pairs_hook=pairs)
        if SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise UserError(f"{NOT_JSON}: {error.msg}", path, line or error.lineno, remedy) from None
    except RecursionError:
        raise UserError(f"{NOT_JSON}: too many brackets within brackets", path, line, remedy) from None
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise UserError(f"{half} is half a character (a surrogate)", path, line, "Remove it from the text") from None
    except ValueError as error:
        what = "a whole number of thousands of digits" if "int_max_str_digits" in str(error) else str(error)
        raise UserError(what, path, line, "Remove one of the two" if pairs and what == str(error) else remedy) from None
    return value


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes as they stand, in hexadecimal; memory does not grow with the file."""
    with open(regular(path), "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_text(path: str | Path) -> str:
    """The whole text of a file, read as strictly as :func:`read_lines`."""
    return "\n".join(text for _, text in read_lines(path))


def read_lines(path: str | Path, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, text without its line end) of a UTF-8 file, strictly.

    The file may be compressed or a pipe: see :mod:`fairseq_xalign.inputs`. Only ``\\n`` ends a line (``\\r\\n`` too,
    its ``\\r`` is dropped): U+2028, U+0085 and a form feed stay inside their line, so that parallel files keep their
    line counts. A byte order mark at the start is dropped. Invalid UTF-8, NUL, UTF-16 and line ends of ``\\r`` alone
    are a :class:`UserError` with file and line. Memory does not grow with the file.

    Args:
        start, stop: byte offsets that begin a line; only lines that begin within them are read,
            numbered from the first of them. Of an uncompressed file only.
    """
    with open_input(path) as stream:
        if start:
            stream.seek(start)
        yield from decoded_lines(_until(stream, start, stop), path, beginning=start == 0)


def _until(stream: io.BufferedReader, place: int, stop: int | None) -> Iterable[bytes]:
    if stop is None:
        return stream
    return _lines_before(stream, place, stop)


def _lines_before(stream: io.BufferedReader, place: int, stop: int) -> Iterator[bytes]:
    for raw in stream:
        if place >= stop:
            return
        place += len(raw)
        yield raw


def decoded_lines(raws: Iterable[bytes], path: str | Path, beginning: bool = True) -> Iterator[tuple[int, str]]:
    """The lines of :func:`read_lines` from their bytes; ``beginning``: the first is the first of the file ``path``."""
    number = 0
    try:
        for number, raw in enumerate(raws, start=1):
            text_bytes = raw.removesuffix(b"\n").removesuffix(b"\r")
            if number == 1 and beginning:
                text_bytes = _first_line(raw, text_bytes, path)
            if b"\0" in text_bytes:
                raise _nul(text_bytes, path, number)
            try:
                text = text_bytes.decode("utf-8")
            except UnicodeDecodeError as error:
                raise UserError(
                    f"invalid UTF-8 at byte {error.start} of the line",
                    path,
                    number,
                    "Convert the file, for example with iconv -f LATIN1 -t UTF-8",
                ) from error
            yield number, text
    except OSError as error:  # of reading: what goes on where the lines are used is not seen here
        raise UserError(f"cannot be read: {error.strerror or error}", path, number + 1) from error


def _first_line(raw: bytes, text_bytes: bytes, path: str | Path) -> bytes:
    """The first line of a file without its byte order mark; a file that is no UTF-8 by its first bytes is refused."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if raw.startswith(mark):
            raise _foreign(encoding, path, 1)
    if b"\r" in text_bytes and not raw.endswith(b"\n"):
        raise UserError(
            r"its lines end in \r alone: it would be one line", path, 1, r"Convert it with tr '\r' '\n' < FILE"
        )
    return text_bytes.removeprefix(codecs.BOM_UTF8)


def _nul(text_bytes: bytes, path: str | Path, number: int) -> UserError:
    """The error for a line with NUL bytes: every other byte of UTF-16 is one, three of four of UTF-32."""
    share = [text_bytes[place::4].count(0) / max(1, len(text_bytes[place::4])) for place in range(4)]
    many = [part > NULS_OF_UTF_16 for part in share]
    if sum(many) >= 3:
        return _foreign("UTF-32LE" if not many[0] else "UTF-32BE", path, number)
    if many[0] and many[2]:
        return _foreign("UTF-16BE", path, number)
    if many[1] and many[3]:
        return _foreign("UTF-16LE", path, number)
    return UserError("a NUL byte", path, number, "Remove it: text must be UTF-8 without NUL")


def _foreign(encoding: str, path: str | Path, number: int) -> UserError:
    family = encoding[:6]
    known = encoding if number == 1 else family  # which byte comes first is told by the file's beginning alone
    return UserError(
        f"looks like {family}, text must be UTF-8", path, number, f"Convert it with iconv -f {known} -t UTF-8"
    )
