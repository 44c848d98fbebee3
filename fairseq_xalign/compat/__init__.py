"""Every workaround for fairseq 0.12.3 and torch, each a function with its reason.

:func:`apply` puts all of them in place; it is called when our tasks are imported and may be called
any number of times. Importing this module imports neither fairseq nor torch. For each workaround
`tests/test_compat.py` has a test that fails when the unpatched behaviour is mended, so that what is
no longer needed goes.

How a training ends is in :mod:`fairseq_xalign.compat.stopping`.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.abc
import importlib.util
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from fairseq_xalign.errors import UserError
from fairseq_xalign.files import flush_to_disk
from fairseq_xalign.outputs import final_place

DEBUG_VARIABLE = "XALIGN_DEBUG"
"""Set in the environment, it shows the whole traceback of a user's mistake too."""
TEMPORARY_SUFFIX = ".tmp"
"""fairseq's own suffix of a checkpoint that is being written; the next save overwrites a leftover."""


def apply() -> None:
    """Put every workaround in place for what is imported so far; calling it again is harmless."""
    from fairseq_xalign.compat import stopping

    allow_checkpoint_classes()
    allow_broadcast_classes()
    write_checkpoints_whole()
    complete_user_directory()
    stopping.end_training_well()
    shorten_user_errors()
    remove_empty_save_dir()
    silence_hydra()


