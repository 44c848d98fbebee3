"""What ``--patience`` counts, in a checkpoint and back; tests/tasks/test_resume_stopping.py has whole trainings."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from fairseq import checkpoint_utils
from fairseq_cli import train

from fairseq_xalign.compat import stopping_state
from fairseq_xalign.compat.stopping_state import KEY, failures

REMEMBERED = ("best", "num_runs", "interrupted", "validated")


@pytest.fixture(autouse=True)
def afresh():
    """What fairseq and we remember is as in a new process; afterwards as before."""
    owners = (train.should_stop_early, checkpoint_utils.save_checkpoint, stopping_state.state)
    before = [{name: vars(owner).pop(name) for name in REMEMBERED if name in vars(owner)} for owner in owners]
    yield
    for owner, kept in zip(owners, before):
        for name in REMEMBERED:
            vars(owner).pop(name, None)
        vars(owner).update(kept)


def a_trainer(metric: str = "loss", maximize: bool = False):
    checkpoint = SimpleNamespace(best_checkpoint_metric=metric, maximize_best_checkpoint_metric=maximize, patience=3)
    return SimpleNamespace(cfg=SimpleNamespace(checkpoint=checkpoint))


def saved(trainer) -> dict:
    """The ``extra_state`` of a checkpoint, saved through our wrapper."""
    return stopping_state._make_save(lambda trainer, filename, extra_state: extra_state)(trainer, "c.pt", {"best": 2.0})


def load(trainer, extra, **options) -> None:
    stopping_state._make_load(lambda *arguments: extra)(trainer, "c.pt", **options)


def three_validations(trainer) -> None:
    """The first is the best: two bring no improvement."""
    assert [train.should_stop_early(trainer.cfg, loss) for loss in (2.0, 3.0, 2.5)] == [False, False, False]


def test_fairseq_alone_goes_on_counting_in_the_next_training_of_a_process():
    three_validations(a_trainer())
    assert train.should_stop_early.num_runs == failures() == 2
    assert train.should_stop_early(a_trainer().cfg, 9.0), "the first validation of another training ends it"


def test_a_resumed_run_counts_on():
    trainer = a_trainer()
    three_validations(trainer)
    extra = saved(trainer)
    assert extra["best"] == 2.0 and extra[KEY]["best"] == 2.0 and extra[KEY]["num_runs"] == 2
    load(a_trainer(), None)
    assert failures() == 0, "a new training begins at 0"
    load(trainer, extra)
    assert failures() == 2
    assert train.should_stop_early(trainer.cfg, 2.1), "the third validation without an improvement"


@pytest.mark.parametrize("options", [{"reset_optimizer": True}, {"reset_meters": True}])
def test_a_run_that_is_reset_counts_afresh(options):
    trainer = a_trainer()
    three_validations(trainer)
    load(trainer, saved(trainer), **options)
    assert failures() == 0 and not train.should_stop_early(trainer.cfg, 9.0)


def test_the_best_value_of_another_metric_says_nothing():
    three_validations(a_trainer())
    extra = saved(a_trainer())
    load(a_trainer("accuracy", maximize=True), extra)
    assert failures() == 0 and "best" not in extra


def test_a_checkpoint_of_fairseq_itself_brings_its_best_value():
    load(a_trainer(), {"best": 2.0, "val_loss": 2.0})
    assert not train.should_stop_early(a_trainer().cfg, 2.5) and failures() == 1
    assert stopping_state.state.validated == 2.0
    load(a_trainer(), {"best": 2.0, "val_loss": 2.0}, reset_lr_scheduler=True)
    assert stopping_state.state.validated is None
