"""The queue of keys: slots in turn, whatever the number of keys, and the order of batches whatever the workers."""

import torch

from fairseq_xalign.objectives.key_queue import KeyQueue, Waiting


def keys(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None]


def texts(count: int, first: int = 0) -> torch.Tensor:
    return torch.arange(first, first + count)[:, None].expand(-1, 2)


def test_slots_are_written_in_turn_and_wrap_around():
    queue = KeyQueue(5, 1)
    for first in (1.0, 3.0, 5.0):
        queue.enqueue(keys(first, first + 1), texts(2, int(first)))
    assert queue.keys[:, 0].tolist() == [6, 2, 3, 4, 5] == queue.texts[:, 0].tolist()
    assert int(queue.pointer) == 1 and int(queue.filled) == 5


def test_a_queue_that_is_not_full_holds_what_was_written():
    queue = KeyQueue(5, 1)
    assert len(queue.content()[0]) == 0
    queue.enqueue(keys(1, 2), texts(2))
    held, named = queue.content()
    assert held[:, 0].tolist() == [1, 2] and named.tolist() == [[0, 0], [1, 1]]


def test_a_full_queue_that_is_emptied_or_loaded_holds_what_it_holds_then():
    full, half = KeyQueue(3, 1), KeyQueue(3, 1)
    full.enqueue(torch.ones(3, 1), torch.ones(3, 2, dtype=torch.int64))
    half.enqueue(2 * torch.ones(1, 1), torch.ones(1, 2, dtype=torch.int64))
    for _ in range(2):
        assert full.content()[0].tolist() == [[1.0]] * 3
    full.load_state_dict(half.state_dict())
    assert full.content()[0].tolist() == [[2.0]] and full.content()[1].shape == (1, 2)
    full.enqueue(torch.ones(2, 1), torch.ones(2, 2, dtype=torch.int64))
    assert len(full.content()[0]) == 3
    full.empty()
    assert len(full.content()[0]) == 0


def test_of_more_keys_than_slots_the_last_stay():
    one, other = KeyQueue(3, 1), KeyQueue(3, 1)
    many = torch.arange(8.0)[:, None]
    one.enqueue(many, texts(8))
    for i in range(8):
        other.enqueue(many[i : i + 1], texts(1, i))
    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), other.buffers()))


def test_keys_that_are_not_finite_stay_out():
    queue = KeyQueue(3, 1)
    queue.enqueue(keys(1, float("nan"), float("inf"), 2), texts(4))
    assert queue.content()[0][:, 0].tolist() == [1, 2] and int(queue.pointer) == 2


def test_an_empty_update_changes_nothing():
    queue = KeyQueue(3, 2)
    queue.enqueue(*Waiting().take(queue))
    assert int(queue.pointer) == int(queue.filled) == 0


def test_random_keys_are_the_same_for_one_seed_and_have_length_one_if_asked():
    one, other = KeyQueue(4, 6), KeyQueue(4, 6)
    for queue in (one, other):
        queue.fill_at_random(torch.Generator().manual_seed(5), unit=True)
    assert torch.equal(one.keys, other.keys) and torch.allclose(one.keys.norm(dim=1), torch.ones(4))
    assert int(one.filled) == 4


def test_keys_wait_in_the_order_of_their_batches():
    queue, waiting = KeyQueue(4, 1), Waiting()
    waiting.add((1, 0), keys(5), texts(1))
    waiting.add((0, 7), keys(3, 4), texts(2))
    waiting.add((0, 2), keys(9), texts(1))
    waiting.add((0, 2), keys(1), texts(1))  # tried again
    assert waiting.take(queue)[0][:, 0].tolist() == [1, 3, 4, 5]
    assert not waiting.batches
