"""Inversion and permutation: what moves, what stays at the end of its sentence, and that orders never change."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess.derive.marks import SPLITS, Marked, cut
from preprocess.derive.order import OrderOptions
from preprocess.derive.permutation import keyed_order
from preprocess.derive.registry import WORD_ORDERS
from preprocess.readers.words import Passage
from tests.support.deriving import invert


@pytest.mark.parametrize(
    ("split", "attached", "line", "expected"),
    [
        # Table 9 of the paper, and its second row's sentence inverted: the full stop stays, the rest is a sentence.
        ("all-final", True, "Welcome to ACL", "ACL to Welcome"),
        ("all-final", True, "I am Sam . I am", "Sam am I . am I"),
        ("all-final", True, "I am Sam. I am", "Sam am I. am I"),
        ("all-final", True, "Who is it? It is me!", "it is Who? me is It!"),
        ("period", True, "Who is it? It is me.", "me is It it? is Who."),
        ("period", True, "One . Two !", "One . ! Two"),
        ("all-final", True, 'He said "stop." Then left?!', '"stop said He." left Then?!'),
        ("all-final", True, "well ... then", "well ... then"),
        ("all-final", True, "  a\tb  c. ", "  c\tb  a. "),
        ("all-final", True, "Ende 3.5 gut.", "gut 3.5 Ende."),
        ("none", True, "Yes. He left.", "left. He Yes."),
        ("none", True, "He left. She stayed.", "stayed She left. He."),
        ("none", True, "He left . She stayed .", "stayed She . left He ."),
        ("none", True, "Dr. Smith left", "left. Smith Dr"),
        ("none", False, "I am Sam . I am", "am I . Sam am I"),
        ("none", False, "Mr. Sam left .", "left Sam Mr. ."),
        ("none", False, "... a b c", "... c b a"),
        ("none", False, "end. a b", "b a end."),
        ("all-final", True, "", ""),
        ("none", True, ".", "."),
    ],
)
def test_inversion_reverses_words_and_leaves_the_final_mark_last(split, attached, line, expected):
    assert invert(line, split, attached) == expected


@pytest.mark.parametrize("split", list(SPLITS))
@pytest.mark.parametrize("attached", [True, False])
def test_inversion_is_its_own_inverse_for_any_words(split, attached):
    @settings(max_examples=120, deadline=None)
    @given(st.lists(st.text(alphabet='ab.!?")…,', min_size=1, max_size=4), max_size=7))
    def check(words):
        line = " ".join(words)
        assert invert(invert(line, split, attached), split, attached) == line

    check()


@given(st.text(alphabet='ab.!?")', max_size=8))
def test_what_is_left_of_a_word_ends_in_no_mark(word):
    core, mark = cut(word, ".!?")
    assert core + mark == word
    assert cut(core, ".!?") == (core, "")


def test_permutation_depends_on_seed_and_place_alone():
    def permuted(seed, place, words):
        order = WORD_ORDERS["perm"](OrderOptions("all-final", seed))
        return order.arrange(Passage(words, place)).order

    words = [f"w{i}" for i in range(20)]
    others = [f"v{i}" for i in range(20)]
    assert permuted(1, (1,), words) == permuted(1, (1,), others)
    assert permuted(1, (1,), words) != permuted(1, (2,), words)
    assert permuted(1, (1,), words) != permuted(2, (1,), words)


def test_random_orders_never_change_from_one_release_to_the_next():
    assert keyed_order(8, 1, 1, 0) == [7, 3, 2, 6, 4, 0, 5, 1]


def test_every_order_of_a_short_sentence_is_about_as_frequent():
    counts = Counter(tuple(keyed_order(3, 7, line, 0)) for line in range(3000))
    assert len(counts) == 6
    assert all(abs(count - 500) < 100 for count in counts.values())  # 4.9 standard deviations


def test_permutation_keeps_sentences_apart_and_their_marks_last():
    order = WORD_ORDERS["perm"](OrderOptions("all-final", 3))
    words = ["a", "b", "c", "d", "e.", "f", "g", "h", "i", "j!"]
    new = order.arrange(Passage(words, (1,))).words
    assert sorted(w.strip(".!") for w in new[:5]) == list("abcde")
    assert sorted(w.strip(".!") for w in new[5:]) == list("fghij")
    assert new[4].endswith(".")
    assert new[9].endswith("!")
    assert new != words


def test_a_span_is_never_taken_for_a_final_mark():
    passage = Passage(["Yahoo", "!", "."], (1,), attached=False, spans=[0, 0, -1])
    assert Marked.of(passage, "all-final").marks == ["", "", "."]
