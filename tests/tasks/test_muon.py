"""``--optimizer muon`` in real runs of ``fairseq-train``."""

from __future__ import annotations

import pytest

from tests.support.running import pretrain, pretrain_two_workers, same_optimizer, same_weights

MUON = ["--optimizer", "muon", "--lr", 0.01]


def test_a_run_with_muon_resumes_bit_for_bit(data, tmp_path):
    whole = pretrain(data, tmp_path / "whole", "mlm", 6, *MUON)
    first = pretrain(data, tmp_path / "cut", "mlm", 4, *MUON)
    second = pretrain(data, tmp_path / "cut", "mlm", 6, *MUON)
    assert [whole.status, first.status, second.status] == [0, 0, 0], second.text[-2000:]
    assert first.losses() + second.losses() == whole.losses()
    assert same_weights(second, whole) and same_optimizer(second, whole)


def test_two_workers_with_muon_equal_one_with_twice_the_micro_batches(data, tmp_path):
    one = pretrain(data, tmp_path / "one", "mlm", 3, *MUON, "--update-freq", 2)
    first, _ = pretrain_two_workers(data, tmp_path / "two", "mlm", 3, *MUON)
    assert [one.status, first.status] == [0, 0], first.text[-2000:]
    assert first.losses() == pytest.approx(one.losses(), abs=2e-3)


def test_a_checkpoint_of_adamw_is_not_continued_with_muon_by_mistake(data, tmp_path):
    assert pretrain(data, tmp_path, "mlm", 2, "--optimizer", "adamw").status == 0
    other = pretrain(data, tmp_path, "mlm", 4, *MUON)
    assert other.status == 1 and "Optimizer does not match" in other.text


@pytest.mark.parametrize("precision", ["--bf16", "--fp16"])
def test_half_precision_copies_are_refused_with_the_remedy(data, tmp_path, precision):
    run = pretrain(data, tmp_path, "mlm", 2, *MUON, precision)
    assert run.status == 1 and "--autocast bf16" in run.text.splitlines()[-1], run.text[-1500:]
