"""Several data folders read as one, for a corpus that no single disk holds: ``DATA/a:DATA/b``, as fairseq has it.

The training text of a language or a pair is the texts of all parts, one after the other. A pass draws every sentence of
the first part in random order, then every one of the second, and so on: exactly once per pass, and with only one part
of each text in use at a time. Validation and test sets, and dictionaries, come from the first part that has them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairseq_xalign.data.folder import DataFolder
from fairseq_xalign.data.lengths import LengthCounts
from fairseq_xalign.data.manifest import stream_title
from fairseq_xalign.data.mmap import MappedTokens
from fairseq_xalign.errors import UserError

if TYPE_CHECKING:
    from fairseq_xalign.tokenizer.tokenizer import Tokenizer

JOINED_SPLIT = "train"
"""The split whose parts are read one after the other."""


def open_folder(path: str | Path) -> DataFolder:
    """Open a data folder, or several whose paths are separated by colons.

    Raises:
        UserError: as :meth:`DataFolder.open`; a folder that is named twice, or vocabularies that differ.
    """
    names = str(path).split(os.pathsep)
    if len(names) == 1 or Path(path).is_dir():  # a folder may have a colon in its name
        return DataFolder.open(path)
    if "" in names:
        raise UserError(f"{path} names a data folder without a name", remedy="Separate data folders by single colons")
    folders = [DataFolder.open(name) for name in names]
    resolved = [folder.path.resolve() for folder in folders]
    for name, place in zip(names, resolved):
        if resolved.count(place) > 1:
            raise UserError(f"the data folder {name} is listed twice", path, remedy="Name every shard once")
    return ShardedFolder(folders)


class JoinedArray:
    """Arrays one after the other, without copying them; what is read from it is copied.

    Args:
        parts: arrays of one dimension, or what is indexed like them.
        added: what is added to the values of each part (nothing).
    """

    def __init__(self, parts: Sequence[Any], added: Sequence[int] | None = None) -> None:
        self._parts, self._added = list(parts), list(added or [0] * len(parts))
        self._bounds = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)

    def __len__(self) -> int:
        return int(self._bounds[-1])

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            begin, end, step = index.indices(len(self))
            assert step == 1, "pieces of running items"
            return np.concatenate([piece + added for piece, added in self._pieces(begin, max(begin, end))])
        where = np.asarray(index)
        if where.ndim == 0:
            place = int(where) + (len(self) if where < 0 else 0)
            if not 0 <= place < len(self):
                raise IndexError(f"item {index} of {len(self)}")
            return self[place : place + 1][0]
        first, last = (self._part(place) for place in ((where.min(), where.max()) if len(where) else (0, 0)))
        if first == last:  # as good as always, since parts are read in turn
            return self._parts[first][where - self._bounds[first]] + self._added[first]
        found = np.searchsorted(self._bounds, where, side="right") - 1
        pieces = [(found == p, self._parts[p], self._added[p], self._bounds[p]) for p in range(first, last + 1)]
        values = [part[where[ours] - bound] + added for ours, part, added, bound in pieces]
        out = np.empty(where.shape, dtype=np.result_type(*values))
        for (ours, *_), value in zip(pieces, values):
            out[ours] = value
        return out

    def _part(self, place: Any) -> int:
        return min(int(np.searchsorted(self._bounds, place, side="right")) - 1, len(self._parts) - 1)

    def _pieces(self, begin: int, end: int) -> Iterator[tuple[np.ndarray, int]]:
        """Running items of one part after the other; one empty piece where there are none."""
        for p in range(self._part(begin), self._part(max(begin, end - 1)) + 1):
            bound = int(self._bounds[p])
            yield self._parts[p][max(0, begin - bound) : max(0, end - bound)], self._added[p]


class JoinedTokens:
    """Texts one after the other, which are read like one :class:`MappedTokens`.

    Attributes:
        sizes, tokens, starts: as of :class:`MappedTokens`.
        parts: items of each text.
    """

    def __init__(self, texts: Sequence[MappedTokens]) -> None:
        self.texts = list(texts)
        before = np.concatenate([[0], np.cumsum([len(text.tokens) for text in texts])])[:-1].tolist()
        self.sizes = JoinedArray([text.sizes for text in texts])
        self.tokens = JoinedArray([text.tokens for text in texts])
        self.starts = JoinedArray([text.starts for text in texts], before)
        self.parts = [len(text) for text in texts]

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> np.ndarray:
        """Return one item as a new int64 array."""
        start = int(self.starts[index])
        return self.tokens[start : start + int(self.sizes[index])].astype(np.int64)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (item for text in self.texts for item in text)

    def gather(self, indices: Iterable[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return items laid end to end, in the given order, as :meth:`MappedTokens.gather` does."""
        items = [self[int(i)] for i in indices]
        flat = np.concatenate(items) if items else np.zeros(0, dtype=np.int64)
        return flat, np.array([len(item) for item in items], dtype=np.int64)

    def __reduce__(self) -> tuple[type[JoinedTokens], tuple[list[MappedTokens]]]:
        return (JoinedTokens, (self.texts,))


