"""Lines of a text file, plain or compressed with xz, read strictly."""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from fairseq_xalign import files
from fairseq_xalign.errors import UserError


def lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """As :func:`fairseq_xalign.files.read_lines`; a name that ends in ``.xz`` is decompressed on the way."""
    if Path(path).suffix != ".xz":
        yield from files.read_lines(path)
        return
    number = 0
    with open_bytes(path) as stream:
        try:
            for number, raw in enumerate(stream, 1):
                if number == 1:
                    raw = raw.removeprefix(b"\xef\xbb\xbf")
                if b"\0" in raw:
                    raise UserError("a NUL byte", path, number, "Remove it: text must be UTF-8 without NUL")
                yield number, raw.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError("invalid UTF-8", path, number, "Convert the file to UTF-8") from error
        except (lzma.LZMAError, EOFError) as error:
            raise UserError(f"damaged xz file: {error}", path, remedy="Fetch or copy it again") from error


def open_bytes(path: str | Path) -> IO[bytes]:
    """Open a file for reading bytes, decompressing ``.xz``."""
    try:
        return lzma.open(path, "rb") if Path(path).suffix == ".xz" else open(path, "rb")
    except OSError as error:
        raise UserError(error.strerror or str(error), path) from error
