"""The end of a training: signals, finished runs, an honest exit status (a part of :mod:`fairseq_xalign.compat`).

How a training ends:

- every update asked for was done, or an option that asks for an earlier end (``--max-epoch``,
  ``--patience``, ``--stop-min-lr``) took effect: exit status 0;
- SIGTERM or SIGUSR1: a checkpoint after the update at hand, exit status 1; the same command goes on;
- ``--stop-time-hours``: the time is over before the updates are done, exit status 1;
- a full disk: the last good checkpoint is whole and named, exit status 1.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fairseq_xalign.compat.patching import apply, workaround, wrap
from fairseq_xalign.compat.settings import check_batch_size, check_precision

logger = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
"""What ends training with a checkpoint: batch systems send one of them some time before they kill."""


@dataclass
class _Run:
    """What the workarounds know about the training of this process."""

    spawns: bool = False
    signal_name: str = ""
    trainer: Any = None
    next_epoch: int = 0


_run = _Run()


def install_signal_handlers() -> None:
    """From now on SIGTERM and SIGUSR1 end training after the update at hand, with a checkpoint.

    The handlers only take a note; :func:`end_training_well` acts on it. Repeated signals change
    nothing (batch systems often deliver one twice). A process forked from this one dies of the signal
    as usual, and one that only waits for spawned workers passes it on to them. Does nothing outside
    the main thread, where Python allows no handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    owner = os.getpid()

    def note(number: int, frame: Any) -> None:
        if os.getpid() != owner:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        _run.signal_name = signal.Signals(number).name
        if _run.spawns:
            import multiprocessing

            for child in multiprocessing.active_children():
                os.kill(child.pid, number)  # type: ignore[arg-type]

    for number in STOP_SIGNALS:
        signal.signal(number, note)


def stop_requested(trainer: Any) -> bool:
    """Whether any worker was told to stop; every worker gets the same answer for the same update."""
    if trainer.data_parallel_world_size == 1:
        return bool(_run.signal_name)
    import torch
    from fairseq.distributed import utils as distributed_utils

    flag = torch.tensor([1.0 if _run.signal_name else 0.0], device=trainer.device)
    return bool(distributed_utils.all_reduce(flag, trainer.data_parallel_process_group).item() > 0)


def _training_modules() -> Iterator[Any]:
    """``fairseq_cli.train`` under its names: ``__main__`` too, when it is started as a script."""
    main = sys.modules.get("__main__")
    if str(getattr(main, "__file__", "") or "").endswith(os.path.join("fairseq_cli", "train.py")):
        yield main
    if "fairseq_cli.train" in sys.modules:
        yield sys.modules["fairseq_cli.train"]


@workaround
def end_training_well() -> None:
    """Stop on signals with a checkpoint; do nothing more for a finished run; give an honest exit status.

    Reasons: fairseq dies of SIGTERM and SIGUSR1 at once. Started again after ``--max-update`` was
    reached, it does one more update. It exits with 0 however its loop ended.
    """
    for module in _training_modules():
        wrap(module, "validate_and_save", functools.partial(_make_validate_and_save, module))
        wrap(module, "train", _make_train)
        if module.main is not train_main:
            module._xalign_original_main, module.main = module.main, train_main
        wrap(module.distributed_utils, "call_main", _make_call_main)


def _make_call_main(original: Callable[..., Any]) -> Callable[..., Any]:
    def call_main(cfg: Any, main: Callable[..., Any], **kwargs: Any) -> None:
        if main is train_main:
            vars(_run).update(vars(_Run(spawns=not cfg.distributed_training.distributed_no_spawn)))
            install_signal_handlers()
        original(cfg, main, **kwargs)

    return call_main


def _make_validate_and_save(module: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    def validate_and_save(cfg: Any, trainer: Any, task: Any, epoch_itr: Any, *args: Any, **kwargs: Any) -> Any:
        if not stop_requested(trainer):
            return original(cfg, trainer, task, epoch_itr, *args, **kwargs)
        # Without validation: a batch system kills half a minute after its signal.
        _run.signal_name = _run.signal_name or "a signal to another worker"
        logger.info("stopping at update %d: %s", trainer.get_num_updates(), _run.signal_name)
        module.checkpoint_utils.save_checkpoint(cfg.checkpoint, trainer, epoch_itr, None)
        return [None], True

    return validate_and_save


def _make_train(original: Callable[..., Any]) -> Callable[..., Any]:
    def train(cfg: Any, trainer: Any, task: Any, epoch_itr: Any) -> Any:
        _run.trainer = trainer
        wanted = cfg.optimization.max_update
        if wanted and trainer.get_num_updates() >= wanted:
            logger.info("nothing to do: %d of %d updates are done", trainer.get_num_updates(), wanted)
            return [None], True
        losses, should_stop = original(cfg, trainer, task, epoch_itr)
        _run.next_epoch = epoch_itr.next_epoch_idx
        return losses, should_stop

    return train


def train_main(cfg: Any, **kwargs: Any) -> None:
    """``fairseq_cli.train.main``, with settings checked before and the updates counted after.

    A function of this module, so that spawned workers, who find it by its name, run it too.
    """
    check_precision(cfg)
    check_batch_size(cfg)
    _run.spawns = False
    install_signal_handlers()
    module = next(_training_modules(), None) or importlib.import_module("fairseq_cli.train")
    apply()
    module._xalign_original_main(cfg, **kwargs)
    reason = unfinished(cfg, module)
    if not reason:
        return
    import torch

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()  # a launcher kills the others when one ends: rank 0 may still be writing
    print(f"fairseq-train: {reason}; the same command goes on from the last checkpoint", file=sys.stderr, flush=True)
    raise SystemExit(1)


def unfinished(cfg: Any, module: Any) -> str:
    """Why the training that just ended did not do what was asked; empty when it did."""
    if _run.trainer is None:  # the epochs asked for were done before
        return ""
    updates, wanted = _run.trainer.get_num_updates(), cfg.optimization.max_update or 0
    last_epoch, patience = cfg.optimization.max_epoch or 0, cfg.checkpoint.patience
    if (
        (wanted and updates >= wanted)
        or (last_epoch and _run.next_epoch > last_epoch)
        or (patience > 0 and getattr(module.should_stop_early, "num_runs", 0) >= patience)
        or _run.trainer.get_lr() <= cfg.optimization.stop_min_lr
    ):
        return ""
    done = f"{updates} of {wanted} updates done" if wanted else f"{updates} updates done"
    return f"stopped by {_run.signal_name}, {done}" if _run.signal_name else f"ended early, {done}"
