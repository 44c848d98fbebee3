"""BLEU, chrF, repetition, copies and wrong languages: by hand, and as sacrebleu computes them."""

import random
import re

import pytest
import sacrebleu

from fairseq_xalign.errors import UserError
from fairseq_xalign.evaluate.metrics import identification, translation
from fairseq_xalign.evaluate.metrics.identification import Identifier, base_language
from fairseq_xalign.evaluate.metrics.translation import (
    bleu_tokenizer,
    copy_rate,
    corpus_bleu,
    corpus_chrf,
    is_repetitive,
    repetition_rate,
)

EXACT = 1e-9


def test_bleu_is_what_one_computes_by_hand():
    # n-grams that match: 5 of 6, 3 of 5, 2 of 4, 1 of 3; lengths are equal, so no brevity penalty.
    found = corpus_bleu(["the cat sat on the mat"], ["the cat sat on a mat"], "en")
    assert found.score == pytest.approx(100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25, abs=EXACT)
    assert found.length_ratio == 1.0


def test_the_brevity_penalty_is_in_bleu():
    found = corpus_bleu(["a b c d"], ["a b c d e"], "de")
    assert found.score == pytest.approx(100 * 2.718281828459045 ** (1 - 5 / 4), abs=EXACT)
    assert found.length_ratio == pytest.approx(0.8)


def test_chrf_is_what_one_computes_by_hand():
    # one of two letters matches, the one pair of letters does not; longer n-grams do not exist in either
    assert corpus_chrf(["ab"], ["ac"]).score == pytest.approx(25.0, abs=EXACT)


@pytest.mark.parametrize(("language", "tokenizer"), [("de", "13a"), ("zh-TW", "zh"), ("th", "char")])
def test_scores_are_sacrebleus(language, tokenizer):
    draw, words = random.Random(1), "你好 世界 Haus, house. der the 3,5 ไทย".split()
    references = [" ".join(draw.choices(words, k=9)) for _ in range(30)]
    hypotheses = [" ".join(w for w in line.split() if draw.random() < 0.8) for line in references]
    bleu, chrf = corpus_bleu(hypotheses, references, language), corpus_chrf(hypotheses, references)
    assert bleu.score == sacrebleu.corpus_bleu(hypotheses, [references], tokenize=tokenizer).score
    assert chrf.score == sacrebleu.corpus_chrf(hypotheses, [references]).score
    version = re.escape(sacrebleu.__version__)
    assert re.fullmatch(rf"BLEU\|nrefs:1\|case:mixed\|eff:no\|tok:{tokenizer}\|.*\|version:{version}", bleu.signature)
    assert re.fullmatch(rf"chrF\|nrefs:1\|.*\|nc:6\|nw:0\|.*\|version:{version}", chrf.signature)


def test_a_language_chooses_the_tokenizer_of_bleu(monkeypatch):
    monkeypatch.setattr(translation, "find_spec", lambda name: None)
    chosen = {code: bleu_tokenizer(code) for code in ("en", "zh", "zho-Hant", "zh_CN", "ja", "jpn", "ko", "th", "km")}
    assert chosen == {
        **dict.fromkeys(("en", "ko"), "13a"),
        **dict.fromkeys(("zh", "zho-Hant", "zh_CN"), "zh"),
        **dict.fromkeys(("ja", "jpn", "th", "km"), "char"),
    }
    monkeypatch.setattr(translation, "find_spec", lambda name: object())
    assert [bleu_tokenizer(code) for code in ("ja", "ko", "th")] == ["ja-mecab", "ko-mecab", "char"]


@pytest.mark.parametrize(
    ("tokenizer", "what"),
    [("13b", "unknown tokenizer of BLEU '13b'"), ("ja-mecab", "needs the package MeCab"), ("flores200", "downloaded")],
)
def test_a_tokenizer_that_cannot_be_used_is_refused(tokenizer, what, monkeypatch, tmp_path):
    monkeypatch.setattr(translation, "find_spec", lambda name: None)
    monkeypatch.setattr("sacrebleu.utils.SACREBLEU_DIR", str(tmp_path))
    with pytest.raises(UserError, match=what):
        corpus_bleu(["a"], ["a"], "en", tokenizer)


