"""Text through an encoder: batches by length, no padding, every core busy, results in the order of the input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from fairseq_xalign import cli
from fairseq_xalign.constants import SENTENCE_POOLINGS
from fairseq_xalign.errors import UserError, unknown_language
from fairseq_xalign.models.device import inference_precision
from fairseq_xalign.models.pooling import check_pooling, pool_sentences
from fairseq_xalign.models.threads import side_by_side
from fairseq_xalign.objectives.batch import PackedBatch, pack
from fairseq_xalign.tokenizer.framing import FRAMES, Frame

BATCH_TOKENS = 8192
"""The most tokens of a batch on a GPU."""
CPU_BATCH_TOKENS = 1024
"""The most tokens of a batch on a CPU where nothing is asked for: what a layer computes of them stays near its cache.
"""
LAYER_HELP = "Layer whose output is pooled; 0 stands for the embeddings (default: the last layer)."
POOLING_HELP = (
    "How a sentence becomes one vector: cls, its first token; mean or max, over its pieces; mean_all or max_all, over "
    "<s> and </s> as well, as sentence-transformers does (default: %(default)s)."
)
BATCH_HELP = f"Tokens per batch (default: {BATCH_TOKENS} on a GPU, {CPU_BATCH_TOKENS} per thread on a CPU)."

Result = TypeVar("Result")


def nothing_shown(amount: float) -> None:
    """What takes the place of a progress bar where there is none."""


@dataclass
class Reader:
    """An encoder that reads texts.

    Attributes:
        encoder: runs where its parameters are, in evaluation mode.
        tokenizer: its tokenizer.
        frame: what it expects around a text, ``tokenizer.framing.frame_of(task_state)``.
        language: the texts' language as its 1-based place in the model's list; None for none.
        max_tokens: longest input with ``<s>`` and ``</s>``; by default as many as the encoder has positions.
        report: is told in a sentence how many texts were cut off.
        cut: how many were so far.
    """

    encoder: Any
    tokenizer: Any
    frame: Frame = FRAMES["s"]
    language: int | None = None
    max_tokens: int | None = None
    bf16: bool = False
    report: Callable[[str], None] = cli.say
    cut: int = 0

    @property
    def limit(self) -> int:
        """Longest input with ``<s>`` and ``</s>``."""
        return int(self.encoder.config.max_positions) if self.max_tokens is None else self.max_tokens

    def rows(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, with what stands around it; what is too long is cut off and reported."""
        room = self.limit - self.frame.extra
        found = [self.tokenizer.encode(text) for text in texts]
        self.report_cut(sum(len(ids) > room for ids in found), len(found))
        return [self.frame.around(ids[:room]) for ids in found]

    def report_cut(self, cut: int, texts: int) -> None:
        """Count and report that ``cut`` of so many texts are too long, if any."""
        self.cut += cut
        if cut:
            self.report(f"{cut} of {texts} sentences cut off at {self.limit} tokens")

    def run(
        self,
        rows: Sequence[Sequence[int]],
        work: Callable[[PackedBatch, Tensor], Result],
        *,
        layer: int | None = None,
        batch_tokens: int | None = None,
        batch_size: int | None = None,
        advance: Callable[[int], None] = nothing_shown,
    ) -> Iterator[tuple[list[int], Result]]:
        """Encode ``rows`` in batches of similar length, and yield the numbers of a batch's rows and ``work``'s result.

        Args:
            rows: ids of each sequence, not empty.
            work: a function of a batch and its features, float32 [T, D]. On a CPU several run at a time.
            layer: the layer whose output is the features: 0 is the embeddings, None the last layer.
            batch_tokens: tokens per batch at most (a longer sequence is a batch of its own); by default 8192 on a
                GPU, and 1024 for each thread of a CPU.
            batch_size: sequences per batch at most.
            advance: is told the number of rows of each batch when it is done.
        """
        encoder = self.encoder
        device = encoder.embed_tokens.weight.device
        threads = torch.get_num_threads() if device.type == "cpu" else 1
        if batch_tokens is None:
            batch_tokens = CPU_BATCH_TOKENS if device.type == "cpu" else BATCH_TOKENS

        def one(indices: list[int]) -> tuple[list[int], Result]:
            with torch.inference_mode(), inference_precision(device, self.bf16):
                batch = pack([list(rows[i]) for i in indices])
                if self.language is not None:
                    batch.languages = torch.full_like(batch.tokens, self.language)
                batch = batch.to(device)
                return indices, work(batch, encoder(batch, layer).float())

        batches = list(batches_by_length([len(row) for row in rows], batch_tokens, batch_size))
        was_training = encoder.training
        encoder.eval()
        try:
            for indices, result in side_by_side(one, batches, min(threads, len(batches))):
                yield indices, result
                advance(len(indices))
        finally:
            encoder.train(was_training)


