"""``--clip-mode`` and ``--optimizer adafactor`` in real runs of ``fairseq-train``."""

from __future__ import annotations

import pytest

from tests.support.running import pretrain, pretrain_two_workers, same_weights

ADAFACTOR = ["--optimizer", "adafactor"]


@pytest.fixture(scope="module")
def unclipped(data, tmp_path_factory):
    run = pretrain(data, tmp_path_factory.mktemp("unclipped"), "mlm", 3, *ADAFACTOR)
    assert run.status == 0, run.text[-2000:]
    return run


def test_a_limit_that_no_tensor_reaches_changes_no_bit(data, tmp_path, unclipped):
    run = pretrain(data, tmp_path, "mlm", 3, *ADAFACTOR, "--clip-mode", "per-tensor", "--clip-norm", 1e9)
    assert run.status == 0, run.text[-2000:]
    assert run.losses() == unclipped.losses() and same_weights(run, unclipped)
    assert [float(r["clipped_tensors"]) for r in run.records("train_inner")] == [0.0] * 3


def test_the_log_has_the_norm_before_clipping_and_the_share_of_tensors_clipped(data, tmp_path, unclipped):
    run = pretrain(data, tmp_path, "mlm", 3, "--clip-mode", "per-tensor", "--clip-norm", 0.05)
    assert run.status == 0, run.text[-2000:]
    first, before = run.records("train_inner")[0], unclipped.records("train_inner")[0]
    assert first["gnorm"] == before["gnorm"] and 0 < float(first["clipped_tensors"]) < 100
    assert "clipped_tensors" not in before


def test_adafactor_with_per_tensor_clipping_resumes_bit_for_bit(data, tmp_path):
    options = [*ADAFACTOR, "--clip-mode", "per-tensor", "--clip-norm", 0.05]
    whole = pretrain(data, tmp_path / "whole", "mlm", 6, *options)
    first = pretrain(data, tmp_path / "cut", "mlm", 4, *options)
    second = pretrain(data, tmp_path / "cut", "mlm", 6, *options)
    assert [whole.status, first.status, second.status] == [0, 0, 0], second.text[-2000:]
    assert first.losses() + second.losses() == whole.losses() and same_weights(second, whole)


def test_two_workers_clip_the_tensors_of_their_common_gradient(data, tmp_path):
    options = ["--optimizer", "sgd", "--lr", 0.5, "--clip-mode", "per-tensor", "--clip-norm", 0.05]
    one = pretrain(data, tmp_path / "one", "mlm", 3, *options, "--update-freq", 2)
    first, _ = pretrain_two_workers(data, tmp_path / "two", "mlm", 3, *options)
    assert [one.status, first.status] == [0, 0], first.text[-2000:]
    for name in ("loss", "gnorm", "clipped_tensors"):
        found, expected = ([float(r[name]) for r in run.records("train_inner")] for run in (first, one))
        assert found == pytest.approx(expected, abs=2e-3), name
    assert same_weights(first, one, tolerance=1e-5)


def test_update_rms_is_the_threshold_of_adafactor(data, tmp_path):
    limit = ["--clip-threshold", 0.2]
    by_threshold = pretrain(data, tmp_path / "a", "mlm", 3, *ADAFACTOR, *limit)
    by_mode = pretrain(data, tmp_path / "b", "mlm", 3, *ADAFACTOR, "--clip-mode", "update-rms", "--clip-norm", 0.2)
    assert by_mode.status == 0, by_mode.text[-2000:]
    assert same_weights(by_mode, by_threshold)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--clip-mode", "per-tensor"], "--clip-mode per-tensor has no limit"),
        (["--clip-mode", "update-rms", "--clip-norm", 1], "clips the updates of Adafactor, but the optimizer is adamw"),
    ],
)
def test_a_mode_with_nothing_to_do_ends_before_training(data, tmp_path, options, said):
    run = pretrain(data, tmp_path, "mlm", 2, *options)
    assert run.status == 1 and said in run.text.rstrip().splitlines()[-1], run.text[-1500:]
    assert not list(tmp_path.glob("checkpoints/*"))
