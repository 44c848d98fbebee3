"""Training throughput of translation: target tokens per second, against fairseq's transformer.

Both train a model of the same shape (all embeddings tied, learned positions) on the same pairs, whose lengths are those
of NTREX-128 English-German: forward, loss, backward, gradient norm, Adam step, from batches that are ready in memory.
fairseq's batches are those of its translation_multi_simple_epoch: pairs ordered by length, and as many as fit into
--max-tokens with padding. Ours have no padding; the budget is set so that both need the same number of updates for the
pool of pairs. Padding does not count as tokens. Repetitions are interleaved, in rotating order.

Contenders:
  ours             this project's model: no padding, fused AdamW, bf16 autocast where the processor has bfloat16
  ours-fp32        the same in float32
  ours-uncompiled  ours on a GPU without torch.compile
  fairseq          its transformer, criterion cross_entropy and Adam at their defaults: float32, padded
  fairseq-bf16     the same under autocast, which fairseq itself has for GPUs only
  products         only the matrix products of the linear layers of ours-fp32, forward and backward: a bound for any
                   implementation in float32
On a processor without bfloat16 the default is ours, fairseq and products, all in float32.

Example: python benchmarks/mnmt_throughput.py --repeat 5 --json mnmt_throughput.json
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import warnings
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch

from benchmarks.common import add_common_arguments, interleaved, native_bf16, report, spread
from benchmarks.contenders import Step, torch_step
from benchmarks.throughput import interval, seconds
from benchmarks.translation_pairs import Pair, fairseq_task_and_model, make_pairs, our_model
from fairseq_xalign.constants import EOS
from fairseq_xalign.data.batching import Budget, cut_batches
from fairseq_xalign.models.compiled import AUTO, OFF
from fairseq_xalign.objectives.batch import pack
from fairseq_xalign.objectives.translation import TranslationBatch

Contender = Callable[[list[Pair], Namespace, bool], tuple[Step, list[Any]]]


def fairseq(pairs: list[Pair], args: Namespace, bf16: bool) -> tuple[Step, list[Any]]:
    """Model, criterion and optimizer as ``fairseq-train`` builds them; the step as its trainer makes it."""
    from fairseq import optim, utils
    from fairseq.data import LanguagePairDataset

    cfg, task, model = fairseq_task_and_model(reference(args), args.dropout, "--criterion", "cross_entropy")
    model.to(args.device).train()
    criterion = task.build_criterion(cfg.criterion)
    optimizer = optim.build_optimizer(cfg.optimizer, [p for p in model.parameters() if p.requires_grad])
    sides = [[pair[k] for pair in pairs] for k in (0, 1)]
    sizes = [np.array([len(text) for text in side]) for side in sides]
    dictionary = task.source_dictionary
    data = LanguagePairDataset(sides[0], sizes[0], dictionary, sides[1], sizes[1], dictionary, shuffle=True)
    with torch.random.fork_rng():
        np.random.seed(args.seed)
        order = data.ordered_indices()
    batches = [data.collater([data[i] for i in b]) for b in data.batch_by_size(order, max_tokens=args.max_tokens)]

    def step(sample: dict[str, Any]) -> None:
        optimizer.zero_grad()
        with torch.autocast(args.device, torch.bfloat16) if bf16 else contextlib.nullcontext():
            _, sample_size, _ = task.train_step(sample, model, criterion, optimizer, 0)
        optimizer.multiply_grads(1.0 / sample_size)
        optimizer.clip_grad_norm(1.0)
        optimizer.step()

    return step, shuffled([utils.move_to_cuda(b) if args.device == "cuda" else b for b in batches], args.seed)


def packed_batches(pairs: list[Pair], args: Namespace) -> list[TranslationBatch]:
    """The pairs without padding, in as many batches as fairseq makes of them."""
    sizes = np.array([len(source) + len(target) for source, target in pairs])
    order = np.argsort(-sizes, kind="stable")
    wanted = args.updates
    # The budget with which the pool takes as many updates as fairseq's: their tokens, without the padding.
    budget = -(-int(sizes.sum()) // wanted)
    while len(cut := cut_batches(order, sizes[order], Budget(tokens=budget))) > wanted:
        budget += 16

    def batch(indices: np.ndarray) -> TranslationBatch:
        chosen = [pairs[i] for i in indices.tolist()]
        source = pack([source for source, _ in chosen])
        target = pack([torch.cat([torch.tensor([EOS]), text[:-1]]) for _, text in chosen])
        target.targets = torch.cat([text for _, text in chosen])
        return TranslationBatch(source, target, None, torch.zeros(len(chosen), dtype=torch.int64)).to(args.device)

    return shuffled([batch(indices) for indices in cut], args.seed)


def ours(pairs: list[Pair], args: Namespace, bf16: bool, compiling: str = AUTO) -> tuple[Step, list[Any]]:
    model = reference(args).to(args.device).train()
    model.encoder.compiling = model.decoder.compiling = compiling

    def loss_of(batch: TranslationBatch) -> torch.Tensor:
        assert batch.target.targets is not None
        return model.losses(model(batch), batch.target.targets)[0].mean()

    return torch_step(model, loss_of, args.device, bf16), packed_batches(pairs, args)


def products(pairs: list[Pair], args: Namespace, bf16: bool) -> tuple[Step, list[Any]]:
    """The matrix products of the linear layers: each weight [n, k] with k inputs makes one forward and two backward."""
    model = reference(args)
    rows: dict[str, list[torch.Tensor]] = {"source": [], "target": []}
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            of_source = name.startswith("encoder.") or name.endswith("memory_kv")
            rows["source" if of_source else "target"].append(module.weight.detach())
    rows["target"].append(model.encoder.embed_tokens.weight.detach())  # the output layer

    def step(batch: TranslationBatch) -> None:
        for side, weights in rows.items():
            count = len(getattr(batch, side).tokens)
            for weight in weights:
                x = torch.ones(count, weight.shape[1])
                gradient = x @ weight.T
                _ = gradient @ weight
                _ = gradient.T @ x

    return step, packed_batches(pairs, args)


def reference(args: Namespace) -> Any:
    torch.manual_seed(args.seed)
    ffn_width = args.ffn_width or 4 * args.width
    return our_model(args.layers, args.width, ffn_width, args.heads, args.vocabulary, args.dropout)


def shuffled(batches: list[Any], seed: int) -> list[Any]:
    order = torch.randperm(len(batches), generator=torch.Generator().manual_seed(seed)).tolist()
    return [batches[i] for i in order]


def usual(device: str) -> list[str]:
    """The contenders that are measured where none are named."""
    if device == "cuda":
        return ["ours", "ours-uncompiled", "fairseq-bf16"]
    return [n for n in CONTENDERS if n != "ours-uncompiled"] if native_bf16() else ["ours", "fairseq", "products"]


CONTENDERS: dict[str, tuple[Contender, bool | None]] = {
    "fairseq": (fairseq, False),
    "fairseq-bf16": (fairseq, True),
    "ours": (ours, None),
    "ours-uncompiled": (lambda pairs, args, bf16: ours(pairs, args, bf16, OFF), None),
    "ours-fp32": (ours, False),
    "products": (products, False),
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shape = parser.add_argument_group("shape")
    shape.add_argument("--layers", type=int, default=4, help="Layers of encoder and decoder (default: %(default)s).")
    shape.add_argument("--width", type=int, default=256, help="Width (default: %(default)s).")
    shape.add_argument("--ffn-width", type=int, help="Width of feed-forward blocks (default: four times --width).")
    shape.add_argument("--heads", type=int, default=4, help="Attention heads (default: %(default)s).")
    shape.add_argument("--vocabulary", type=int, default=8000, help="Number of symbols (default: %(default)s).")
    shape.add_argument("--dropout", type=float, default=0.1, help="Dropout (default: %(default)s).")
    parser.add_argument(
        "--max-tokens", type=int, default=2048, help="fairseq's budget of a batch, with padding (default: %(default)s)."
    )
    parser.add_argument("--pairs", type=int, default=512, help="Pairs in the pool (default: %(default)s).")
    parser.add_argument(
        "--contenders",
        help="Contenders (default: ours, fairseq and products; with bfloat16, all but ours-uncompiled; on CUDA, ours, "
        "ours-uncompiled and fairseq-bf16).",
    )
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="Device to measure on (default: %(default)s)."
    )
    parser.add_argument("--threads", type=int, default=2, help="Threads of torch (default: %(default)s).")
    parser.add_argument("--seed", type=int, default=1, help="Seed of pairs and weights (default: %(default)s).")
    add_common_arguments(parser)
    args = parser.parse_args(argv)
    if args.small:
        args.layers, args.width, args.vocabulary, args.pairs, args.max_tokens, args.repeat = 1, 32, 200, 16, 400, 1
        args.threads = 1
    names = args.contenders.split(",") if args.contenders else usual(args.device)
    if unknown := [name for name in names if name not in CONTENDERS]:
        parser.error(f"--contenders: unknown {', '.join(unknown)}; choose from {', '.join(CONTENDERS)}")
    args.bf16 = args.device == "cuda" or native_bf16()  # None above: where the device has it
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")  # fairseq's and hydra's, about each other
    logging.disable(logging.INFO)
    pairs = make_pairs(args.pairs, args.vocabulary, args.seed)
    args.updates = len(fairseq(pairs, args, False)[1])
    runs = {}
    for name in names:
        make, bf16 = CONTENDERS[name]
        runs[name] = make(pairs, args, args.bf16 if bf16 is None else bf16)
    for name, (step, batches) in runs.items():
        took = seconds(step, batches if args.device == "cuda" else batches[:2], args.device)
        print(f"{name}: {len(batches)} updates per pass, warm after {took:.1f} s", file=sys.stderr, flush=True)
    found = interleaved({name: lambda run=run: seconds(*run, args.device) for name, run in runs.items()}, args.repeat)
    tokens = sum(len(target) for _, target in pairs)
    rows = []
    for name, taken in found.items():
        ratio = ""
        if "ours" in found and name != "ours":
            median, low, high = interval([theirs / mine for theirs, mine in zip(taken, found["ours"])])
            ratio = f"{median:.2f} ({low:.2f} to {high:.2f})"
        rows.append([name, spread([tokens / t for t in taken]), ratio])
    precision = "bf16" if args.bf16 else "float32"
    where = torch.cuda.get_device_name() if args.device == "cuda" else f"{args.threads} threads"
    title = f"translation training: {tokens:,} target tokens in {args.updates} updates, {where}, "
    title += f"ours in {precision}"
    columns = ["", "target tokens/s", "ours is ... times faster (95 % interval)"]
    report(title, columns, rows, {"seconds": found, "target_tokens": tokens}, args)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
