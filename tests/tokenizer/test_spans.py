"""Every piece stands for characters of the text, whatever a normaliser made of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.tokenizer.spans import characters_of, pieces_of
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from tests.support.foreign_models import real_encoder
from tests.support.small_tokenizers import FOREIGN, small, small_doubled

KINDS = ["trained", "bbpe", *FOREIGN]
TEXTS = (
    "The old bridge was closed in 1987.",
    "½ of ㍿ABC, ﬁnding Ⅷ世… ｱﾊﾟｰﾄ",
    "北京大学。 川に架かる古い橋",
    "e\u0301tude \u200cab ab\u200c the\u3000state",
    "👍🏽ok x\u00adsoft ำx نعم\u200cها",
)


def check(tokenizer, text):
    ids, spans = tokenizer.encode_with_spans(text)
    assert ids == tokenizer.encode(text) and spans.shape == (len(ids), 2)
    assert all(0 <= begin < end <= len(text) for begin, end in spans.tolist())
    assert (np.diff(spans[:, 0]) >= 0).all() and (np.diff(spans[:, 1]) >= 0).all()
    for begin, end in spans.tolist():  # no piece reaches over white space, except of a word that has it inside
        assert not any(character.isspace() for character in text[begin:end])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_those_of_encode_and_each_has_characters(kind, text):
    check(small(kind), text)


@pytest.mark.parametrize("kind", ["trained", "wordpiece", "xlmr"])
@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=40))
def test_any_text_has_spans_in_order(kind, text):
    check(small(kind), text)


@pytest.mark.parametrize("kind", ["trained", "wordpiece"])
def test_every_symbol_of_transliterated_text_is_a_piece(kind):
    tokenizer = small_doubled(kind)
    text = " ".join(tokenizer.transliterate(word) for word in TEXTS[0].split())
    check(tokenizer, text)
    mixed = f"{text} state {text[:2]}é"
    check(tokenizer, mixed)


def test_a_character_that_becomes_several_belongs_to_all_their_pieces():
    ids, spans = small("trained").encode_with_spans("a ½")
    assert len(ids) > 3 and spans.tolist()[1:] == [[2, 3]] * (len(ids) - 1)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", ["trained", "wordpiece", "xlmr"])
def test_the_pieces_of_an_answer_hold_it(kind, text):
    _, spans = small(kind).encode_with_spans(text)
    for begin in range(len(text)):
        for end in range(begin + 1, len(text) + 1):
            found = pieces_of(spans, begin, end)
            if found is None:
                continue
            first, last = characters_of(spans, *found)
            kept = {place for a, b in spans.tolist() for place in range(a, b)}
            assert {place for place in range(begin, end) if place in kept} <= set(range(first, last))


@pytest.mark.parametrize("name", ["minilm", "e5"])
def test_spans_of_real_tokenizers_are_those_of_the_library(name):
    import transformers

    folder = real_encoder(name)
    ours, theirs = Tokenizer.adopted(folder), transformers.AutoTokenizer.from_pretrained(str(folder))
    for text in TEXTS[:3]:
        found = theirs(text, add_special_tokens=False, return_offsets_mapping=True)
        ids, spans = ours.encode_with_spans(text)
        assert ours.to_foreign(ids) == found["input_ids"]
        assert [tuple(span) for span in spans.tolist()] == [tuple(span) for span in found["offset_mapping"]]
