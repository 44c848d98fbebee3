"""Exact match and F1 are those of MLQA's definition: its published cases, and what must hold for any answers."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.evaluate.metrics.answers import (
    OFFICIAL,
    AnswerF1,
    ExactMatch,
    Reference,
    answer_language,
    normalized,
)

DATA = Path(__file__).parents[2] / "data"
# Computed by executing the official mlqa_evaluation_v1.py: prediction, gold, language, F1, exact match.
CASES = [
    ("the Eiffel Tower", "Eiffel Tower in Paris", "en", 0.6666666666666666, False),
    ("北京大学", "北京", "zh", 0.6666666666666666, False),
    ("der Rhein", "Rhein", "de", 1.0, True),
    ("the", "a", "en", 0.0, True),
    ("la casa", "casa roja", "es", 0.6666666666666666, False),
    ("الكتاب", "كتاب", "ar", 1.0, True),
    ("Intel 8086处理器", "8086处理器", "zh", 0.888888888888889, False),
]
# Tokens by the official normalize_answer.
NORMALIZED = [
    ("A man's “hat”, the best…", "en", "mans hat best"),
    ("¿La Ñandú?", "es", "ñandú"),
    ("Những người của làng", "vi", "người làng"),
    ("सन् १९४७ में।", "hi", "सन् १९४७ में"),
    ("  Die   Würde DES Menschen ", "de", "würde menschen"),
    ("在 1987 年，IBM", "zh", "在 1987 年 ibm"),
    ("وال بال", "ar", "و ب"),
]


def scores(prediction, gold, language):
    pairs = [(Reference(tuple(gold), language), prediction)]
    return AnswerF1().corpus(pairs) / 100, ExactMatch().corpus(pairs) / 100


@pytest.mark.parametrize(("prediction", "gold", "language", "f1", "exact"), CASES)
def test_the_official_definition_holds(prediction, gold, language, f1, exact):
    assert scores(prediction, [gold], language) == (pytest.approx(f1, abs=1e-12), float(exact))


@pytest.mark.parametrize(("text", "language", "tokens"), NORMALIZED)
def test_answers_are_normalised_by_their_language(text, language, tokens):
    assert normalized(text, language) == tokens.split()


def test_the_best_gold_answer_counts_for_each_metric_by_itself():
    assert scores("Rhein", ["Main", "der Rhein", "am Rhein"], "de") == (1.0, 1.0)
    assert scores("am Rhein", ["Rhein und Main"], "de")[1] == 0.0


def test_no_prediction_and_no_gold_answer_score_nothing():
    assert scores(None, ["x"], "en") == (0.0, 0.0) == scores("x", [], "en")


def test_the_language_of_the_context_normalises():
    assert [answer_language(name) for name in ("zh-TW", "de-en", "en_inv", "DE")] == ["zh", "de", "en", "de"]
    assert scores("der Rhein", ["Rhein"], "de-en") == (1.0, 1.0)


def test_languages_without_an_official_definition_say_so():
    assert normalized("ゴマサバ、鯖", "ja") == ["ゴ", "マ", "サ", "バ", "鯖"]
    assert "norm:mlqa|articles:de|tokens:words" in AnswerF1().signature(3, lang="de-en")
    assert "norm:mlqa-like|articles:none|tokens:characters" in ExactMatch().signature(3, lang="ja")


@pytest.mark.parametrize("language", ["ar", "de", "en", "es", "hi", "zh"])
def test_stored_predictions_score_what_the_official_script_says(language):
    """25 answers of XQuAD per language, right, cut, widened or wrong; scores by the script (commit 5ef5c731)."""
    stored = json.loads((DATA / "answers" / "xquad.json").read_text("utf-8"))[language]
    pairs = [(Reference(tuple(gold), language), prediction) for _, gold, prediction in stored["items"]]
    assert AnswerF1().corpus(pairs) == pytest.approx(stored["f1"], abs=1e-9)
    assert ExactMatch().corpus(pairs) == pytest.approx(stored["exact_match"], abs=1e-9)


words = st.text(alphabet="abc the der la ال ، 北京.!", max_size=12)


@settings(max_examples=200, deadline=None)
@given(prediction=words, gold=st.lists(words, min_size=1, max_size=3), language=st.sampled_from([*OFFICIAL, "ja"]))
def test_scores_are_shares_and_an_answer_matches_itself(prediction, gold, language):
    f1, exact = scores(prediction, gold, language)
    assert 0 <= f1 <= 1 and exact in (0, 1)
    assert scores(prediction, [prediction, *gold], language)[1] == 1
    if exact and normalized(prediction, language):
        assert f1 == 1
    assert scores(prediction, [*gold, "zzz"], language) == (f1, exact)  # a further answer that shares nothing
    swapped = scores(gold[0], [prediction], language)
    assert swapped[0] == pytest.approx(scores(prediction, gold[:1], language)[0])
