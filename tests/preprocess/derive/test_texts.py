"""Derived text comes back, and its ids are the shifted ids of the text that it was made of."""

import json
from collections import Counter
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.files import read_lines
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from preprocess.__main__ import main
from preprocess.derive.marks import SPLITS
from preprocess.readers import running_text
from preprocess.readers.words import SpacedText
from tests.support.deriving import COMPOSITIONS, SMALL, WORDS, pipelines
from tests.support.public_data import public_files
from tests.support.samples import sentences, train_model, write_lines
from tests.support.small_tokenizers import small, small_doubled


@pytest.mark.parametrize("split", list(SPLITS))
@pytest.mark.parametrize("transform", COMPOSITIONS)
def test_text_comes_back(transform, split, doubled):
    there, back = pipelines(transform, doubled, split)

    @SMALL
    @given(st.lists(WORDS, max_size=9), st.sampled_from([" ", "  ", "\t"]), st.integers(1, 9))
    def check(words, gap, number):
        line = running_text.Line(number, gap.join(words))
        assert running_text.derive(running_text.derive(line, there, Counter()), back, Counter()) == line

    check()


def test_text_of_any_characters_comes_back_as_the_tokenizer_spells_it(doubled):
    there, back = pipelines("inv,perm,trans", doubled)

    @settings(max_examples=100, deadline=None)
    @given(
        st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\n\0", max_codepoint=0xEFFFF), max_size=30)
    )
    def check(line):
        spaced = SpacedText(line)
        spelled = spaced.with_words([there.transliteration.normal(word) for word in spaced.words])
        derived = running_text.derive(running_text.Line(1, line), there, Counter())
        assert running_text.derive(derived, back, Counter()).text == spelled

    check()


NO_WIDTH = {
    "zero-width non-joiner": "\u200c",
    "zero-width joiner": "\u200d",
    "zero-width space": "\u200b",
    "soft hyphen": "\u00ad",
    "byte order mark": "\ufeff",
    "word joiner": "\u2060",
    "left-to-right mark": "\u200e",
    "arabic letter mark": "\u061c",
    "combining mark": "\u0328",
    "variation selector": "\ufe0f",
    "combining grapheme joiner": "\u034f",
    "control character": "\x01",
    "no-break space": "\u00a0",
    "narrow no-break space": "\u202f",
    "ideographic space": "\u3000",
    "line separator": "\u2028",
}


@pytest.mark.parametrize("transform", ["trans", "trans,inv", "trans,perm"])
@pytest.mark.parametrize("character", NO_WIDTH.values(), ids=NO_WIDTH)
def test_characters_of_no_width_and_spaces_of_any_kind_come_back(character, transform, natural, doubled):
    """By themselves, at either end of a word and between pieces; and their ids are those of the natural text."""
    there, back = pipelines(transform, doubled)
    for word in (
        character,
        f"walk{character}",
        f"{character}walk",
        f"walk{character}tree",
        f"a{character}{character}b",
    ):
        if character == "\u0328" and word[0] not in character:
            continue  # a letter before a combining mark makes one letter of both: see the next test
        line = f"the {word} house {word}"
        derived = running_text.derive(running_text.Line(1, line), there, Counter())
        assert "▁" not in derived.text
        assert running_text.derive(derived, back, Counter()).text == line
        spelled = there.spell(word)
        assert doubled.encode(spelled) == doubled.shift(natural.encode(word))


@pytest.mark.parametrize(("word", "again"), [("walk\u0301", "wal\u1e31"), ("wa\u2026", "wa..."), ("\uff41b", "ab")])
def test_a_word_that_the_tokenizer_respells_comes_back_as_it_spells_it_and_is_counted(doubled, word, again):
    there, back = pipelines("trans,inv", doubled)
    derived = running_text.derive(running_text.Line(1, f"the {word}"), there, Counter())
    assert running_text.derive(derived, back, Counter()).text == f"the {again}"
    assert there.transliteration.counts["words respelled by the tokenizer"] == 1


@pytest.mark.parametrize("word", ["e\u0301", "ab\u0302c", "a,\u0301", "\u0301a", "a\u094d"])
def test_accents_that_an_uncased_bert_strips_are_no_unknown_pieces_in_transliterated_text(word):
    """Written as characters of their own, as Hindi's vowel signs always are."""
    spelled = pipelines("trans", small_doubled("wordpiece"))[0].spell(word)
    assert small_doubled("wordpiece").encode(spelled) == small_doubled("wordpiece").shift(
        small("wordpiece").encode(word)
    )


@pytest.mark.parametrize("kind", ["trained", "sentencepiece"])
def test_what_sentencepiece_takes_for_a_space_is_no_unknown_piece_in_transliterated_text(kind):
    spelled = pipelines("trans", small_doubled(kind))[0].spell("walk▁tree")
    assert small_doubled(kind).encode(spelled) == small_doubled(kind).shift(small(kind).encode("walk▁tree"))


def test_a_character_without_ids_inside_a_piece_is_lost_and_counted(doubled):
    there, back = pipelines("trans", doubled)
    assert back.spell(there.spell("tre\x01e")) == "tree"
    assert there.transliteration.counts["characters without ids lost within pieces"] == 1


def test_derived_ids_are_the_shifted_ids_of_the_inverted_text(natural, doubled):
    inverse, _ = pipelines("inv", None)
    there, _ = pipelines("inv,trans", doubled)
    for number, line in enumerate(sentences("en", 200) + sentences("de", 200), 1):
        inverted = running_text.derive(running_text.Line(number, line), inverse, Counter()).text
        derived = running_text.derive(running_text.Line(number, line), there, Counter()).text
        assert doubled.encode(derived) == doubled.shift(natural.encode(inverted))
        assert doubled.encode(derived) != natural.encode(inverted)


def test_derived_ids_are_the_shifted_ids_on_a_thousand_real_lines(tmp_path):
    source = public_files("ntrex/**/newstest2019-src.eng.txt*")[0]
    real = [line for _, line in islice(read_lines(source), 1000)]
    write_lines(tmp_path / "text.en", real)
    tokenizer = Tokenizer.trained(train_model(real, 2000), ["en"])
    tokenizer.save(tmp_path / "sub")
    common = ["--format", "text", "--input", f"{tmp_path}/text.en"]
    assert main(["derive", "--transform", "inv", *common, "--output", f"{tmp_path}/inverted"]) == 0
    options = ["--subword", f"{tmp_path}/sub", "--output-subword", f"{tmp_path}/sub2"]
    assert main(["derive", "--transform", "trans,inv", *options, *common, "--output", f"{tmp_path}/derived"]) == 0
    doubled = Tokenizer.load(tmp_path / "sub2")
    inverted, derived = ((tmp_path / name).read_text("utf-8").splitlines() for name in ("inverted", "derived"))
    assert len(inverted) == len(derived) == len(real) == 1000
    for natural_line, derived_line in zip(inverted, derived):
        shifted = [i + tokenizer.pieces if i in tokenizer.natural_ids else i for i in tokenizer.encode(natural_line)]
        assert doubled.encode(derived_line) == shifted
    back = ["--reverse", "--subword", f"{tmp_path}/sub2", "--format", "text", "--input", f"{tmp_path}/derived"]
    assert main(["derive", *back, "--output", f"{tmp_path}/back"]) == 0
    assert (
        "words respelled by the tokenizer" not in json.loads((tmp_path / "derived.manifest.json").read_text())["counts"]
    )
    assert (tmp_path / "back").read_bytes() == (tmp_path / "text.en").read_bytes()
