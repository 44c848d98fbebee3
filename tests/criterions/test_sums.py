"""What criterions share when they log."""

import math

import pytest
import torch

from fairseq_xalign.criterions.sums import perplexity, summed
from fairseq_xalign.criterions.xling import language_sums


def test_tensors_and_numbers_are_summed_alike_and_exactly():
    outputs = [
        {"loss": torch.tensor(0.1), "count": torch.tensor(2**40 + 1), "ntokens": 3, "missing": 1.5},
        {"loss": torch.tensor(0.2, dtype=torch.float64), "count": 4, "ntokens": torch.tensor([5])},
    ]
    found = summed(outputs)
    assert found["loss"] == float(torch.tensor(0.1)) + 0.2 and found["count"] == 2**40 + 5
    assert found["ntokens"] == 8.0 and found["missing"] == 1.5
    assert all(isinstance(value, float) for value in found.values())


def test_gradients_of_what_is_logged_do_not_matter():
    assert summed([{"loss": torch.tensor(2.0, requires_grad=True)}] * 3) == {"loss": 6.0}


def test_sums_of_each_language_are_those_of_its_units():
    losses, right = torch.tensor([1.0, math.inf, 3.0, 5.0]), torch.tensor([1.0, 0.0, 0.0, 1.0])
    logs = language_sums(losses, right, torch.tensor([2, 0, 2, 2]), ["de", "en", "fr"])
    assert [logs[f"sum_loss_{name}"].item() for name in ("de", "en", "fr")] == [math.inf, 0.0, 9.0]
    assert [logs[f"right_{name}"].item() for name in ("de", "en", "fr")] == [0.0, 0.0, 2.0]
    assert [logs[f"count_{name}"].item() for name in ("de", "en", "fr")] == [1, 0, 3]


def test_a_perplexity_is_cut_off_and_0_where_nothing_was_measured():
    assert perplexity(3.0) == 8.0 and perplexity(None) == 0.0
    assert perplexity(1e9) == pytest.approx(2.0**60)
