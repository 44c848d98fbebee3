"""Real runs of fairseq's commands for tests, each in a process of its own that is ready in tenths of a second.

A fork server imports fairseq and our tasks once; each run forks from it. Another has imported fairseq alone, for runs
of fairseq as it is: nothing of ours is imported there unless a run asks for it.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import multiprocessing
import os
import random
import socket
import sys
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from unittest import mock

_context = multiprocessing.get_context("forkserver")
_PLAIN, _OURS = forkserver.ForkServer(), forkserver.ForkServer()
FAIRSEQ = ["fairseq_cli.train", "fairseq_cli.preprocess", "torch._dynamo"]
TASKS = [f"fairseq_xalign.tasks.{name}" for name in ("align_mlm", "mnmt", "xling")]
_PLAIN.set_forkserver_preload([*FAIRSEQ, "tests.support.quick_hydra"])
_OURS.set_forkserver_preload([*FAIRSEQ, *TASKS, "tests.support.quick_hydra"])

TINY = """
    --task masked_lm --arch roberta_base --encoder-layers 1 --encoder-embed-dim 16 --encoder-ffn-embed-dim 16
    --encoder-attention-heads 2 --criterion masked_lm --optimizer adam --lr 0.001 --batch-size 8 --max-positions 64
    --tokens-per-sample 32 --sample-break-mode complete --required-batch-size-multiple 1 --num-workers 0 --cpu
    --no-progress-bar --log-format simple --log-interval 1 --seed 1 --data-buffer-size 0
""".split()
"""fairseq's own masked language model, as small as it gets; one update takes some 10 ms.

Without a buffer of batches fairseq starts no thread that fills it: Python ends the process with "terminate called
without an active exception" where such a thread is inside torch when the process is about to end.
"""

COMPOSED = "XALIGN_TEST_COMPOSED"
"""The variable with the folder where settings that one process has composed are kept for the others (quick_hydra)."""

ALL, NONE, READ = ("apply",), (), ("allow_checkpoint_classes",)
"""Which workarounds a run has: ours, fairseq as it is, or just enough that it reads its own checkpoints."""


def run_function(
    function, *args, log: Path | None = None, has_children: bool = False, plain: bool = False
) -> ForkServerProcess:
    """Start ``function(*args)`` in a fresh process; its output goes to ``log``.

    Args:
        has_children: whether the process may start others.
        plain: whether nothing of ours is imported yet.
    """
    process = _context.Process(target=_run, args=(function, args, log), daemon=not has_children)
    server = _PLAIN if plain else _OURS
    with mock.patch.object(forkserver, "connect_to_new_process", server.connect_to_new_process):  # it knows one server
        process.start()
    return process


def _run(function, args, log: Path | None) -> None:
    gc.freeze()  # what the server has imported stays: collecting it again and again takes time
    if log is not None:
        stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
    try:
        function(*args)
    except Exception:  # as the interpreter does; multiprocessing would print the traceback by itself
        sys.excepthook(*sys.exc_info())
        raise SystemExit(1) from None


def command(module: str, arguments: list[str], workarounds: tuple[str, ...] = ()) -> None:
    """What ``fairseq-train`` and its like do, after the functions of ``compat`` named in ``workarounds``."""
    import torch

    torch.set_num_threads(1)
    for name in workarounds:
        getattr(importlib.import_module("fairseq_xalign.compat"), name)()
    sys.argv = [module.replace("_cli.", "-"), *arguments]
    importlib.import_module(module).cli_main()


def train(arguments: list, log: Path, workarounds: tuple[str, ...] = ()) -> ForkServerProcess:
    """Start ``fairseq-train`` with ``arguments``, as it is but for ``workarounds``."""
    return run_function(command, "fairseq_cli.train", [str(a) for a in arguments], workarounds, log=log, plain=True)


def wait(process: ForkServerProcess, seconds: float = 60) -> int:
    """The exit status of a run; one that does not end in time fails the test."""
    process.join(seconds)
    if process.is_alive():
        process.kill()
        raise AssertionError(f"not done after {seconds} s")
    assert process.exitcode is not None
    return process.exitcode


def tiny_data(folder: Path) -> Path:
    """A folder in fairseq's format: 200 and 20 sentences over 30 words."""
    rng = random.Random(1)
    words = [f"w{i}" for i in range(30)]
    for split, count in (("train", 200), ("valid", 20)):
        lines = [" ".join(rng.choices(words, k=rng.randint(4, 12))) for _ in range(count)]
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n", "utf-8")
    files = ["--trainpref", f"{folder}/train.txt", "--validpref", f"{folder}/valid.txt"]
    out = ["--only-source", "--destdir", f"{folder}/bin", "--workers", "1"]
    made = run_function(command, "fairseq_cli.preprocess", files + out, log=folder / "preprocess.log", plain=True)
    assert wait(made) == 0
    return folder / "bin"


def updates_in(checkpoint: Path) -> int:
    """How many updates a checkpoint holds, read with torch's protection on."""
    import torch

    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(checkpoint)["optimizer_history"][-1]["num_updates"]


def free_port() -> int:
    """A port of this machine that nothing listens to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def two_workers(again, *arguments, workarounds):
    """Start a training by two workers with the fixture ``again``: each one's process and log."""
    where = ["--distributed-backend", "gloo", "--distributed-world-size", "2", "--distributed-no-spawn"]
    where += ["--distributed-init-method", f"tcp://127.0.0.1:{free_port()}", "--ddp-backend", "legacy_ddp", *arguments]
    return [again(*where, "--distributed-rank", rank, workarounds=workarounds, log=f"log{rank}") for rank in (0, 1)]