def wrap(owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replace ``owner.name`` by ``make(original)`` once; the original is its ``__wrapped__``."""
    original = getattr(owner, name)
    if getattr(original, "_xalign_workaround", False):
        return
    replacement = functools.wraps(original)(make(original))
    replacement._xalign_workaround = True  # type: ignore[attr-defined]
    setattr(owner, name, staticmethod(replacement) if isinstance(owner, type) else replacement)


# Reading checkpoints


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


# Writing checkpoints


def _in_chain(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    """The first error of ``kind`` among an error and those that led to it."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error


@contextlib.contextmanager
def _whole_file(path: str) -> Iterator[IO[bytes]]:
    """A checkpoint that appears whole or not at all; on failure names the newest good one."""
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
        disk = _in_chain(error, OSError)  # torch's archive writer raises a RuntimeError on top of it
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


# Finding our tasks


def register() -> None:
    """Import every task and model of ours, so that fairseq knows them, whatever was imported before."""
    from fairseq.models import import_models
    from fairseq.tasks import import_tasks

    package = Path(__file__).resolve().parent.parent
    import_tasks(str(package / "tasks"), "fairseq_xalign.tasks")
    import_models(str(package / "models"), "fairseq_xalign.models")


def complete_user_directory() -> None:
    """Let ``--user-dir`` register our tasks and models even if the package was imported before.

    Reason: ``import_user_module`` imports tasks and models only when it imports the package itself.
    Whoever says ``import fairseq_xalign`` first (a notebook, or a spawned worker that unpickles a
    configuration of ours) then gets "invalid choice: 'align_mlm'". Where ``fairseq.utils`` is not
    imported yet, this waits until it is, and imports nothing.
    """
    module = sys.modules.get("fairseq.utils")
    if module is None:
        if not any(isinstance(finder, _WhenImported) for finder in sys.meta_path):
            sys.meta_path.insert(0, _WhenImported("fairseq.utils", complete_user_directory))
        return

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def import_user_module(args: Any) -> None:
            original(args)
            user_directory = getattr(args, "user_dir", None)
            if user_directory is not None and Path(user_directory).resolve().name == "fairseq_xalign":
                register()

        return import_user_module

    wrap(module, "import_user_module", make)


class _WhenImported(importlib.abc.MetaPathFinder):
    """Calls ``action`` once, right after the module ``name`` has been imported by whoever needs it."""

    def __init__(self, name: str, action: Callable[[], None]) -> None:
        self.name, self.action = name, action

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            self.action()

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


# Settings and errors


def check_precision(cfg: Any) -> None:
    """Refuse fairseq's reduced precision on CPU, naming the option that works.

    Reason: ``--fp16`` and ``--bf16`` crash there in the first update, far from their cause, and
    ``--amp`` is ignored in silence.

    Args:
        cfg: fairseq's whole configuration (``cfg.common`` is read).
    """
    import torch

    common = cfg.common
    if torch.cuda.is_available() and not common.cpu:
        return
    for option in ("fp16", "bf16", "amp"):
        if getattr(common, option, False):
            raise UserError(
                f"--{option} does not work on a CPU", remedy="Use --autocast bf16 instead (or a GPU, without --cpu)"
            )


def check_batch_size(cfg: Any) -> None:
    """Refuse a training without a limit of its batches.

    Reason: fairseq has an assertion for that, which ends in a traceback.

    Args:
        cfg: fairseq's whole configuration (``cfg.dataset`` is read).
    """
    if cfg.dataset.max_tokens is None and cfg.dataset.batch_size is None:
        raise UserError("a batch needs a limit", remedy="Give --max-tokens or --batch-size")


def shorten_user_errors() -> None:
    """End fairseq's commands with one line, not a traceback, where the user can put things right.

    Reason: fairseq has no such class of errors, and hides those raised while a model is loaded behind
    "please ensure that the architectures match". ``XALIGN_DEBUG=1`` shows the traceback.
    """

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def excepthook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
            cause = _in_chain(error, UserError)
            if cause is None or os.environ.get(DEBUG_VARIABLE):
                original(kind, error, trace)
            else:
                print(f"{Path(sys.argv[0]).name}: {cause}", file=sys.stderr, flush=True)

        return excepthook

    wrap(sys, "excepthook", make)


def remove_empty_save_dir() -> None:
    """Leave no empty ``--save-dir`` behind, nor folders above it that were made for it.

    Reason: ``fairseq-train`` makes it before it looks at the data or builds the model, so every run that is
    refused leaves one. What was there before, or holds anything, stays. A file in its place is refused in one
    line, where fairseq's attempt to write into it is a traceback.
    """
    from fairseq import checkpoint_utils

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def verify_checkpoint_directory(save_dir: str) -> None:
            folder = Path(save_dir).absolute()
            for place in (folder, *folder.parents):
                if place.exists() and not place.is_dir():
                    raise UserError("--save-dir: a file, not a folder", place, remedy="Choose another --save-dir")
            made = [place for place in (folder, *folder.parents) if not place.exists()]
            original(save_dir)
            if made:
                atexit.register(_remove_empty, made)

        return verify_checkpoint_directory

    wrap(checkpoint_utils, "verify_checkpoint_directory", make)


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders, the deepest first, up to the first that holds something or is gone."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()


HYDRA_WARNINGS = (
    (r"hydra\.experimental\.initialize\(\) is no longer experimental", r"hydra\.experimental\.initialize"),
    (r"\nThe version_base parameter is not specified", r"hydra\.experimental\.initialize"),
    (r"hydra\.experimental\.compose\(\) is no longer experimental", r"hydra\.experimental\.compose"),
    (
        r"In 'config': Usage of deprecated keyword in package header",
        r"hydra\.core\.default_element",
    ),
    (r"\n'config' is validated against ConfigStore schema with the same name", ""),
    (r"\nThe strict flag in the compose API is deprecated", r"hydra\.compose"),
)
"""How each warning begins, and the module it names (the fifth: whatever called fairseq, so any)."""


def silence_hydra() -> None:
    """Hide what hydra 1.3 says about how fairseq 0.12.3 calls hydra; ``python -W always`` shows it again.

    Reason: fairseq was written for hydra 1.0. Every command begins with these twenty lines, which a user can do
    nothing about and which bury the one line that matters. Warnings of other origin stay.
    """
    for message, module in HYDRA_WARNINGS:
        warnings.filterwarnings("ignore", message, UserWarning, module, append=True)
