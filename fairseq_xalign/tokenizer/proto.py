"""What a SentencePiece model file holds, and how to change the names of symbols in it.

A model file is a protocol buffer (sentencepiece_model.proto). Only the names and types of pieces are changed here,
each name to one of the same length in bytes, and the names that the trainer's settings repeat: so little needs no
library for protocol buffers.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fairseq_xalign.constants import SPECIAL_SYMBOLS

PIECE, TRAINER, NORMALIZER = 1, 2, 3
"""Fields of the model: its pieces, and the settings of trainer and normaliser."""
PIECE_NAME, PIECE_SCORE, PIECE_TYPE = 1, 2, 3
MODEL_TYPE, SUFFIXED, BYTE_FALLBACK = 3, 24, 35
"""Fields of the trainer's settings: the algorithm, whether the mark of white space ends words, and byte pieces."""
CHARSMAP = 2
"""Field of the normaliser's settings: what characters are replaced by."""
MODEL_TYPES = ("unigram", "bpe", "word", "char")
"""Algorithms, by their numbers from 1 on."""
CONTROL_SYMBOLS, ROLE_NAMES = 30, (45, 46, 47, 48)
"""Fields of the trainer's settings: further control symbols, and the names of <unk>, <s>, </s> and <pad>."""
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4
"""Types of pieces: an ordinary one, one that no text is cut into, one that is matched in text before anything else."""
USER_DEFINED_FIELD = bytes([PIECE_TYPE << 3, USER_DEFINED])
NAME_AND_SCORE = 64
"""At least as many bytes as the longest name of a symbol and a score."""

UNSPELLABLE = {symbol: f"\x01{symbol[1:-1]}\x01" for symbol in SPECIAL_SYMBOLS}
"""Names for our special symbols while a model is trained. SentencePiece cuts its symbols' names out of the text that
it learns from, so that ``<`` and ``>`` would be unknown afterwards; its normalisation removes U+0001 from any text."""


Fields = Iterator[tuple[int, slice, slice]]


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """The number that begins at ``place``, and where it ends."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, place


def _as_varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + _as_varint(value >> 7)


def fields(data: bytes, within: slice | None = None) -> Fields:
    """Yield (field number, where the whole field is, where its contents are) of a message."""
    place, end = (0, len(data)) if within is None else (within.start, within.stop)
    while place < end:
        whole = place
        key, place = _varint(data, place)
        kind, size = key & 7, 0
        if kind == 2:
            size, place = _varint(data, place)
        elif kind == 0:
            size = _varint(data, place)[1] - place
        else:
            size = {1: 8, 5: 4}[kind]
        yield key >> 3, slice(whole, place + size), slice(place, place + size)
        place += size


@dataclass(frozen=True)
class Contents:
    """What a model file says.

    Attributes:
        pieces: name, score and type of each piece, by id.
        model_type: one of :data:`MODEL_TYPES`.
        charsmap: the table of the normaliser, as the library stores it; empty where text stays as it is.
        byte_fallback: whether characters without a piece become pieces of their bytes.
        suffixed: whether the mark of white space ends words instead of beginning them.
    """

    pieces: list[tuple[str, float, int]]
    model_type: str
    charsmap: bytes
    byte_fallback: bool
    suffixed: bool


def contents(data: bytes) -> Contents:
    """Read a model file."""
    pieces: list[tuple[str, float, int]] = []
    settings: dict[tuple[int, int], bytes] = {}
    for number, _, message in fields(data):
        found = {field: data[place] for field, _, place in fields(data, message)}
        if number == PIECE:
            score = struct.unpack("<f", found.get(PIECE_SCORE, bytes(4)))[0]
            pieces.append((found[PIECE_NAME].decode(), score, _number(found.get(PIECE_TYPE), NORMAL)))
        else:
            settings |= {(number, field): value for field, value in found.items()}
    return Contents(
        pieces,
        MODEL_TYPES[_number(settings.get((TRAINER, MODEL_TYPE)), 1) - 1],
        settings.get((NORMALIZER, CHARSMAP), b""),
        bool(_number(settings.get((TRAINER, BYTE_FALLBACK)), 0)),
        bool(_number(settings.get((TRAINER, SUFFIXED)), 0)),
    )


def _number(value: bytes | None, default: int) -> int:
    return default if value is None else _varint(value, 0)[0]


def piece_names(data: bytes) -> Iterator[tuple[slice, slice | None]]:
    """Yield where the name of each piece stands, and where its type does (None: an ordinary piece)."""
    for number, _, message in fields(data):
        if number == PIECE:
            found = {field: contents for field, _, contents in fields(data, message)}
            yield found[PIECE_NAME], found.get(PIECE_TYPE)


def with_usual_names(data: bytes) -> bytes:
    """Give a model that was trained with the names of ``UNSPELLABLE`` its symbols' usual ones.

    A symbol whose usual name is that of an ordinary piece, because the text spells it often, keeps the other.
    """
    names = list(piece_names(data))
    pieces = {data[name] for name, _ in names}
    usual = {other.encode(): symbol.encode() for symbol, other in UNSPELLABLE.items() if symbol.encode() not in pieces}
    result = bytearray(data)
    for name, _ in names:
        result[name] = usual.get(data[name], data[name])
    for number, whole, message in fields(data):
        if number == TRAINER:
            result[whole] = data[whole.start : whole.start + 1] + _trainer(data, message, usual)
    return bytes(result)


def _trainer(data: bytes, message: slice, usual: Mapping[bytes, bytes]) -> bytes:
    """The trainer's settings with the usual names, behind their length; those that are the default are left out."""
    settings = b""
    for number, whole, contents in fields(data, message):
        renamed = usual.get(data[contents]) if number in (CONTROL_SYMBOLS, *ROLE_NAMES) else None
        if renamed is None:
            settings += data[whole]
        elif number == CONTROL_SYMBOLS:
            settings += data[whole.start : contents.start] + renamed
    return _as_varint(len(settings)) + settings


def without_matches(data: bytes, names: re.Pattern[bytes]) -> bytes:
    """Make control symbols of the user-defined pieces with such names: text that spells them is text."""
    # Few models have any, and a walk over 250,000 pieces would take most of the time of loading one.
    if not any(names.search(before) for before in _before_user_defined(data)):
        return data
    result = bytearray(data)
    for name, kind in piece_names(data):
        if kind is not None and data[kind] == bytes([USER_DEFINED]) and names.fullmatch(data[name]):
            result[kind] = bytes([CONTROL])
    return bytes(result)


def _before_user_defined(data: bytes) -> Iterator[bytes]:
    """The bytes ahead of everything that looks like the type of a user-defined piece: its name and score."""
    place = data.find(USER_DEFINED_FIELD)
    while place >= 0:
        yield data[max(0, place - NAME_AND_SCORE) : place]
        place = data.find(USER_DEFINED_FIELD, place + 1)
