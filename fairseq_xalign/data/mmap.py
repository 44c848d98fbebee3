"""fairseq's memory-mapped token files (``.bin`` and ``.idx``), written and read in constant memory.

fairseq's ``MMapIndexedDataset`` reads what is written here, and vice versa. The format is that of fairseq 0.12
(``data/indexed_dataset.py``): ``.bin`` holds all ids end to end; ``.idx`` holds the 9 bytes ``MMIDIDX\\0\\0``,
version 1 (uint64), a type code (one byte), the number n of items (uint64), n sizes (int32, in ids) and n offsets
(int64, in bytes), little-endian.

fairseq reads both files completely when it opens them, and keeps all sizes in a list while it writes. Here, opening
reads only the header and the last entry, and writing keeps the sizes in a file.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import mmap
import os
import struct
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, overload

import numpy as np

from fairseq_xalign.errors import UserError
from fairseq_xalign.files import flush_to_disk
from fairseq_xalign.outputs import new_file

MAGIC = b"MMIDIDX\x00\x00"
VERSION = 1
HEADER = struct.Struct("<9sQBQ")
"""Magic, version, type code, number of items: 26 bytes."""
DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype(np.uint8),
    2: np.dtype(np.int8),
    3: np.dtype(np.int16),
    4: np.dtype(np.int32),
    5: np.dtype(np.int64),
    8: np.dtype(np.uint16),
    9: np.dtype(np.uint32),
    10: np.dtype(np.uint64),
}
"""fairseq's type codes (6 and 7 are floats, which no ids are)."""
UINT16_BELOW = 65500
"""Vocabularies smaller than this are written as uint16: the same limit as fairseq's ``best_fitting_int_dtype``."""
BLOCK = 1 << 20
"""Items or bytes handled at a time."""


def dtype_for(vocabulary_size: int) -> np.dtype[Any]:
    """Return the type for the ids of a vocabulary of that size: uint16 below 65,500, else int32."""
    return np.dtype(np.uint16 if vocabulary_size < UINT16_BELOW else np.int32)


def bin_and_idx(prefix: str | Path) -> tuple[Path, Path]:
    """Return the two files of a prefix, which may contain dots: ``train.en`` has ``train.en.bin``."""
    return Path(f"{prefix}.bin"), Path(f"{prefix}.idx")


