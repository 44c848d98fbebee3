"""Time of a training step of each paper's criterion, relative to MLM or TLM on the same text.

A step is forward pass, loss, backward pass, gradient norm, fused AdamW, and what objectives do after it; batches are
ready in memory. A criterion and its baseline read the same sentences with the same settings (mask rate, packing,
positions), each with an encoder of the same shape. They take turns, and the ratio is that of each turn; printed are its
median, its range, and the ratio that is aimed at. Criterions that this version does not have are left out.

Text is made up: pairs with the lengths of NTREX-128 English-German, in batches of --batch pairs, and blocks of
--length tokens. --linked says which share of the pieces has a link (0.88: NTREX-128 English-German in the vocabulary of
XLM-R, all pieces of words linked by `xalign-preprocess links`; 0.79 with --link-pieces in-order).

Example: python benchmarks/objectives.py --arch xalign_mbert --vocabulary 119547 --criterions weam
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch

from benchmarks.common import add_common_arguments, interleaved, native_bf16, report
from benchmarks.rows import LENGTHS, MAX_LENGTH
from fairseq_xalign.constants import EOS, FIRST_PIECE, MASK, PAD
from fairseq_xalign.data.batching import Budget
from fairseq_xalign.data.collate import CollateOptions, Collater
from fairseq_xalign.data.links import LINK_TYPE
from fairseq_xalign.data.mmap import MappedTokens, Writer, dtype_for
from fairseq_xalign.data.streams import BitextStream, MonoStream
from fairseq_xalign.data.windows import one_pass
from fairseq_xalign.models.compiled import AUTO
from fairseq_xalign.models.config import EncoderConfig
from fairseq_xalign.models.encoder import Encoder
from fairseq_xalign.models.presets import preset
from fairseq_xalign.objectives.align import DictionaryTensors
from fairseq_xalign.objectives.batch import PackedBatch
from fairseq_xalign.objectives.combined import MIXTURE, combined_loss
from fairseq_xalign.objectives.dict_mlm import Translations
from fairseq_xalign.objectives.fingerprint import Fingerprints
from fairseq_xalign.objectives.masking import Vocabulary
from fairseq_xalign.objectives.objective import LINKS, Context, Weighted, parse_objectives
from fairseq_xalign.objectives.preset import PRESETS
from fairseq_xalign.objectives.registry import OBJECTIVES
from fairseq_xalign.objectives.view import Settings, View, name_views, resolve_settings

LANGUAGES = {"en": 1, "de": 2}
ENTRIES = 10_000
"""Dictionary entries: 25 % of a vocabulary of 40,000 pieces (ALIGN-MLM)."""
PAIRS = {"tlm_packing": "pairs"}


@dataclass(frozen=True)
class Case:
    """A criterion, what it is compared with, and the ratio that is aimed at (None: there is no aim)."""

    name: str
    baseline: str
    aim: float | None


CASES = (
    Case("align_mlm", "mlm", 1.05),
    Case("dict_mlm", "mlm", 1.03),
    Case("weam", "tlm", 1.25),
    Case("ppa", "tlm", 1.7),
    Case("tpp", "tlm", 1.0),
    Case("wordalign", "tlm", None),
)
KNOWN = tuple(case for case in CASES if case.name in PRESETS or case.name in OBJECTIVES)
FIXED = {"moco_queue_init": "gaussian"}
"""Options of objectives: here a queue is not filled by the encoder, which happens once in a run."""


def text(folder: Path, args: argparse.Namespace) -> tuple[MonoStream, BitextStream]:
    """Blocks of text and linked pairs, as data folders have them."""
    draw, dtype = np.random.default_rng(args.seed), dtype_for(args.vocabulary)
    quantiles = [min(int(n), MAX_LENGTH) for n in LENGTHS["pairs"].split()]
    whole = np.array([quantiles[i * len(quantiles) // (args.batch * args.steps) % len(quantiles)]
                      for i in range(args.batch * args.steps)])  # fmt: skip
    sides = [np.maximum(whole // 2, 4), np.maximum(whole - whole // 2, 4)]
    for name, lengths in zip(("en", "de"), sides):
        with Writer(folder / name, dtype) as writer:
            for n in lengths:
                writer.write([*draw.integers(FIRST_PIECE, args.vocabulary, n - 2).tolist(), EOS])
    with Writer(folder / "links", LINK_TYPE) as writer:
        for n, m in zip(*sides):
            linked = np.flatnonzero(draw.random(n - 2) < args.linked)
            writer.write(np.stack([linked, linked * (m - 2) // (n - 2)], axis=1).reshape(-1))
    with Writer(folder / "mono", dtype) as writer:
        writer.write([*draw.integers(FIRST_PIECE, args.vocabulary, args.batch * args.steps * (args.length - 1)), EOS])
    pair = MappedTokens(folder / "en"), MappedTokens(folder / "de")
    return (
        MonoStream("en", MappedTokens(folder / "mono"), args.length, "none"),
        BitextStream("en", "de", pair, MAX_LENGTH, "pairs", links=MappedTokens(folder / "links")),
    )


def settings_of(case: Case) -> Settings:
    """The settings that a criterion and its baseline share: the paper's, one pair per sequence."""
    own = PRESETS[case.name].settings if case.name in PRESETS else {}
    return resolve_settings({**PAIRS, **own}, {})[0]


