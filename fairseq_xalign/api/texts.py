"""What all models of the API share: one text or several, a device, a progress bar, and warnings."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from fairseq_xalign import cli
from fairseq_xalign.api.arguments import check_whole, if_given
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.device import choose_device

LONG_WORK = 1_000
"""How many texts are worth a progress bar that nobody asked for."""
Texts = str | Iterable[str]
"""One text, or several."""
Pairs = tuple[str, str] | Iterable[tuple[str, str]]
"""One pair of texts, or several."""
Progress = bool | Callable[[int], Any] | None
"""Whether to show a progress bar (None: for long work at a terminal), or a function that is told how many are done."""
STACK = 4
"""How many calls a warning goes up, to the line of the user's program."""


class TruncatedTextWarning(UserWarning):
    """A text has more pieces than the model reads, and was cut off."""


def warn_truncated(text: str) -> None:
    """Warn that texts were cut off."""
    warnings.warn(text, TruncatedTextWarning, stacklevel=STACK)


def several(texts: Any, name: str = "texts") -> tuple[list[str], bool]:
    """The texts as a list, and whether they were one text alone.

    Raises:
        UserError: for anything but a string, or strings that UTF-8 can write.
    """
    if isinstance(texts, str):
        return [checked_text(texts, name)], True
    return [checked_text(text, f"{name}[{i}]") for i, text in enumerate(listed(texts, name))], False


def several_pairs(pairs: Any, name: str = "texts") -> tuple[list[tuple[str, str]], bool]:
    """The pairs of texts, and whether it was a single one: a tuple of two strings.

    Raises:
        UserError: for anything but such a tuple, or a list of pairs.
    """
    if isinstance(pairs, tuple) and len(pairs) == 2 and all(isinstance(text, str) for text in pairs):
        return [(checked_text(pairs[0], f"{name}[0]"), checked_text(pairs[1], f"{name}[1]"))], True
    found = []
    for i, pair in enumerate([pairs] if isinstance(pairs, str) else listed(pairs, name)):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            called = name if isinstance(pairs, str) else f"{name}[{i}]"
            raise UserError(f"{called} is not a pair of texts, and this model labels pairs",
                            remedy='Give ("first text", "second text"), or a list of such pairs')  # fmt: skip
        found.append((checked_text(pair[0], f"{name}[{i}][0]"), checked_text(pair[1], f"{name}[{i}][1]")))
    return found, False


def listed(values: Any, name: str) -> list[Any]:
    """Several values as a list; UserError for what is none (a mapping, bytes, a number)."""
    shape = getattr(values, "shape", None)
    table = shape is not None and len(shape) != 1
    if table or isinstance(values, (bytes, bytearray, Mapping)) or not isinstance(values, Iterable):
        found = f"of shape {tuple(shape or ())}" if table else f"of type {type(values).__name__}"
        raise UserError(f"{name} is {found}, not a string or a list of strings", remedy="Give one text, or a list")
    return list(values)


def checked_text(text: Any, name: str) -> str:
    """A text; UserError for what is no string, and for half a character, which no tokenizer can read."""
    if not isinstance(text, str):
        raise UserError(f"{name} is of type {type(text).__name__}, not a string", remedy="Convert it, or leave it out")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{name} has U+{ord(text[error.start]):04X} at character {error.start}, half a character (a surrogate)",
            remedy="Decode its source as UTF-8, or as UTF-16",
        ) from None
    return text


def progress(what: str, total: int, shown: Progress) -> AbstractContextManager[Callable[[int], None]]:
    """What is told how many texts are done: a progress bar, or the user's own function."""
    if callable(shown):
        return nullcontext(shown)
    return cli.bar(what, total, (None if total >= LONG_WORK else False) if shown is None else shown)


def check_batch_size(batch_size: int | None, batch_tokens: int | None = None) -> None:
    """Refuse a batch of nothing."""
    if_given(check_whole, 1, batch_size=batch_size, batch_tokens=batch_tokens)


def device_named(device: str | torch.device | None) -> torch.device:
    """The device that an argument ``device`` names; a GPU where there is one, otherwise the CPU, for None."""
    return choose_device(None if device is None else str(device), called="device")
