"""Training throughput of masked language modelling: real tokens per second, against fairseq and transformers.

All contenders train a model of the same shape on the same rows with the same 15 % masked: forward, loss, backward,
gradient norm, Adam step, from batches that are ready in memory. Padding does not count as a token. Each repetition
passes over the same pool of rows; repetitions of the contenders are interleaved, in rotating order. As soon as a kind
of rows is measured, the script prints the median and range of tokens per second, and the ratios to ours, repetition by
repetition, with a 95 % interval of their geometric mean.

Contenders:
  ours             this project's encoder: bf16 autocast (float32 on a processor without bfloat16 instructions, which
                   imitates them many times slower), no padding, LM head on masked positions, fused AdamW; on CUDA
                   its parts between attention are compiled
  ours-uncompiled  the same without torch.compile (the same as ours on a CPU)
  ours-half-residual  ours with --residual-precision half
  fairseq          its masked_lm criterion, RoBERTa model and Adam at their defaults: float32, padded, rows at random
  transformers     RobertaForMaskedLM at its fastest: sdpa, bf16 as ours, rows sorted by length, fused AdamW
                   (on CUDA through torch.compile as well: each layer and the head, which are compiled once and
                   used by all layers and all kinds of rows; --compile whole compiles the whole model, which takes
                   minutes, --compile none none of it)
  transformers-fp32  the same with its defaults: float32, rows at random

Rows (``--rows``; batches of all kinds hold about as many real tokens as a batch of blocks):
  blocks     every row as long as --length
  real       one sentence per row: lengths of UD English EWT (train, 12,543 sentences, BPE of 8,000 pieces)
  pairs      a sentence and its translation per row: NTREX-128 English-German (1,997 pairs, joint BPE of 8,000)
  documents  whole documents cut at 512: UD English EWT (train, 540 documents)

Example: python benchmarks/throughput.py --rows blocks,real --repeat 5 --json throughput.json
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import platform
import statistics
import sys
import time
import warnings
from argparse import Namespace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from benchmarks.common import native_bf16
from benchmarks.contenders import MAKE, Step
from benchmarks.rows import LENGTHS, Row, make_rows, quantiles_of, split
from fairseq_xalign.models.encoder import EncoderConfig
from fairseq_xalign.models.presets import preset

CONTENDERS = tuple(MAKE)
PEAK_TFLOPS = 989.0
"""Dense bf16 of an H100 or H200 SXM, NVIDIA's data sheet."""


def seconds(step: Step, batches: list[Any], device: str) -> float:
    """Wall time of one pass over the pool."""
    start = time.perf_counter()
    for batch in batches:
        step(batch)
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def training_flops(config: EncoderConfig, rows: list[Row]) -> float:
    """Floating point operations that one training pass over the rows needs: three times those of the forward products.

    Past its attention, the last layer is needed at masked tokens alone.
    """
    tokens = sum(row[0].numel() for row in rows)
    masked = sum(row[1].numel() for row in rows)
    squares = sum(row[0].numel() ** 2 for row in rows)
    until, after = 3 * config.width**2, config.width**2 + 2 * config.width * config.ffn_width
    layers = config.layers * (2 * until * tokens + 4 * config.width * squares)
    layers += 2 * after * ((config.layers - 1) * tokens + masked)
    head = 2 * masked * (config.width**2 + config.width * config.vocab_size)
    return 3.0 * (layers + head)


def interval(ratios: list[float]) -> tuple[float, float, float]:
    """Median of ``ratios``, and the 95 % interval of their geometric mean (Student's t on logarithms)."""
    table = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26, 15: 2.14, 20: 2.09}
    n, logs = len(ratios), [math.log(ratio) for ratio in ratios]
    if n < 2:
        return ratios[0], math.nan, math.nan
    half = table[max(k for k in table if k <= n)] * statistics.stdev(logs) / n**0.5
    mean = statistics.fmean(logs)
    return statistics.median(ratios), math.exp(mean - half), math.exp(mean + half)


