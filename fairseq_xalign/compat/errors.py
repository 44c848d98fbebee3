"""Errors that a user can correct end fairseq's commands with one line instead of a traceback."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairseq_xalign.compat.patching import workaround, wrap
from fairseq_xalign.errors import UserError

DEBUG_VARIABLE = "XALIGN_DEBUG"
"""Set in the environment, it shows the whole traceback of a user's mistake too."""
NO_GPU = re.compile(
    "no CUDA GPUs|NVIDIA driver|not compiled with CUDA|CUDA is not available|only supported with GPUs"
    "|CUDA driver|invalid device ordinal|CUDA-capable device|libcuda|have NCCL built in",
    re.IGNORECASE,
)
"""How torch says that there is no GPU, or not the one that was asked for."""
NO_MEMORY = re.compile("out of memory|can't allocate memory|not enough memory", re.IGNORECASE)
REFUSED = {
    "Seed must be between 0 and": ("--seed is out of range", "Choose a whole number from 0 to 4294967295"),
    "Cannot find FullyShardedDataParallel": (
        "--ddp-backend fully_sharded needs fairscale, which is not installed",
        "Choose --ddp-backend legacy_ddp, or install fairscale",
    ),
}
"""How errors of libraries begin that an option alone can cause: what is wrong, and what to do."""
NOT_COMPOSED = re.compile(r"Error merging override (\w+)\.(\w+)=(.*)", re.DOTALL)
"""How Hydra names a setting that its group does not take: the group, the setting, its value."""
DISK_REMEDIES = {
    errno.ENOSPC: "Free space on the disk",
    errno.EDQUOT: "Free space in your quota",
    errno.EROFS: "Choose a place on a file system that can be written to",
    errno.EACCES: "Change its permissions, or choose another place",
    errno.EPERM: "Change its permissions, or choose another place",
    errno.ENOENT: "Check the name",
    errno.EMFILE: "Raise the limit of open files with `ulimit -n`, or lower --num-workers",
}
"""What a user can do about an error of the operating system."""


def in_chain(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    """The first error of ``kind`` among an error and those that led to it."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error


def explain(error: BaseException) -> UserError | None:
    """Return the error to show to the user, which may explain the one given; None if the fault is ours."""
    mistake = in_chain(error, UserError)
    if isinstance(mistake, UserError):
        return mistake
    link: BaseException | None = error
    while link is not None:
        found = _explain_one(link)
        if found is not None:
            return found
        link = link.__cause__ or link.__context__
    return None


def _explain_one(error: BaseException) -> UserError | None:
    text = str(error).strip()
    first = text.splitlines()[0].rstrip(".") if text else type(error).__name__
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and NO_MEMORY.search(text)):
        return UserError(f"out of memory: {first}", remedy="Lower --max-tokens or --batch-size and raise --update-freq")
    if isinstance(error, (RuntimeError, AssertionError, ValueError)) and NO_GPU.search(text):
        return UserError(
            f"no GPU to use: {first}",
            remedy="Add --cpu (and --distributed-backend gloo for several workers), or check nvidia-smi",
        )
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError):
        return UserError(os.strerror(error.errno), _place(error.filename), remedy=DISK_REMEDIES.get(error.errno, ""))
    if isinstance(error, (ValueError, ImportError)):
        for begin, (what, remedy) in REFUSED.items():
            if text.startswith(begin):
                return UserError(what, remedy=remedy)
    if found := NOT_COMPOSED.match(text):
        return _explain_setting(found[1], found[2], found[3], error.__cause__)
    if isinstance(error, AssertionError) and "please reset the optimizer" in text:
        return UserError(first, remedy="Resume with the options of the checkpoint, or add --reset-optimizer")
    if "please ensure that the architectures match" in text:
        return UserError(first, remedy="Give the options of the model that the checkpoint was trained with")
    return _explain_worker(error, text)


def _explain_setting(group: str, name: str, value: str, cause: BaseException | None) -> UserError:
    """What is wrong with a setting that cannot be part of a run's configuration: it is missing, or no such value."""
    option, of = (f"--{part.replace('_', '-')}" for part in (name, group))
    if value == "null":
        return UserError(f"{option} is missing", remedy=f"Give it, or choose another {of}")
    reason = f": {str(cause).splitlines()[0]}" if cause is not None and str(cause) else ""
    return UserError(f"{option} {value[:80]} is not a setting of {of}{reason}", remedy=f"Choose another {of}")


def _explain_worker(error: BaseException, text: str) -> UserError | None:
    """Return the error that ended a spawned worker: torch passes it on as the text of a traceback."""
    if type(error).__name__ == "ProcessExitedException":
        return UserError(f"a worker ended: {text}", remedy="The lines that it printed above say why")
    if type(error).__name__ != "ProcessRaisedException":
        return None
    said = re.findall(r"^(?:fairseq_xalign\.errors\.)?UserError: (.*)$", text, re.MULTILINE)
    return UserError(said[-1]) if said else None


def _place(filename: Any) -> str | None:
    return os.fsdecode(filename) if isinstance(filename, (str, bytes, os.PathLike)) else None


@workaround
def shorten_user_errors() -> None:
    """End fairseq's commands with one line, not a traceback, where the user can correct the cause.

    Reason: fairseq has no such class of errors, and hides those raised while a model is loaded behind
    "please ensure that the architectures match". Errors of torch and of the operating system (no GPU, out of memory, a
    full or read-only disk) are explained in one line too. ``XALIGN_DEBUG=1`` shows the traceback.
    """

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def excepthook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
            cause = explain(error)
            if isinstance(error, KeyboardInterrupt):
                goes_on = "The same command goes on from the last checkpoint" if "train" in sys.argv[0] else ""
                cause = UserError("interrupted", remedy=goes_on)
            if cause is None or os.environ.get(DEBUG_VARIABLE):
                original(kind, error, trace)
            else:
                print(f"{Path(sys.argv[0]).name}: {cause}", file=sys.stderr, flush=True)

        return excepthook

    wrap(sys, "excepthook", make)
