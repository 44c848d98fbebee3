"""Rows of training text for benchmarks: made-up pieces in the lengths of real text, 15 % of them masked."""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn

from fairseq_xalign.constants import BOS, EOS, FIRST_PIECE, MASK, PAD
from fairseq_xalign.objectives.batch import PackedBatch, pack

MASK_RATE = 0.15
MAX_LENGTH = 512

# 64 quantiles each, <s> and </s> (pairs: two of each) counted; measured with the texts that throughput.py names.
LENGTHS = {
    "real": "3 4 4 5 5 6 7 7 8 8 9 9 9 10 10 11 11 12 12 13 13 14 14 15 15 15 16 16 17 18 18 19 19 20 20 21 21 22 "
    "23 23 24 24 25 26 26 27 28 29 29 30 31 32 33 35 36 37 39 41 43 46 49 54 61 79",
    "pairs": "16 19 23 25 27 29 31 32 34 35 37 38 39 40 42 43 45 46 48 49 50 51 53 54 55 56 58 59 61 62 63 65 66 "
    "68 69 71 73 74 75 76 78 79 81 82 84 86 88 90 92 94 95 97 100 102 106 108 111 115 119 123 130 137 149 "
    "169",
    "documents": "65 69 73 75 77 80 82 83 86 88 94 97 99 102 104 108 110 114 118 120 123 130 135 142 145 150 154 159 "
    "166 170 174 185 195 200 213 223 231 235 242 261 269 281 296 311 329 353 392 417 465 512 551 618 706 "
    "863 940 1049 1146 1297 1416 1611 1672 1896 2235 3850",
}

Row = tuple[Tensor, Tensor, Tensor]
"""Input ids, places masked (int64), ids to be predicted there."""


def quantiles_of(kind: str, length: int) -> list[int]:
    """Lengths of which each is as frequent as the others."""
    if kind == "blocks":
        return [length]
    return [min(int(n), MAX_LENGTH) for n in LENGTHS[kind].split()]


def make_rows(kind: str, count: int, length: int, vocabulary: int, seed: int) -> list[Row]:
    """``count`` rows of random pieces; lengths are drawn evenly from the quantiles, in random order."""
    torch.manual_seed(seed)
    quantiles = quantiles_of(kind, length)
    lengths = [quantiles[i * len(quantiles) // count % len(quantiles)] for i in range(count)]
    random.Random(seed).shuffle(lengths)
    rows = []
    for n in lengths:
        ids = torch.randint(FIRST_PIECE, vocabulary, (n,))
        ids[0], ids[-1] = BOS, EOS
        places = torch.randperm(n - 2)[: max(1, round(MASK_RATE * n))].sort().values + 1
        targets = ids[places].clone()
        ids[places] = MASK
        rows.append((ids, places, targets))
    return rows


def split(rows: list[Row], size: int) -> list[list[Row]]:
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def packed(rows: list[Row], device: str) -> PackedBatch:
    batch = pack([ids for ids, _, _ in rows])
    starts = batch.starts.tolist()
    batch.masked = torch.cat([places + start for (_, places, _), start in zip(rows, starts)])
    batch.targets = torch.cat([targets for _, _, targets in rows])
    return batch.to(device)


def padded(rows: list[Row], no_target: int, device: str) -> tuple[Tensor, Tensor]:
    """Ids [B, S] padded with ``PAD``, and targets [B, S] that are ``no_target`` at other places."""
    labels = []
    for ids, places, targets in rows:
        label = torch.full_like(ids, no_target)
        label[places] = targets
        labels.append(label)
    pad = nn.utils.rnn.pad_sequence
    ids = pad([row[0] for row in rows], batch_first=True, padding_value=PAD)
    return ids.to(device), pad(labels, batch_first=True, padding_value=no_target).to(device)
