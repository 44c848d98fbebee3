"""Cleaning text and cutting it into sentences, and which split a text belongs to."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess.corpora.cleaning import clean, fits, sentences, split_of

SENTENCES = [
    ("One ends here. Another begins.", ["One ends here.", "Another begins."]),
    ("We met Mr. Smith of the U. S. Navy. He left!", ["We met Mr. Smith of the U. S. Navy.", "He left!"]),
    ('He said "Go." Then he went.', ['He said "Go."', "Then he went."]),
    ("It cost 3.5 million. In 1900 it fell.", ["It cost 3.5 million.", "In 1900 it fell."]),
    ("See No. 5 of the list. No. We will not.", ["See No. 5 of the list.", "No. We will not."]),
    ("I say no. We go.", ["I say no.", "We go."]),
    ("1. The first point. 2. The second point.", ["1. The first point.", "2. The second point."]),
    ("Is it so? Yes, it is... And more.", ["Is it so?", "Yes, it is...", "And more."]),
    ("the U.S. Army and J. Adams came", ["the U.S. Army and J. Adams came"]),
    ("lower case. follows here", ["lower case. follows here"]),
    ("", []),
]


@pytest.mark.parametrize(("paragraph", "expected"), SENTENCES)
def test_sentences_end_where_a_reader_ends_them(paragraph, expected):
    assert list(sentences(paragraph)) == expected


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_sentences_lose_no_character_but_spaces(text):
    text = clean(text)
    assert " ".join(sentences(text)) == text


@given(st.text(max_size=100))
@settings(max_examples=300, deadline=None)
def test_clean_text_is_one_line_of_nfc_without_control_characters(text):
    cleaned = clean(text)
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not any(unicodedata.category(character) in ("Cc", "Zl", "Zp", "Co", "Cs") for character in cleaned)
    assert cleaned == " ".join(cleaned.split())
    assert clean(cleaned) == cleaned


def test_clean_keeps_joiners_that_are_spelling():
    assert clean("می\u200cروم\u200f \u2028x\u00ad") == "می\u200cروم x"


@pytest.mark.parametrize(("words", "kept"), [(2, False), (3, True), (200, True), (201, False)])
def test_running_text_has_3_to_200_words(words, kept):
    assert fits(" ".join(["w"] * words)) is kept


def test_splits_have_their_shares_and_never_move():
    found = [split_of(str(number), 50, 100) for number in range(20_000)]
    assert abs(found.count("test") / 20_000 - 0.1) < 0.01
    assert abs(found.count("valid") / 20_000 - 0.05) < 0.01
    assert [split_of(f"{book}:1", 30, 40) for book in (1, 19, 43)] == ["train", "train", "train"]
    assert split_of("a", 0, 1000) == "test" and split_of("a", 1000, 0) == "valid"
