"""Input files as their uncompressed bytes, whatever they are: plain, compressed, or a pipe.

The content decides, not the name: gzip, xz, bzip2 and Zstandard are recognised by their first bytes. What cannot be
read twice (a pipe, ``/dev/stdin``, a process substitution ``<(...)``) is copied to a temporary file when it is first
opened, so that every command may read its inputs as often as it needs. Memory does not grow with the file.

Whatever goes wrong with an input is a :class:`UserError` that names the input.
"""

from __future__ import annotations

import atexit
import bz2
import gzip
import importlib
import io
import lzma
import os
import re
import shutil
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, cast

from fairseq_xalign.errors import REMEDIES, UserError

BUFFER = 1 << 20
"""Bytes that are read from a file at once."""
ZSTD_BLOCK = 1 << 14
"""Compressed bytes handed to the Zstandard library at once: all that comes out of them is held in memory."""
MAGIC_BYTES = 10
"""How many of the first bytes are needed to tell the formats apart."""
ZSTANDARD = "Zstandard"
FORMATS: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("gzip", re.compile(rb"\x1f\x8b\x08")),
    ("xz", re.compile(rb"\xfd7zXZ\x00")),
    ("bzip2", re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)")),
    (ZSTANDARD, re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")),
    ("zip", re.compile(rb"PK\x03\x04")),
)
"""Compressed formats and how each begins (bzip2: a block or its end; Zstandard: a frame or one to be skipped)."""
DAMAGED = "Copy or download the file again"
DESCRIPTOR = re.compile(r"/(?:dev|proc/(?P<process>self|thread-self|[0-9]+))/fd/(?P<number>[0-9]+)")
"""A name that stands for a file that this process has open, as ``/dev/stdout`` and ``<(...)`` do."""
MOST_LINKS = 40

_spooled: dict[tuple[str, int, int], Path] = {}


def open_input(path: str | Path) -> io.BufferedReader:
    """Open an input for reading its bytes, decompressed on the way.

    Raises:
        UserError: the file cannot be opened, or is compressed in a way that cannot be read here. A damaged compressed
            file raises it while it is read.
    """
    stream = _open(path)
    kind = _compression(stream)
    if kind is None:
        return stream
    return io.BufferedReader(_Guarded(_decompressor(kind, stream, path), stream, kind, path), BUFFER)


def is_compressed(path: str | Path) -> bool:
    """Whether an input is compressed, so that positions in its text are not positions in the file."""
    with _open(path) as stream:
        return _compression(stream) is not None


def is_copied(path: str | Path) -> bool:
    """Whether an input can be read only once, so that this process reads a copy of it."""
    return regular(path) != Path(path)


def regular(path: str | Path) -> Path:
    """A regular file with the bytes of an input: the input itself, or a copy if it can be read only once.

    The copy lasts until :func:`forget_copies` or the end of the process. Open the file with :func:`open_input`, as it
    may be compressed.
    """
    try:
        about = os.stat(path)
        if stat.S_ISREG(about.st_mode):
            return Path(path)
        if stat.S_ISDIR(about.st_mode):
            raise UserError("is a folder, not a file", path, remedy="Name a file")
        key = (str(path), about.st_dev, about.st_ino)
        if key not in _spooled:
            _spooled[key] = _copy(path)
        return _spooled[key]
    except OSError as error:
        raise _unreadable(error, path) from error


def forget_copies() -> None:
    """Remove the copies of pipes; a command does so when it ends, since a name may stand for another pipe later."""
    for copy in _spooled.values():
        copy.unlink(missing_ok=True)
    _spooled.clear()


atexit.register(forget_copies)


def repeated_file(paths: Iterable[str]) -> str | None:
    """The first of some inputs that is the same file as an earlier one, by whatever name; None if there is none."""
    seen: set[str] = set()
    for path in paths:
        place = os.path.realpath(path)
        if place in seen and os.path.isfile(place):
            return path
        seen.add(place)
    return None


def descriptor_named(path: str | Path) -> int | None:
    """The number of the open file that a name stands for (``/dev/stdout``, ``/dev/fd/63``, a link to one), or None."""
    name = str(path)
    for _ in range(MOST_LINKS):
        if found := DESCRIPTOR.fullmatch(name):
            ours = found["process"] in (None, "self", "thread-self", str(os.getpid()))
            return int(found["number"]) if ours else None
        if not os.path.islink(name):
            return None
        name = os.path.normpath(os.path.join(os.path.dirname(name), os.readlink(name)))
    return None


