"""Sentence vectors from an encoder: batches by length, no padding, the order of the input restored."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from fairseq_xalign import cli
from fairseq_xalign.models.pooling import check_pooling, pool
from fairseq_xalign.objectives.batch import pack
from fairseq_xalign.tokenizer.framing import FRAMES, Frame

BATCH_TOKENS = 8192


def encode_sentences(
    encoder: Any,
    tokenizer: Any,
    lines: Sequence[str],
    pooling: str = "mean",
    batch_tokens: int = BATCH_TOKENS,
    *,
    layer: int | None = None,
    language: int | None = None,
    max_tokens: int | None = None,
    bf16: bool = False,
    frame: Frame = FRAMES["s"],
) -> Tensor:
    """One vector per line, float32 [n, D] on the CPU, in the order of ``lines``.

    Args:
        encoder: the encoder; it runs where its parameters are, in evaluation mode.
        lines: sentences; an empty one has the vector of ``<s> </s>`` (or ``</s>``, see ``frame``).
        pooling: ``mean`` or ``max`` over the pieces (``<s>`` and ``</s>`` not counted), or ``cls``, the
            vector of ``<s>``.
        batch_tokens: tokens per batch at most (a longer sentence is a batch of its own).
        layer: the layer whose output is pooled: 0 is the embeddings, None the last layer.
        language: the lines' language as its 1-based place in the model's list; None for none.
        max_tokens: longest input with ``<s>`` and ``</s>`` (see ``frame``); by default as many as the encoder
            has positions. Sentences that are cut off are counted on stderr.
        bf16: compute in bfloat16 (automatic mixed precision).
        frame: what the encoder expects around a text, ``tokenizer.framing.frame_of(task_state)``.
    """
    check_pooling(pooling, frame)
    if max_tokens is None:
        max_tokens = int(encoder.config.max_positions)
    rows, cut = [], 0
    for line in lines:
        ids = tokenizer.encode(line)
        cut += len(ids) > max_tokens - frame.extra
        rows.append(frame.around(ids[: max_tokens - frame.extra]))
    if cut:
        cli.say(f"{cut} of {len(rows)} sentences cut off at {max_tokens} tokens")
    device = encoder.embed_tokens.weight.device
    precision = torch.autocast(device.type, torch.bfloat16) if bf16 else contextlib.nullcontext()
    result = torch.empty(len(rows), encoder.embed_tokens.weight.shape[1])
    batches = list(batches_by_length([len(row) for row in rows], batch_tokens))
    was_training = encoder.training
    encoder.eval()
    try:
        with torch.inference_mode(), precision:
            for indices in cli.progress(batches, "encoding"):
                batch = pack([rows[i] for i in indices])
                if language is not None:
                    batch.languages = torch.full_like(batch.tokens, language)
                batch = batch.to(device)
                features = encoder(batch, layer).float()
                pooled = pool(features, batch.starts, pooling, edges=False, before=frame.before)
                result[indices] = pooled.cpu()
    finally:
        encoder.train(was_training)
    return result


def batches_by_length(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indices in batches of at most ``batch_tokens`` tokens, longest sentences first, every index once."""
    batch: list[int] = []
    total = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and total + lengths[index] > batch_tokens:
            yield batch
            batch, total = [], 0
        batch.append(index)
        total += lengths[index]
    if batch:
        yield batch