def warmed(
    name: str, kind: str, config: EncoderConfig, rows: list[Row], args: Namespace
) -> tuple[Step, list[Any]] | None:
    """A contender's step and batches after one pass; None, and a line that says so, if they do not fit into memory."""
    torch.manual_seed(args.seed)
    try:
        step, batches = MAKE[name](config, rows, args)
        took = seconds(step, batches if args.device == "cuda" else batches[:2], args.device)
    except torch.OutOfMemoryError:
        print(f"{kind}: {name} needs more memory than the GPU has", flush=True)
        return None
    print(f"{kind}: {name} is warm after {took:.1f} s", file=sys.stderr, flush=True)
    return step, batches


def pool(kind: str, config: EncoderConfig, args: Namespace) -> tuple[list[Row], Namespace]:
    """The rows of one kind for every repetition, and the arguments with the number of rows in a batch of that kind."""
    mean = statistics.fmean(quantiles_of(kind, args.length))
    args = Namespace(**{**vars(args), "batch": args.real_batch or max(1, round(args.batch * args.length / mean))})
    return make_rows(kind, args.batch * args.steps, args.length, config.vocab_size, args.seed), args


def measure(kind: str, config: EncoderConfig, args: Namespace) -> dict[str, Any]:
    """Time all contenders on one kind of rows."""
    rows, args = pool(kind, config, args)
    tokens = sum(row[0].numel() for row in rows)
    longest = sum(max(row[0].numel() for row in part) for part in split(rows, args.batch))
    padding = 1 - tokens / (longest * args.batch)
    runs = {name: run for name in args.contenders if (run := warmed(name, kind, config, rows, args))}
    if not runs:
        raise SystemExit(f"{kind}: no contender fits into the GPU's memory; use a smaller --batch")
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(args.repeat):
        names = list(runs)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            times[name].append(seconds(*runs[name], args.device))
    found = {}
    for name, taken in times.items():
        speeds = [tokens / t for t in taken]
        entry: dict[str, Any] = {"tokens_per_second": statistics.median(speeds), "all": speeds}
        if "ours" in times:
            ratios = [theirs / mine for theirs, mine in zip(taken, times["ours"])]
            entry["ours_is_times_faster"] = dict(zip(("median", "low95", "high95"), interval(ratios)))
        if args.device == "cuda":
            flops = training_flops(config, rows) / statistics.median(taken)
            entry["model_flop_utilisation"] = flops / (args.peak_tflops * 1e12)
        found[name] = entry
    sizes = {"rows_in_batch": args.batch, "tokens_in_batch": tokens / args.steps, "padding_at_random": padding}
    return {"rows": kind, **sizes, "contenders": found}


HEADER = f"{'rows':<10} {'contender':<18} {'tokens/s':>9} {'range':>17}  ours is ... times faster (95 % interval)"


def table(results: list[dict[str, Any]]) -> str:
    """The lines of one or more kinds of rows."""
    lines = []
    for result in results:
        sizes = (
            "{rows_in_batch} rows, {tokens_in_batch:,.0f} tokens per batch; padding at random {padding_at_random:.0%}"
        )
        lines.append(f"{result['rows']:<10} {sizes.format(**result)}")
        for name, entry in result["contenders"].items():
            speeds = f"{min(entry['all']):,.0f}-{max(entry['all']):,.0f}"
            ratio = entry.get("ours_is_times_faster")
            text = ""
            if ratio is not None and name != "ours":
                spread = "once" if math.isnan(ratio["low95"]) else "{low95:.2f} to {high95:.2f}".format(**ratio)
                text = f"{ratio['median']:.2f} ({spread})"
            if "model_flop_utilisation" in entry:
                text += f"  model FLOP utilisation {entry['model_flop_utilisation']:.1%}"
            lines.append(f"{result['rows']:<10} {name:<18} {entry['tokens_per_second']:>9,.0f} {speeds:>17}  {text}")
    return "\n".join(lines)


