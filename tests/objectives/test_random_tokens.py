"""Random replacements: each pool uniform, and of the language that was asked for, with shared pieces too."""

from dataclasses import replace

import pytest
import torch

from fairseq_xalign.errors import UserError
from fairseq_xalign.objectives.batch import pack
from fairseq_xalign.objectives.masking import MaskingOptions, Vocabulary, mask_tokens

FIRST, PIECES = 5, 60
SHARED = torch.arange(PIECES) % 2 == 0
DOUBLED = Vocabulary(FIRST + 2 * PIECES, 4, FIRST, FIRST + 2 * PIECES, PIECES, shared=SHARED)
ALL_RANDOM = MaskingOptions(mask_prob=1.0, random_token_prob=1.0, leave_unmasked_prob=0.0)
COUNT = 60_000


def replacements(vocabulary, tokens, languages=None):
    batch = replace(pack([tokens]), keys=torch.tensor([7]))
    batch = batch if languages is None else replace(batch, languages=torch.tensor(languages))
    return mask_tokens(batch, vocabulary, ALL_RANDOM).tokens


def text(derived):
    """Every piece as the language writes it: a shared one has the natural id in both."""
    numbers = [i % PIECES for i in range(COUNT)]
    return [FIRST + n + (PIECES if derived and not SHARED[n] else 0) for n in numbers]


@pytest.mark.parametrize("derived", [False, True])
def test_same_draws_what_the_language_of_the_text_contains(derived):
    drawn = replacements(replace(DOUBLED, random_language="same"), text(derived))
    assert set(drawn.tolist()) == set(text(derived))
    counts = torch.bincount(drawn)[sorted(set(text(derived)))]
    assert (counts - COUNT / PIECES).abs().max() < 5 * (COUNT / PIECES) ** 0.5


def test_same_looks_at_each_half_of_a_pair_by_itself():
    half = COUNT // 2
    tokens = text(False)[:half] + text(True)[:half]
    drawn = replacements(replace(DOUBLED, random_language="same"), tokens, [1] * half + [2] * half)
    assert set(drawn[:half].tolist()) == set(text(False)) and set(drawn[half:].tolist()) == set(text(True))


def test_any_draws_every_id_that_occurs_alike():
    occurring = sorted({*text(False), *text(True)})
    drawn = replacements(DOUBLED, text(True))
    counts = torch.bincount(drawn, minlength=DOUBLED.size)[occurring]
    assert int(counts.sum()) == COUNT
    assert (counts - COUNT / len(occurring)).abs().max() < 5 * (COUNT / len(occurring)) ** 0.5


def test_the_released_draw_is_of_specials_and_natural_pieces():
    drawn = replacements(replace(DOUBLED, random_language="l1", random_pool="all"), text(True))
    assert set(drawn.tolist()) == set(range(FIRST + PIECES))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"random_language": "same", "last": FIRST + PIECES, "shared": None}, "needs a doubled vocabulary"),
        ({"random_language": "l1", "last": FIRST + PIECES, "shared": None}, "needs a doubled vocabulary"),
        ({"random_language": "same", "random_pool": "all"}, "Leave one of them out"),
    ],
)
def test_pools_that_mean_nothing_are_refused(changes, said):
    with pytest.raises(UserError, match=said):
        replace(DOUBLED, **changes)
