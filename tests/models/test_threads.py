"""Batches side by side: in order, few at a time, and torch as it was afterwards."""

import threading

import pytest
import torch

from fairseq_xalign.models.threads import side_by_side


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_come_in_order_and_torch_is_as_it_was(threads):
    assert list(side_by_side(lambda i: i * i, range(50), threads)) == [i * i for i in range(50)]
    assert torch.get_num_threads() == 2


def test_each_thread_computes_with_one_thread_of_torch():
    both = threading.Barrier(2, timeout=60)

    def work(item):
        both.wait()  # passes only if two run at a time
        return torch.get_num_threads()

    assert list(side_by_side(work, range(4), 2)) == [1, 1, 1, 1]


def test_few_items_are_read_ahead():
    read = []

    def items():
        for i in range(100):
            read.append(i)
            yield i

    results = side_by_side(lambda i: i, items(), 2)
    next(results)
    assert len(read) <= 4
    results.close()
    assert torch.get_num_threads() == 2


def test_an_error_comes_through():
    def fail(item):
        raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item 0"):
        list(side_by_side(fail, range(9), 2))
    assert torch.get_num_threads() == 2