def sentence_vectors(
    reader: Reader,
    lines: Sequence[str],
    pooling: str = "mean",
    *,
    layer: int | None = None,
    batch_tokens: int | None = None,
    batch_size: int | None = None,
    normalize: bool = False,
    advance: Callable[[int], None] = nothing_shown,
) -> Tensor:
    """One vector per line, float32 [n, D] on the CPU, in the order of ``lines``.

    Args:
        lines: sentences; an empty one has the vector of ``<s> </s>`` (or ``</s>``, see ``Reader.frame``).
        pooling: ``mean`` or ``max`` over the pieces (``<s>`` and ``</s>`` not counted), ``mean_all`` or ``max_all``
            over all tokens, or ``cls``, the vector of ``<s>``.
        normalize: divide each vector by its length.
        layer, batch_tokens, batch_size, advance: as in :meth:`Reader.run`.
    """
    check_pooling(pooling, reader.frame, SENTENCE_POOLINGS)
    result = torch.empty(len(lines), reader.encoder.config.width)

    def pooled(batch: PackedBatch, features: Tensor) -> Tensor:
        vectors = pool_sentences(features, batch.starts, pooling, reader.frame.before)
        return (torch.nn.functional.normalize(vectors, dim=1) if normalize else vectors).cpu()

    rows = reader.rows(lines)
    limits: dict[str, Any] = {"batch_tokens": batch_tokens, "batch_size": batch_size, "advance": advance}
    for indices, vectors in reader.run(rows, pooled, layer=layer, **limits):
        result[indices] = vectors
    return result


def encode_sentences(
    encoder: Any,
    tokenizer: Any,
    lines: Sequence[str],
    pooling: str = "mean",
    batch_tokens: int | None = None,
    *,
    layer: int | None = None,
    language: int | None = None,
    max_tokens: int | None = None,
    bf16: bool = False,
    frame: Frame = FRAMES["s"],
) -> Tensor:
    """:func:`sentence_vectors` of a reader of its own, with a progress bar; the arguments are those of both."""
    reader = Reader(encoder, tokenizer, frame, language, max_tokens, bf16)
    with cli.bar("encoding", len(lines)) as advance:
        return sentence_vectors(reader, lines, pooling, layer=layer, batch_tokens=batch_tokens, advance=advance)


def check_layer(layer: int | None, layers: int, where: Any = None, called: str = "--layer") -> None:
    """Refuse a layer that a model of so many ``layers`` does not have, with a UserError."""
    if layer is not None and not 0 <= layer <= layers:
        raise UserError(f"{called} {layer}: the model has {layers} layers", where, remedy=f"Choose from 0 to {layers}")


def language_number(
    language: str | None, languages: Sequence[str], embedded: int, called: str = "--language"
) -> int | None:
    """The 1-based place of a language among a model's ``languages``; None for a model without language embeddings.

    Args:
        embedded: how many language embeddings the model has.
        called: how messages call the setting.

    Raises:
        UserError: the model has language embeddings, and none for ``language``.
    """
    if language is None or not embedded:
        return None
    if language not in languages:
        raise unknown_language(language, list(languages), option=called)
    return languages.index(language) + 1


def batches_by_length(lengths: Sequence[int], batch_tokens: int, batch_size: int | None = None) -> Iterator[list[int]]:
    """Indices in batches of at most ``batch_tokens`` tokens, longest sentences first, every index once.

    Args:
        batch_size: sentences per batch at most.
    """
    batch: list[int] = []
    total = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and (total + lengths[index] > batch_tokens or len(batch) == batch_size):
            yield batch
            batch, total = [], 0
        batch.append(index)
        total += lengths[index]
    if batch:
        yield batch
