"""The end of a training: signals, finished runs, an honest exit status.

How a training ends:

- every update asked for was done, or an option that asks for an earlier end (``--max-epoch``, ``--patience``,
  ``--stop-min-lr``) took effect: exit status 0. The same command, started again, says that nothing is left to do;
- SIGTERM or SIGUSR1: a checkpoint after the current update, exit status 1. The same command continues from it;
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
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fairseq_xalign.compat.commands import check_command
from fairseq_xalign.compat.patching import apply, workaround, wrap
from fairseq_xalign.compat.save_directory import training_lock
from fairseq_xalign.compat.settings import (
    check_batch_size,
    check_intervals,
    check_precision,
    keep_bf16_on_the_gpu,
    resolve_checkpoint_folders,
)
from fairseq_xalign.compat.stopping_state import catch_up, failures, state, training_modules

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
    """From now on, let SIGTERM and SIGUSR1 end training with a checkpoint after the current update.

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


@workaround
def end_training_well() -> None:
    """Stop on signals with a checkpoint; do nothing more for a finished run; give an honest exit status.

    Reasons: fairseq dies of SIGTERM and SIGUSR1 at once. Started again after ``--max-update`` was
    reached, it does one more update. It exits with 0 however its loop ended.
    """
    for module in training_modules():
        wrap(module, "validate_and_save", functools.partial(_make_validate_and_save, module))
        wrap(module, "train", functools.partial(_make_train, module))
        if module.main is not train_main:
            module._xalign_original_main, module.main = module.main, train_main
    distributed_utils = sys.modules.get("fairseq.distributed.utils")
    if distributed_utils is not None:
        wrap(distributed_utils, "call_main", _make_call_main)


def _make_call_main(original: Callable[..., Any]) -> Callable[..., Any]:
    def call_main(cfg: Any, main: Callable[..., Any], **kwargs: Any) -> None:
        check_command(cfg, main, kwargs)
        if main is train_main:
            keep_bf16_on_the_gpu(cfg)
            vars(_run).update(vars(_Run(spawns=not cfg.distributed_training.distributed_no_spawn)))
            install_signal_handlers()
        original(cfg, main, **kwargs)

    return call_main


def _make_validate_and_save(module: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    def validate_and_save(
        cfg: Any, trainer: Any, task: Any, epoch_itr: Any, valid_subsets: list[str], end_of_epoch: bool
    ) -> Any:
        if not stop_requested(trainer):
            return original(cfg, trainer, task, epoch_itr, valid_subsets, end_of_epoch)
        # Without validation, as a batch system kills half a minute after its signal: it is made up for on resume.
        _run.signal_name = _run.signal_name or "a signal to another worker"
        logger.info("stopping at update %d: %s", trainer.get_num_updates(), _run.signal_name)
        state.interrupted = {"epoch": epoch_itr.epoch, "ended": bool(end_of_epoch)}
        module.checkpoint_utils.save_checkpoint(cfg.checkpoint, trainer, epoch_itr, None)
        state.interrupted = None
        return [None], True

    return validate_and_save


def _make_train(module: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    def train(cfg: Any, trainer: Any, task: Any, epoch_itr: Any) -> Any:
        first, _run.trainer = _run.trainer is None, trainer
        if first and catch_up(module.validate_and_save, cfg, trainer, task, epoch_itr):
            return [None], True
        reason = finished(cfg, trainer) if first else ""
        if reason:
            logger.info("nothing is left to do: %s", reason)
            return [None], True
        if first and time_is_over(cfg, trainer):
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
    check_intervals(cfg)
    resolve_checkpoint_folders(cfg)
    _run.spawns = False
    install_signal_handlers()
    module = next(training_modules(), None) or importlib.import_module("fairseq_cli.train")
    apply()
    logging.getLogger(module.__name__).addFilter(_as_duration)
    with training_lock(cfg):
        module._xalign_original_main(cfg, **kwargs)
    if _run.trainer is None:  # the loop over epochs was left before its first update
        what = f"{cfg.optimization.max_epoch} epochs are done (--max-epoch)" if cfg.optimization.max_epoch else ""
        logger.info("nothing is left to do: %s", what or "the learning rate has reached --stop-min-lr")
        return
    reason = unfinished(cfg)
    if not reason:
        return
    import torch

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()  # a launcher kills the others when one ends: rank 0 may still be writing
    print(f"fairseq-train: {reason}", file=sys.stderr, flush=True)
    raise SystemExit(1)


def _as_duration(record: logging.LogRecord) -> bool:
    """Of training that a signal stopped, let fairseq say how long it took, not that it is done."""
    if _run.signal_name and isinstance(record.msg, str):
        record.msg = record.msg.replace("done training in", "the training loop ended after")
    return True


def finished(cfg: Any, trainer: Any) -> str:
    """Why nothing is left to do of what was asked; empty while something is."""
    updates, lr = trainer.get_num_updates(), trainer.get_lr()
    wanted, patience = cfg.optimization.max_update or 0, cfg.checkpoint.patience
    if wanted and updates >= wanted:
        return f"{updates} of {wanted} updates are done (--max-update)"
    if 0 < patience <= failures():
        return f"the last {failures()} validations brought no improvement (--patience {patience})"
    if lr <= cfg.optimization.stop_min_lr:
        return f"the learning rate is down to {lr} (--stop-min-lr {cfg.optimization.stop_min_lr})"
    return ""


def time_is_over(cfg: Any, trainer: Any) -> bool:
    """Whether the training time of ``--stop-time-hours``, all runs together, is used up."""
    limit = cfg.optimization.stop_time_hours
    return limit > 0 and trainer.cumulative_training_time() / 3600 > limit


def unfinished(cfg: Any) -> str:
    """Why the training that just ended did not do what was asked, and how to go on; empty when it did."""
    trainer, wanted = _run.trainer, cfg.optimization.max_update or 0
    last_epoch = cfg.optimization.max_epoch or 0
    if finished(cfg, trainer) or (last_epoch and _run.next_epoch > last_epoch):
        return ""
    done = (
        f"{trainer.get_num_updates()} of {wanted} updates done"
        if wanted
        else f"{trainer.get_num_updates()} updates done"
    )
    if _run.signal_name:
        return f"stopped by {_run.signal_name}, {done}; the same command continues from the last checkpoint"
    if time_is_over(cfg, trainer):
        limit = cfg.optimization.stop_time_hours
        return (
            f"ended early, {done}: --stop-time-hours {limit} is used up; raise it to continue from the last checkpoint"
        )
    return f"ended early, {done}; the same command continues from the last checkpoint"
