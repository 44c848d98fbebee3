"""Our tokenizers as files that ``AutoTokenizer`` opens, with our ids: ``tokenizer.json`` and ``tokenizer_config.json``.

Words have the ids that our tokenizer gives them. What differs is said by :func:`differences`: in `transformers` text
that spells a symbol (``<mask>``) is that symbol, and transliterated text (derived languages) is not read, because no
library reads a character as a piece only in some words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from fairseq_xalign.constants import BOS, EOS, FIRST_PIECE, MASK, PAD, SPECIAL_SYMBOLS, UNK
from fairseq_xalign.convert.hf.sentencepiece_json import (
    UNREACHABLE,
    WHITE_SPACE,
    sentencepiece_tokenizer,
)
from fairseq_xalign.tokenizer.framing import Frame
from fairseq_xalign.tokenizer.models import SPECIAL_NAMES, bert_tokenizer, with_prefix_space, wordpiece_symbols
from fairseq_xalign.tokenizer.proto import contents
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"
TOKENIZER_CLASS = "PreTrainedTokenizerFast"
"""The class that reads any ``tokenizer.json``, in all versions of `transformers`."""
ROLES = {"bos_token": BOS, "cls_token": BOS, "eos_token": EOS, "sep_token": EOS, "unk_token": UNK}
ROLES |= {"pad_token": PAD, "mask_token": MASK}
"""What `transformers` calls our special symbols."""
WORD_MODELS = ("Unigram", "WordLevel")
"""Models of the library that cut text into any symbol of the vocabulary, those that no text contains among them."""


@dataclass(frozen=True)
class Names:
    """The names of symbols that stand for no text: none of them is an ordinary piece.

    Attributes:
        specials: by id from 0 on.
        languages: by id, of the tokens that ask for a language.
    """

    specials: list[str]
    languages: dict[int, str]


def tokenizer_files(tokenizer: Tokenizer, frame: Frame, max_positions: int, segments: bool = False) -> dict[str, bytes]:
    """Return the files, by name.

    Args:
        tokenizer: any tokenizer of ours.
        frame: what the encoder expects around a text.
        max_positions: the longest sequence of the encoder, special symbols included.
        segments: whether the encoder tells first and second text apart.

    Raises:
        UserError: a vocabulary that the library cannot express, by its kind.
    """
    names = symbol_names(tokenizer)
    makers = {"sentencepiece": _from_sentencepiece, "wordpiece": _from_wordpiece, "tokenizers": _from_json}
    whole = makers[tokenizer.kind](tokenizer, names)
    settings: dict[str, Any] = {
        "tokenizer_class": TOKENIZER_CLASS,
        "model_max_length": max_positions,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", *(["token_type_ids"] if segments else []), "attention_mask"],
        **{role: names.specials[number] for role, number in ROLES.items()},
    }
    return {
        TOKENIZER_FILE: _finished(whole, names, frame, segments).encode(),
        CONFIG_FILE: (json.dumps(settings, ensure_ascii=False, indent=2) + "\n").encode(),
    }


def differences(tokenizer: Tokenizer) -> list[str]:
    """What the written tokenizer does otherwise than ours, in sentences."""
    said = [
        "Text that spells a special symbol (`<mask>`, `<s>`) is read as that symbol, as everywhere in transformers; "
        "fairseq_xalign reads it as text."
    ]
    if tokenizer.derived:
        said.append(
            "Transliterated text (derived languages, written in private-use characters) is not read: it is unknown. "
            f"The embeddings of these copies are rows {tokenizer.derived_ids.start} to "
            f"{tokenizer.derived_ids.stop - 1}, for those who make ids themselves."
        )
    return said


def symbol_names(tokenizer: Tokenizer) -> Names:
    """Names for special symbols and language tokens: the usual ones, unless an ordinary piece is spelled like one."""
    specials = tokenizer.to_foreign(range(FIRST_PIECE))
    taken = {
        tokenizer.model.piece(foreign) for foreign in tokenizer.to_foreign(tokenizer.natural_ids) if foreign is not None
    }

    def free(name: str) -> str:
        while name in taken:
            name = f"<|{name.strip('<>')}|>"
        taken.add(name)
        return name

    own = [SPECIAL_SYMBOLS[i] if f is None else tokenizer.model.piece(f) for i, f in enumerate(specials)]
    named = [
        name if name in SPECIAL_NAMES[i] and name.isprintable() else SPECIAL_SYMBOLS[i] for i, name in enumerate(own)
    ]
    return Names(
        [free(name) for name in named], {i: free(t) for i, t in zip(tokenizer.language_ids, tokenizer.language_tokens)}
    )


def _symbols(tokenizer: Tokenizer, names: Names) -> Iterator[tuple[int, str, int | None]]:
    """Yield our id, name and the model's id of each symbol; only natural pieces have a name that a text can contain."""
    for number, symbol in enumerate(tokenizer.symbols()):
        foreign = tokenizer.to_foreign([number])[0]
        if number < FIRST_PIECE:
            yield number, names.specials[number], foreign
        elif number in names.languages:
            yield number, names.languages[number], None
        elif number in tokenizer.natural_ids and foreign is not None:
            yield number, tokenizer.model.piece(foreign), foreign
        else:
            yield number, UNREACHABLE + symbol, foreign


