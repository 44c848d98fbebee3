"""The state that decides when a training stops, kept in checkpoints: a resumed run ends where it would have ended.

fairseq keeps the number of updates, the learning rate and the training time. Its checkpoints do not record how often
validation has failed to improve, nor whether the validation that was due at the last update has taken place.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from fairseq_xalign.compat.patching import workaround, wrap

KEY = "xalign_stopping"
"""The key of the state in a checkpoint's ``extra_state``."""


class _State:
    """What is known about the training of this process besides what fairseq knows.

    Attributes:
        interrupted: the epoch at whose update a signal ended the run without validation, and whether the epoch ended.
        validated: what the last validation before the checkpoint gave, for schedules that follow it.
    """

    interrupted: dict[str, Any] | None = None
    validated: float | None = None


state = _State()


def training_modules() -> Iterator[Any]:
    """``fairseq_cli.train`` under each of its names: also ``__main__``, if it was started as a script."""
    main = sys.modules.get("__main__")
    if str(getattr(main, "__file__", "") or "").endswith(os.path.join("fairseq_cli", "train.py")):
        yield main
    if "fairseq_cli.train" in sys.modules:
        yield sys.modules["fairseq_cli.train"]


def failures() -> int:
    """How many validations in a row have brought no improvement, as ``--patience`` counts them."""
    return max((getattr(module.should_stop_early, "num_runs", 0) for module in training_modules()), default=0)


@workaround
def keep_stopping_state() -> None:
    """Keep what ``--patience`` counts in the checkpoint, and restore it.

    Reason: fairseq keeps the counter and the best value as attributes of a function. A resumed run starts counting
    afresh, and a second training in the same process continues with the counter of the first.
    """
    module = sys.modules.get("fairseq.trainer")
    if module is not None and any(training_modules()):
        wrap(module.Trainer, "save_checkpoint", _make_save)
        wrap(module.Trainer, "load_checkpoint", _make_load)


def _make_save(original: Callable[..., Any]) -> Callable[..., Any]:
    def save_checkpoint(trainer: Any, filename: str, extra_state: dict[str, Any]) -> Any:
        counted = [vars(module.should_stop_early) for module in training_modules()]
        best = next((float(names["best"]) for names in counted if names.get("best") is not None), None)
        ours = {"metric": _metric(trainer), "best": best, "num_runs": failures(), "interrupted": state.interrupted}
        return original(trainer, filename, {**extra_state, KEY: ours})

    return save_checkpoint


def _make_load(original: Callable[..., Any]) -> Callable[..., Any]:
    def load_checkpoint(
        trainer: Any, filename: str, reset_optimizer: bool = False, reset_lr_scheduler: bool = False,
        optimizer_overrides: Any = None, reset_meters: bool = False,
    ) -> Any:  # fmt: skip
        from fairseq import checkpoint_utils

        extra = original(trainer, filename, reset_optimizer, reset_lr_scheduler, optimizer_overrides, reset_meters)
        vars(checkpoint_utils.save_checkpoint).pop("best", None)
        _restore(trainer, {} if extra is None or reset_optimizer or reset_meters else extra)
        if reset_lr_scheduler:
            state.validated = None
        return extra

    return load_checkpoint


def _restore(trainer: Any, extra: dict[str, Any]) -> None:
    """Restore the state of a checkpoint; an empty one starts from the beginning."""
    kept = extra.get(KEY) or {"metric": _metric(trainer), "best": extra.get("best"), "num_runs": 0}
    if kept["metric"] != _metric(trainer):  # the best value of another metric says nothing about this one
        extra.pop("best", None)
        kept = {**kept, "best": None, "num_runs": 0}
    state.interrupted, state.validated = kept.get("interrupted"), extra.get("val_loss")
    for module in training_modules():
        names = vars(module.should_stop_early)
        names.pop("best", None)
        names.pop("num_runs", None)
        if kept["best"] is not None:
            names.update(best=kept["best"], num_runs=kept["num_runs"])


def _metric(trainer: Any) -> list[Any]:
    """Return the metric that the best value belongs to."""
    cfg = trainer.cfg.checkpoint
    return [str(cfg.best_checkpoint_metric), bool(cfg.maximize_best_checkpoint_metric)]


class _EndedEpoch:
    """An epoch that ended before the run was interrupted, as ``save_checkpoint`` and ``validate`` look at it."""

    def __init__(self, following: Any, epoch: int) -> None:
        self.state_dict, self.epoch = following.state_dict, epoch

    def end_of_epoch(self) -> bool:
        return True


def catch_up(validate_and_save: Callable[..., Any], cfg: Any, trainer: Any, task: Any, epoch_itr: Any) -> bool:
    """Do what was due at the last update before the checkpoint and is not in it; return whether training stops here.

    That is the validation that a signal prevented, and the step of a schedule that follows the validation loss (fairseq
    saves the checkpoint before it takes this step).
    """
    due, loss = state.interrupted, state.validated
    state.interrupted = state.validated = None
    begun = epoch_itr.next_epoch_idx
    ended = begun > 1 and epoch_itr.iterations_in_epoch == 0
    if due:
        place = _EndedEpoch(epoch_itr, due["epoch"]) if due["ended"] else epoch_itr
        subsets = cfg.dataset.valid_subset.split(",")
        losses, stop = validate_and_save(cfg, trainer, task, place, subsets, due["ended"])
        if stop:
            return True
        loss = losses[0]
    if ended and loss is not None:
        trainer.lr_step(begun - 1, loss)
    return False
