"""The pairs of a training text, by fingerprints that are those of batches."""

import numpy as np
import torch

from fairseq_xalign.data import known_pairs as module
from fairseq_xalign.data.batching import Budget
from fairseq_xalign.data.collate import CollateOptions, Collater
from fairseq_xalign.data.windows import one_pass
from fairseq_xalign.objectives.batch import PackedBatch
from fairseq_xalign.objectives.fingerprint import Fingerprints
from fairseq_xalign.objectives.view import View
from tests.support.toy import VOCABULARY, bitext

PAIRS = [4, 6, 5, 3, 7, 4, 2, 9]


def test_every_pair_of_every_batch_is_known_in_either_order_and_others_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 3)
    stream = bitext(tmp_path, ("en", "de"), PAIRS, limit=48, packing="pairs")
    size = VOCABULARY.size
    lengths = torch.arange(size) % 3  # pieces of 0, 1 and 2 letters: both kinds of fingerprints
    marks = Fingerprints(torch.arange(size) * 7919 * (lengths > 0), lengths)
    known = module.known_pairs([stream.mapped], marks)
    build = Collater(
        [stream], CollateOptions({"bitext": View("bitext", sides="apart")}, VOCABULARY, {"en": 1, "de": 2})
    )
    found = []
    for window in one_pass([stream], Budget(tokens=64), 1, 50):
        for b in range(len(window.batches)):
            found.append(marks(PackedBatch.from_dict(build(window, b)["streams"]["bitext"])))
    first, second = torch.cat([m[0::2] for m in found]), torch.cat([m[1::2] for m in found])
    assert len(first) == len(PAIRS) and len(known) == len(set(zip(first.tolist(), second.tolist())))
    assert known.has(first, second).all() and known.has(second, first).all()
    assert not known.has(first, second.roll(1)).any()


def test_no_pairs_are_known_of_no_text():
    marks = Fingerprints(torch.zeros(9, dtype=torch.int64), torch.zeros(9, dtype=torch.int64))
    known = module.known_pairs([], marks)
    assert len(known) == 0 and not known.has(torch.tensor([1]), torch.tensor([2])).any()
    assert known.marks.dtype == np.int64
