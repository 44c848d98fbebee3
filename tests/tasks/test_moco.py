"""Momentum contrast in real runs of ``fairseq-train``: resumed, on workers, validated, filled once, refused."""

import pytest
import torch

from tests.support.running import Run, pretrain

QUEUE, END, SAVED = 37, 8, 5
"""A queue that no number of pairs divides, so that it wraps at different slots."""
PPA = ["--criterion", "ppa", "--moco-queue", QUEUE, "--moco-width", 16, "--moco-momentum", "0.9", "--moco-pooling",
       "mean", "--updates-per-epoch", 100, "--batch-size", 7]  # fmt: skip
FOUR = [*PPA, "--update-freq", 2, "--dropout", "0.1"]


def done(run: Run) -> Run:
    assert run.status == 0, run.text[-3000:]
    return run


def owned(run: Run) -> dict[str, torch.Tensor]:
    beginning = "objectives.moco."
    model = run.checkpoint()["model"]
    return {name.removeprefix(beginning): value for name, value in model.items() if name.startswith(beginning)}


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> Run:
    return done(pretrain(data, tmp_path_factory.mktemp("whole"), "mlm", END, *FOUR))


def test_one_step_an_update_whatever_the_number_of_micro_batches(whole):
    own = owned(whole)
    assert int(own["steps"]) == END and int(own["queue.filled"]) == QUEUE
    assert "moco: the queue holds 37 keys" in whole.text
    assert {"moco_loss", "moco_accuracy", "moco_duplicates", "tlm_loss"} <= whole.records("train_inner")[0].keys()
