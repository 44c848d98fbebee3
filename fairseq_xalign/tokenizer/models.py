"""The subword libraries behind :class:`~fairseq_xalign.tokenizer.tokenizer.Tokenizer`, one small class each.

A model here knows the library's own ids (*foreign* ids) and single words; our id order, derived
languages and folders are the tokenizer's business. Every model is made from the bytes of its file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from fairseq_xalign.constants import BOS, EOS, MASK, MASK_SYMBOL, PAD, UNK
from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.proto import UNSPELLABLE, without_matches

SPACE = "\u2581"
"""SentencePiece's mark for the white space before a word."""
SPECIAL_NAMES = {
    BOS: ("<s>", "[CLS]", "<bos>", "<cls>"),
    PAD: ("<pad>", "[PAD]"),
    EOS: ("</s>", "[SEP]", "<eos>", "<sep>"),
    UNK: ("<unk>", "[UNK]"),
    MASK: (UNSPELLABLE[MASK_SYMBOL], "<mask>", "[MASK]"),
}
"""What others call our five special symbols, by our id; the first name found counts."""
ZERO_WIDTH_SPACE = "\u200b"
"""A space to SentencePiece, though not to Python, which cuts text into words."""
ESCAPES = {ord(SPACE): 0xFDD1, 0x2585: 0xFDD5}
"""Characters of text that SentencePiece keeps for itself, and the non-characters that stand for them in its models.

It reads U+2581 as white space and trains on no line with U+2585. A model whose text had one of them has a piece for
its stand-in and tells the two apart; other models keep SentencePiece's own reading."""
PLACEHOLDERS = r"\[unused\d+\]|<unused\d+>|madeupword\d+|<extra_id_\d+>"
NEVER_IN_TEXT = re.compile(PLACEHOLDERS)
"""Placeholders of published vocabularies (BERT, Gemma, fairseq, T5)."""
HIDDEN = "\x00"
"""What we put before the names of symbols in a model of `tokenizers`: NUL is in no text, so no text spells a symbol."""
_NAMES = {name for names in SPECIAL_NAMES.values() for name in names}
_SYMBOL = re.compile(f"{'|'.join(map(re.escape, sorted(_NAMES)))}|{PLACEHOLDERS}".encode())
_HIDDEN_NAME = re.compile(f"{HIDDEN}(?={'|'.join(map(re.escape, sorted(_NAMES)))}|{PLACEHOLDERS})")
BYTE_PIECE = re.compile(r"<0x([0-9A-F]{2})>")
WORDPIECE_CONTINUES = "##"
WORDPIECE_LONGEST = 100
"""BERT's tokenizer makes a word of more characters one ``[UNK]``."""


class SubwordModel(Protocol):
    """What the tokenizer asks of a subword library."""

    size: int
    """One more than the largest foreign id."""
    merges_unknown: bool
    """Whether neighbouring unknown characters of a word always make one unknown piece."""

    def encode(self, text: str) -> list[int]:
        """Foreign ids of ``text``, no special added."""

    def parts(self, word: str) -> list[tuple[int, str]]:
        """(foreign id, the normalised characters it stands for) for each piece of a word."""

    def spans(self, word: str) -> list[tuple[int, int]]:
        """Where the characters that each piece of :meth:`encode` stands for begin and end in a word."""

    def decode(self, ids: Sequence[int]) -> str:
        """Text of foreign ids, as the library writes it."""

    def piece(self, foreign: int) -> str:
        """The symbol of a foreign id."""

    def known(self) -> list[int]:
        """All foreign ids that have a symbol, in order."""

    def specials(self) -> dict[int, int]:
        """Foreign id of those of our five special symbols that the model has."""

    def outsiders(self) -> set[int]:
        """Foreign ids, not among ``specials``, that no text is cut into."""

    def starts_word(self, piece: str) -> bool:
        """Whether white space stands before a piece."""

    def spell(self, pieces: Sequence[str], first: bool = True) -> str:
        """The characters of one word without the mark of its beginning; ``first`` is false for a later part of it."""


