"""``dict.txt``, fairseq's list of symbols, read strictly."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from fairseq_xalign.constants import FAIRSEQ_SPECIALS, MASK_SYMBOL, SPECIAL_SYMBOLS
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines


def symbols_sha256(symbols: Iterable[str]) -> str:
    """Return the manifest's ``vocabulary.sha256``: the hash of all symbols by id, each followed by ``\\n``."""
    digest = hashlib.sha256()
    for symbol in symbols:
        digest.update(symbol.encode() + b"\n")
    return digest.hexdigest()


def read_dict(path: str | Path) -> list[str]:
    """All symbols of a ``dict.txt``, index = id, with the four that fairseq adds in front.

    Raises:
        UserError: a line is not ``symbol count``, a symbol is listed twice, or the first is not ``<mask>``.
    """
    symbols = list(SPECIAL_SYMBOLS[:FAIRSEQ_SPECIALS])
    seen = set(symbols)
    for number, line in read_lines(path):
        symbol, space, count = line.removesuffix(" #fairseq:overwrite").rpartition(" ")
        if not (space and symbol and count.isdecimal()):
            raise UserError(
                "not of the form `symbol count`", path, number, "Copy dict.txt again from where the data were made"
            )
        if symbol in seen:
            raise UserError(
                f"{symbol!r} is listed twice",
                path,
                number,
                "fairseq adds <s>, <pad>, </s> and <unk> by itself: leave them out, and list every other symbol once",
            )
        if number == 1 and symbol != MASK_SYMBOL:
            raise UserError(
                f"the first symbol is {symbol!r}, not {MASK_SYMBOL}",
                path,
                number,
                "Binarize with the dict.txt of a subword folder: fairseq-preprocess --srcdict SUBWORD/dict.txt",
            )
        seen.add(symbol)
        symbols.append(symbol)
    return symbols