class Writer:
    """Write ``{prefix}.bin`` and ``{prefix}.idx``; both appear if the ``with`` block succeeds, else neither.

    Args:
        prefix: path without ``.bin``; its folder is created.
        dtype: an integer type that fairseq knows, see :func:`dtype_for`.

    After the block: ``items``, ``tokens``, ``longest`` (counts) and ``files``, which maps ``".bin"`` and ``".idx"`` to
    ``{"size": bytes, "sha256": ...}``. Memory does not grow with what is written.
    """

    def __init__(self, prefix: str | Path, dtype: Any) -> None:
        self.prefix = Path(prefix)
        self.dtype = np.dtype(dtype)
        codes = [code for code, known in DTYPES.items() if known == self.dtype]
        if not codes:
            raise ValueError(f"no type code for {self.dtype}")
        self._code = codes[0]
        self.items = self.tokens = self.longest = 0
        self.files: dict[str, dict[str, Any]] = {}
        self._streams: dict[str, BinaryIO] = {}
        self._temporary: dict[str, Path] = {}
        self._digest = hashlib.sha256()

    def __enter__(self) -> Writer:
        with self._disk_errors():
            self.prefix.parent.mkdir(parents=True, exist_ok=True)
            for part in (".bin", ".sizes", ".idx"):
                descriptor, self._temporary[part] = new_file(self.prefix.with_name(self.prefix.name + part))
                self._streams[part] = os.fdopen(descriptor, "w+b", buffering=BLOCK)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            with self._disk_errors():
                self._finish()
        else:
            self._abandon()

    def write(self, ids: Sequence[int] | np.ndarray) -> None:
        """Append one item."""
        array = np.asarray(ids, dtype=np.int64)
        self.write_many(array, [len(array)])

    def write_many(self, flat: np.ndarray | Sequence[int], lengths: np.ndarray | Sequence[int]) -> None:
        """Append items that lie end to end.

        Args:
            flat: ids, [T]; must fit the type of the file.
            lengths: ids of each item, [B], summing to T.
        """
        ids = np.asarray(flat)
        sizes = np.asarray(lengths, dtype=np.int32)
        if len(sizes) and sizes.min() < 0:
            raise ValueError(f"an item of {sizes.min()} ids")
        if int(sizes.sum(dtype=np.int64)) != len(ids):
            raise ValueError(f"lengths sum to {int(sizes.sum(dtype=np.int64))}, but there are {len(ids)} ids")
        if ids.dtype != self.dtype:
            limits = np.iinfo(self.dtype)
            if len(ids) and not (limits.min <= int(ids.min()) and int(ids.max()) <= limits.max):
                raise ValueError(f"ids from {ids.min()} to {ids.max()} do not fit {self.dtype}")
            ids = ids.astype(self.dtype)
        raw = np.ascontiguousarray(ids).tobytes()
        with self._disk_errors():
            self._streams[".bin"].write(raw)
            self._streams[".sizes"].write(sizes.tobytes())
        self._digest.update(raw)
        self.items += len(sizes)
        self.tokens += len(ids)
        if len(sizes):
            self.longest = max(self.longest, int(sizes.max()))

    def _index(self) -> Iterator[bytes]:
        """Yield the bytes of ``.idx``: header, sizes, and offsets summed from the sizes."""
        yield HEADER.pack(MAGIC, VERSION, self._code, self.items)
        sizes = self._streams[".sizes"]
        sizes.flush()
        sizes.seek(0)
        while block := sizes.read(4 * BLOCK):
            yield block
        sizes.seek(0)
        place = 0
        while block := sizes.read(4 * BLOCK):
            ends = place + np.cumsum(np.frombuffer(block, dtype=np.int32), dtype=np.int64) * self.dtype.itemsize
            yield np.concatenate([np.array([place], dtype=np.int64), ends[:-1]]).tobytes()
            place = int(ends[-1])

    def _finish(self) -> None:
        digest = hashlib.sha256()
        for block in self._index():
            self._streams[".idx"].write(block)
            digest.update(block)
        for part, checksum in ((".bin", self._digest), (".idx", digest)):
            stream = self._streams[part]
            stream.flush()
            os.fsync(stream.fileno())
            self.files[part] = {"size": stream.tell(), "sha256": checksum.hexdigest()}
        for stream in self._streams.values():
            stream.close()
        for part, final in zip((".bin", ".idx"), bin_and_idx(self.prefix)):
            os.replace(self._temporary[part], final)
        self._temporary[".sizes"].unlink()
        flush_to_disk(self.prefix.parent)

    def _abandon(self) -> None:
        for stream in self._streams.values():
            with contextlib.suppress(OSError):  # closing writes what is buffered: a full disk refuses that again
                stream.close()
        for path in self._temporary.values():
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """Turn errors of the disk into a :class:`UserError`; no temporary file is left after any error."""
        try:
            yield
        except BaseException as error:
            self._abandon()
            if isinstance(error, OSError):
                raise UserError(
                    f"cannot write: {error.strerror or error}",
                    bin_and_idx(self.prefix)[0],
                    remedy="Free space or choose another place",
                ) from error
            raise


class Starts:
    """Where each item begins, in ids (int64): a view of the offsets on disk, converted from bytes when accessed."""

    def __init__(self, places: np.ndarray, itemsize: int) -> None:
        self._places, self._itemsize = places, itemsize

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int | np.integer) -> np.int64: ...
    @overload
    def __getitem__(self, index: slice | np.ndarray | Sequence[int]) -> np.ndarray: ...
    def __getitem__(self, index: Any) -> Any:
        return self._places[index] // self._itemsize

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = self._places // self._itemsize
        return values if dtype is None else values.astype(dtype)