def _by_name(find: Callable[[str], int | None]) -> dict[int, int]:
    found = {}
    for ours, names in SPECIAL_NAMES.items():
        for name in names:
            foreign = find(name)
            if foreign is not None:
                found[ours] = foreign
                break
    return found


class SentencePieceModel:
    """A SentencePiece model (``.model``), unigram or BPE."""

    merges_unknown = True

    def __init__(self, data: bytes, where: str | None = None) -> None:
        import sentencepiece

        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=without_matches(data, _SYMBOL))
            self.size = self._processor.get_piece_size()
        except (RuntimeError, ValueError, TypeError, LookupError) as error:
            raise UserError(
                "not a SentencePiece model, or a damaged one", where, remedy="Copy or train it again"
            ) from error
        self._escapes = {own: other for own, other in ESCAPES.items() if self._find(chr(other)) is not None}
        self._unescapes = {other: own for own, other in self._escapes.items()}

    def _escaped(self, text: str) -> str:
        return text.translate(self._escapes) if self._escapes and not text.isascii() else text

    def _unescaped(self, text: str) -> str:
        return text.translate(self._unescapes) if self._unescapes and not text.isascii() else text

    def encode(self, text: str) -> list[int]:
        return self._processor.encode_as_ids(self._escaped(text))

    def parts(self, word: str) -> list[tuple[int, str]]:
        word = self._escaped(word)
        return list(zip(self._processor.encode_as_ids(word), self._processor.encode_as_pieces(word), strict=True))

    def spans(self, word: str) -> list[tuple[int, int]]:
        word = self._escaped(word)  # one character for another: places stay as they are
        try:
            pieces = self._processor.encode(word, return_type="proto").pieces
        except TypeError:  # before 0.2.2
            pieces = self._processor.encode(word, out_type="immutable_proto").pieces  # type: ignore[arg-type]
        found, place = [], 0
        for piece in pieces:
            # Their own places count bytes in some releases and characters in others; the surface is text in all.
            begin = max(word.find(piece.surface, place), place)
            place = begin + len(piece.surface) if piece.surface else place
            found.append((begin, begin + len(piece.surface)))
        return found

    def decode(self, ids: Sequence[int]) -> str:
        return self._unescaped(self._processor.decode_ids(list(ids)))

    def piece(self, foreign: int) -> str:
        return self._processor.id_to_piece(foreign)

    def known(self) -> list[int]:
        return list(range(self.size))

    def _find(self, name: str) -> int | None:
        foreign = self._processor.piece_to_id(name)
        return foreign if self._processor.id_to_piece(foreign) == name else None

    def specials(self) -> dict[int, int]:
        p = self._processor
        roles = {BOS: p.bos_id(), PAD: p.pad_id(), EOS: p.eos_id(), UNK: p.unk_id()}
        return _by_name(self._find) | {ours: foreign for ours, foreign in roles.items() if foreign >= 0}

    def outsiders(self) -> set[int]:
        p = self._processor
        specials = set(self.specials().values())
        return {i for i in range(self.size) if i not in specials and (p.is_control(i) or p.is_unused(i))}

    def starts_word(self, piece: str) -> bool:
        return piece.startswith(SPACE)

    def spell(self, pieces: Sequence[str], first: bool = True) -> str:
        text = "".join(pieces)
        if "<0x" in text and any(BYTE_PIECE.fullmatch(piece) for piece in pieces):
            text = self._processor.decode_pieces(list(pieces))
        text = text.replace(" ", SPACE)  # one word stays one word; SentencePiece reads the mark as a space
        text = text.removeprefix(SPACE) if first else text
        if ord(SPACE) in self._escapes:  # here the mark is a character of its own: another one for a space in a word
            text = text.replace(SPACE, ZERO_WIDTH_SPACE)
        return self._unescaped(text)


def _tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise UserError(
            "this vocabulary needs the `tokenizers` library, which is not installed",
            remedy="Install it with pip install tokenizers",
        ) from error
    return tokenizers


