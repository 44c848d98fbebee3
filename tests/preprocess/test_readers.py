"""What ``derive`` does with examples: the words of a text, and the entities of tags."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess.readers import ner
from preprocess.readers.words import SpacedText


@given(st.text(max_size=20))
def test_white_space_is_kept_to_the_last_character(text):
    spaced = SpacedText(text)
    assert spaced.words == text.split()
    assert spaced.with_words(spaced.words) == text
    longer = [word + "x" for word in spaced.words]
    changed = spaced.with_words(longer)
    assert [changed[start : start + len(word)] for start, word in zip(spaced.starts(longer), longer)] == longer


@pytest.mark.parametrize(
    ("tags", "numbers", "types", "repaired"),
    [
        (["B-A", "I-A", "O", "B-A", "B-A"], [0, 0, -1, 1, 2], ["A", "A", "A"], 0),
        (["I-A", "I-A", "I-B", "O", "I-B"], [0, 0, 1, -1, 2], ["A", "B", "B"], 3),
        (["O", "O"], [-1, -1], [], 0),
    ],
)
def test_spans_of_tags_and_tags_of_spans(tags, numbers, types, repaired):
    assert ner.spans(tags) == (numbers, types, repaired)
    valid = ner.iob2(numbers, types)
    assert ner.spans(valid) == (numbers, types, 0)
    assert (valid == tags) == (repaired == 0)
