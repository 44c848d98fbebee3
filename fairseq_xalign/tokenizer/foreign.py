"""Published vocabularies (SentencePiece, BERT's WordPiece, ``tokenizer.json``) in our id order.

Our specials are found by name; symbols that no text contains (``[unused1]``, further control
symbols) go to the end; all other pieces keep their order from id 5. The permutation is kept
(``foreign_ids``), so that weights can be brought in and taken out again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairseq_xalign.constants import FIRST_PIECE, LANGUAGE_TOKEN
from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.models import SPACE, SubwordModel, open_model, wordpiece_symbols

PROBES = 64
"""How many words are tried to see whether a model treats a word alone as it does in a sentence."""


MODELS_IN_FOLDERS = ("tokenizer.json", "vocab.txt", "sentencepiece.bpe.model")
"""The models of published folders, the one that `transformers` itself reads first."""


def model_in(folder: Path) -> Path | None:
    """The model file of a published folder, or None if it has none."""
    return next((folder / name for name in MODELS_IN_FOLDERS if (folder / name).exists()), None)


def kind_of(path: Path) -> str:
    """Return the kind of a model file, which its name shows.

    Raises:
        UserError: for a name with another ending.
    """
    if path.suffix == ".model":
        return "sentencepiece"
    if path.suffix == ".json":
        return "tokenizers"
    if path.suffix == ".txt":
        return "wordpiece"
    raise UserError(
        "cannot tell what kind of model this is",
        path,
        remedy="Give a SentencePiece model (.model), a WordPiece vocab.txt, or a tokenizer.json",
    )


def is_lowercase(path: Path, data: bytes) -> bool:
    """Return whether a ``vocab.txt`` is uncased, from the configuration beside it or else from its pieces."""
    config = path.with_name("tokenizer_config.json")
    if config.exists():
        try:
            said = json.loads(config.read_text(encoding="utf-8")).get("do_lower_case")
        except (json.JSONDecodeError, UnicodeDecodeError, AttributeError) as error:
            remedy = "Copy it again, or move it away and give --lowercase yes or no"
            raise UserError(f"not valid JSON: {error}", config, remedy=remedy) from error
        if isinstance(said, bool):
            return said
    symbols = wordpiece_symbols(data.decode("utf-8", errors="replace"))
    return not any(any(map(str.isupper, s)) for s in symbols if not (s.startswith("[") and s.endswith("]")))


def adopt(
    path: Path, token_languages: list[str], lowercase: bool | None, languages: list[str]
) -> tuple[str, bytes, dict[str, Any]]:
    """Return (kind, model bytes, layout) of a published model file, for :class:`Tokenizer`.

    Raises:
        UserError: if it cannot be read, has no unknown or byte pieces, or treats a word differently
            alone and in a sentence.
    """
    if path.is_dir():
        found = model_in(path)
        if found is None:
            raise UserError(
                "no vocabulary in this folder", path, remedy=f"It must have {' or '.join(MODELS_IN_FOLDERS)}"
            )
        path = found
    kind = kind_of(path)
    if lowercase is not None and kind != "wordpiece":
        raise UserError("--lowercase is for a vocab.txt: other models say it themselves", path, remedy="Leave it out")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(error.strerror or str(error), path) from error
    options: dict[str, Any] = {"model": path.name}
    if kind == "wordpiece":
        options["lowercase"] = is_lowercase(path, data) if lowercase is None else lowercase
    return kind, data, layout_of(kind, data, options, path, token_languages, languages)


def layout_of(
    kind: str,
    data: bytes,
    options: dict[str, Any],
    path: Path,
    token_languages: Sequence[str] = (),
    languages: Sequence[str] = (),
) -> dict[str, Any]:
    """The layout of a published model, for :class:`Tokenizer`; ``path`` is named in messages.

    Raises:
        UserError: as for :func:`adopt`.
    """
    model = open_model(kind, data, options, str(path))
    check_words(model, path)
    specials, outsiders = model.specials(), model.outsiders()
    roles = set(specials.values())
    pieces = [foreign for foreign in model.known() if foreign not in roles and foreign not in outsiders]
    excluded = sorted(outsiders)
    tokens = [LANGUAGE_TOKEN.format(name) for name in token_languages]
    taken = {model.piece(foreign) for foreign in model.known()} & set(tokens)
    if taken:
        raise UserError(f"the model already has {min(taken)!r}", path, remedy="Leave it out of --language-tokens")
    first_excluded = FIRST_PIECE + len(pieces) + len(tokens)
    return {
        "pieces": len(pieces),
        "languages": list(languages),
        "language_tokens": tokens,
        "foreign_ids": [*pieces, *([None] * len(tokens)), *excluded],
        "excluded": list(range(first_excluded, first_excluded + len(excluded))),
        "derived": None,
        "options": options,
    }


def check_words(model: SubwordModel, path: Path) -> None:
    """Refuse a model with pieces across white space, or without the mark of a first word.

    We encode word by word: ids would silently differ from those the model was trained with.
    """
    specials = set(model.specials().values()) | model.outsiders()
    marked = model.starts_word(SPACE) and not model.starts_word("a")
    words: list[str] = []
    for foreign in model.known():
        piece = model.piece(foreign)
        if foreign in specials:
            continue
        if marked and SPACE in piece.lstrip(SPACE):
            raise UserError(
                f"the piece {piece!r} spans white space", path, remedy="Use a model trained with split_by_whitespace"
            )
        if len(words) < PROBES and model.starts_word(piece) and model.spell([piece]).isalpha():
            words.append(model.spell([piece]))
    together = model.encode(" ".join(words))
    if together != [i for word in words for i in model.encode(word)]:
        raise UserError(
            "the model treats a word alone differently from the same word in a sentence",
            path,
            remedy="Use a model trained with add_dummy_prefix",
        )
