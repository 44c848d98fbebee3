"""Write the vector of every line of a text to a NumPy file.

The output is an array of float32 with one row per line, in the order of the lines; an empty line has the vector of the
special tokens that stand around a text. NumPy opens it with numpy.load("FILE.npy", mmap_mode="r"). Memory does not grow
with the text. The checkpoint may be one of ours, a folder of the transformers library with a BERT or XLM-RoBERTa, or
the name of one on the hub.

The output appears when it is complete. A command that was stopped keeps nothing and starts over at the first line when
it is run again: split a very long text into several files.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from fairseq_xalign import cli
from fairseq_xalign.api.opening import ENCODER_HELP, open_encoder
from fairseq_xalign.constants import SENTENCE_POOLINGS
from fairseq_xalign.errors import UserError, counted
from fairseq_xalign.files import atomic_file, read_lines
from fairseq_xalign.models.device import DEVICE_HELP, choose_device
from fairseq_xalign.models.pooling import check_pooling
from fairseq_xalign.models.sentences import (
    BATCH_HELP,
    LAYER_HELP,
    POOLING_HELP,
    Reader,
    check_layer,
    language_number,
    sentence_vectors,
)
from fairseq_xalign.options import at_least
from fairseq_xalign.outputs import refuse_to_replace
from fairseq_xalign.tokenizer.framing import frame_of

EXAMPLE = """examples:
  xalign-evaluate encode --checkpoint runs/align --input news.de --output news.de.npy
  zcat news.de.gz | xalign-evaluate encode --checkpoint mBERT --input - --output news.de.npy --normalize"""

CHUNK = 10_000
"""Lines held in memory at a time; they are sorted by length within it."""
STANDARD_INPUT = "/dev/stdin"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``xalign-evaluate encode``."""
    parser.add_argument("--checkpoint", required=True, metavar="CKPT", help=ENCODER_HELP)
    parser.add_argument(
        "--input", required=True, metavar="FILE", help="Text, one sentence per line; - stands for standard input."
    )
    parser.add_argument(
        "--output", required=True, metavar="FILE.npy", help="File to write the vectors to; - is standard output."
    )
    parser.add_argument("--pooling", choices=SENTENCE_POOLINGS, default="mean", help=POOLING_HELP)
    parser.add_argument("--layer", type=int, metavar="L", help=LAYER_HELP)
    parser.add_argument(
        "--normalize", action="store_true", help="Divide each vector by its length, so that dot products are cosines."
    )
    parser.add_argument(
        "--language", metavar="XX", help="Language of the text, for models with language embeddings (default: none)."
    )
    parser.add_argument("--batch-size", type=int, metavar="N", help="Sentences per batch at most (default: any).")
    parser.add_argument("--batch-tokens", type=int, metavar="N", help=BATCH_HELP)
    parser.add_argument("--bf16", action="store_true", help="Compute in bfloat16; vectors are float32 all the same.")
    parser.add_argument("--device", metavar="DEVICE", help=DEVICE_HELP)


def run(args: argparse.Namespace) -> None:
    """Write the vectors."""
    lines, width = encode(
        args.checkpoint,
        args.input,
        args.output,
        pooling=args.pooling,
        layer=args.layer,
        normalize=args.normalize,
        language=args.language,
        batch_size=args.batch_size,
        batch_tokens=args.batch_tokens,
        bf16=args.bf16,
        device=args.device,
    )
    cli.say(f"{args.output}: {counted(lines, 'vector')} of {width}")


def encode(
    checkpoint: str | Path,
    text: str | Path,
    output: str | Path,
    *,
    pooling: str = "mean",
    layer: int | None = None,
    normalize: bool = False,
    language: str | None = None,
    batch_size: int | None = None,
    batch_tokens: int | None = None,
    bf16: bool = False,
    device: str | None = None,
) -> tuple[int, int]:
    """Write the vectors of a file's lines to a ``.npy`` file; see :func:`fairseq_xalign.load_encoder` for arrays.

    Args:
        checkpoint: a ``.pt`` file or its folder, a folder of the transformers library, or a name on the hub.
        text: the file, one sentence per line; ``-`` for standard input.
        output: the file to write, float32 [n, D]; it appears when all of it is written.
        pooling, layer, normalize, batch_size, batch_tokens: as in ``TextEncoder.encode``.
        language: of the text, for models with language embeddings.
        bf16: compute in bfloat16.
        device: cpu, cuda or cuda:N; by default a GPU where there is one.

    Returns:
        the number of lines n, and D.
    """
    at_least(1, batch_size=batch_size, batch_tokens=batch_tokens)
    chosen_device = choose_device(device)
    text = STANDARD_INPUT if str(text) == "-" else text
    refuse_to_replace([text], [output])
    count = sum(1 for _ in read_lines(text))
    if not count:
        raise UserError("no sentences: the file is empty", text, remedy="Give one sentence per line")
    encoder, tokenizer, task = open_encoder(checkpoint)
    frame, config = frame_of(task), encoder.config
    check_pooling(pooling, frame, SENTENCE_POOLINGS)
    check_layer(layer, config.layers, checkpoint)
    number = language_number(language, list(task.get("languages") or ()), config.n_languages)
    reader = Reader(encoder.to(chosen_device), tokenizer, frame, number, bf16=bf16, report=lambda said: None)
    settings: dict[str, Any] = {"layer": layer, "normalize": normalize}
    settings |= {"batch_size": batch_size, "batch_tokens": batch_tokens}
    with cli.bar("encoding", count) as advance, atomic_file(output, "wb") as stream:
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype("<f4")), "fortran_order": False}
        np.lib.format.write_array_header_1_0(stream, header | {"shape": (count, config.width)})
        written = _write(stream, reader, text, pooling, settings, advance)
        if written != count:
            raise UserError(f"had {count} lines, and then {written}", text, remedy="Do not change it meanwhile")
    if reader.cut:
        cli.say(f"{reader.cut} of {count} sentences cut off at {reader.limit} tokens")
    return count, config.width


def _write(
    stream: Any,
    reader: Reader,
    text: str | Path,
    pooling: str,
    settings: dict[str, Any],
    advance: Callable[[int], None],
) -> int:
    """Append the vectors of all lines, and return their number."""
    written = 0
    for lines in _chunks(text):
        vectors = sentence_vectors(reader, lines, pooling, advance=advance, **settings)
        stream.write(vectors.numpy().astype("<f4", copy=False).tobytes())
        written += len(lines)
    return written


def _chunks(text: str | Path) -> Iterator[list[str]]:
    lines = (line for _, line in read_lines(text))
    while chunk := list(islice(lines, CHUNK)):
        yield chunk