def parse(argv: list[str] | None) -> Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="Device to measure on (default: %(default)s)."
    )
    parser.add_argument(
        "--rows", default="blocks,real", help="Kinds of rows, separated by commas (default: %(default)s)."
    )
    parser.add_argument(
        "--contenders",
        help=f"Contenders, separated by commas: {', '.join(CONTENDERS)} (default: ours and all peers; CUDA: ours "
        "and transformers).",
    )
    parser.add_argument("--repeat", type=int, help="Repetitions of each contender (default: 5; CUDA: 3).")
    parser.add_argument("--steps", type=int, default=4, help="Updates per repetition (default: %(default)s).")
    parser.add_argument(
        "--compile",
        choices=("layers", "whole", "none"),
        help="What torch.compile compiles of transformers (default: none; CUDA: layers).",
    )
    parser.add_argument(
        "--small", action="store_true", help="Only try the script, in seconds; the figures mean nothing."
    )
    parser.add_argument("--arch", help="Preset with the shape (default: 4 layers of 256; CUDA: xalign_xlmr_base).")
    parser.add_argument(
        "--vocabulary",
        type=int,
        help="Number of symbols (default: 8,000; CUDA: 64,000, because transformers scores all tokens, for which a GPU "
        "of 80 GB has no memory with 250,002).",
    )
    parser.add_argument("--length", type=int, default=128, help="Tokens per block (default: %(default)s).")
    parser.add_argument("--batch", type=int, help="Blocks per batch (default: 16; CUDA: 256).")
    parser.add_argument(
        "--real-batch", type=int, help="Rows per batch, of any kind (default: as many tokens as --batch)."
    )
    parser.add_argument(
        "--attention-dropout",
        type=float,
        default=0.1,
        help="Attention dropout of every contender (default: %(default)s).",
    )
    parser.add_argument(
        "--transformers-attention",
        default="sdpa",
        help="Attention of transformers' fastest setting: sdpa, eager or flash_attention_2 (default: %(default)s).",
    )
    parser.add_argument("--threads", type=int, default=2, help="Threads of torch on a CPU (default: %(default)s).")
    parser.add_argument(
        "--peak-tflops",
        type=float,
        default=PEAK_TFLOPS,
        help="Peak of the GPU in bf16, in TFLOPS (default: %(default)s).",
    )
    parser.add_argument("--seed", type=int, default=1, help="Seed of the rows and the weights (default: %(default)s).")
    parser.add_argument("--json", type=Path, metavar="FILE", help="Write all figures to this file.")
    args = parser.parse_args(argv)
    cuda = args.device == "cuda"
    args.repeat = args.repeat or (3 if cuda else 5)
    args.bf16 = cuda or native_bf16()
    args.compile = args.compile or ("layers" if cuda else "none")
    if args.small:
        args.arch, args.vocabulary, args.length, args.batch = args.arch or "xalign_tiny", 500, 16, 2
        args.repeat, args.steps = 1, 1
    args.arch = args.arch or ("xalign_xlmr_base" if cuda else None)
    args.vocabulary = args.vocabulary or (64_000 if cuda else 8_000)
    args.batch = args.batch or (256 if cuda else 16)
    default = "ours,transformers" if cuda else "ours,fairseq,transformers,transformers-fp32"
    args.contenders = (args.contenders or default).split(",")
    args.rows = args.rows.split(",")
    for given, known, option in (
        (args.contenders, CONTENDERS, "--contenders"),
        (args.rows, ("blocks", *LENGTHS), "--rows"),
    ):
        if unknown := [name for name in given if name not in known]:
            parser.error(f"{option}: unknown {', '.join(unknown)}; choose from {', '.join(known)}")
    if cuda and "fairseq" in args.contenders:
        parser.error("--contenders: fairseq is measured on CPU only")
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")  # fairseq's and hydra's, about each other
    logging.disable(logging.INFO)
    changes = {"attention_dropout": args.attention_dropout}
    if args.arch:
        config = preset(args.arch, args.vocabulary, **changes)
    else:
        config = EncoderConfig(args.vocabulary, layers=4, heads=4, width=256, ffn_width=1024, **changes)
    print(HEADER, flush=True)
    results = []
    for kind in args.rows:
        results.append(measure(kind, config, args))
        print(table(results[-1:]), flush=True)
    host = platform.processor() or platform.machine()
    where = torch.cuda.get_device_name() if args.device == "cuda" else f"{host}, {args.threads} threads"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan
    where += f", ours in {'bf16' if args.bf16 else 'float32'}"
    signature = f"torch {torch.__version__}, {where}, load {load:.1f}, {args.repeat} x {args.steps} updates"
    print(signature)
    if args.json:
        text = json.dumps({"signature": signature, "arguments": vars(args), "results": results}, indent=1, default=str)
        args.json.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
