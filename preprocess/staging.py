"""Changes to a data folder that happen whole or not at all.

New files are written to a staging folder (``.partial``). A new data folder appears by one rename. In an existing one:

1. all new files are complete and flushed in ``.partial``;
2. ``.partial/placing.json`` names the files to come and to go;
3. the files are moved to names that the present manifest does not use (or uses for the very same bytes);
4. the new manifest takes the old one's place, by one rename;
5. files that no manifest names any more are removed, and ``.partial`` with them.

Killed before 4 the folder is the old one, after it the new one; the next update sweeps what was left. A new folder
that takes hours may be resumed instead (``resume``): ``.partial/finished.json`` lists the streams that are complete.
"""

from __future__ import annotations

import contextlib
import copy
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from fairseq_xalign.constants import MANIFEST_FILE, SUBWORD_FILE
from fairseq_xalign.data.folder import load_tokenizer
from fairseq_xalign.data.manifest import format_of, read_manifest, stream_languages, stream_title
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import flush_to_disk, read_json, write_json
from fairseq_xalign.outputs import final_place
from fairseq_xalign.tokenizer.growth import extends
from fairseq_xalign.tokenizer.vocabulary import symbols_sha256
from preprocess.parts import Part, part_title

PARTIAL = ".partial"
PLACING = "placing.json"
FINISHED = "finished.json"


