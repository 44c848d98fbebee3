"""``--save-dir``: one training at a time writes into it, and a run that is refused leaves no empty folder behind."""

from __future__ import annotations

import atexit
import contextlib
import errno
import json
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fairseq_xalign.compat.patching import workaround, wrap
from fairseq_xalign.errors import UserError

logger = logging.getLogger(__name__)
LOCK_FILE = ".training.lock"
"""The file that names the process training into the folder. Only the lock on it counts; it ends with the process."""


@contextlib.contextmanager
def training_lock(cfg: Any) -> Iterator[None]:
    """Keep every other training out of ``--save-dir`` while the block runs.

    Reason: two runs of fairseq in one folder replace each other's checkpoints, and one of them dies of "No such file".
    The first worker holds the lock for all workers of its run. The operating system releases it when the process ends,
    however it ends, so that a lock is never stale. A run with ``--no-save`` needs none.

    Args:
        cfg: fairseq's whole configuration.

    Raises:
        UserError: another process holds the lock; it says which, where and since when.
    """
    from fairseq.distributed import utils as distributed_utils

    if cfg.checkpoint.no_save or not distributed_utils.is_master(cfg.distributed_training):
        yield
        return
    make_save_dir(cfg.checkpoint.save_dir)
    path = Path(cfg.checkpoint.save_dir).absolute() / LOCK_FILE
    descriptor = _acquire(path)
    try:
        yield
    finally:
        if descriptor is not None:
            path.unlink(missing_ok=True)
            os.close(descriptor)


def _acquire(path: Path) -> int | None:
    """Lock a file and write the holder into it; return its descriptor, or None if the file system has no locks."""
    import fcntl

    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise _unusable(path.parent, error) from error
        try:
            # POSIX's record locks: unlike flock's, forked loader processes do not inherit them.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(descriptor, 4096, 0)
            os.close(descriptor)
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise _in_use(path.parent, owner) from None
            logger.warning("%s: cannot be locked (%s); start no other training in it", path.parent, error.strerror)
            return None
        with contextlib.suppress(FileNotFoundError):
            # The owner before may have removed the file between our opening and our locking it: then try again.
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                break
        os.close(descriptor)
    who = {"host": socket.gethostname(), "pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(who).encode(), 0)
    return descriptor


def _in_use(folder: Path, owner: bytes) -> UserError:
    """The error for a folder that another process trains into."""
    try:
        who = json.loads(owner)
        named = f"process {who['pid']} on {who['host']}, since {who['since']}"
    except (ValueError, KeyError, TypeError):  # it has locked the file and not yet written into it
        named = "it has just started"
    return UserError(
        f"another training run writes into this folder ({named})",
        folder,
        remedy="Wait until it ends, stop it, or choose another --save-dir",
    )


def _unusable(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"--save-dir: cannot write there: {error.strerror or error}",
        folder,
        remedy="Choose another --save-dir, or change the permissions or the mount of this one",
    )


def make_save_dir(save_dir: str) -> None:
    """Make ``--save-dir``, and remove it again at the end of the process if it stays empty."""
    folder = Path(save_dir).absolute()
    for place in (folder, *folder.parents):
        if place.exists() and not place.is_dir():
            raise UserError("--save-dir: a file, not a folder", place, remedy="Choose another --save-dir")
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error) from error
    if made:
        atexit.register(_remove_empty, made)


@workaround
def remove_empty_save_dir() -> None:
    """Leave no empty ``--save-dir`` behind, nor folders above it that were made for it.

    Reason: ``fairseq-train`` makes it before it looks at the data or builds the model, so that every run that is
    refused leaves one. What was there before, or holds anything, stays. A file in its place, or a folder that cannot
    be written into, is refused in one line, where fairseq's attempt to write ends in a traceback.
    """
    from fairseq import checkpoint_utils

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def verify_checkpoint_directory(save_dir: str) -> None:
            make_save_dir(save_dir)
            try:
                original(save_dir)
            except OSError as error:
                raise _unusable(Path(save_dir).absolute(), error) from error

        return verify_checkpoint_directory

    wrap(checkpoint_utils, "verify_checkpoint_directory", make)


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders, the deepest first, up to the first that holds something or is gone."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()
