"""Published vocabularies with fewer pieces: the file of a model without those that are not kept.

Text whose pieces are all kept is cut as before. Unigram (SentencePiece) looks for the best sum of scores, WordPiece for
the longest piece that comes next: what wins among all pieces wins among some of them. For Unigram the piece with the
lowest score stays as well, since the cost of an unknown character depends on it. Other text is cut into the pieces that
are left; single characters should therefore be kept. The merges of BPE depend on one another and are not trimmed.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Collection
from typing import Any

from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.models import BYTE_PIECE, SPACE, WORDPIECE_CONTINUES, wordpiece_symbols
from fairseq_xalign.tokenizer.proto import PIECE, TRAINER, fields

PIECE_SCORE, MODEL_TYPE, UNIGRAM = 2, 3, 1
"""Fields of a SentencePiece model: a piece's score, and the type of model in the trainer's settings."""
REMEDY = "Convert without --languages"


def is_basic(piece: str) -> bool:
    """Whether a piece is a single character (with or without a mark before it), or a byte."""
    bare = piece.removeprefix(WORDPIECE_CONTINUES) if len(piece) > len(WORDPIECE_CONTINUES) else piece
    bare = bare.removeprefix(SPACE) if len(bare) > 1 else bare
    return len(bare) <= 1 or BYTE_PIECE.fullmatch(piece) is not None


def trimmed_model(kind: str, data: bytes, keep: Collection[int], where: str | None = None) -> tuple[bytes, list[int]]:
    """Return the file of a model with the pieces ``keep`` alone, and by its new ids the old ones.

    Args:
        kind: ``sentencepiece``, ``wordpiece`` or ``tokenizers``.
        data: the file of the model.
        keep: foreign ids, with those of all special symbols. The pieces keep their order.

    Raises:
        UserError: a kind of model that cannot be trimmed.
    """
    if kind == "sentencepiece":
        return _sentencepiece(data, keep, where)
    if kind == "wordpiece":
        symbols = wordpiece_symbols(data.decode("utf-8"))
        old = sorted(keep)
        return "".join(f"{symbols[number]}\n" for number in old).encode(), old
    return _tokenizers(data, keep, where)


def _sentencepiece(data: bytes, keep: Collection[int], where: str | None) -> tuple[bytes, list[int]]:
    pieces, scores, rest = [], [], b""
    for number, whole, contents in fields(data):
        if number == PIECE:
            found = {field: data[part] for field, _, part in fields(data, contents)}
            pieces.append(data[whole])
            scores.append(struct.unpack("<f", found[PIECE_SCORE])[0] if PIECE_SCORE in found else 0.0)
            continue
        if number == TRAINER:
            kinds = [data[part] for field, _, part in fields(data, contents) if field == MODEL_TYPE]
            if kinds and kinds[-1] != bytes([UNIGRAM]):
                raise UserError("only SentencePiece's unigram models can be trimmed", where, remedy=REMEDY)
        rest += data[whole]
    old = sorted({*keep, min(range(len(scores)), key=scores.__getitem__)})
    return b"".join(pieces[number] for number in old) + rest, old


def _tokenizers(data: bytes, keep: Collection[int], where: str | None) -> tuple[bytes, list[int]]:
    value = json.loads(data)
    model = value["model"]
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, list) and model.get("type", "Unigram") == "Unigram":
        lowest = min(range(len(vocabulary)), key=lambda number: vocabulary[number][1])
        old = sorted({*keep, lowest})
        model["vocab"] = [vocabulary[number] for number in old if number < len(vocabulary)]
    elif isinstance(vocabulary, dict) and model.get("type", "WordPiece") == "WordPiece":
        old = sorted(keep)
        place = {number: new for new, number in enumerate(old)}
        model["vocab"] = {piece: place[number] for piece, number in vocabulary.items() if number in place}
    else:
        raise UserError(f"models of the type {model.get('type')} cannot be trimmed", where, remedy=REMEDY)
    place = {number: new for new, number in enumerate(old)}
    if model.get("unk_id") is not None:
        model["unk_id"] = place[model["unk_id"]]
    value["added_tokens"] = [
        {**token, "id": place[token["id"]]} for token in value.get("added_tokens") or () if token["id"] in place
    ]
    if value.get("padding"):
        value["padding"]["pad_id"] = place[value["padding"]["pad_id"]]
    value["post_processor"] = _renumbered(value.get("post_processor"), place)
    return json.dumps(value, ensure_ascii=False).encode(), old


def _renumbered(processor: Any, place: dict[int, int]) -> Any:
    """A post-processor, which puts special symbols around a text, with new ids."""
    if isinstance(processor, dict):
        changed = {key: _renumbered(item, place) for key, item in processor.items()}
        for key in ("sep", "cls"):  # BertProcessing and RobertaProcessing: a symbol and its id
            pair = processor.get(key)
            if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[1], int):
                changed[key] = [pair[0], place[pair[1]]]
        if isinstance(processor.get("ids"), list):
            changed["ids"] = [place[number] for number in processor["ids"]]
        return changed
    return [_renumbered(item, place) for item in processor] if isinstance(processor, list) else processor