class ShardedFolder(DataFolder):
    """Several data folders of one vocabulary, which are read like one.

    Attributes:
        folders: the parts, in the order in which they are read.
    """

    def __init__(self, folders: Sequence[DataFolder]) -> None:
        self.folders = list(folders)
        _check_vocabularies(self.folders)
        manifest = {
            **folders[0].manifest,
            "languages": list(dict.fromkeys(name for folder in folders for name in folder.languages)),
        }
        streams: dict[str, list[tuple[DataFolder, dict[str, Any]]]] = {}
        for folder in folders:
            for stream in folder.manifest["streams"]:
                of_all = streams.setdefault(stream_title(stream), [])
                if not of_all or stream.get("split") == JOINED_SPLIT:
                    of_all.append((folder, stream))
        self._parts = streams
        manifest["streams"] = [_merged([stream for _, stream in parts]) for parts in streams.values()]
        path = Path(os.pathsep.join(str(folder.path) for folder in folders))
        super().__init__(path, manifest, any(folder.fairseq_mode for folder in folders))

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the first folder; all have the same vocabulary."""
        return self.folders[0].tokenizer

    @property
    def can_grow(self) -> bool:
        return False

    def dictionaries(self) -> dict[tuple[str, str], Path]:
        found: dict[tuple[str, str], Path] = {}
        for folder in self.folders:
            found = {**folder.dictionaries(), **found}
        return found

    def lengths(self, kind: str, split: str) -> dict[Any, LengthCounts]:
        found: dict[Any, LengthCounts] = {}
        counted = {id(folder): folder.lengths(kind, split) for folder in self.folders}
        for stream in self._streams(kind, split):
            pair = (stream.get("source_language"), stream.get("target_language"))
            name = stream["language"] if kind == "mono" else pair
            parts = [counted[id(folder)].get(name) for folder, _ in self._parts[stream_title(stream)]]
            known = [part for part in parts if part is not None]
            if len(known) == len(parts):
                total = known[0]
                for part in known[1:]:
                    total = total + part
                found[name] = total
        return found

    def checksum(self, kinds: Collection[str], split: str, languages: Collection[str], links: bool = False) -> str:
        parts = [folder.checksum(kinds, split, languages, links) for folder in self.folders]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]  # another order is another text

    def _mapped_streams(self, stream: dict[str, Any]) -> list[Any]:
        parts = [folder._mapped_streams(part) for folder, part in self._parts[stream_title(stream)]]
        return parts[0] if len(parts) == 1 else [JoinedTokens(side) for side in zip(*parts)]

    def _has_links(self, stream: dict[str, Any]) -> bool:
        return all(folder._has_links(part) for folder, part in self._parts[stream_title(stream)])

    def _mapped_links(self, stream: dict[str, Any]) -> Any:
        parts = [folder._mapped_links(part) for folder, part in self._parts[stream_title(stream)]]
        return parts[0] if len(parts) == 1 else JoinedTokens(parts)


def _check_vocabularies(folders: Sequence[DataFolder]) -> None:
    """All parts must have been written with the same ids."""
    first = folders[0]
    for folder in folders[1:]:
        for what in ("vocabulary", "tokenizer"):
            ours, theirs = (f.manifest.get(what) for f in (first, folder))
            if ours and theirs and ours["sha256"] != theirs["sha256"]:
                raise UserError(
                    f"has another {what} than {first.path}",
                    folder.path,
                    remedy="Binarize all shards with the same subword folder",
                )


def _merged(streams: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The entry of a manifest for texts one after the other."""
    if len(streams) == 1:
        return streams[0]
    merged = {key: value for key, value in streams[0].items() if key not in ("lengths", "source", "files", "links")}
    merged["sentences"] = sum(stream["sentences"] for stream in streams)
    for key, together in (("tokens", sum), ("longest", max), ("unknown", sum)):
        values: list[Any] = [stream.get(key) for stream in streams]
        if any(value is None for value in values):
            merged[key] = None
        elif isinstance(values[0], list):
            merged[key] = [together(side) for side in zip(*values)]
        else:
            merged[key] = together(values)
    return merged | {"files": {}}