class HuggingFaceModel:
    """A model of the ``tokenizers`` library: BERT's WordPiece, or whatever a ``tokenizer.json`` holds."""

    merges_unknown = False

    def __init__(self, data: bytes, kind: str, lowercase: bool = False, where: str | None = None) -> None:
        tokenizers = _tokenizers()
        self.wordpiece = kind == "wordpiece"
        try:
            text = data.decode("utf-8")
            if self.wordpiece:
                self._symbols = dict(enumerate(wordpiece_symbols(text)))
                self._tokenizer = bert_tokenizer(self._symbols, lowercase)
            else:
                if "ByteLevel" in text:
                    text = json.dumps(with_prefix_space(json.loads(text)), ensure_ascii=False)
                self._tokenizer = tokenizers.Tokenizer.from_str(with_hidden_symbols(text))
                vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
                self._symbols = {foreign: symbol.removeprefix(HIDDEN) for symbol, foreign in vocabulary.items()}
                self.wordpiece = isinstance(self._tokenizer.model, tokenizers.models.WordPiece)
        except UserError as error:
            raise UserError(error.what, where, error.line, error.remedy) from error
        except Exception as error:  # the library raises plain Exception for whatever it cannot read
            raise UserError(
                f"cannot be read as a {kind} vocabulary: {error}", where, remedy="Copy it again from where it came"
            ) from error
        self._byte_level = isinstance(self._tokenizer.decoder, tokenizers.decoders.ByteLevel)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        # The symbols' names are hidden; this keeps text that spells even the hidden names text.
        self._tokenizer.encode_special_tokens = True
        self.size = max(self._symbols, default=-1) + 1

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(self._bare(text), add_special_tokens=False).ids

    def _bare(self, text: str) -> str:
        """Strip outer characters that normalise to white space: at the end of a word in a line, a zero-width
        non-joiner merges with the space that follows, and must not become a space of its own here."""
        if text.isascii() or self._tokenizer.normalizer is None:
            return text
        normal = self._tokenizer.normalizer.normalize_str(text)
        return normal.strip(" ") if normal != normal.strip(" ") else text

    def parts(self, word: str) -> list[tuple[int, str]]:
        word = self._bare(word)
        encoding = self._tokenizer.encode(word, add_special_tokens=False)
        # Offsets count within what the library was given: give it the normalised word, so that a
        # character which normalises to several is not written twice.
        if self._tokenizer.normalizer is not None:
            normal = self._tokenizer.normalizer.normalize_str(word)
            again = self._tokenizer.encode(normal, add_special_tokens=False)
            if again.ids == encoding.ids:
                word, encoding = normal, again
        return [(i, word[start:end]) for i, (start, end) in zip(encoding.ids, encoding.offsets, strict=True)]

    def spans(self, word: str) -> list[tuple[int, int]]:
        encoding = self._tokenizer.encode(word, add_special_tokens=False)
        if encoding.ids == self.encode(word):
            return list(encoding.offsets)
        return [(0, len(word))] * len(self.encode(word))  # characters at its ends are lost: the whole word, then

    def decode(self, ids: Sequence[int]) -> str:
        return _HIDDEN_NAME.sub("", self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def piece(self, foreign: int) -> str:
        return self._symbols[foreign]

    def known(self) -> list[int]:
        return sorted(self._symbols)

    def specials(self) -> dict[int, int]:
        return _by_name(self._find)

    def _find(self, symbol: str) -> int | None:
        hidden = self._tokenizer.token_to_id(HIDDEN + symbol)
        return self._tokenizer.token_to_id(symbol) if hidden is None else hidden

    def outsiders(self) -> set[int]:
        special = {foreign for foreign, token in self._tokenizer.get_added_tokens_decoder().items() if token.special}
        # A duplicate line of vocab.txt is never reached: the library knows its other id only.
        unreachable = {i for i, symbol in self._symbols.items() if self._find(symbol) != i}
        named = {i for i, symbol in self._symbols.items() if NEVER_IN_TEXT.fullmatch(symbol)}
        return (special | unreachable | named) - set(self.specials().values())

    def starts_word(self, piece: str) -> bool:
        if self.wordpiece:
            return not piece.startswith(WORDPIECE_CONTINUES)
        return piece.startswith((SPACE, "\u0120"))  # U+0120 is the byte-level models' space

    def spell(self, pieces: Sequence[str], first: bool = True) -> str:
        if self.wordpiece:
            return "".join(piece.removeprefix(WORDPIECE_CONTINUES) for piece in pieces)
        text = self._tokenizer.decoder.decode(list(pieces)) if self._byte_level else "".join(pieces)
        text = text.replace(" ", SPACE)
        return text.removeprefix(SPACE) if first else text


def wordpiece_symbols(text: str) -> list[str]:
    """The lines of a ``vocab.txt``; line number is id."""
    symbols = text.removesuffix("\n").split("\n")
    return [symbol.removesuffix("\r") for symbol in symbols]


def bert_tokenizer(symbols: dict[int, str], lowercase: bool) -> Any:
    """BERT's own pipeline over a vocabulary: clean, split at punctuation and CJK, longest match first."""
    tokenizers = _tokenizers()
    vocabulary = {
        HIDDEN + symbol if symbol in _NAMES or NEVER_IN_TEXT.fullmatch(symbol) else symbol: foreign
        for foreign, symbol in symbols.items()
    }
    unknown = next((HIDDEN + name for name in SPECIAL_NAMES[UNK] if HIDDEN + name in vocabulary), None)
    if unknown is None:
        raise UserError(
            "a WordPiece vocabulary needs [UNK]", remedy="Give BERT's vocab.txt, which has one piece per line"
        )
    model = tokenizers.models.WordPiece(vocabulary, unk_token=unknown, max_input_chars_per_word=WORDPIECE_LONGEST)
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = tokenizers.decoders.WordPiece()
    return tokenizer


def with_hidden_symbols(text: str) -> str:
    """A ``tokenizer.json`` in which :data:`HIDDEN` stands before the name of every symbol that is not text.

    Else a Unigram model would cut the text ``<s>`` into its symbol ``<s>``, and added tokens would be found in text.
    """
    names = {name for name in _NAMES if json.dumps(HIDDEN + name) not in text}
    if found := re.search(r'"added_tokens"\s*:\s*', text):
        added = json.JSONDecoder().raw_decode(text, found.end())[0]
        names |= {token["content"] for token in added if token.get("special") and token["content"][:1] != HIDDEN}
    either = "|".join(re.escape(json.dumps(name, ensure_ascii=False)[1:-1]) for name in sorted(names))
    # A whole string of the JSON text: a quotation mark within a piece is escaped.
    return re.sub(rf'(?<!\\)"({either}|{PLACEHOLDERS})"', r'"\\u0000\1"', text)


def with_prefix_space(value: Any) -> Any:
    """A ``tokenizer.json`` in which byte-level models see the first word as they see every other.

    RoBERTa's has no space mark before the first word of a line, so that a word would have other ids
    alone than in a sentence.
    """
    if isinstance(value, dict):
        changed = {key: with_prefix_space(item) for key, item in value.items() if key != "vocab"}
        if "vocab" in value:
            changed["vocab"] = value["vocab"]
        if value.get("type") == "ByteLevel" and "add_prefix_space" in value:
            changed["add_prefix_space"] = True
        return changed
    if isinstance(value, list):
        return [with_prefix_space(item) if isinstance(item, dict) else item for item in value]
    return value


MODEL_FILES = {"sentencepiece": "spm.model", "wordpiece": "vocab.txt", "tokenizers": "tokenizer.json"}
"""Kinds of subword models and the name of the model's file in a subword folder."""


def open_model(kind: str, data: bytes, options: dict[str, Any], where: str | None = None) -> SubwordModel:
    """The model of a kind from its file's bytes; ``options["lowercase"]`` is WordPiece's."""
    if kind == "sentencepiece":
        return SentencePieceModel(data, where)
    if kind in MODEL_FILES:
        return HuggingFaceModel(data, kind, bool(options.get("lowercase", False)), where)
    raise UserError(
        f"unknown kind of subword model {kind!r}", where, remedy=f"This version knows {', '.join(MODEL_FILES)}"
    )
