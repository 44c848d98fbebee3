"""The work of ``benchmarks/gpu_check.sh``. Each step has a time limit, and a failed one does not end the others."""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.common import ROOT, USER_DIR, environment, made_up_lines, report, run_process, write_lines

PRECISIONS: dict[str, list[str]] = {
    "float32": [],
    "--autocast bf16": ["--autocast", "bf16"],
    "--fp16": ["--fp16"],
    "--amp": ["--amp"],
    "--bf16": ["--bf16"],
    "--autocast bf16 --residual-precision half": ["--autocast", "bf16", "--residual-precision", "half"],
}
ON_CPU = ("float32", "--autocast bf16")
"""fairseq's other precisions are for GPUs."""
UPDATES, LAST = 200, 50
"""Updates in every precision, and how many of them, at the end, the losses that are compared are the mean of."""
MOST_APART = 0.03
"""Bits between the losses of one update in equal runs: what rounding makes of 100 updates on a GPU, where sums are not
always added in one order."""
STEPS = ("tests", "throughput", "documents", "shares", "translation", "finetune", "train", "precisions", "repeats")


LIMITS = 1.0
"""Every step's time limit is multiplied by this: a machine without a GPU is slow."""


@dataclass
class Step:
    """What one step found: a result for the table, and its figures."""

    name: str
    passed: bool
    result: str
    seconds: float
    figures: dict[str, Any] = field(default_factory=dict)


def call(name: str, command: list[object], limit: float, **variables: str) -> tuple[Step, str]:
    """Run a command, with some variables of the environment; the step, failed with the last line of its errors, and its
    output."""
    limit *= LIMITS
    began = time.perf_counter()
    words = [sys.executable, *map(str, command)]
    try:
        env = environment() | variables
        done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=limit)
        output, code = done.stdout + done.stderr, done.returncode
    except subprocess.TimeoutExpired as error:
        output, code = str(error.stdout or b""), -1
    taken = time.perf_counter() - began
    last = next((line for line in reversed(output.splitlines()) if line.strip()), "no output")
    said = "" if code == 0 else f"no end after {limit:.0f} s" if code == -1 else last[:100]
    return Step(name, code == 0, said, taken), output


def tests(args: argparse.Namespace) -> Step:
    """The tests that need a GPU."""
    where = "tests/models/test_dropout.py" if args.small else "tests/models/test_gpu.py"
    step, output = call("CUDA tests" if args.device == "cuda" else "tests", ["-m", "pytest", "-n", 0, where], 90)
    if found := re.search(r"\d+ passed.*", output):
        step.result = found[0].strip(" =")
    return step


def logged(output: str) -> list[dict[str, Any]]:
    """The JSON lines of fairseq's log that are about updates."""
    lines = [line for line in output.splitlines() if "| train_inner | {" in line]
    return [json.loads(line[line.index("{") :]) for line in lines]


def training(data: Path, folder: Path, args: argparse.Namespace, updates: int, *options: object) -> list[object]:
    device = ["--cpu"] if args.device == "cpu" else []
    return [
        *("-m", "fairseq_cli.train", data, "--user-dir", USER_DIR, *device, "--task", "align_mlm"),
        *("--criterion", "align_mlm", "--arch", args.arch, "--tokens-per-sample", args.length, "--num-workers", 0),
        *("--batch-size", args.batch, "--optimizer", "adamw", "--lr", "1e-4", "--max-update", updates),
        *("--save-dir", folder, "--log-format", "json", "--log-interval", 1, "--no-epoch-checkpoints", *options),
    ]