class FolderUpdate:
    """Adds streams to a data folder, or makes one; use as a context manager and call :meth:`commit` at its end.

    Args:
        path: the data folder; made if it does not exist.
        subword: the folder whose tokenizer the streams are written with. An existing data folder must have the same.
        part: which part of a corpus the folder holds. An existing data folder must hold the same.
        resume: what the streams of a new folder are made of. Those that an interrupted update with the same text has
            finished are in ``streams`` already.

    Attributes:
        staging: where to write new files, under the names they have in the data folder.
        tokenizer: the tokenizer of ``subword``.

    Raises:
        UserError: another tokenizer, a folder that is something else, another process that writes it, a full disk.
    """

    def __init__(
        self, path: str | Path, subword: str | Path, part: Part | None = None, resume: str | None = None
    ) -> None:
        self.path, self.subword, self.part, self.resume = final_place(path), Path(subword), part, resume
        self.tokenizer = load_tokenizer(subword)
        self.old = self._old_manifest()
        whole = self.path.absolute()
        self.staging = self.path / PARTIAL if self.old else whole.parent / f".{whole.name}{PARTIAL}"
        self.streams: list[dict[str, Any]] = []
        self._lock: int | None = None

    def __enter__(self) -> FolderUpdate:
        with self.disk_errors():
            self.staging.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.staging, os.O_RDONLY)
        try:
            self._take_lock(self._lock)
            if (self._old_manifest() is None) != (self.old is None):
                raise self._busy()
            self.old = self._old_manifest()
            with self.disk_errors():
                self.streams = self._finished()
                self._sweep(keep=self.streams)
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._lock is not None
        if self._is_ours(self._lock):
            with contextlib.suppress(OSError):  # whatever cannot be removed now, the next update sweeps
                self._sweep(keep=self.streams if self.resume else ())
                if not (self.resume and self.streams):
                    self.staging.rmdir()
        os.close(self._lock)

    def add(self, stream: dict[str, Any]) -> None:
        """Note a stream whose files are complete in ``staging``; one of the same kind, name and split is replaced."""
        self.streams.append(stream)
        if self.resume:
            write_json(self.staging / FINISHED, {"of": self.resume, "streams": self.streams})

    def _finished(self) -> list[dict[str, Any]]:
        """The streams that an interrupted update has finished, if it was made of the same."""
        journal = self.staging / FINISHED
        if not self.resume or not journal.exists():
            return []
        found = read_json(journal)
        if found["of"] != self.resume:
            return []
        files = [(self.staging / name, about["size"]) for s in found["streams"] for name, about in s["files"].items()]
        return found["streams"] if all(f.is_file() and f.stat().st_size == size for f, size in files) else []

    def replaced(self, stream: dict[str, Any]) -> dict[str, Any] | None:
        """The stream of the present folder that ``stream`` takes the place of."""
        title = stream_title(stream)
        return next((s for s in (self.old or {}).get("streams", ()) if stream_title(s) == title), None)

    def commit(self) -> dict[str, Any]:
        """Make the change, and return the new manifest."""
        with self.disk_errors():
            if self.old is None:
                return self._make()
            return self._change()

    def _make(self) -> dict[str, Any]:
        symbols = self.tokenizer.symbols()
        manifest: dict[str, Any] = {
            "format": format_of(self.streams),
            "languages": [],
            "vocabulary": {"size": len(symbols), "sha256": symbols_sha256(symbols)},
            "tokenizer": {"sha256": self.tokenizer.sha256},
            "streams": self.streams,
        }
        if self.part:
            manifest["shard"] = self.part.to_dict()
        manifest["languages"] = _appended([], self.streams)
        (self.staging / FINISHED).unlink(missing_ok=True)
        self.tokenizer.save_into(self.staging)
        write_json(self.staging / MANIFEST_FILE, manifest)
        for folder, _, names in os.walk(self.staging):
            for name in names:
                flush_to_disk(Path(folder) / name)
            flush_to_disk(folder)
        if self.path.exists():  # an empty folder, whose permissions stay
            os.chmod(self.staging, stat.S_IMODE(self.path.stat().st_mode))
        os.replace(self.staging, self.path)
        flush_to_disk(self.path.absolute().parent)
        return manifest

    def _change(self) -> dict[str, Any]:
        assert self.old is not None
        used = {name for stream in self.old["streams"] for name in stream["files"]}
        manifest = copy.deepcopy(self.old)
        moves: dict[str, str] = {}
        for stream in self.streams:
            before = self.replaced(stream)
            names = _names(stream, before, used)
            moves |= names
            new = stream | {"files": {names[name]: about for name, about in stream["files"].items()}}
            if before is None:
                manifest["streams"].append(new)
            else:
                manifest["streams"][manifest["streams"].index(before)] = new
        manifest["languages"] = _appended(self.old["languages"], self.streams)
        manifest["format"] = format_of(manifest["streams"])
        write_json(self.staging / PLACING, sorted(used | set(moves.values())))
        folders = set()
        for name, final in moves.items():
            target = self.path / final
            target.parent.mkdir(exist_ok=True)
            flush_to_disk(self.staging / name)
            os.replace(self.staging / name, target)
            folders.add(target.parent)
        for folder in folders | {self.path}:
            flush_to_disk(folder)
        write_json(self.path / MANIFEST_FILE, manifest)
        self.old = manifest
        self._sweep()
        return manifest

    def _sweep(self, keep: Sequence[dict[str, Any]] = ()) -> None:
        """Remove what a killed update, or this one, left: staged files, and placed ones that no manifest names.

        Args:
            keep: streams whose staged files stay.
        """
        placing = self.staging / PLACING
        if self.old is not None and placing.exists():
            used = {name for stream in self.old["streams"] for name in stream["files"]}
            for name in read_json(placing):
                if name not in used:
                    (self.path / name).unlink(missing_ok=True)
        kept = {self.staging / name for stream in keep for name in (*stream["files"], FINISHED)}
        for entry in self.staging.iterdir():
            if entry.is_dir() and not any(entry in file.parents for file in kept):
                shutil.rmtree(entry)
        for file in self.staging.rglob("*"):
            if file.is_file() and file not in kept:
                file.unlink()
        if self.old is not None:
            for leftover in self.path.glob(f".{MANIFEST_FILE}.*.tmp"):
                leftover.unlink()

    def _old_manifest(self) -> dict[str, Any] | None:
        """Return the checked manifest of an existing folder; None if there is no folder, or an empty one."""
        if not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
            return None
        if not (self.path / MANIFEST_FILE).exists():
            raise UserError(
                f"exists and has no {MANIFEST_FILE}: not a data folder of ours",
                self.path,
                remedy="Choose another --output; `xalign-preprocess check --write-manifest` adopts one of fairseq's",
            )
        manifest = read_manifest(self.path)
        shard = self.part.to_dict() if self.part else None
        if manifest.get("shard") != shard:
            raise UserError(
                f"is {part_title(manifest.get('shard'))}, not {part_title(shard)}",
                self.path,
                remedy="Give every part an --output of its own; `xalign-preprocess merge` joins them",
            )
        theirs = (manifest.get("tokenizer") or {}).get("sha256")
        if theirs != self.tokenizer.sha256 and not self._only_grew(theirs):
            raise UserError(
                f"was made with another vocabulary ({manifest['vocabulary']['size']} symbols, tokenizer "
                f"{str(theirs)[:12]}) than {self.subword} ({len(self.tokenizer)} symbols, tokenizer "
                f"{self.tokenizer.sha256[:12]})",
                self.path,
                remedy="Give --subword the folder it was made with (or the data folder itself), or another --output",
            )
        return manifest

    def _only_grew(self, sha256: str | None) -> bool:
        """Whether the folder's vocabulary is that of ``subword`` with further ``<2xx>`` tokens; then it is used."""
        if not (self.path / SUBWORD_FILE).exists():
            return False
        own = load_tokenizer(self.path)
        if own.sha256 == sha256 and extends(own, self.tokenizer):
            self.tokenizer = own
            return True
        return False

    def _take_lock(self, descriptor: int) -> None:
        """Hold the staging folder for this process; a lock ends with the process that holds it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._busy() from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                raise
            return  # a file system without locks: only the user can prevent two writers there
        if not self._is_ours(descriptor):
            raise self._busy()

    def _is_ours(self, descriptor: int) -> bool:
        """Whether the staging folder is still the one opened: whoever held the lock may have renamed or removed it."""
        try:
            return os.fstat(descriptor).st_ino == self.staging.stat().st_ino
        except FileNotFoundError:
            return False

    def _busy(self) -> UserError:
        return UserError("another process is writing this data folder", self.path, remedy="Wait until it has ended")

    @contextlib.contextmanager
    def disk_errors(self) -> Iterator[None]:
        """A disk that refuses becomes a :class:`UserError`."""
        try:
            yield
        except OSError as error:
            raise UserError(
                f"cannot write: {error.strerror or error}",
                error.filename or self.path,
                remedy="Nothing was changed; free space or choose another place",
            ) from error


def _appended(languages: list[str], streams: list[dict[str, Any]]) -> list[str]:
    """``languages`` and, behind them, the new ones in the order in which they come."""
    return list(dict.fromkeys([*languages, *(name for stream in streams for name in stream_languages(stream))]))


def _names(stream: dict[str, Any], before: dict[str, Any] | None, used: set[str]) -> dict[str, str]:
    """The final name of each staged file: its own, or a numbered one while that is in use for other bytes."""
    if before is not None:
        old, new = ([about["sha256"] for about in s["files"].values()] for s in (before, stream))
        if old == new:  # the same bytes: they may take the place of the old ones, whose files may be damaged
            return dict(zip(stream["files"], before["files"]))
    if not used & set(stream["files"]):
        return {name: name for name in stream["files"]}
    # mono/train.en.bin -> mono/train.en.1.bin; the next replacement has the plain name again.
    numbered = {}
    for name in stream["files"]:
        stem, dot, ending = name.rpartition(".")
        numbered[name] = f"{stem}.1{dot}{ending}"
    return numbered
