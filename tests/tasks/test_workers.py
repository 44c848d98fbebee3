"""However four micro-batches are dealt out, an update is the same update."""

import pytest

from tests.support.running import Run, pretrain_workers, same_weights

UPDATES = 3
PLAIN_GRADIENTS = ["--optimizer", "sgd", "--lr", "0.5", "--dropout", "0.1"]
"""SGD: Adam's step hides a gradient that is too large by a factor."""


def norms(run: Run) -> list[float]:
    return [float(record["gnorm"]) for record in run.records("train_inner")]


@pytest.fixture(scope="module")
def dealt_out(data, tmp_path_factory):
    """``get(criterion, workers, micro_batches_each) -> Run``, each made when first asked for."""
    runs = {}

    def get(criterion: str, workers: int, micro_batches: int) -> Run:
        key = (criterion, workers, micro_batches)
        if key not in runs:
            folder = tmp_path_factory.mktemp("dealt_out")
            options = [*PLAIN_GRADIENTS, "--update-freq", micro_batches]
            group = pretrain_workers(workers, data, folder, criterion, UPDATES, *options)
            assert [run.status for run in group] == [0] * workers, group[-1].text[-3000:]
            assert all(len(run.losses()) == UPDATES for run in group[:1])
            runs[key] = group[0]
        return runs[key]

    return get


@pytest.mark.parametrize(
    ("criterion", "workers", "micro_batches"),
    [("mlm", 2, 2), ("mlm", 4, 1), ("xalign", 4, 1)],
    ids=["mlm 2 x 2", "mlm 4 x 1", "a mixture 4 x 1"],
)
def test_workers_equal_one_with_as_many_micro_batches(dealt_out, criterion, workers, micro_batches):
    """Losses, norms of the gradients and weights; 2 x 2 of a mixture is in test_align_mlm.py."""
    one, run = dealt_out(criterion, 1, 4), dealt_out(criterion, workers, micro_batches)
    assert run.losses() == pytest.approx(one.losses(), abs=2e-3)
    assert norms(run) == pytest.approx(norms(one), abs=2e-3)
    assert same_weights(run, one, tolerance=1e-5)


def test_fewer_micro_batches_are_another_update(dealt_out):
    """Control: the comparison sees one micro-batch of four that is missing."""
    three, four = dealt_out("mlm", 1, 3), dealt_out("mlm", 1, 4)
    assert norms(three) != pytest.approx(norms(four), abs=2e-3)
    assert not same_weights(three, four, tolerance=1e-4)
