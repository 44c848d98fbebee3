"""What the benchmarks share: made-up text, processes with their time and memory, and a report as table and JSON."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
USER_DIR = ROOT / "fairseq_xalign"
"""What ``--user-dir`` needs: benchmarks may be started from any folder."""
WORDS, MEAN_LENGTH = 20_000, 20


def made_up_lines(count: int, seed: int = 1, words: int = WORDS) -> list[str]:
    """``count`` sentences of 3 to 40 words, whose frequencies fall as in language (Zipf)."""
    draws = random.Random(seed)
    letters = "etaoinshrdlcumwfgypbvk"
    vocabulary = ["".join(draws.choices(letters, k=draws.randint(1, 9))) for _ in range(words)]
    heights = list(itertools.accumulate(1 / rank for rank in range(1, words + 1)))
    lengths = [min(40, max(3, round(draws.gauss(MEAN_LENGTH, 8)))) for _ in range(count)]
    return [" ".join(draws.choices(vocabulary, cum_weights=heights, k=n)).capitalize() + "." for n in lengths]


def write_lines(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def environment() -> dict[str, str]:
    """Variables for a process that runs this checkout's modules."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH", "")])])
    return {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}


class Cost(NamedTuple):
    """What a process took.

    Attributes:
        seconds: from its start to its end.
        cpu: seconds of all cores together, of all its processes; other programs on the machine change it little.
        megabytes: the highest memory (resident) of any of its processes.
    """

    seconds: float
    cpu: float
    megabytes: float


def run_process(*arguments: object) -> tuple[float, float]:
    """Run a Python module or script; return its seconds and the highest memory (resident, MB) of any of its processes.

    Raises:
        SystemExit: if it failed; the end of its output is shown.
    """
    cost = process_cost(*arguments)
    return cost.seconds, cost.megabytes


def process_cost(*arguments: object) -> Cost:
    """Run a Python module or script as :func:`run_process` does; return all that it took."""
    command = [sys.executable, *map(str, arguments)]
    # A process between reads the peak: RUSAGE_CHILDREN of this one would keep that of earlier calls.
    watch = "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:]).returncode; "
    watch += "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
    watch += "print(used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr); sys.exit(code)"
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", watch, *command], env=environment(), capture_output=True, text=True)
    taken = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    cpu, peak = done.stderr.strip().splitlines()[-1].split()
    return Cost(taken, float(cpu), int(peak) / (1024 if sys.platform != "darwin" else 1 << 20))


def interleaved(contenders: dict[str, Callable[[], Any]], repeat: int) -> dict[str, list[Any]]:
    """What each contender returns, ``repeat`` times; the contenders take turns and their order rotates."""
    found: dict[str, list[Any]] = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(repeat):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            found[name].append(contenders[name]())
    return found


def spread(values: Sequence[float]) -> str:
    """Median and range, as text."""
    return f"{statistics.median(values):,.1f} ({min(values):,.1f} to {max(values):,.1f})"


def native_bf16() -> bool:
    """Whether the processor has instructions for bfloat16; without them it imitates them, many times slower."""
    try:
        flags = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return False
    return any(flag in flags for flag in ("avx512_bf16", "amx_bf16", " bf16"))


def signature(repeat: int) -> str:
    """Where and how often it was measured."""
    import torch

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    host = platform.processor() or platform.machine()
    return f"{host}, {os.cpu_count()} cores, load {load:.1f}, torch {torch.__version__}, {repeat} repetitions"


def report(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], figures: Any, args: Any) -> None:
    """Print one table and its signature, and write all figures to ``args.json`` if it is given."""
    from fairseq_xalign.evaluate.report.tables import text_table

    said = signature(args.repeat)
    print(f"{title}\n\n{text_table(columns, rows)}\n{said}", flush=True)
    if args.json:
        value = {"title": title, "signature": said, "arguments": vars(args), "figures": figures}
        args.json.write_text(json.dumps(value, indent=1, default=str) + "\n", encoding="utf-8")


def add_peers(parser: Any, names: str) -> None:
    """Declare --peers: where the packages ``names`` are, which the product does not need."""
    parser.add_argument(
        "--peers",
        metavar="DIR",
        default=os.environ.get("XALIGN_PEERS"),
        help=f"Folder into which {names} was installed (default: the variable XALIGN_PEERS, which `make bench` sets).",
    )


def use_peers(folder: str | None, needed: str | None = None) -> None:
    """Let this process and those that it starts import the packages of ``folder``; ends without ``needed``."""
    if folder:
        sys.path.append(folder)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), folder]))
    if needed and importlib.util.find_spec(needed) is None:
        raise SystemExit(
            f"{needed} is not installed: pip install --no-deps --target DIR -r benchmarks/peers.txt, then --peers DIR"
        )


def add_common_arguments(parser: Any, repeat: int = 3) -> None:
    parser.add_argument("--repeat", type=int, default=repeat, help="Repetitions of each (default: %(default)s).")
    parser.add_argument("--json", type=Path, metavar="FILE", help="Write all figures to this file.")
    parser.add_argument(
        "--small", action="store_true", help="Only try the script, in seconds; the figures mean nothing."
    )