def objectives_of(name: str) -> tuple[list[Weighted], str]:
    """The objectives of a criterion, or the objective of this name alone, and how they are mixed."""
    if name not in PRESETS:
        return parse_objectives(name, OBJECTIVES, FIXED), MIXTURE
    found = PRESETS[name]
    kinds = [*(kind.Options for kind, _ in found.objectives), found.Options]
    defaults = {f.name: f.default for kind in kinds for f in fields(kind)}
    return found.build({**defaults, **{k: v for k, v in FIXED.items() if k in defaults}}), found.mix


def resources(args: argparse.Namespace) -> tuple[DictionaryTensors, Translations, Fingerprints]:
    """A made-up dictionary of single pieces, twice, and made-up fingerprints."""
    count = min(ENTRIES, (args.vocabulary - FIRST_PIECE) // 2)
    order = torch.randperm(args.vocabulary - FIRST_PIECE)[: 2 * count].view(2, count) + FIRST_PIECE
    rows = [order[:1].T.tolist(), order[1:].T.tolist()]
    both = [(1, a, b, 2) for a, b in order.T.tolist()] + [(2, b, a, 1) for a, b in order.T.tolist()]
    prints = Fingerprints(torch.randint(1, 2**62, (args.vocabulary,)), torch.ones(args.vocabulary, dtype=torch.int64))
    return DictionaryTensors.build(*rows, PAD), Translations.build(both, args.vocabulary), prints


def samples(
    streams: Sequence[Any], views: dict[str, View], links: bool, translations: Translations, args: argparse.Namespace
) -> list[dict[str, PackedBatch]]:
    """The batches of one pass over the streams, in all views."""
    vocabulary = Vocabulary(args.vocabulary, MASK, FIRST_PIECE, args.vocabulary, args.vocabulary - FIRST_PIECE)
    options = CollateOptions(views, vocabulary, LANGUAGES, resource=translations, links=links)
    build, found = Collater(streams, options), []
    for window in one_pass(streams, Budget(sequences=args.batch), args.seed, len(streams[0])):
        for number in range(len(window.batches)):
            packed = build(window, number)["streams"]
            found.append({k: PackedBatch.from_dict(v).to(args.device) for k, v in packed.items()})
    return found


def stepper(
    name: str, settings: Settings, streams: tuple[MonoStream, BitextStream], config: EncoderConfig,
    args: argparse.Namespace,
) -> Callable[[], float]:  # fmt: skip
    """A function that trains on one pass over the text and returns its seconds."""
    torch.manual_seed(args.seed)
    objectives, mix = objectives_of(name)
    chosen = [(w, w.objective.view(settings)) for w in objectives]
    views = name_views((w.objective.name, view) for w, view in chosen if view is not None)
    names = {view: called for called, view in views.items()}
    objectives = [w if view is None else replace(w, batch=names[view]) for w, view in chosen]
    entries, translations, prints = resources(args)
    kinds = {view.stream for view in views.values()}
    needs_links = any(LINKS in w.objective.needs for w in objectives)
    batches = samples([s for s in streams if s.kind in kinds], views, needs_links, translations, args)
    encoder = Encoder(config, compiling=AUTO).to(args.device).train()
    modules = {w.objective.name: w.objective.module(encoder) for w in objectives}
    owned = torch.nn.ModuleDict({k: m for k, m in modules.items() if m is not None}).to(args.device).train()
    for w in objectives:
        if w.objective.name in owned:
            w.objective.begin(owned[w.objective.name], encoder, args.seed, lambda _: iter(()))
    weights = [p for part in (encoder, owned) for p in part.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-5, fused=True)
    context = Context(entries.to(torch.device(args.device)), modules=dict(owned.items()), fingerprints=prints)
    lower = args.precision == "bf16"

    def step(number: int, batch: dict[str, PackedBatch]) -> None:
        for w in objectives:
            if w.objective.name in owned:
                w.objective.before_update(owned[w.objective.name])
        with torch.autocast(args.device, torch.bfloat16) if lower else contextlib.nullcontext():
            total, size, _ = combined_loss(objectives, encoder, batch, replace(context, number=(0, number)), mix)
        (total / size).backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        for w in objectives:
            if w.objective.name in owned:
                w.objective.after_step(owned[w.objective.name], encoder)

    def run() -> float:
        began = time.perf_counter()
        for number, batch in enumerate(batches):
            step(number, batch)
        if args.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    step(0, batches[0])
    if args.device == "cuda":
        run()
    return run


def measure(case: Case, config: EncoderConfig, streams: tuple[Any, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Times of a criterion and its baseline, and their ratio in each turn."""
    settings = settings_of(case)
    runs = {name: stepper(name, settings, streams, config, args) for name in (case.baseline, case.name)}
    taken = interleaved(runs, args.repeat)
    ratios = [own / other for own, other in zip(taken[case.name], taken[case.baseline])]
    return {"criterion": case.name, "baseline": case.baseline, "mask rate": settings.mask_prob, "aim": case.aim,
            "seconds": taken, "ratios": ratios, "ratio": statistics.median(ratios)}  # fmt: skip


def row(found: dict[str, Any], args: argparse.Namespace) -> list[str]:
    """A line of the table."""
    steps = [1000 * statistics.median(found["seconds"][found[name]]) / args.steps for name in ("baseline", "criterion")]
    ratios, aim = found["ratios"], found["aim"]
    return [
        found["criterion"], found["baseline"], f"{found['mask rate']:g}", *(f"{ms:,.0f}" for ms in steps),
        f"{found['ratio']:.2f} ({min(ratios):.2f} to {max(ratios):.2f})", "" if aim is None else f"{aim:.2f}",
    ]  # fmt: skip


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ",".join(case.name for case in KNOWN)
    parser.add_argument("--criterions", default=names, help="Which, separated by commas (default: %(default)s).")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="Where (default: %(default)s).")
    parser.add_argument("--arch", default="xalign_small", help="Preset with the shape (default: %(default)s).")
    parser.add_argument("--vocabulary", type=int, default=32_000, help="Symbols (default: %(default)s).")
    parser.add_argument("--batch", type=int, default=16, help="Pairs, or blocks, per batch (default: %(default)s).")
    parser.add_argument("--steps", type=int, default=4, help="Batches per repetition (default: %(default)s).")
    parser.add_argument("--length", type=int, default=128, help="Tokens per block (default: %(default)s).")
    parser.add_argument(
        "--linked", type=float, default=0.88, help="Share of pieces with a link (default: %(default)s)."
    )
    parser.add_argument(
        "--precision", choices=("bf16", "float32"), default="bf16" if native_bf16() else "float32",
        help="Autocast, or none (default: bf16 where the processor has it; here %(default)s).",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, default=2, help="Threads of torch on a CPU (default: %(default)s).")
    parser.add_argument("--seed", type=int, default=1, help="Of text and weights (default: %(default)s).")
    add_common_arguments(parser, repeat=5)
    args = parser.parse_args(argv)
    if args.small:
        args.arch, args.vocabulary, args.batch, args.steps, args.length, args.repeat = "xalign_tiny", 500, 4, 2, 16, 1
    if unknown := [name for name in args.criterions.split(",") if name not in names.split(",")]:
        parser.error(f"--criterions: unknown {', '.join(unknown)}; choose from {names}")
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    config = preset(args.arch, args.vocabulary)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        streams = text(Path(folder), args)
        for case in KNOWN:
            if case.name in args.criterions.split(","):
                found.append(measure(case, config, streams, args))
                print(f"{case.name}: {found[-1]['ratio']:.2f} x {case.baseline}", file=sys.stderr, flush=True)
    columns = ["criterion", "relative to", "mask rate", "its ms", "own ms", "ratio (range)", "aim"]
    title = f"Training steps: {args.arch}, {args.vocabulary:,} symbols, {args.batch} sequences, {args.precision}"
    report(title, columns, [row(one, args) for one in found], found, args)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
