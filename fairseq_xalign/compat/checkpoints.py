"""Checkpoints: read with torch's protection on, sent between workers, and written whole or not at all."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from fairseq_xalign.compat.errors import in_chain
from fairseq_xalign.compat.patching import workaround, wrap
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import flush_to_disk
from fairseq_xalign.outputs import final_place

logger = logging.getLogger(__name__)
TEMPORARY_SUFFIX = ".tmp"
"""fairseq's own suffix of a checkpoint that is being written; the next save overwrites a leftover."""


@workaround
def allow_checkpoint_classes() -> None:
    """Let ``torch.load`` read fairseq's checkpoints without giving up its protection.

    Reason: since torch 2.6 ``torch.load`` refuses every class that is not on its list, and the ``cfg``
    of a checkpoint written by fairseq 0.12.3 holds an ``argparse.Namespace`` (the only such class).
    Needs torch alone.
    """
    import argparse

    import torch

    torch.serialization.add_safe_globals([argparse.Namespace])


def _broadcast_classes() -> list[Any]:
    """The classes in the state that rank 0 sends to the others."""
    import collections
    import typing

    import omegaconf
    from fairseq.distributed import utils as distributed_utils

    return [
        dict,
        list,
        int,
        collections.defaultdict,
        (typing.Any, "typing.Any"),
        omegaconf.DictConfig,
        omegaconf.ListConfig,
        omegaconf.nodes.AnyNode,
        omegaconf.base.ContainerMetadata,
        omegaconf.base.Metadata,
        distributed_utils._TensorPlaceholder,
    ]


@workaround
def allow_broadcast_classes() -> None:
    """Let several workers resume: allow what rank 0 broadcasts, while it is received and no longer.

    Reason: rank 0 reads the checkpoint, makes its ``cfg`` a ``DictConfig`` and sends it with
    ``torch.save``; the other ranks' ``torch.load`` refuses omegaconf's classes.
    """
    import torch
    from fairseq.distributed import utils as distributed_utils

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def broadcast(*args: Any, **kwargs: Any) -> Any:
            with torch.serialization.safe_globals(_broadcast_classes()):
                return original(*args, **kwargs)

        return broadcast

    wrap(distributed_utils, "_broadcast_object_slow", make)


@contextlib.contextmanager
def _whole_file(path: str) -> Iterator[IO[bytes]]:
    """Write a checkpoint so that it appears whole or not at all; if that fails, name the newest good one."""
    folder = os.path.dirname(path) or "."
    final = str(final_place(path))  # a link stays, what it leads to is replaced
    temporary = final + TEMPORARY_SUFFIX
    try:
        with open(temporary, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, final)
        flush_to_disk(os.path.dirname(final) or ".")
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        disk = in_chain(error, OSError)  # torch's archive writer raises a RuntimeError on top of it
        if disk is None:
            raise
        raise UserError(
            f"cannot write the checkpoint: {getattr(disk, 'strerror', None) or disk}",
            path,
            remedy=f"Last good checkpoint: {last_good_checkpoint(folder) or 'none yet'}. "
            "Free space on the disk, then run the same command again",
        ) from error


def last_good_checkpoint(folder: str) -> str | None:
    """The newest complete checkpoint of a folder, or None: names ending in ``.pt`` are always whole."""
    files = [file for file in Path(folder).glob("*.pt") if file.is_file()]
    return str(max(files, key=lambda file: file.stat().st_mtime_ns)) if files else None


@workaround
def write_checkpoints_whole() -> None:
    """Make every checkpoint a temporary file, a flush to disk and a rename.

    Reasons: fairseq copies the checkpoint over ``checkpoint_last.pt`` and ``checkpoint_best.pt`` in
    place, so a process killed meanwhile leaves neither the old nor the new one. Where it does rename,
    it never flushes, so a power cut may leave an empty file under the final name; and when a write
    fails it tries again twice *behind* the bytes already written and leaves the temporary file.
    Asynchronous writes and remote paths (both need iopath) stay as fairseq does them.
    """
    import torch
    from fairseq import checkpoint_utils
    from fairseq.file_io import PathManager

    def make_copy(original: Callable[..., Any]) -> Callable[..., Any]:
        def copy(src_path: str, dst_path: str, overwrite: bool = False) -> Any:
            if not PathManager.supports_rename(dst_path):
                return original(src_path, dst_path, overwrite=overwrite)
            with open(src_path, "rb") as source, _whole_file(str(dst_path)) as target:
                shutil.copyfileobj(source, target, 1 << 22)
            return dst_path

        return copy

    def make_save(original: Callable[..., Any]) -> Callable[..., Any]:
        def save(obj: Any, filename: str, async_write: bool = False) -> Any:
            if async_write or not PathManager.supports_rename(filename):
                return original(obj, filename, async_write=async_write)
            with _whole_file(str(filename)) as stream:
                torch.save(obj, stream)
            return None

        return save

    wrap(PathManager, "copy", make_copy)
    wrap(checkpoint_utils, "torch_persistent_save", make_save)


@workaround
def save_intervals_at_the_end_of_epochs() -> None:
    """Write the checkpoint of ``--save-interval-updates`` also where an epoch ends at the same update.

    Reason: fairseq writes that of the epoch there, or with ``--no-epoch-checkpoints`` the last one alone, so that one
    of the last N interval checkpoints is missing where they are averaged, and an older one takes its place.
    """
    from fairseq import checkpoint_utils

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def save_checkpoint(cfg: Any, trainer: Any, epoch_itr: Any, val_loss: Any) -> Any:
            ended, epoch, updates = epoch_itr.end_of_epoch(), epoch_itr.epoch, trainer.get_num_updates()
            saved = original(cfg, trainer, epoch_itr, val_loss)
            due = ended and cfg.save_interval_updates > 0 and updates % cfg.save_interval_updates == 0
            if due and saved and not cfg.no_save and trainer.should_save_checkpoint_on_current_rank:
                name = f"checkpoint_{epoch}_{updates}{trainer.checkpoint_suffix}.pt"
                _copy_interval(cfg, saved, os.path.join(cfg.save_dir, name), trainer.checkpoint_suffix)
            return saved

        return save_checkpoint

    wrap(checkpoint_utils, "save_checkpoint", make)


def _copy_interval(cfg: Any, saved: str, path: str, suffix: str) -> None:
    """Copy the checkpoint of an update under its interval's name, and remove the oldest of these as fairseq does."""
    from fairseq import checkpoint_utils
    from fairseq.file_io import PathManager

    if cfg.write_checkpoints_asynchronously:  # the file may not be there yet
        logger.warning("%s is not written: --write-checkpoints-asynchronously leaves nothing to copy at once", path)
        return
    PathManager.copy(saved, path, overwrite=True)
    if cfg.keep_interval_updates <= 0:
        return
    every, pattern = cfg.keep_interval_updates_pattern, rf"checkpoint_\d+_(\d+){suffix}\.pt"
    found = checkpoint_utils.checkpoint_paths(cfg.save_dir, pattern=pattern, keep_match=True)
    old = [file for file, updates in found if every == -1 or updates % every != 0]
    for file in old[cfg.keep_interval_updates :]:
        PathManager.rm(file)