def _from_sentencepiece(tokenizer: Tokenizer, names: Names) -> dict[str, Any]:
    model = contents(tokenizer.model_bytes)
    symbols, ordinary = [], set()
    for number, name, foreign in _symbols(tokenizer, names):
        score = 0.0
        if foreign is not None and number in tokenizer.natural_ids:
            ordinary.add(foreign)
            score = model.pieces[foreign][1]
        symbols.append((name, score))
    # What no text is cut into takes no part in merges, and is matched nowhere.
    pieces = [piece for foreign, piece in enumerate(model.pieces) if foreign in ordinary]
    return json.loads(sentencepiece_tokenizer(replace(model, pieces=pieces), symbols, UNK).to_str())


def _from_wordpiece(tokenizer: Tokenizer, names: Names) -> dict[str, Any]:
    """BERT's tokenizer over the lines of its ``vocab.txt``, in our order."""
    lines = dict(enumerate(wordpiece_symbols(tokenizer.model_bytes.decode())))
    whole = json.loads(bert_tokenizer(lines, bool(tokenizer.options.get("lowercase", False))).to_str())
    whole["added_tokens"] = []
    _renumber(whole, tokenizer, names)
    return whole


def _from_json(tokenizer: Tokenizer, names: Names) -> dict[str, Any]:
    whole = with_prefix_space(json.loads(tokenizer.model_bytes))
    _renumber(whole, tokenizer, names)
    return whole


def _renumber(whole: dict[str, Any], tokenizer: Tokenizer, names: Names) -> None:
    """Give the symbols of a ``tokenizer.json`` our ids, in place, and those symbols that only we have a place."""
    model = whole["model"]
    added = {token["id"]: token for token in whole["added_tokens"]}
    hidden = model.get("type") in WORD_MODELS
    named: dict[int, str] = {}
    for number, name, foreign in _symbols(tokenizer, names):
        if name.startswith(UNREACHABLE) and foreign is not None:
            own = tokenizer.model.piece(foreign)
            if foreign in added or (not hidden and tokenizer.symbols()[number] == own):
                name = own
        named[number] = name
    ours = {foreign: number for number, _, foreign in _symbols(tokenizer, names) if foreign is not None}
    if isinstance(model["vocab"], list):  # Unigram: names and scores, by id
        scores = {ours[foreign]: score for foreign, (_, score) in enumerate(model["vocab"]) if foreign in ours}
        model["vocab"] = [[named[i], scores.get(i, 0.0)] for i in range(len(named))]
        model["unk_id"] = UNK
    else:
        model["vocab"] = {name: number for number, name in named.items()}
        if model.get("unk_token") is not None:
            model["unk_token"] = names.specials[UNK]
    whole["added_tokens"] = [
        {**token, "id": ours[foreign], "content": named[ours[foreign]]}
        for foreign, token in sorted(added.items())
        if ours.get(foreign, 0) >= FIRST_PIECE
    ]
    before = whole.get("normalizer")
    space = {"type": "Replace", "pattern": {"Regex": WHITE_SPACE}, "content": " "}
    strip = {"type": "Strip", "strip_left": True, "strip_right": True}
    whole["normalizer"] = {
        "type": "Sequence",
        "normalizers": [space, strip, *([before] if before else []), strip],
    }


def _finished(whole: dict[str, Any], names: Names, frame: Frame, segments: bool) -> str:
    """A ``tokenizer.json`` with our special symbols, which stand around a text as the encoder expects them."""
    whole = {**whole, "truncation": None, "padding": None}
    bare = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    symbols = {**dict(enumerate(names.specials)), **names.languages}
    special = [{"id": i, "content": name, **bare, "lstrip": i == MASK} for i, name in symbols.items()]
    whole["added_tokens"] = sorted([*whole.get("added_tokens", []), *special], key=lambda token: token["id"])

    def symbol(number: int, segment: int) -> dict[str, Any]:
        return {"SpecialToken": {"id": names.specials[number], "type_id": segment}}

    def text(which: str, segment: int) -> dict[str, Any]:
        return {"Sequence": {"id": which, "type_id": segment}}

    single = [*(symbol(i, 0) for i in frame.begin), text("A", 0), *(symbol(i, 0) for i in frame.end)]
    second = int(segments and frame.segments)
    between = [text("A", 0), *(symbol(i, 0) for i in frame.separator), text("B", second)]
    pair = [*(symbol(i, 0) for i in frame.begin), *between, *(symbol(i, second) for i in frame.end)]
    used = {names.specials[i]: i for i in (*frame.begin, *frame.separator, *frame.end)}
    whole["post_processor"] = {
        "type": "TemplateProcessing",
        "single": single,
        "pair": pair,
        "special_tokens": {name: {"id": name, "ids": [i], "tokens": [name]} for name, i in used.items()},
    }
    return json.dumps(whole, ensure_ascii=False)
