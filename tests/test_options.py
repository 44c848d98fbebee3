"""Forms in which options name languages, pairs, files and numbers: what is read, and what is refused."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fairseq_xalign.errors import UserError
from fairseq_xalign.options import (
    PAIR_FILE_MARK,
    at_least,
    between,
    files_between_commas,
    language_code,
    language_list,
    language_pair,
    name_list,
    named_files,
    other_spelling,
    pair_file_name,
    pair_name,
    pair_splits,
    positive,
    share,
)

CODES = ["en", "zh-TW", "pt-BR", "sr-Latn", "zh-Hant-TW", "zh_TW", "es-419", "xx_inv", "yue"]
SUBTAGS = st.text("abzTW019_", min_size=1, max_size=4)
LANGUAGES = st.builds(
    lambda first, rest: "-".join([f"x{first}", *rest]), SUBTAGS, st.lists(SUBTAGS, max_size=3)
) | st.sampled_from(CODES)


@pytest.mark.parametrize("code", CODES)
def test_codes_of_bcp_47_and_underscores_are_languages(code):
    assert language_code(code, "--input") == code


@pytest.mark.parametrize("code", ["", "-en", "en-", "zh--TW", "1en", "e n", "en.de", "en:de", "en/de", "en=", "日本"])
def test_what_would_not_read_back_from_a_file_name_is_no_language_code(code):
    with pytest.raises(UserError, match="--input .* is not a language code. Begin with a letter"):
        language_code(code, "--input")


@given(source=LANGUAGES, target=LANGUAGES, others=st.lists(LANGUAGES, max_size=5))
def test_a_pairs_name_reads_back_whatever_other_languages_are_known(source, target, others):
    assume(source != target)
    name = pair_name((source, target))
    assume("-" in name or ":" in name)
    known = [source, target, *others]
    try:
        assert language_pair(name, "--bitext", known) == (source, target)
    except UserError:  # a plain name that is a language itself, or several pairs: the colon always helps
        assert ":" not in name
    assert language_pair(f"{source}:{target}", "--bitext") == (source, target)


@given(one=st.tuples(LANGUAGES, LANGUAGES), other=st.tuples(LANGUAGES, LANGUAGES))
def test_two_pairs_never_have_one_name_or_one_file_name(one, other):
    assume(one != other)
    assert pair_name(one) != pair_name(other)
    assert pair_file_name(one) != pair_file_name(other)


@given(source=LANGUAGES, target=LANGUAGES)
def test_a_file_name_says_where_its_pair_is_split(source, target):
    name = pair_file_name((source, target))
    assert tuple(name.split(PAIR_FILE_MARK if PAIR_FILE_MARK in name else "-")) == (source, target)


@given(source=LANGUAGES, target=LANGUAGES, known=st.sets(LANGUAGES, max_size=6))
def test_a_name_of_hyphens_is_split_between_known_languages_or_refused(source, target, known):
    assume(source != target)
    try:
        pair = language_pair(f"{source}-{target}", "--bitext", known)
    except UserError as error:
        assert "Write" in error.remedy
        return
    assert "-".join(pair) == f"{source}-{target}"
    assert set(pair) <= known or len(pair_splits(f"{source}-{target}")) == 1


@pytest.mark.parametrize(
    ("text", "known", "pair"),
    [
        ("en-de", [], ("en", "de")),
        ("zh_TW-pt_BR", [], ("zh_TW", "pt_BR")),
        ("zh-TW:pt-BR", [], ("zh-TW", "pt-BR")),
        ("zh-TW-pt-BR", ["zh-TW", "pt-BR"], ("zh-TW", "pt-BR")),
        ("zh-Hant-TW-en", ["zh-Hant-TW", "en", "zh"], ("zh-Hant-TW", "en")),
        ("zh-TW", ["zh", "TW"], ("zh", "TW")),
        ("zh-TW", [], ("zh", "TW")),
    ],
)
def test_pairs_are_split_by_the_languages_that_are_known(text, known, pair):
    assert language_pair(text, "--bitext", known) == pair


@pytest.mark.parametrize(
    ("text", "known", "message"),
    [
        ("zh-TW-pt-BR", [], "can be split in several ways. Write zh:TW-pt-BR or zh-TW:pt-BR or zh-TW-pt:BR"),
        ("zh-TW-pt", ["zh", "TW-pt", "zh-TW", "pt"], "several ways. Write zh:TW-pt or zh-TW:pt"),
        ("zh-TW", ["zh-TW", "pt-BR"], "'zh-TW' is one language here, not a pair. Write XX:YY"),
        ("en", [], "is not a pair of two languages. Write XX-YY, or XX:YY"),
        ("en-en", [], "is not a pair of two languages"),
        ("en:de:fr", [], "is not a pair of two languages"),
        ("en-", [], "is not a pair of two languages"),
        ("zh--TW", [], "is not a pair of two languages"),
    ],
)
def test_a_pair_that_could_be_another_is_refused_with_the_spelling_to_use(text, known, message):
    with pytest.raises(UserError) as caught:
        language_pair(text, "--bitext", known)
    assert f"--bitext {text!r} " in str(caught.value) and message in str(caught.value)


def test_lists_drop_blanks_and_repetitions():
    assert name_list(" en, de,,en ") == ["en", "de"]
    assert language_list("zh-TW,pt-BR", "--languages") == ["zh-TW", "pt-BR"]
    with pytest.raises(UserError, match="--languages 'e n' is not a language code"):
        language_list("en,e n", "--languages")


def test_named_files_are_split_at_the_first_equals_sign():
    assert named_files(["zh-TW:pt-BR=a=b", "en=c"], "--mono") == [("zh-TW:pt-BR", "a=b"), ("en", "c")]
    assert named_files(None, "--mono") == []
    for value in ("file", "=file", "en="):
        with pytest.raises(UserError, match="is not of the form NAME=VALUE"):
            named_files([value], "--mono")


@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan])
def test_numbers_out_of_range_name_their_option(value):
    with pytest.raises(UserError, match=r"--my-temperature .* is not a positive number"):
        positive(my_temperature=value)
    with pytest.raises(UserError, match=r"--a-b .* is out of range. Choose a number from 0.5 to 2"):
        between(0.5, 2, a_b=value)
    if value != math.inf:
        with pytest.raises(UserError, match=r"--count .* is too small. Choose 1 or more"):
            at_least(1, count=value)
    if value != 0:
        with pytest.raises(UserError, match=r"--dropout .* is not a share"):
            share(dropout=value)


@pytest.mark.parametrize(
    ("code", "other"), [("zh_TW", "zh-TW"), ("zh-tw", "zh-TW"), ("zh-TW", None), ("zh", None), ("EN", "en")]
)
def test_another_spelling_of_a_known_language_is_found(code, other):
    assert other_spelling(code, ["en", "zh-TW"]) == other


def test_names_with_commas_are_told_by_the_files_that_exist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a,b.en", "a,b.de", "x", "x,y", "y,z", "z", "both"):
        (tmp_path / name).touch()
    assert files_between_commas("a,b.en,a,b.de") == ["a,b.en", "a,b.de"]
    assert files_between_commas("a,b.en,both") == ["a,b.en", "both"]
    assert files_between_commas("a,b.en") == ["a,b.en"]
    assert files_between_commas("both") == ["both"]
    assert files_between_commas("no.en,no.de") == ["no.en", "no.de"]
    assert files_between_commas("x,y,z") == ["x", "y", "z"]  # x and y,z, or x,y and z
    assert files_between_commas("a,b.en,no.de") == ["a", "b.en", "no.de"]
    assert files_between_commas("both,") == ["both", ""]