@pytest.mark.parametrize("metric", [lambda h, r: corpus_bleu(h, r, "en"), corpus_chrf, copy_rate])
def test_unequal_numbers_of_lines_are_no_score(metric):
    with pytest.raises(ValueError, match="2 translations"):
        metric(["a", "b"], ["a"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", False),
        ("no no no yes", False),
        ("no no no no", True),
        ("a no no no no b", True),
        ("x a b a b a b a y", False),
        ("x a b a b a b a b y", True),
        ("a b c d a b c d a b c d a b c d", True),
        ("a b c d e " * 4, False),  # five words are more than a phrase of four
        ("a a b b a a b b a a b b a a b b", True),
    ],
)
def test_a_phrase_of_up_to_four_words_four_times_in_a_row_is_repetitive(text, found):
    assert is_repetitive(text.split()) is found
    assert is_repetitive(text.split()) is bool(plain_repetitive(text.split()))


def plain_repetitive(items, longest=4, times=4):
    return any(
        items[place : place + size * times] == items[place : place + size] * times
        for size in range(1, longest + 1)
        for place in range(len(items) - size * times + 1)
    )


def test_repetition_equals_a_plain_search_on_random_text():
    draw = random.Random(7)
    cases = [draw.choices("ab", k=draw.randint(0, 24)) for _ in range(2000)]
    found = [is_repetitive(case) for case in cases]
    assert found == [plain_repetitive(case) for case in cases]
    assert 0.2 < sum(found) / len(found) < 0.9


def test_repetition_counts_characters_where_words_have_no_spaces_between():
    rate = repetition_rate(["好好好好", "好好好"], "zh")
    assert (rate.score, repetition_rate(["好好好好", "好好好"], "de").score) == (50.0, 0.0)
    assert rate.signature.startswith("repetition|n:2|phrase:1-4|of:characters|times:4|")


def test_copies_are_outputs_equal_to_their_source():
    assert copy_rate(["a  b", "c", ""], ["a b", "d", " "]).score == 50.0


@pytest.mark.parametrize(
    ("code", "base"),
    [("zh-TW", "zh"), ("deu_Latn", "de"), ("NOB", "no"), ("fil", "tl"), ("xx_made", "xx"), ("yue", "yue")],
)
def test_codes_lead_to_the_classifiers_language(code, base):
    assert base_language(code) == base


@pytest.fixture
def by_first_word(monkeypatch):
    """A classifier that believes the first word of a text, with the probability that is its second."""
    asked = []

    def classify(languages, text):
        asked.append(languages)
        name, probability, *_ = text.split()
        return name, float(probability)

    monkeypatch.setattr(identification, "_classifier", lambda: (frozenset({"de", "en", "zh", "zxx"}), classify))
    return asked


def test_outputs_in_another_language_are_counted_and_uncertain_ones_are_unknown(by_first_word):
    identifier = Identifier(["en", "deu", "zh-TW", "xx"])
    lines = ["de 0.9", "en 0.5", "en 0.49", "zxx 0.9 x", "1 2 3", "", "de 1.0", "zh 0.8"]
    found = identifier.off_target(lines, "de-AT")
    assert (found.off_target, found.unknown) == (100 * 2 / 8, 100 * 4 / 8)
    assert "|n:8|among:de+en+zh|least:0.5|" in found.signature
    assert set(by_first_word) == {("de", "en", "zh")}


def test_a_language_that_the_classifier_does_not_know_has_no_rate(by_first_word):
    assert Identifier(["en", "de", "xx"]).off_target(["de 1.0"], "xx") is None
    assert Identifier(["de", "xx"]).off_target(["de 1.0"], "de") is None  # nothing to confuse it with


def test_real_sentences_are_told_apart():
    identifier = Identifier(["en", "de", "fr", "zh-TW"])
    lines = [
        "Der Hund schläft heute lange.",
        "The dog sleeps long today.",
        "Le chien dort longtemps.",
        "12",
    ]
    assert [identifier.language(line) for line in lines] == ["de", "en", "fr", None]
    assert identifier.language("狗今天睡得很久") == "zh"
    found = identifier.off_target(lines, "de")
    assert (found.off_target, found.unknown) == (50.0, 25.0)
