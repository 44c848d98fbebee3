"""Where the time of a training step goes on a GPU: milliseconds of each kind of kernel, by torch's profiler.

Profiles the contenders of ``throughput.py`` on the rows that it makes, after they are warm, and prints the milliseconds
per update of each kind of kernel, and the slowest kernels by name.

Example: python benchmarks/gpu/shares.py --rows blocks --length 512 --batch 128 --contenders ours,ours-half-residual
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks import throughput
from fairseq_xalign.models.presets import preset

KINDS = {
    "attention": r"flash|fmha|sdpa|attention",
    "products": r"gemm|nvjet|cutlass|cublas|splitK",
    "norm of the gradient, update": r"multi_tensor|lpnorm|LpNorm|Adam",
    "compiled: losses": r"triton.*(log_softmax|nll|exp)",
    "compiled: reductions": r"triton_(red|per)",
    "compiled: one value at a time": r"triton",
    "copies": r"copy|Memcpy|Memset|Cat|fill",
}
"""Kinds of kernels, and what the names of each contain; the first that fits counts."""
SHOWN = 30


def kind_of(name: str) -> str:
    return next((kind for kind, pattern in KINDS.items() if re.search(pattern, name)), "other")


def kernels(step: Any, batches: list[Any]) -> Counter[str]:
    """Milliseconds per update of each kernel."""
    with profile(activities=[ProfilerActivity.CUDA]) as recorded:
        throughput.seconds(step, batches, "cuda")
    found: Counter[str] = Counter()
    for event in recorded.events():
        if event.device_type == DeviceType.CUDA:
            found[event.name] += event.device_time / 1000 / len(batches)
    return found


def main(argv: list[str] | None = None) -> int:
    args = throughput.parse(["--device", "cuda", *(sys.argv[1:] if argv is None else argv)])
    config = preset(args.arch, args.vocabulary, attention_dropout=args.attention_dropout)
    for kind in args.rows:
        rows, of_kind = throughput.pool(kind, config, args)
        for name in args.contenders:
            run = throughput.warmed(name, kind, config, rows, of_kind)
            if run is None:
                continue
            step, batches = run
            taken = min(throughput.seconds(step, batches, "cuda") for _ in range(args.repeat)) / len(batches)
            found = kernels(step, batches)
            kinds: Counter[str] = Counter()
            for kernel, spent in found.items():
                kinds[kind_of(kernel)] += spent
            print(f"{kind}, {name}: {1000 * taken:.1f} ms per update, {sum(kinds.values()):.1f} ms in kernels")
            for part, spent in kinds.most_common():
                print(f"  {spent:7.2f} ms  {part}")
            for kernel, spent in found.most_common(SHOWN):
                print(f"    {spent:7.3f} ms  {kernel[:150]}")
            sys.stdout.flush()
            del run, step, batches
            torch.cuda.empty_cache()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
