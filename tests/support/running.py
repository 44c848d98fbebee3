"""Short real runs of ``fairseq-train`` with our tasks, and what their logs and checkpoints hold."""

from __future__ import annotations

import json
import os
import signal
import socket
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch

from fairseq_xalign.models.checkpoint import read_checkpoint
from tests.support.trainings import command, run_function, wait

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = (
    "--task align_mlm --arch xalign_tiny --encoder-layers 1 --encoder-embed-dim 32 --encoder-ffn-embed-dim 32"
    " --encoder-attention-heads 2 --tokens-per-sample 128 --max-tokens 512 --optimizer adamw --lr 0.01 --seed 1 --cpu"
    " --log-format json --log-interval 1 --num-workers 0 --no-epoch-checkpoints --save-interval-updates 1000"
).split()
CRITERIONS = {
    "mlm": ["--criterion", "mlm"],
    "tlm": ["--criterion", "tlm"],
    "xlm": ["--criterion", "xlm", "--language-embeddings", "--dropout", "0.1"],
    "dict_mlm": ["--criterion", "dict_mlm", "--language-embeddings"],
    "align_mlm": ["--criterion", "align_mlm"],
    "xalign": ["--criterion", "xalign", "--objectives", "mlm,tlm:0.5,align:3", "--dictionary-sample", "50"],
}

MNMT = "--task mnmt --arch mmte_tiny --criterion mnmt --decoder-layers 1 --dropout 0.1 --tokens-per-sample 64".split()
TRANSLATION = {
    "mnmt": MNMT,
    "mnmt with mlm and tlm": [*MNMT, "--mlm-weight", "0.5", "--tlm-weight", "0.25", "--label-smoothing", "0.1"],
    "mnmt separate": [*MNMT, "--target-token", "separate"],
}
"""Translation; options given later replace those of ``OPTIONS``."""


class Run:
    """A finished run: exit status, whole log, and its JSON records."""

    def __init__(self, status: int, log: Path, save_dir: Path) -> None:
        self.status, self.save_dir = status, save_dir
        self.text = log.read_text("utf-8", errors="replace")

    def records(self, tag: str) -> list[dict[str, Any]]:
        """The logged figures of ``train_inner``, ``train`` or ``valid``."""
        lines = [line for line in self.text.splitlines() if f"| {tag} | {{" in line]
        return [json.loads(line[line.index("{") :]) for line in lines]

    def losses(self) -> list[float]:
        return [float(r["loss"]) for r in self.records("train_inner")]

    def checkpoint(self, name: str = "checkpoint_last.pt") -> dict[str, Any]:
        return read_checkpoint(self.save_dir / name)


def pretrain(data: Path, folder: Path, criterion: str, updates: int, *options: object) -> Run:
    """Train for ``updates`` updates (in all, when it resumes) into ``folder/checkpoints``."""
    return finish(start(data, folder, criterion, updates, *options), folder)


def killed_command(update: int, module: str, arguments: list[str]) -> None:
    """``command``, but SIGKILL ends the process in the middle of an update."""
    from fairseq.trainer import Trainer

    original = Trainer.train_step

    def train_step(self, samples, *rest):
        if self.get_num_updates() == update:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, samples, *rest)

    Trainer.train_step = train_step
    command(module, arguments)


SHAPE = OPTIONS[2 : OPTIONS.index("--tokens-per-sample")]
FINETUNING = "--criterion xling --batch-size 16 --optimizer adamw --lr 0.01 --seed 1 --cpu --num-workers 0".split()
LOGGING = "--log-format json --log-interval 1 --no-epoch-checkpoints".split()


def start_finetuning(
    labelled: Path, begin: Path, folder: Path, task: str, updates: int, *options: object, kill_at: int = -1
) -> ForkServerProcess:
    """Start ``xling_TASK`` from the last checkpoint in ``begin``; ``kill_at`` as in ``start``."""
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [labelled, "--user-dir", ROOT / "fairseq_xalign", "--task", f"xling_{task}", *SHAPE, *FINETUNING,
                 *LOGGING, "--finetune-from-model", begin / "checkpoint_last.pt", "--max-update", updates,
                 "--save-dir", folder / "checkpoints", *options]  # fmt: skip
    return _start([str(a) for a in arguments], folder / "log.0", kill_at)


def finetune(
    labelled: Path, begin: Path, folder: Path, task: str = "tagging", updates: int = 300, *options: object
) -> Run:
    """Fine-tune for ``updates`` updates (in all, when it resumes) into ``folder/checkpoints``."""
    return finish(start_finetuning(labelled, begin, folder, task, updates, *options), folder)


def start(data: Path, folder: Path, criterion: str, updates: int, *options: object, rank: int = 0, kill_at: int = -1):
    """Start a run in the background; with ``kill_at`` it is killed after so many updates."""
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [data, "--user-dir", ROOT / "fairseq_xalign", *OPTIONS, *(CRITERIONS | TRANSLATION)[criterion],
                 "--max-update", updates, "--save-dir", folder / "checkpoints", *options]  # fmt: skip
    return _start([str(a) for a in arguments], folder / f"log.{rank}", kill_at, "--num-workers" in options)


def _start(named: list[str], log: Path, kill_at: int, children: bool = False) -> ForkServerProcess:
    if kill_at >= 0:
        return run_function(killed_command, kill_at, "fairseq_cli.train", named, log=log, has_children=children)
    return run_function(command, "fairseq_cli.train", named, log=log, has_children=children)


def finish(process, folder: Path, rank: int = 0) -> Run:
    return Run(wait(process, 120), folder / f"log.{rank}", folder / "checkpoints")


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def pretrain_workers(count: int, data: Path, folder: Path, criterion: str, updates: int, *options: object) -> list[Run]:
    """The same on ``count`` gloo workers, one process each; with one worker there is no group of them."""
    if count == 1:
        return [pretrain(data, folder, criterion, updates, *options)]
    shared = ["--distributed-backend", "gloo", "--distributed-world-size", count, "--distributed-no-spawn",
              "--ddp-backend", "legacy_ddp", "--distributed-init-method", f"tcp://127.0.0.1:{free_port()}"]  # fmt: skip
    ranks = range(count)
    group = [start(data, folder, criterion, updates, *options, *shared, "--distributed-rank", r, rank=r) for r in ranks]
    return [finish(process, folder, r) for r, process in enumerate(group)]


def pretrain_two_workers(data: Path, folder: Path, criterion: str, updates: int, *options: object) -> list[Run]:
    """The same on two gloo workers, one process each."""
    return pretrain_workers(2, data, folder, criterion, updates, *options)


def same_weights(first: Run, second: Run, tolerance: float = 0.0) -> bool:
    """Whether two runs ended with equal models."""
    a, b = first.checkpoint()["model"], second.checkpoint()["model"]
    assert a.keys() == b.keys()
    return all(torch.equal(a[k], b[k]) if not tolerance else torch.allclose(a[k], b[k], atol=tolerance) for k in a)


def same_optimizer(first: Run, second: Run) -> bool:
    a, b = (r.checkpoint()["last_optimizer_state"]["state"] for r in (first, second))
    return all(torch.equal(torch.as_tensor(x), torch.as_tensor(b[k][n])) for k, v in a.items() for n, x in v.items())
