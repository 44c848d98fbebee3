"""An encoder from Python: vectors of sentences and pieces, word alignment, and what a hidden piece could be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairseq_xalign.api import texts as given
from fairseq_xalign.api.arguments import check_number, check_path, check_string, check_type, check_whole, if_given
from fairseq_xalign.api.masks import Filled, MaskedTexts, holes
from fairseq_xalign.api.opening import open_encoder
from fairseq_xalign.api.texts import Progress, Texts
from fairseq_xalign.api.words import Sentences, Words, word_lists
from fairseq_xalign.constants import MASK, MASK_SYMBOL, SENTENCE_POOLINGS
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.encoder import Encoder
from fairseq_xalign.models.pooling import check_pooling
from fairseq_xalign.models.sentences import Reader, check_layer, language_number, sentence_vectors
from fairseq_xalign.models.word_alignment import (
    THRESHOLD,
    check_method,
    default_layer,
    linked_pieces,
    linked_words,
)
from fairseq_xalign.objectives.batch import PackedBatch
from fairseq_xalign.tokenizer.framing import frame_of
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

PAIRS_AT_ONCE = 1_000
"""Pairs of sentences whose vectors are in memory at a time while words are aligned."""


@dataclass(frozen=True)
class TokenVectors:
    """The pieces of a text with their vectors in context.

    Attributes:
        pieces: the n pieces, as the vocabulary writes them.
        ids: their ids, int64 [n].
        vectors: float32 [n, D].
    """

    pieces: list[str]
    ids: np.ndarray
    vectors: np.ndarray


class TextEncoder:
    """An encoder with its tokenizer, opened by :func:`load_encoder`.

    Everywhere, a text is a string in any language; one text gives one result, a list gives results in its order. Text
    that spells a symbol, such as ``<s>`` or ``[CLS]``, is text. Texts that are too long are cut off at
    ``max_tokens``, and a :class:`~fairseq_xalign.api.texts.TruncatedTextWarning` says how many.

    Attributes:
        encoder: the model itself, a torch module in evaluation mode.
        tokenizer: text to ids and back.
        languages: those that it was trained on, as far as the checkpoint knows.
    """

    def __init__(self, encoder: Encoder, tokenizer: Tokenizer, task_state: dict[str, Any], where: str = "") -> None:
        self.encoder, self.tokenizer, self._where = encoder, tokenizer, where
        self.languages: list[str] = list(task_state.get("languages") or ())
        self._frame = frame_of(task_state)
        fresh = (task_state.get("foreign") or {}).get("fresh") or ()
        self._fills = not any(name.startswith("lm_") for name in fresh)

    def __repr__(self) -> str:
        return f"TextEncoder({self._where!r}, {self.layers} layers of width {self.width}, on {self.device})"

    @property
    def width(self) -> int:
        """D, the length of its vectors."""
        return self.encoder.config.width

    @property
    def layers(self) -> int:
        """How many layers it has: ``layer`` is 0 (the embeddings) to this number."""
        return self.encoder.config.layers

    @property
    def max_tokens(self) -> int:
        """Longest input in pieces, with the special tokens around it."""
        return self.encoder.config.max_positions

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.encoder.embed_tokens.weight.device

    def to(self, device: str | torch.device | None) -> TextEncoder:
        """Move it to a device: cpu, cuda or cuda:N; None for a GPU where there is one, otherwise the CPU."""
        self.encoder.to(given.device_named(device))
        return self

    def encode(
        self,
        texts: Texts,
        *,
        pooling: str = "mean",
        layer: int | None = None,
        batch_size: int | None = None,
        batch_tokens: int | None = None,
        device: str | torch.device | None = None,
        normalize: bool = False,
        language: str | None = None,
        progress: Progress = None,
    ) -> np.ndarray:
        """One vector for each text.

        Args:
            texts: a text, or several. An empty one has the vector of the special tokens around it.
            pooling: ``mean`` or ``max`` over the pieces, ``mean_all`` or ``max_all`` over the special tokens around
                them as well (as sentence-transformers does), or ``cls``, the vector of the first token.
            layer: the layer whose output is pooled: 0 for the embeddings, None for the last layer.
            batch_size: texts per batch at most; by default as many as ``batch_tokens`` holds.
            batch_tokens: tokens per batch at most; by default 8192 on a GPU, and 1024 per thread on a CPU.
            device: where to compute from now on (see :meth:`to`); None: where it is.
            normalize: divide each vector by its length, so that dot products are cosines.
            language: of the texts, for models with language embeddings; others do not need it.
            progress: whether to show progress (None: for 1,000 texts and more), or a function that
                is told, now and then, how many more are done.

        Returns:
            float32 [D] for one text, [n, D] for n.

        Raises:
            UserError: texts that are no strings, an unknown pooling, layer, device or language.
        """
        lines, alone = given.several(texts)
        check_string(pooling=pooling)
        check_pooling(pooling, self._frame, SENTENCE_POOLINGS, "pooling")
        reader = self._reader(layer, batch_size, batch_tokens, device, language)
        with given.progress("encoding", len(lines), progress) as advance:
            vectors = sentence_vectors(
                reader,
                lines,
                pooling,
                layer=layer,
                batch_tokens=batch_tokens,
                batch_size=batch_size,
                normalize=normalize,
                advance=advance,
            ).numpy()
        return vectors[0] if alone else vectors

    def token_features(
        self,
        texts: Texts,
        *,
        layer: int | None = None,
        special_tokens: bool = False,
        batch_size: int | None = None,
        device: str | torch.device | None = None,
        language: str | None = None,
        progress: Progress = None,
    ) -> TokenVectors | list[TokenVectors]:
        """The pieces of each text with their vectors in context.

        Args:
            layer: the layer whose output is returned: 0 for the embeddings, None for the last layer.
            special_tokens: keep the special tokens around each text as well.
            texts, batch_size, device, language, progress: as in :meth:`encode`.

        Returns:
            :class:`TokenVectors` for one text, a list of them for several.
        """
        lines, alone = given.several(texts)
        reader = self._reader(layer, batch_size, None, device, language)
        rows = reader.rows(lines)
        with given.progress("encoding", len(rows), progress) as advance:
            vectors = self._vectors(reader, rows, layer, batch_size, advance)
        before, after = (0, 0) if special_tokens else (self._frame.before, len(self._frame.end))
        found = []
        for row, features in zip(rows, vectors):
            kept = slice(before, len(row) - after)
            pieces = [self.tokenizer.piece(i) for i in row[kept]]
            found.append(TokenVectors(pieces, np.array(row[kept], np.int64), features[kept]))
        return found[0] if alone else found

    def align(
        self,
        source: Sentences,
        target: Sentences,
        *,
        method: str = "softmax",
        threshold: float = THRESHOLD,
        layer: int | None = None,
        batch_size: int | None = None,
        device: str | torch.device | None = None,
        source_language: str | None = None,
        target_language: str | None = None,
        progress: Progress = None,
    ) -> list[tuple[int, int]] | list[list[tuple[int, int]]]:
        """Which words of two sentences are translations of each other, by the vectors of their pieces in context.

        Args:
            source: a sentence, whose words are separated by white space; or a list, of which each element is such a
                sentence or the list of its words.
            target: its translation, or those of all sentences.
            method: ``softmax`` (awesome-align, Dou and Neubig 2021: probabilities in both directions exceed
                ``threshold``) or ``argmax`` (SimAlign, Jalili Sabet et al. 2020: each is the other's nearest by
                cosine). Two words are linked if any two of their pieces are.
            threshold: of ``softmax``.
            layer: the layer whose vectors are compared; None: the one at two thirds of the depth, which is the papers'
                layer 8 of 12.
            source_language, target_language: for models with language embeddings.
            batch_size, device, progress: as in :meth:`encode`.

        Returns:
            the links (number of the source word, number of the target word), from 0 and ascending, for one pair; a list
            of such lists for several. Words that were cut off have no links.
        """
        lists, alone = zip(*(word_lists(side, name) for side, name in ((source, "source"), (target, "target"))))
        if alone[0] != alone[1] or len(lists[0]) != len(lists[1]):
            raise UserError(
                f"source has {_counted(lists[0], alone[0])}, target {_counted(lists[1], alone[1])}",
                remedy="Give one string each, or two lists of the same length; the words of one sentence are [words]",
            )
        check_string(method=method)
        check_number(0, threshold=threshold)
        check_method(method, threshold)
        layer = default_layer(self.layers) if layer is None else layer
        readers = [self._reader(layer, batch_size, None, device, name) for name in (source_language, target_language)]
        links: list[list[tuple[int, int]]] = []
        with given.progress("aligning", 2 * len(lists[0]), progress) as advance:
            for start in range(0, len(lists[0]), PAIRS_AT_ONCE):
                sides = [
                    self._word_vectors(reader, side[start : start + PAIRS_AT_ONCE], layer, batch_size, advance)
                    for reader, side in zip(readers, lists)
                ]
                for (ours, our_words), (theirs, their_words) in zip(*sides):
                    pieces = linked_pieces(torch.from_numpy(ours), torch.from_numpy(theirs), method, threshold)
                    links.append(linked_words(pieces, our_words, their_words))
        return links[0] if alone[0] else links

    def fill_mask(
        self,
        texts: Texts,
        *,
        top_k: int = 5,
        mask: str = MASK_SYMBOL,
        batch_size: int | None = None,
        device: str | torch.device | None = None,
        language: str | None = None,
        progress: Progress = None,
    ) -> list[list[Filled]] | list[list[list[Filled]]]:
        """What the hidden pieces of each text could be, the most probable first.

        Args:
            texts: a text, or several; in each, ``mask`` stands for a hidden piece, once or more.
            top_k: how many candidates each hidden piece gets.
            mask: what stands for a hidden piece. Elsewhere ``<mask>`` is text as any other.
            batch_size, device, language, progress: as in :meth:`encode`.

        Returns:
            for one text a list with the candidates of each of its hidden pieces, in order; a list of these for several.

        Raises:
            UserError: a text without ``mask``, one that is too long, or a model whose MLM head was not trained.
        """
        lines, alone = given.several(texts)
        if not self._fills:
            raise UserError(
                "this encoder came without a head that predicts pieces",
                self._where,
                remedy="Train it with --criterion mlm, or start from one that has the head (BertForMaskedLM)",
            )
        check_string(mask=mask)
        check_whole(1, top_k=top_k)
        if top_k > len(self.tokenizer):
            raise UserError(f"top_k is {top_k}", remedy=f"Choose a number from 1 to {len(self.tokenizer)}")
        masked = MaskedTexts(self.tokenizer, self._frame, self.max_tokens)
        names = ["the text"] if alone else [f"texts[{i}]" for i in range(len(lines))]
        rows = [masked.row(line, mask, name) for line, name in zip(lines, names)]
        reader = self._reader(None, batch_size, None, device, language)

        def candidates(batch: PackedBatch, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            logits = self.encoder.lm_logits(features[batch.tokens == MASK])
            best = logits.float().softmax(-1).topk(top_k)
            return best.values.cpu(), best.indices.cpu()

        found: list[list[list[Filled]]] = [[] for _ in rows]
        with given.progress("filling", len(rows), progress) as advance:
            for indices, (probabilities, ids) in reader.run(rows, candidates, batch_size=batch_size, advance=advance):
                pairs = iter(zip(ids.tolist(), probabilities.tolist()))
                for i in indices:
                    found[i] = [masked.filled(rows[i], *next(pairs), hole) for hole in holes(rows[i])]
        return found[0] if alone else found

    # Inside

    def _reader(
        self,
        layer: int | None,
        batch_size: int | None,
        batch_tokens: int | None,
        device: str | torch.device | None,
        language: str | None,
    ) -> Reader:
        """What reads texts, after a check of the arguments that all methods share."""
        if_given(check_type, Integral, "a whole number", f"Choose from 0 to {self.layers}", layer=layer)
        if_given(check_string, language=language)
        check_layer(layer, self.layers, called="layer")
        given.check_batch_size(batch_size, batch_tokens)
        number = language_number(language, self.languages, self.encoder.config.n_languages, "language")
        if device is not None:
            self.to(device)
        return Reader(self.encoder, self.tokenizer, self._frame, number, report=given.warn_truncated)

    def _vectors(
        self,
        reader: Reader,
        rows: Sequence[Sequence[int]],
        layer: int | None,
        batch_size: int | None,
        advance: Callable[[int], None],
    ) -> list[np.ndarray]:
        """The vectors of each row's tokens, float32 [n, D]."""
        found: list[np.ndarray] = [np.empty(0)] * len(rows)

        def parts(batch: PackedBatch, features: torch.Tensor) -> list[np.ndarray]:
            # Copies, so that one sentence's vectors do not keep those of its whole batch.
            return [part.numpy().copy() for part in features.cpu().split(batch.lengths.tolist())]

        for indices, vectors in reader.run(rows, parts, layer=layer, batch_size=batch_size, advance=advance):
            for i, part in zip(indices, vectors):
                found[i] = part
        return found

    def _word_vectors(
        self,
        reader: Reader,
        sentences: Sequence[Words],
        layer: int,
        batch_size: int | None,
        advance: Callable[[int], None],
    ) -> list[tuple[np.ndarray, list[int]]]:
        """For each sentence the vectors of its pieces [n, D], and the word of each piece [n]."""
        room = reader.limit - self._frame.extra
        rows, owners, cut = [], [], 0
        for words in sentences:
            pieces = self.tokenizer.encode_words(words)
            owner = [number for number, ids in enumerate(pieces) for _ in ids]
            cut += len(owner) > room
            owners.append(owner[:room])
            rows.append(self._frame.around([i for ids in pieces for i in ids][:room]))
        reader.report_cut(cut, len(rows))
        vectors = self._vectors(reader, rows, layer, batch_size, advance)
        before = self._frame.before
        return [(found[before : before + len(owner)], owner) for found, owner in zip(vectors, owners)]


def _counted(sentences: Sequence[Words], alone: bool) -> str:
    return "one sentence alone" if alone else f"a list of {len(sentences)}"


def load_encoder(path: str | Path, device: str | torch.device | None = None) -> TextEncoder:
    """Open an encoder.

    Args:
        path: a checkpoint of ours (a ``.pt`` file or its folder), of any task; a folder of the transformers library
            with a BERT or XLM-RoBERTa; or the name of one on the Hugging Face hub.
        device: cpu, cuda or cuda:N; None for a GPU where there is one, otherwise the CPU.

    Raises:
        UserError: nothing that can be opened, or an unknown device.
    """
    check_path(path)
    where = given.device_named(device)
    encoder, tokenizer, task_state = open_encoder(path)
    return TextEncoder(encoder.to(where), tokenizer, task_state, str(path))
