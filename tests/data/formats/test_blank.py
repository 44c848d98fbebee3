"""Empty lines and fields: white space of ASCII alone, because annotated data has other spaces as tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_xalign.data.formats.blank import SPACES, is_blank


@given(st.text(alphabet=SPACES))
def test_nothing_and_white_space_of_ascii_are_empty(text):
    assert is_blank(text)


@given(st.text(alphabet=SPACES), st.characters(exclude_characters=SPACES), st.text(alphabet=SPACES))
def test_any_other_character_makes_a_line_that_is_not_empty(before, character, after):
    assert not is_blank(before + character + after)


@pytest.mark.parametrize("space", ["\u00a0", "\u3000", "\u2003", "\u200b", "\x85", "\u2028"])
def test_spaces_of_other_kinds_are_characters(space):
    assert not is_blank(space)
