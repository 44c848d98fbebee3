"""Fingerprints of texts: which differences they see."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.constants import BOS, EOS
from fairseq_xalign.objectives.batch import pack
from fairseq_xalign.objectives.fingerprint import BASE, Fingerprints, letters
from fairseq_xalign.objectives.random import mix
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from tests.support.samples import model_bytes

MASK = (1 << 64) - 1


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.trained(model_bytes())


def marks(tokenizer, *texts):
    batch = pack([[BOS, *tokenizer.encode(text), EOS] for text in texts])
    return Fingerprints.of(tokenizer)(batch).tolist()


def test_case_digits_and_punctuation_do_not_count_and_letters_do(tokenizer):
    a, b, c, d = marks(tokenizer, "the man was 12", "the man, was!", "the men was 12", "the man")
    assert a == b and len({a, c, d}) == 3


def test_where_a_word_is_cut_does_not_count(tokenizer):
    whole = tokenizer.encode("the man")
    single = [i for c in "▁the▁man" if (i := tokenizer.id(c)) is not None]
    assert len(single) == 8 and whole != single, "the test needs two ways to cut the text"
    first, second = Fingerprints.of(tokenizer)(pack([[BOS, *whole, EOS], [BOS, *single, EOS]])).tolist()
    assert first == second


def test_texts_without_letters_are_told_by_their_ids():
    made = Fingerprints(torch.tensor([0] * 9), torch.tensor([0] * 9))
    one, other, same = made(pack([[0, 5, 6, 2], [0, 6, 5, 2], [0, 5, 6, 2]])).tolist()
    assert one == same != other


@given(st.lists(st.lists(st.integers(5, 15), max_size=12), min_size=1, max_size=5))
@settings(max_examples=50)
def test_the_hash_is_the_polynomial_over_all_letters(rows):
    """Against Python's own integers."""
    draw = random.Random(3)
    pieces = ["".join(draw.choices("abcdé", k=i % 4)) for i in range(16)]
    values = [sum(int(mix(torch.tensor(ord(c)))) * pow(BASE, i, 1 << 64) for i, c in enumerate(p)) for p in pieces]
    wrapped = torch.tensor([((v & MASK) ^ (1 << 63)) - (1 << 63) for v in values])
    made = Fingerprints(wrapped, torch.tensor([len(p) for p in pieces]))
    batch = pack([[0, *row, 2] for row in rows])
    pieces[0] = pieces[2] = ""
    made.lengths[[0, 2]] = 0
    made.values[[0, 2]] = 0
    for row, found in zip(rows, made(batch).tolist()):
        text = "".join(pieces[i] for i in row)
        value = sum(int(mix(torch.tensor(ord(c)))) * pow(BASE, i, 1 << 64) for i, c in enumerate(text)) + len(text)
        value = ((value & MASK) ^ (1 << 63)) - (1 << 63)
        if text:
            assert found == int(mix(torch.tensor(value)))


def test_letters_of_every_kind_of_piece():
    assert letters("▁Hello") == "hello" and letters("##Wort") == "wort" and letters("▁12,") == ""
    assert letters("▁नमस्ते") == "नमस्ते" and letters("東京") == "東京"
    assert letters("<0xE6>") != letters("<0xE7>") and len(letters("<0xE6>")) == 1
    assert letters("ĠThe", byte_level=True) == "the" and len(letters("æĿ±", byte_level=True)) == 3
