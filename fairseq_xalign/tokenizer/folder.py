"""A subword folder on disk: ``subword.json``, ``dict.txt`` and the model's file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairseq_xalign.constants import DICT_FILE, FAIRSEQ_SPECIALS, MANIFEST_FILE, SUBWORD_FILE, SUBWORD_FORMAT
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import atomic_file, atomic_folder, read_json
from fairseq_xalign.outputs import refuse_to_remove
from fairseq_xalign.tokenizer.models import MODEL_FILES

MAKE_AGAIN = "Make it again with `xalign-preprocess subword`, or copy the whole folder again"
_KEYS = {
    "kind": str,
    "model": str,
    "model_sha256": str,
    "pieces": int,
    "languages": list,
    "language_tokens": list,
    "foreign_ids": (list, type(None)),
    "excluded": list,
    "derived": (dict, type(None)),
    "options": dict,
    "dict_sha256": str,
}


def dictionary_text(symbols: Sequence[str]) -> str:
    """``dict.txt``: one line ``symbol count`` per id from 4 on.

    fairseq adds ids 0 to 3 itself and refuses a file that lists them. Counts are 1: nothing of ours reads them.
    """
    return "".join(f"{symbol} 1\n" for symbol in symbols[FAIRSEQ_SPECIALS:])


def write(folder: Path, description: dict[str, Any], model_bytes: bytes, symbols: Sequence[str]) -> None:
    """Write a subword folder atomically.

    Args:
        description: what ``subword.json`` holds, but for the hash of ``dict.txt``.
        model_bytes: the model's file, whole.
        symbols: all V symbols, index = id.

    Raises:
        UserError: if ``folder`` exists and is anything but a subword folder.
    """
    check_replaceable(folder)
    with atomic_folder(folder) as temporary:
        write_files(temporary, description, model_bytes, symbols)


def check_replaceable(folder: Path) -> None:
    """Refuse to replace anything but a subword folder, with nothing else in it, or an empty folder."""
    if folder.exists():
        theirs = (folder / SUBWORD_FILE).exists() and not (folder / MANIFEST_FILE).exists()
        if not folder.is_dir() or (any(folder.iterdir()) and not theirs):
            raise UserError(
                "exists and is not a subword folder", folder, remedy="Choose another --output, or remove it"
            )
        names = {SUBWORD_FILE, DICT_FILE, *MODEL_FILES.values()}
        refuse_to_remove(folder, lambda path: path.is_file() and path.name in names, "a subword folder")


def write_files(folder: Path, description: dict[str, Any], model_bytes: bytes, symbols: Sequence[str]) -> None:
    """Write the three files into an existing folder, ``subword.json`` last; arguments as for :func:`write`."""
    text = dictionary_text(symbols)
    with atomic_file(folder / description["model"], "wb") as stream:
        stream.write(model_bytes)
    with atomic_file(folder / DICT_FILE) as stream:
        stream.write(text)
    whole = description | {"dict_sha256": hashlib.sha256(text.encode()).hexdigest()}
    with atomic_file(folder / SUBWORD_FILE) as stream:
        # One line per key: indented lists would take a line for each of 250,000 foreign ids.
        rows = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in whole.items())
        stream.write(f"{{\n{rows}\n}}\n")


def read(folder: Path) -> tuple[str, bytes, dict[str, Any]]:
    """Return (kind, model bytes, description) of a subword folder after checking it.

    Raises:
        UserError: if the folder is missing, damaged, or of a newer format.
    """
    place = folder / SUBWORD_FILE
    if not place.exists():
        raise UserError(
            f"not a subword folder: it has no {SUBWORD_FILE}",
            folder,
            remedy="Make one with `xalign-preprocess subword`",
        )
    description = read_json(place)
    found = description.get("format") if isinstance(description, dict) else None
    if found != SUBWORD_FORMAT:
        raise UserError(
            f"has subword format {found}, but this version reads {SUBWORD_FORMAT}",
            place,
            remedy="Use the version of fairseq_xalign that wrote it, or a newer one; or make the folder again",
        )
    for key, kind in _KEYS.items():
        if not isinstance(description.get(key), kind):  # type: ignore[arg-type]
            raise UserError(f"damaged: {key!r} is missing or not what it should be", place, remedy=MAKE_AGAIN)
    derived = description["derived"]
    if derived is not None and not isinstance(derived.get("kept"), list):
        raise UserError("damaged: 'derived' does not list the kept pieces", place, remedy=MAKE_AGAIN)
    if MODEL_FILES.get(description["kind"]) != description["model"]:
        raise UserError(
            f"unknown kind of subword model {description['kind']!r} in {description['model']!r}",
            place,
            remedy=f"This version knows {', '.join(MODEL_FILES)}",
        )
    data = _bytes(folder / description["model"], description["model_sha256"])
    listed = _bytes(folder / DICT_FILE, description["dict_sha256"]).count(b"\n") + FAIRSEQ_SPECIALS
    copies = 2 if derived is not None else 1
    size = 5 + copies * description["pieces"] + len(description["language_tokens"]) + len(description["excluded"])
    if listed != size:
        raise UserError(f"{DICT_FILE} has {listed} ids, but {SUBWORD_FILE} says {size}", folder, remedy=MAKE_AGAIN)
    return description["kind"], data, description


def _bytes(path: Path, expected: str) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"missing, although {SUBWORD_FILE} names it", path, remedy=MAKE_AGAIN) from None
    if hashlib.sha256(data).hexdigest() != expected:
        raise UserError(f"was changed or damaged: its hash is not the one in {SUBWORD_FILE}", path, remedy=MAKE_AGAIN)
    return data
