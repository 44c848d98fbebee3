"""Packed batches: parts of them, several as one, and what the host knows of a batch on a device."""

import pickle

import pytest
import torch
from fairseq import utils
from hypothesis import given
from hypothesis import strategies as st

from fairseq_xalign.objectives.batch import OnHost, PackedBatch, concatenate, pack, select

ROWS = [[0, 7, 2], [0, 2], [0, 5, 6, 9, 2], [0, 8, 2], [0, 4, 4, 2]]


def batch_of(rows):
    batch = pack(rows)
    batch.languages, batch.segments = batch.tokens % 3, batch.positions % 2
    batch.keys = torch.arange(len(rows)) * 11
    return batch


def rows_of(batch):
    return [part.tolist() for part in batch.tokens.split(batch.lengths.tolist())]


@pytest.mark.parametrize("chosen", [slice(0, None, 2), slice(1, None, 2), slice(1, 3), slice(5, None)])
def test_selected_sequences_are_those_of_the_list(chosen):
    whole = batch_of(ROWS)
    part = select(whole, chosen)
    expected = ROWS[chosen]
    assert rows_of(part) == expected and part.keys.tolist() == whole.keys[chosen].tolist()
    assert part.longest == max(map(len, expected), default=0) and part.starts.dtype == torch.int32
    assert torch.equal(part.languages, part.tokens % 3) and torch.equal(part.segments, part.positions % 2)
    assert part.host.starts.tolist() == part.starts.tolist()


@given(st.lists(st.lists(st.integers(4, 90), min_size=1, max_size=9), min_size=1, max_size=8), st.booleans())
def test_the_host_knows_lengths_and_texts_of_a_batch(rows, texts):
    batch = batch_of(rows).noted(texts)
    assert batch.host_lengths().tolist() == list(map(len, rows)) == batch.lengths.tolist()
    known = batch.on_host()
    assert known.tokens.tolist() == batch.tokens.tolist() and known.keys.tolist() == batch.keys.tolist()
    assert (known is batch.host) == texts
    joined = concatenate([batch, batch])
    assert joined.host_lengths().tolist() == 2 * list(map(len, rows)) and joined.host.tokens is None


def test_what_the_host_knows_stays_when_fairseq_moves_a_sample_and_when_a_process_sends_it():
    sample = batch_of(ROWS).noted(texts=True).to_dict()
    moved = PackedBatch.from_dict(utils.apply_to_sample(lambda tensor: tensor.to("meta"), sample))
    assert moved.tokens.device.type == "meta"
    assert moved.host_lengths().tolist() == list(map(len, ROWS))
    assert moved.on_host().tokens.tolist() == [i for row in ROWS for i in row]
    assert moved.host == pickle.loads(pickle.dumps(sample["host"]))


def test_what_the_host_knows_is_a_copy_of_its_own():
    """torch moves the memory of a tensor that is sent to another process; an array of it would hold anything then."""
    batch = batch_of(ROWS)
    noted = batch.noted(texts=True)
    batch.tokens.zero_()
    batch.starts.zero_()
    assert noted.host.starts.tolist() == [0, 3, 5, 10, 13, 17] and noted.host.tokens.tolist() == [
        i for row in ROWS for i in row
    ]


def test_what_two_hosts_know_is_equal_where_every_array_is():
    known = batch_of(ROWS).noted(texts=True).host
    assert known == batch_of(ROWS).noted(texts=True).host
    assert known != batch_of(ROWS).noted().host and known != batch_of(ROWS[1:]).noted(texts=True).host
    assert known != "something else" and isinstance(known, OnHost)
