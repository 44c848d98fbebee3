"""What fairseq's generator gets wrong."""

import pytest
import torch
from fairseq.ngram_repeat_block import NGramRepeatBlock

from fairseq_xalign import compat


@pytest.mark.parametrize(("size", "blocked"), [(2, [9]), (3, [])])
def test_a_phrase_that_was_written_is_blocked(size, blocked):
    compat.apply()
    block = NGramRepeatBlock(size)
    tokens = torch.tensor([[2, 8, 9, 8, 1, 1, 1, 1]])  # </s> 8 9 8, and room for more
    scores = block(tokens, torch.zeros(1, 12), 1, 1, 3)
    assert (scores[0] < 0).nonzero().flatten().tolist() == blocked
    unpatched = NGramRepeatBlock._no_repeat_ngram.__wrapped__
    assert not (unpatched(block, tokens, torch.zeros(1, 12), 1, 1, 3) < 0).any(), "fairseq repaired it: remove ours"