def precision(name: str, data: Path, folder: Path, args: argparse.Namespace) -> Step:
    """Train half of the updates, resume for the other half; the mean loss of the last ones in bits."""
    updates, last = (4, 2) if args.small else (UPDATES, LAST)
    options = [*PRECISIONS[name], *several_at_once(args)]
    first, _ = call(name, training(data, folder, args, updates // 2, *options), 120)
    if not first.passed:
        return first
    step, output = call(name, training(data, folder, args, updates, *options), 120)
    values, resumed = logged(output), f"@ {updates // 2} updates" in output
    step.passed = step.passed and resumed and len(values) == updates - updates // 2
    step.seconds += first.seconds
    if step.passed:
        step.figures = {"loss": statistics.fmean(float(line["loss"]) for line in values[-last:]), "updates": values}
        step.result = f"resumed at {updates // 2}, loss {step.figures['loss']:.3f} over the last {last} of {updates}"
    else:
        step.result = step.result or f"{len(values)} updates logged, {'' if resumed else 'not '}resumed"
    return step


def several_at_once(args: argparse.Namespace) -> list[object]:
    """Options of trainings that share the device: a small shape, and no time for compiling.

    The learning rate rises all the time. At its full height from the first update on, single gradients are several
    times as large as the others, on a CPU too; on a GPU in other updates of each run, so that equal runs look unequal.
    """
    shape = ["--arch", "xalign_small", "--lr", "5e-4", "--tokens-per-sample", 128, "--batch-size", 128]
    rate = ["--lr-scheduler", "polynomial_decay", "--warmup-updates", UPDATES, "--total-num-update", 10 * UPDATES]
    return ["--clip-norm", 1.0, "--compile", "off", *rate, *([] if args.small else shape)]


def repeats(data: Path, folder: Path, args: argparse.Namespace) -> Step:
    """The same training twice with and twice without loader processes: every update must have the same loss."""
    began, updates = time.perf_counter(), 3 if args.small else UPDATES // 2
    options = ["--no-save", *several_at_once(args)]
    if args.device == "cuda":
        options += ["--autocast", "bf16"]

    def trained(workers: int) -> tuple[Step, list[dict[str, Any]]]:
        made, output = call("repeats", training(data, folder, args, updates, *options, "--num-workers", workers), 150)
        return made, logged(output)

    with ThreadPoolExecutor(4 if args.device == "cuda" else 1) as pool:
        found = list(pool.map(trained, (0, 0, 2, 2)))
    result = next((made for made, lines in found if not made.passed), found[0][0])
    counts = [len(lines) for _, lines in found]
    if result.passed and set(counts) == {updates}:
        losses = [[float(line["loss"]) for line in lines] for _, lines in found]
        apart = [max(values) - min(values) for values in zip(*losses)]
        largest = max(range(updates), key=apart.__getitem__)
        result.passed = apart[largest] < MOST_APART
        result.result = f"{updates} updates four times, at most {apart[largest]:.4f} bits apart (update {largest + 1})"
    else:
        result.passed = False
        result.result = result.result or f"{counts} updates logged, not {updates} each"
    result.figures = {"updates": [lines for _, lines in found]}
    result.seconds = time.perf_counter() - began
    return result


def precisions(data: Path, folder: Path, args: argparse.Namespace) -> list[Step]:
    """Every precision, several at once: their losses are compared, not their speed."""
    names = list(PRECISIONS) if args.device == "cuda" else list(ON_CPU)
    places = [folder / re.sub(r"\W+", "", name) for name in names]
    with ThreadPoolExecutor(len(names) if args.device == "cuda" else 1) as pool:
        return list(pool.map(lambda pair: precision(pair[0], data, pair[1], args), zip(names, places)))


def shares(args: argparse.Namespace) -> Step:
    """Milliseconds of each kind of kernel in a step."""
    command: list[object] = ["benchmarks/gpu/shares.py", "--rows", "blocks", "--length", 512, "--batch", 128]
    command += ["--attention-dropout", 0, "--contenders", "ours,ours-half-residual"]
    step, output = call("shares", command, 120)
    print(output, file=sys.stderr)
    step.result = step.result or "; ".join(line for line in output.splitlines() if " ms per update" in line)
    return step


def throughput(rows: str, folder: Path, args: argparse.Namespace) -> Step:
    """Tokens per second of ours and its peers: on blocks without attention dropout, on documents with it."""
    file = folder / f"{rows}.json"
    command: list[object] = ["benchmarks/throughput.py", "--device", args.device, "--json", file, "--rows", rows]
    if args.small:
        command += ["--small", "--contenders", "ours,transformers"]
    elif rows == "blocks":
        command += ["--length", 512, "--batch", 64, "--attention-dropout", 0]
        command += ["--contenders", "ours,ours-uncompiled,ours-half-residual,transformers"]
    else:
        command += ["--length", 512, "--batch", 64, "--contenders", "ours,transformers"]
    step, output = call(f"throughput, {rows}", command, 200)
    print(output, file=sys.stderr)
    if file.exists():
        step.figures = json.loads(file.read_text("utf-8"))
        step.result = "; ".join(
            f"{kind['rows']}: {ours['tokens_per_second']:,.0f} tokens/s"
            + (f", MFU {ours['model_flop_utilisation']:.1%}" if "model_flop_utilisation" in ours else "")
            + "".join(
                f", {entry['ours_is_times_faster']['median']:.2f} x {name}"
                for name, entry in kind["contenders"].items()
                if name != "ours"
            )
            for kind in step.figures["results"]
            if (ours := kind["contenders"].get("ours"))
        )
    return step


def translation(folder: Path, args: argparse.Namespace) -> Step:
    """Target tokens per second of translation with MMTE's large shape, and fairseq's."""
    file = folder / "translation.json"
    command: list[object] = ["benchmarks/mnmt_throughput.py", "--device", args.device, "--json", file]
    shape = ["--layers", 6, "--width", 1024, "--ffn-width", 8192, "--heads", 16, "--vocabulary", 64_000]
    command += ["--small"] if args.small else [*shape, "--max-tokens", 16_384, "--pairs", 4096]
    step, output = call("translation", command, 200)
    print(output, file=sys.stderr)
    if file.exists():
        step.figures = json.loads(file.read_text("utf-8"))["figures"]
        median, tokens = statistics.median, step.figures["target_tokens"]
        times = {name: median(seconds) for name, seconds in step.figures["seconds"].items()}
        step.result = f"{tokens / times['ours']:,.0f} target tokens/s" + "".join(
            f", {taken / times['ours']:.2f} x {name}" for name, taken in times.items() if name != "ours"
        )
    return step


def finetune(folder: Path, args: argparse.Namespace) -> Step:
    """Sentences per second of fine-tuning and of ``predict``, and those of the Trainer of transformers."""
    if importlib.util.find_spec("accelerate") is None:
        return Step("fine-tuning", True, "left out: accelerate is not installed", 0.0)
    file = folder / "finetune.json"
    command: list[object] = ["benchmarks/finetune.py", "--device", args.device, "--json", file]
    command += ["--small"] if args.small else ["--model", "random-base", "--repeat", 2]
    step, output = call("fine-tuning", command, 200)
    print(output, file=sys.stderr)
    if file.exists():
        step.figures = json.loads(file.read_text("utf-8"))["figures"]
        seconds = {name: statistics.median(s for s, _ in taken) for name, taken in step.figures["training"].items()}
        ours, theirs = seconds.values()
        step.result = f"{theirs / ours:.2f} x the Trainer"
    return step


def rate(data: Path, folder: Path, args: argparse.Namespace) -> Step:
    """Tokens per second of ``fairseq-train`` itself, how much of the time it waits for data, and how long its first
    updates wait for the compiler: at first, and with what that run left in the compiler's cache."""
    updates, interval = (4, 1) if args.small else (60, 5)
    command = training(data, folder, args, updates, "--autocast", "bf16", "--no-save", "--log-interval", interval)
    lines, began = [], time.perf_counter()
    for _ in range(2):
        step, output = call("fairseq-train", command, 90, TORCHINDUCTOR_CACHE_DIR=str(folder / "compiled"))
        if not step.passed or not (found := logged(output)):
            step.passed, step.result = False, step.result or "no updates logged"
            return step
        lines.append(found)
    last, waits = lines[-1][-1], [found[0]["train_wall"] for found in lines]
    step.result = f"{last['wps']} tokens/s, data_wait {last['data_wait']}; the first {interval} updates "
    step.result += f"{waits[0]} s, in a second run {waits[1]} s"
    step.seconds = time.perf_counter() - began
    step.figures = {**last, "first": lines[0][0], "first_of_second": lines[1][0]}
    return step


def make_data(folder: Path, args: argparse.Namespace) -> Step:
    """English of made-up words, and the language that is derived from it by Trans, in ``folder/data``."""
    began = time.perf_counter()
    count, size = (300, 200) if args.small else (30_000, 32_000)
    text, other, valid = folder / "text.en.txt", folder / "text.xx.txt", folder / "valid.en.txt"
    write_lines(text, made_up_lines(count, words=500 if args.small else 60_000))
    write_lines(valid, made_up_lines(100, words=500 if args.small else 60_000))
    sub, doubled, data = folder / "sub", folder / "doubled", folder / "data"
    run_process("-m", "preprocess", "subword", "--input", f"en={text}", "--vocab-size", size, "--output", sub)
    run_process("-m", "preprocess", "derive", "--transform", "trans", "--subword", sub, "--output-subword", doubled,
                "--format", "text", "--input", text, "--output", other)  # fmt: skip
    run_process("-m", "preprocess", "dictionary", "--derived", doubled, "--source", "en", "--target", "xx", "--output",
                folder / "d.tsv")  # fmt: skip
    made = ["-m", "preprocess", "binarize", "--subword", doubled, "--output", data]
    run_process(*made, "--split", "train", "--mono", f"en={text}", "--mono", f"xx={other}", "--dictionary",
                f"en-xx={folder / 'd.tsv'}")  # fmt: skip
    run_process(*made, "--split", "valid", "--mono", f"en={valid}")
    return Step("data", True, f"{count:,} lines per language", time.perf_counter() - began)


def work(folder: Path, args: argparse.Namespace) -> list[Callable[[], list[Step]]]:
    """What is wanted, in the order in which it is done; each gives one step or, of precisions, several."""
    data = args.data or folder / "data"
    known: dict[str, Callable[[], list[Step]]] = {
        "tests": lambda: [tests(args)],
        "throughput": lambda: [throughput("blocks", folder, args)],
        "documents": lambda: [throughput("documents", folder, args)],
        "shares": lambda: [shares(args)],
        "translation": lambda: [translation(folder, args)],
        "finetune": lambda: [finetune(folder, args)],
        "data": lambda: [make_data(folder, args)],
        "train": lambda: [rate(data, folder / "rate", args)],
        "precisions": lambda: precisions(data, folder, args),
        "repeats": lambda: [repeats(data, folder / "repeats", args)],
    }
    wanted = set(args.only)
    if args.data is None and wanted & {"train", "precisions", "repeats"}:
        wanted.add("data")
    if args.device == "cpu":
        wanted -= {"shares", "documents"}
    return [do for name, do in known.items() if name in wanted]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Run the CUDA tests, train and resume in every precision, measure speed; print one table."
    )
    parser.add_argument(
        "--device", choices=("cuda", "cpu"), default="cuda", help="Device to check (default: %(default)s)."
    )
    parser.add_argument(
        "--only",
        default=",".join(STEPS),
        help="Steps, separated by commas; each takes from half a minute to four minutes (default: %(default)s).",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="A data folder of `binarize` with a dictionary of word pairs, for fairseq-train (default: made-up text).",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="Write all figures to this file.")
    parser.add_argument("--small", action="store_true", help="Only try the script itself; the figures mean nothing.")
    args = parser.parse_args(argv)
    args.only = args.only.split(",")
    if unknown := [name for name in args.only if name not in STEPS]:
        parser.error(f"--only: unknown {', '.join(unknown)}; choose from {', '.join(STEPS)}")
    args.data = args.data and args.data.resolve()
    import torch

    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no GPU; --device cpu --small tries the script without one")
    global LIMITS
    LIMITS = 1.0 if args.device == "cuda" else 10.0
    args.repeat, args.arch = 1, "xalign_tiny" if args.small else "xalign_xlmr_base"
    args.length, args.batch = (32, 4) if args.small else (512, 32)
    steps: list[Step] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for do in work(folder, args):
            for step in do():
                steps.append(step)
                state = "passed" if step.passed else "FAILED"
                print(f"{step.name}: {state}, {step.result} ({step.seconds:.0f} s)", file=sys.stderr, flush=True)
    where = torch.cuda.get_device_name() if args.device == "cuda" else "CPU"
    rows = [[s.name, "passed" if s.passed else "FAILED", s.result, f"{s.seconds:.0f}"] for s in steps]
    columns = ["step", "", "result", "seconds"]
    report(f"GPU check on {where}, {args.arch}", columns, rows, [asdict(step) for step in steps], args)
    return 0 if all(step.passed for step in steps) else 1


if __name__ == "__main__":
    raise SystemExit(main())