class MappedTokens:
    """Items of ids, read through memory maps: opening takes the same time for any number of them.

    Args:
        prefix: path without ``.bin``.

    Attributes:
        tokens: all ids end to end, read-only, of the file's type, [T].
        sizes: ids of each item, read-only int32, [items].
        starts: where each item starts in ``tokens``, int64, [items].
        parts: items of each of the texts that it consists of: one.

    It is pickled as its prefix, so that loader processes map the files themselves. A missing, damaged or truncated file
    is a :class:`UserError` that names it.
    """

    def __init__(self, prefix: str | Path) -> None:
        self.prefix = Path(prefix)
        bin_path, idx_path = bin_and_idx(self.prefix)
        self._advise, index = _map(idx_path)
        if len(index) < HEADER.size:
            raise _damaged(idx_path, f"only {len(index)} bytes long")
        magic, version, code, items = HEADER.unpack(index[: HEADER.size].tobytes())
        if magic != MAGIC:
            raise UserError(
                "not an index of fairseq's mmap format", idx_path, remedy="Binarize with `xalign-preprocess binarize`"
            )
        if version != VERSION:
            raise UserError(
                f"version {version} of the mmap format, but only {VERSION} is known",
                idx_path,
                remedy="Binarize with `xalign-preprocess binarize`",
            )
        if code not in DTYPES:
            raise _damaged(idx_path, f"unknown type code {code}")
        self.dtype = DTYPES[code]
        expected = HEADER.size + 12 * items
        if len(index) != expected:
            raise _damaged(idx_path, f"{len(index)} bytes long, but {items} items need {expected}")
        self.sizes = np.frombuffer(index, dtype=np.int32, count=items, offset=HEADER.size)
        places = np.frombuffer(index, dtype=np.int64, count=items, offset=HEADER.size + 4 * items)
        self.starts = Starts(places, self.dtype.itemsize)
        end = int(places[-1]) + int(self.sizes[-1]) * self.dtype.itemsize if items else 0
        _, data = _map(bin_path)
        if len(data) != end:
            raise _damaged(bin_path, f"{len(data)} bytes long, but its index says {end}")
        self.tokens = np.frombuffer(data, dtype=self.dtype)
        self.parts = [items]

    def expect_random_reading(self) -> None:
        """Tell the system that items will be read in no order.

        It reads ahead otherwise, and maps what it has read: a window of 4,096 pairs of a corpus of billions would make
        a process half a gigabyte larger.
        """
        if hasattr(mmap, "MADV_RANDOM"):
            self._advise(mmap.MADV_RANDOM)

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> np.ndarray:
        """Return one item as a new int64 array."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"item {index} of {len(self)}")
        start = int(self.starts[index])
        return self.tokens[start : start + int(self.sizes[index])].astype(np.int64)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))

    def gather(self, indices: Iterable[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return items laid end to end, in the given order.

        Args:
            indices: item numbers, [B], each in ``range(len(self))``; repetitions are allowed.

        Returns:
            ids (new int64 array, [T]) and their lengths (int64, [B], summing to T).
        """
        chosen = np.asarray(indices if isinstance(indices, np.ndarray) else list(indices), dtype=np.int64)
        lengths = self.sizes[chosen].astype(np.int64)
        ends = np.cumsum(lengths)
        # Position t of the result lies in item b at t - (ends[b] - lengths[b]).  [T]
        places = np.repeat(self.starts[chosen] - (ends - lengths), lengths)
        places += np.arange(len(places))
        return self.tokens[places].astype(np.int64), lengths

    def __reduce__(self) -> tuple[type[MappedTokens], tuple[Path]]:
        return (MappedTokens, (self.prefix,))

    def __repr__(self) -> str:
        return f"MappedTokens({str(self.prefix)!r}, {len(self)} items, {len(self.tokens)} ids, {self.dtype})"


def _damaged(path: Path, how: str) -> UserError:
    return UserError(
        f"damaged: {how}", path, remedy="Binarize this stream again, or copy the file again if it was copied"
    )


Advise = Callable[[int], Any]
"""Passes one of ``mmap.MADV_...`` on to the system; advice that is not taken changes nothing that is read."""


def _map(path: Path) -> tuple[Advise, np.ndarray]:
    """Map the bytes of a file, read-only uint8 [bytes], without keeping it open; how to advise the system about it."""
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size == 0:  # an empty file cannot be mapped
                return lambda advice: None, np.zeros(0, dtype=np.uint8)
            if sys.version_info >= (3, 13):
                whole = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ, trackfd=False)
                return whole.madvise, np.frombuffer(whole, dtype=np.uint8)
            return _mapped_without_handle(stream.fileno(), size)
    except FileNotFoundError:
        raise UserError("no such file", path, remedy="Create it with `xalign-preprocess binarize`") from None
    except OSError as error:
        raise UserError(f"cannot be mapped: {error.strerror or error}", path) from error


def _mapped_without_handle(descriptor: int, size: int) -> tuple[Advise, np.ndarray]:
    """Map a file as Python 3.13 does with ``trackfd=False``; it is unmapped when nothing refers to it any more.

    Older Pythons keep a duplicate of the file's handle open for every map: the two sides of 102 pairs, with ``.bin``
    and ``.idx`` each, would take 408 of the 1,024 handles that a process usually may have, and those of the loader
    processes besides.
    """
    library = _c_library()
    address = library.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
    if address == ctypes.c_void_p(-1).value:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    view = (ctypes.c_char * size).from_address(address)
    # At exit the system unmaps everything, while arrays may still be in use.
    weakref.finalize(view, library.munmap, address, size).atexit = False
    mapped = np.frombuffer(memoryview(view), dtype=np.uint8)
    mapped.flags.writeable = False

    def advise(advice: int) -> Any:  # the array stays mapped as long as it can be advised about
        return library.madvise(address, len(mapped), advice)

    return advise, mapped


@functools.cache
def _c_library() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_int64]
    library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return library