def _open(path: str | Path) -> io.BufferedReader:
    file = regular(path)
    try:
        return cast(io.BufferedReader, open(file, "rb", buffering=BUFFER))
    except OSError as error:
        raise _unreadable(error, path) from error


def _unreadable(error: OSError, path: str | Path) -> UserError:
    return UserError(error.strerror or str(error), path, remedy=REMEDIES.get(error.errno or 0, ""))


def _copy(path: str | Path) -> Path:
    """Copy what can be read only once into a temporary file."""
    number = descriptor_named(path)
    # A descriptor is duplicated rather than opened by its name: a socket cannot be opened.
    with open(path if number is None else os.dup(number), "rb") as opened:
        try:
            with tempfile.NamedTemporaryFile(prefix="xalign-input-", delete=False) as copy:
                try:
                    shutil.copyfileobj(opened, copy, BUFFER)
                except BaseException:
                    os.unlink(copy.name)
                    raise
        except OSError as error:
            raise UserError(
                f"cannot be copied to a temporary file: {error.strerror or error}",
                path,
                remedy=f"Free space in {tempfile.gettempdir()}, choose another place with TMPDIR, or name a file",
            ) from error
    return Path(copy.name)


def _compression(stream: io.BufferedReader) -> str | None:
    """The compressed format in which a file is written; reading goes on at its beginning."""
    head = stream.read(MAGIC_BYTES)
    stream.seek(0)
    return next((name for name, magic in FORMATS if magic.match(head)), None)


def _decompressor(kind: str, stream: BinaryIO, path: str | Path) -> Any:
    openers: dict[str, Callable[[BinaryIO], Any]] = {
        "gzip": lambda raw: gzip.GzipFile(fileobj=raw),
        "xz": lzma.LZMAFile,
        "bzip2": bz2.BZ2File,
        ZSTANDARD: lambda raw: _zstandard(raw, path),
    }
    if kind not in openers:
        raise UserError(f"is a {kind} archive", path, remedy="Unpack it first: unzip -p ARCHIVE NAME > FILE")
    return openers[kind](stream)


def _zstandard(stream: BinaryIO, path: str | Path) -> Any:
    """A reader of Zstandard's format: Python's own (3.14 and above), or the package zstandard's."""
    for name in ("compression.zstd", "zstandard"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        return module.ZstdFile(stream) if name == "compression.zstd" else _ZstandardPackage(stream, module)
    raise UserError(
        "is compressed with Zstandard, which needs the package zstandard",
        path,
        remedy="Install it with pip install zstandard, or decompress the file first: zstd -d FILE.zst",
    )


class _ZstandardPackage:
    """The package's reader, for all frames of a file; its own would not notice that a file is cut off."""

    def __init__(self, stream: BinaryIO, module: Any) -> None:
        self.stream, self.module = stream, module
        self.frame: Any = None
        self.ready = b""

    def readinto(self, target: Any) -> int:
        while not self.ready:
            data = self.stream.read(ZSTD_BLOCK)
            if not data:
                if self.frame is not None:
                    raise EOFError("it ends within a frame")
                return 0
            self.ready = self._decompress(data)
        count = min(len(target), len(self.ready))
        target[:count], self.ready = self.ready[:count], self.ready[count:]
        return count

    def _decompress(self, data: bytes) -> bytes:
        found = []
        while data:
            if self.frame is None:
                self.frame = self.module.ZstdDecompressor().decompressobj()
            found.append(self.frame.decompress(data))
            data = b""
            if self.frame.eof:
                data, self.frame = self.frame.unused_data, None
        return b"".join(found)


class _Guarded(io.RawIOBase):
    """The bytes of a compressed file; damage becomes an error that names it."""

    def __init__(self, reader: Any, stream: BinaryIO, kind: str, path: str | Path) -> None:
        self.reader, self.stream, self.kind, self.path = reader, stream, kind, path

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        try:
            return self.reader.readinto(target)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise self._damaged(error) from error
        except Exception as error:
            if type(error).__name__ == "ZstdError":
                raise self._damaged(error) from error
            raise

    def _damaged(self, error: Exception) -> UserError:
        return UserError(f"damaged {self.kind} file: {error}", self.path, remedy=DAMAGED)

    def close(self) -> None:
        self.stream.close()
        super().close()
