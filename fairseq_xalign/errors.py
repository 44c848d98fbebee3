"""The error class for what a user can correct (it says what, where and how), and what other errors mean to a user."""

from __future__ import annotations

import errno
import re
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path


class UserError(Exception):
    """A mistake outside our code: bad data, bad settings, a full disk.

    Args:
        what: what is wrong, in one clause.
        where: the file concerned, if there is one.
        line: its line, counted from 1.
        remedy: what to do about it.
    """

    def __init__(self, what: str, where: str | Path | None = None, line: int | None = None, remedy: str = "") -> None:
        self.what, self.where, self.line, self.remedy = what, where, line, remedy
        place = "" if where is None else f"{where}:{line}: " if line is not None else f"{where}: "
        super().__init__(f"{place}{what}" + (f". {remedy}" if remedy else ""))

    def __reduce__(self):  # worker processes send it back to their parent
        return (UserError, (self.what, self.where, self.line, self.remedy))


def first_of(names: Sequence[str], most: int) -> str:
    """The first names of a list, and how many more there are.

    >>> first_of(["a", "b", "c"], 3), first_of(["a", "b", "c"], 1)
    ('a, b, c', 'a and 2 more')
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def counted(number: float, noun: str, plural: str = "") -> str:
    """A number with its noun, for messages.

    >>> counted(1, "line"), counted(2500, "line"), counted(0, "entry", "entries")
    ('1 line', '2,500 lines', '0 entries')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def no_folder(path: str | Path, remedy: str, what: str = "no such folder") -> UserError:
    """The error for a path that is no folder: it names nothing, or a file."""
    return UserError("is a file, not a folder" if Path(path).exists() else what, path, remedy=remedy)


def unknown_name(
    kind: str, name: str, known: list[str] | tuple[str, ...], where: str | Path | None = None
) -> UserError:
    """The error for a name that is not one of ``known``: lists them, the nearest first; ``where`` is its file."""
    import difflib

    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return UserError(f"unknown {kind} {name!r}", where, remedy=f"{hint}Known: {', '.join(known) or 'none'}")


def unknown_language(
    name: str, known: list[str] | tuple[str, ...], where: str | Path | None = None, option: str = ""
) -> UserError:
    """The error for a language that a folder, a file or a model does not have.

    Args:
        known: the languages that it has.
        where: the folder or file.
        option: the option that names the language.
    """
    error = unknown_name("language", name, known)
    return UserError(f"{option}: {error.what}" if option else error.what, where, remedy=error.remedy)


EXTRAS = {
    "hydra": "train",
    "omegaconf": "train",
    "sklearn": "sklearn",
    "transformers": "hf",
    "huggingface_hub": "hf",
    "systran_align": "align",
    "matplotlib": "plots",
    "jinja2": "plots",
    "submitit": "cluster",
    "ctranslate2": "ctranslate2",
    "fairseq": "fairseq",
}
"""Packages that not every command needs, and the extra of ours that installs each."""
REMEDIES = {
    errno.ENOENT: "Check the name",
    errno.EACCES: "Choose another place, or change its permissions",
    errno.EPERM: "Choose another place, or change its permissions",
    errno.EROFS: "Choose a place that can be written to",
    errno.ENOSPC: "Free space, or choose another place",
    errno.EDQUOT: "Free space, or choose another place",
    errno.EMFILE: "Allow more open files (ulimit -n), or use fewer workers",
    errno.ENAMETOOLONG: "Choose a shorter name",
    errno.EISDIR: "Name a file",
    errno.ENOTDIR: "Check the name: a part of it is a file, not a folder",
}
LESS_MEMORY = "Use smaller batches or fewer workers, or a machine with more memory"
DEVICES = "Use --device cpu (or leave --device out), or a machine and a PyTorch that have the device"
OUT_OF_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory|CUBLAS_STATUS_ALLOC_FAILED", re.I)
NO_DEVICE = re.compile(
    r"not compiled with \w+ (enabled|support)|no NVIDIA driver|driver on your system is too old|CUDA driver"
    r"|No (CUDA|HIP|XPU) (GPUs|devices?) (are|is) available|Invalid device|invalid device ordinal|Expected one of cpu,"
    r"|(CUDA|MPS|XPU|HIP) (is not available|backend)|backend is not available|no kernel image|not linked with support"
    r"|CUDA error",
    re.I,
)


def explained(error: BaseException) -> UserError | None:
    """What an error of the system, of Python or of torch means to a user; None if the fault is ours.

    torch need not be installed or imported: its errors are recognised by their names and messages.
    """
    if isinstance(error, UserError):
        return error
    if isinstance(error, OSError):
        what = error.strerror or str(error) or type(error).__name__
        return UserError(what, error.filename, remedy=REMEDIES.get(error.errno or 0, ""))
    if isinstance(error, MemoryError):
        return UserError("memory ran out", remedy=LESS_MEMORY)
    if isinstance(error, UnicodeEncodeError):
        return _not_encodable(error)
    if isinstance(error, ImportError):
        return _not_installed(error)
    message = next(iter(str(error).strip().splitlines()), "")
    if isinstance(error, (RuntimeError, AssertionError)):  # torch raises both, and its own errors are RuntimeErrors
        if OUT_OF_MEMORY.search(message):
            return UserError(f"memory ran out: {message}", remedy=LESS_MEMORY)
        if NO_DEVICE.search(message):
            return UserError(f"the device cannot be used: {message}", remedy=DEVICES)
    return None


def _not_encodable(error: UnicodeEncodeError) -> UserError:
    character = error.object[error.start]
    shown = f"U+{ord(character):04X}"
    if "\ud800" <= character <= "\udfff":
        return UserError(
            f"{shown} is half a character (a surrogate), which {error.encoding} cannot write",
            remedy="Correct the text or the name that contains it",
        )
    return UserError(
        f"{shown} ({unicodedata.name(character, 'without a name')}) cannot be written in the terminal's encoding, "
        f"{error.encoding}",
        remedy="Set PYTHONIOENCODING=utf-8, or a locale in UTF-8 such as LC_ALL=C.UTF-8",
    )


def _not_installed(error: ImportError) -> UserError | None:
    package = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or package in ("fairseq_xalign", "preprocess", ""):
        return None
    extra = EXTRAS.get(package)
    wanted = f'"fairseq_xalign[{extra}]"' if extra else package
    if (
        package == "fairseq"
    ):  # with its dependencies it would bring torchaudio, several gigabytes that nothing here uses
        fairseq = "ve-fairseq==0.12.3" if sys.version_info < (3, 13) else "fairseq-fixed==0.12.3.1"
        wanted = f'--no-deps {fairseq}, and what it needs with pip install "fairseq_xalign[train]"'
    return UserError(f"the package {package} is not installed", remedy=f"Install it with pip install {wanted}")
