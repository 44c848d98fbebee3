"""Text to ids and back, for natural and transliterated text: the vocabulary that all languages of a project share.

Ids follow ``docs/design.md``, "Vocabulary". Text is cut at white space first and every word is
encoded by itself, so that it has the same ids in every sentence, whatever the library
(scores summed over a whole line may break ties differently towards its end). The ids of frequent words
are remembered in a cache of fixed size.

A *doubled* vocabulary holds every piece twice (ALIGN-MLM, Tang et al. 2022, after Deshpande et al. 2021: the ids of
a derived language are shifted by the size of the vocabulary). In text a piece of the second half is one private-use
character, so transliterated text is ordinary UTF-8 that every reader can handle.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_xalign.constants import FIRST_PIECE, LANGUAGE_TOKEN, SUBWORD_FORMAT, UNK
from fairseq_xalign.errors import UserError
from fairseq_xalign.options import at_least
from fairseq_xalign.tokenizer import folder as subword_folder
from fairseq_xalign.tokenizer.models import MODEL_FILES, SPACE, open_model
from fairseq_xalign.tokenizer.numbering import Numbering
from fairseq_xalign.tokenizer.spans import widened
from fairseq_xalign.tokenizer.transliteration import (
    RESERVED_SYMBOLS,
    UNREADABLE,
    Transliteration,
    WordCache,
    has_reserved,
    reserved_index,
    reserved_symbol,
)

WORD = re.compile(r"\S+")
"""What ``str.split`` finds, with its place."""


class Tokenizer(Numbering):
    """A subword model whose ids are in our order.

    Make one with :meth:`load`, :meth:`from_state`, :meth:`trained` or :meth:`adopted`.

    Args:
        kind: ``sentencepiece``, ``wordpiece`` or ``tokenizers``.
        model_bytes: the model's file, whole.
        layout: what ``subword.json`` holds besides ``kind`` and the files: ``pieces``,
            ``languages``, ``language_tokens``, ``foreign_ids``, ``excluded``, ``derived``, ``options``.
        where: the file, for messages.
    """

    def __init__(self, kind: str, model_bytes: bytes, layout: dict[str, Any], where: str | None = None) -> None:
        self.kind, self.model_bytes = kind, model_bytes
        self.options: dict[str, Any] = dict(layout["options"])
        super().__init__(open_model(kind, model_bytes, self.options, where), layout, where)
        # What encoding reads: specials and excluded symbols never come out of text.
        ordinary = {f: i for f, i in self._from_foreign.items() if i in self.natural_ids}
        self._from_text = [ordinary.get(f, UNK) for f in range(self.model.size)]
        kept = set(self.derived["kept"]) if self.derived else set()
        rows = [FIRST_PIECE + i if i in kept else copy for i, copy in enumerate(self.derived_ids)]
        pieces = [f for f in self._to_foreign[FIRST_PIECE : self.natural_ids.stop] if f is not None]
        self._kept = frozenset(FIRST_PIECE + i for i in kept)
        self._transliteration = Transliteration(self.model, self._from_text, pieces, rows)
        self._ids, self._spans = WordCache(), WordCache()
        self._sha256: str | None = None

    # Where a tokenizer comes from

    @classmethod
    def trained(
        cls,
        model_bytes: bytes,
        languages: Sequence[str] = (),
        token_languages: Sequence[str] = (),
        options: dict[str, Any] | None = None,
        kind: str = "sentencepiece",
    ) -> Tokenizer:
        """Make a tokenizer of a model whose ids are in our order already; ``kind`` is the library's."""
        size = open_model(kind, model_bytes, {}).size
        layout = {
            "pieces": size - FIRST_PIECE,
            "languages": list(languages),
            "language_tokens": [LANGUAGE_TOKEN.format(name) for name in token_languages],
            "foreign_ids": None,
            "excluded": [],
            "derived": None,
            "options": dict(options or {}),
        }
        return cls(kind, model_bytes, layout)

    @classmethod
    def adopted(
        cls,
        path: str | Path,
        token_languages: Sequence[str] = (),
        lowercase: bool | None = None,
        languages: Sequence[str] = (),
    ) -> Tokenizer:
        """Make a tokenizer of a published ``.model``, ``vocab.txt`` or ``tokenizer.json``, its ids put into our order.

        Args:
            path: the file, or a folder of `transformers`, which stands for the file that is read first there.
            lowercase: for ``vocab.txt``; None reads it from ``tokenizer_config.json`` beside the
                file, or else takes the vocabulary for uncased if no piece has a capital letter.
        """
        from fairseq_xalign.tokenizer.foreign import adopt

        return cls(*adopt(Path(path), list(token_languages), lowercase, list(languages)), where=str(path))

    @classmethod
    def load(cls, folder: str | Path) -> Tokenizer:
        """Open a subword folder or a data folder; a damaged one raises a :class:`UserError` with a remedy."""
        return cls(*subword_folder.read(Path(folder)), where=str(folder))

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Tokenizer:
        """Restore the tokenizer that :meth:`state` describes; no file is needed."""
        if state.get("format") != SUBWORD_FORMAT:
            raise UserError(
                f"the checkpoint's tokenizer has format {state.get('format')}, but this version reads {SUBWORD_FORMAT}",
                remedy="Use the version of fairseq_xalign that wrote it, or a newer one",
            )
        return cls(state["kind"], state["model_bytes"], state)

    def state(self) -> dict[str, Any]:
        """Return all that :meth:`from_state` needs, as plain str, int, bytes and list, for checkpoints."""
        return {**self.description(), "model_bytes": self.model_bytes}

    def __reduce__(self) -> tuple[Any, ...]:  # loader processes get a copy without the caches
        return Tokenizer.from_state, (self.state(),)

    def description(self) -> dict[str, Any]:
        """Return the contents of ``subword.json`` except for the hash of ``dict.txt``."""
        return {
            "format": SUBWORD_FORMAT,
            "kind": self.kind,
            "model": MODEL_FILES[self.kind],
            "model_sha256": hashlib.sha256(self.model_bytes).hexdigest(),
            "pieces": self.pieces,
            "languages": self.languages,
            "language_tokens": self.language_tokens,
            "foreign_ids": self.foreign_ids,
            "excluded": list(self.excluded_ids),
            "derived": self.derived,
            "options": self.options,
        }

    def save(self, folder: str | Path) -> None:
        """Write a subword folder atomically; only an earlier subword folder is replaced."""
        subword_folder.write(Path(folder), self.description(), self.model_bytes, self.symbols())

    def save_into(self, folder: str | Path) -> None:
        """Write the three files into an existing folder (a data folder that is being made)."""
        subword_folder.write_files(Path(folder), self.description(), self.model_bytes, self.symbols())

    def doubled(self, overlap: float = 0.0, seed: int = 1) -> Tokenizer:
        """Return a tokenizer of the same pieces and a transliterated copy of each.

        Args:
            overlap: share of pieces that keep their natural id in transliterated text: exactly
                ``round(overlap * pieces)`` of them, drawn without replacement (``derived["kept"]``).
        """
        if self.derived:
            raise UserError("this vocabulary is doubled already", remedy="Double the natural one")
        if not 0 <= overlap <= 1:
            raise UserError(
                f"the overlap is a share of the pieces between 0 and 1, not {overlap}", remedy="For example 0.25"
            )
        at_least(0, seed=seed)
        if self.pieces > RESERVED_SYMBOLS:
            raise UserError(
                f"{self.pieces} pieces are too many to transliterate: {RESERVED_SYMBOLS} characters are reserved",
                remedy="Train a smaller vocabulary",
            )
        draw = np.random.default_rng(seed).choice(self.pieces, size=round(overlap * self.pieces), replace=False)
        foreign = self.foreign_ids
        if foreign is not None:
            foreign = [*foreign[: self.pieces], *([None] * self.pieces), *foreign[self.pieces :]]
        layout = self.description() | {
            "foreign_ids": foreign,
            "excluded": [number + self.pieces for number in self.excluded_ids],
            "derived": {"overlap": float(overlap), "seed": int(seed), "kept": sorted(draw.tolist())},
        }
        return Tokenizer(self.kind, self.model_bytes, layout)

    # Text

    def encode(self, text: str) -> list[int]:
        """Return the ids of natural or transliterated text, without ``<s>`` and ``</s>``; of specials only ``<unk>``.

        A word of characters that the model drops (control characters, a lone variation selector)
        has no ids here; :meth:`encode_words` gives it ``<unk>``.
        """
        ids: list[int] = []
        known = self._ids
        for word in text.split():
            found = known.get(word)
            ids += self._encode_word(word) if found is None else found
        return ids

    def encode_words(self, words: Iterable[str]) -> list[list[int]]:
        """Return the ids of each word, at least one: ``<unk>`` for a word of which the model keeps nothing."""
        return [self.encode(word) or [UNK] for word in words]

    def encode_with_spans(self, text: str) -> tuple[list[int], np.ndarray]:
        """Return the ids of :meth:`encode`, and where the characters of each begin and end, int64 [n, 2]."""
        ids: list[int] = []
        spans: list[tuple[int, int]] = []
        for match in WORD.finditer(text):
            word, begin = match[0], match.start()
            found = self._ids.get(word)
            ids += self._encode_word(word) if found is None else found
            for first, last in self._word_spans(word):
                spans.append((begin + first, begin + last))
        return ids, np.array(spans, dtype=np.int64).reshape(-1, 2)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids, with reserved symbols for derived ids.

        Specials are left out, except ``<unk>``, and so are ``<2xx>`` tokens.
        """
        wanted = [i for i in map(int, ids) if (i >= FIRST_PIECE and i not in self._tokens) or i == UNK]
        if not any(i in self.derived_ids for i in wanted):
            return self._decode_natural(wanted)
        texts: list[str] = []
        natural: list[int] = []
        for word in self._split_words(wanted):
            if any(i in self.derived_ids for i in word):
                texts += [self._decode_natural(natural), "".join(self._derived_text(i) for i in word)]
                natural = []
            else:
                natural += word
        return " ".join(text for text in [*texts, self._decode_natural(natural)] if text)

    def transliterate(self, word: str) -> str:
        """Write a word with one reserved symbol per piece; characters that the model does not know stay as they are.

        ``doubled().encode`` of the result is ``shift(encode(word))``. A word that has no known
        piece is returned unchanged.

        Raises:
            UserError: if ``word`` holds reserved symbols already.
        """
        return self._transliteration.write(word)

    def untransliterate(self, word: str) -> str:
        """Return the natural spelling of a transliterated word, as the model normalises it."""
        return self._transliteration.spell(word) if has_reserved(word) else word

    def character_counts(self, word: str) -> tuple[int, int]:
        """Count the (normalised) characters of a natural word that have a piece, and those that have none."""
        counts = [0, 0]
        for foreign, text in self.model.parts(word):
            counts[self._from_text[foreign] == UNK] += len(text.removeprefix(SPACE))
        return counts[0], counts[1]

    def shift(self, ids: Iterable[int]) -> list[int]:
        """Return natural ids as they are in transliterated text: the copies, except for pieces that keep their id."""
        if not self.derived:
            raise UserError(
                "this vocabulary has no transliterated half", remedy="Use the doubled one that `derive` writes"
            )
        rows = self._transliteration.rows
        return [rows[i - FIRST_PIECE] if i in self.natural_ids else i for i in ids]

    # Identity

    @property
    def sha256(self) -> str:
        """A hash of everything that determines ids; saving, loading and checkpoints do not change it."""
        if self._sha256 is None:
            fixed = self.description()
            for key in ("languages", "options"):
                del fixed[key]
            fixed["lowercase"] = bool(self.options.get("lowercase", False))
            fixed["derived"] = None if self.derived is None else self.derived["kept"]
            self._sha256 = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()
        return self._sha256

    def __repr__(self) -> str:
        return f"Tokenizer({self.kind}, {len(self)} ids, sha256 {self.sha256[:8]})"

    # Inside

    def _encode_word(self, word: str) -> tuple[int, ...]:
        if self._transliteration.is_derived(word):
            ids = tuple(self._transliteration.read(word))
        else:
            table = self._from_text
            ids = tuple([table[foreign] for foreign in self.model.encode(word)])
        self._ids.keep(word, ids)
        return ids

    def _word_spans(self, word: str) -> list[tuple[int, int]]:
        """The characters of a word that each of its ids stands for: at least one."""
        found = self._spans.get(word)
        if found is None:
            if self._transliteration.is_derived(word):
                found = [span for _, span in self._transliteration.read_spans(word)]
            else:
                found = widened(self.model.spans(word), len(word))
            self._spans.keep(word, found)
        return found

    def _decode_natural(self, ids: list[int]) -> str:
        return self.model.decode([f for f in (self._to_foreign[i] for i in ids) if f is not None]).strip()

    def _split_words(self, ids: list[int]) -> list[list[int]]:
        """Ids cut into words, none of which has both derived ids and natural ones that were not kept."""
        words: list[list[int]] = []
        side: bool | None = None  # whether the present word is derived; None while all of it can be either
        for i in ids:
            own = None if i == UNK or i in self._kept else i in self.derived_ids
            natural = i - self.pieces if i in self.derived_ids else i
            foreign = self._to_foreign[natural]
            starts = natural != UNK and foreign is not None and self.model.starts_word(self.model.piece(foreign))
            if not words or starts or (own is not None and side is not None and own != side):
                words.append([])
                side = None
            words[-1].append(i)
            side = own if side is None else side
        return words

    def _derived_text(self, number: int) -> str:
        """An id as it is written inside a transliterated word; a natural id there is a piece that was kept."""
        if number == UNK:
            return UNREADABLE
        return reserved_symbol(number - (self.derived_ids.start if number in self.derived_ids else FIRST_PIECE))


__all__ = ["RESERVED_SYMBOLS", "Tokenizer", "has_reserved", "reserved_index", "reserved_symbol"]
