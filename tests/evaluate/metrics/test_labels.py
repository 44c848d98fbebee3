"""Scores against cases worked out by hand, seqeval 1.2.2 and scikit-learn."""

import warnings

import numpy as np
import pytest
import seqeval.metrics
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.scheme import IOB2

from fairseq_xalign.evaluate.metrics.answers import AnswerF1, ExactMatch, Reference
from fairseq_xalign.evaluate.metrics.chunks import ChunkF1, is_iob2, lenient_chunks, strict_chunks
from fairseq_xalign.evaluate.metrics.labels import Accuracy, ClassF1, TokenAccuracy, signature

EXACT = 1e-9
IOB_TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG"]
IOBES_TAGS = [*IOB_TAGS, "E-PER", "S-PER", "E-LOC", "S-LOC", "B-A-B", "I-A-B", "B", "I"]
UPOS = [
    "ADJ",
    "ADP",
    "ADV",
    "AUX",
    "CCONJ",
    "DET",
    "INTJ",
    "NOUN",
    "NUM",
    "PART",
    "PRON",
    "PROPN",
    "PUNCT",
    "SCONJ",
    "SYM",
    "VERB",
]

# gold, predicted, lenient F1, strict F1 (None: no IOB2), token accuracy
CASES = [
    ("B-PER I-PER O B-LOC", "I-PER I-PER O I-LOC", 1.0, 0.0, 0.5),
    ("B-PER I-PER O B-LOC", "B-PER I-LOC O B-LOC", 0.4, 0.5, 0.75),
    ("B-PER B-PER O B-LOC", "B-PER I-PER O B-LOC", 0.4, 0.4, 0.75),
    ("I-PER I-PER O I-LOC", "B-PER I-PER O B-LOC", 1.0, 0.0, 0.5),
    ("DET NOUN NOUN VERB PUNCT", "DET NOUN ADJ VERB PUNCT", 2 / 3, None, 0.8),
    ("NOUN NOUN NOUN NOUN VERB", "NOUN NOUN NOUN ADJ VERB", 0.4, None, 0.8),
    ("CCONJ NOUN", "SCONJ NOUN", 1.0, None, 0.5),
]


@pytest.mark.parametrize(("gold", "predicted", "lenient", "strict", "accuracy"), CASES)
def test_the_printed_cases_of_chunk_f1_and_accuracy(gold, predicted, lenient, strict, accuracy):
    pairs = [(gold.split(), predicted.split())]
    assert ChunkF1().corpus(pairs) == pytest.approx(100 * lenient, abs=EXACT)
    assert TokenAccuracy().corpus(pairs) == pytest.approx(100 * accuracy, abs=EXACT)
    assert is_iob2(gold.split()) == (strict is not None)
    if strict is not None:
        assert ChunkF1("strict").corpus(pairs) == pytest.approx(100 * strict, abs=EXACT)


def test_sentiment_case_of_macro_and_micro_f1():
    pairs = list(zip("1110", "1100"))
    assert ClassF1(["0", "1"], "macro").corpus(pairs) == pytest.approx(73.33333333333333, abs=EXACT)
    assert ClassF1(["0", "1"], "micro").corpus(pairs) == pytest.approx(75.0, abs=EXACT)
    assert Accuracy().corpus(pairs) == 75.0


def corpora(tags, most_sentences=5):
    """Gold and predicted tag sequences of equal lengths."""
    sentence = st.lists(st.tuples(st.sampled_from(tags), st.sampled_from(tags)), min_size=1, max_size=9)
    return st.lists(sentence, min_size=1, max_size=most_sentences).map(
        lambda found: [([g for g, _ in s], [p for _, p in s]) for s in found]
    )


def peer(pairs, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gold, predicted = [g for g, _ in pairs], [p for _, p in pairs]
        return 100 * seqeval.metrics.f1_score(gold, predicted, **options)


@settings(max_examples=150, deadline=None)
@given(corpora(IOB_TAGS))
def test_lenient_chunk_f1_is_seqevals_default(pairs):
    assert ChunkF1().corpus(pairs) == pytest.approx(peer(pairs), abs=EXACT)


@settings(max_examples=100, deadline=None)
@given(corpora([t for t in IOBES_TAGS if len(t) > 1 or t == "O"]))
def test_lenient_chunk_f1_is_seqevals_on_other_schemes_too(pairs):
    assert ChunkF1().corpus(pairs) == pytest.approx(peer(pairs), abs=EXACT)


@settings(max_examples=100, deadline=None)
@given(corpora(UPOS))
def test_chunk_f1_of_part_of_speech_tags_is_seqevals(pairs):
    assert ChunkF1().corpus(pairs) == pytest.approx(peer(pairs), abs=EXACT)


@settings(max_examples=100, deadline=None)
@given(corpora([*UPOS, "X", "B", "I"], most_sentences=1))
def test_single_letter_tags_are_read_as_seqeval_reads_one_sentence(pairs):
    assert ChunkF1().corpus(pairs) == pytest.approx(peer(pairs), abs=EXACT)


@settings(max_examples=150, deadline=None)
@given(corpora(IOB_TAGS))
def test_strict_chunk_f1_is_seqevals_strict_iob2(pairs):
    assert ChunkF1("strict").corpus(pairs) == pytest.approx(peer(pairs, mode="strict", scheme=IOB2), abs=EXACT)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=1, max_size=12))
def test_classification_scores_are_scikit_learns(pairs):
    gold, predicted = zip(*pairs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        macro = 100 * sklearn.metrics.f1_score(gold, predicted, average="macro")
    assert ClassF1(list("abcd"), "macro").corpus(pairs) == pytest.approx(macro, abs=EXACT)
    accuracy = 100 * sklearn.metrics.accuracy_score(gold, predicted)
    assert Accuracy().corpus(pairs) == pytest.approx(accuracy, abs=EXACT)
    assert ClassF1(list("abcd"), "micro").corpus(pairs) == pytest.approx(accuracy, abs=EXACT)


def test_truncated_tokens_count_as_wrong_even_where_the_gold_tag_is_o():
    pairs = [(["B-PER", "O", "O", "B-LOC"], ["B-PER", "O", None, None])]
    assert TokenAccuracy().corpus(pairs) == 50.0
    # One of two gold chunks found: precision 1, recall 1/2.
    assert ChunkF1().corpus(pairs) == pytest.approx(200 / 3)
    assert ChunkF1("strict").corpus(pairs) == pytest.approx(200 / 3)


def test_a_document_without_a_prediction_counts_as_wrong():
    pairs = [("a", "a"), ("b", None)]
    assert Accuracy().corpus(pairs) == 50.0
    assert ClassF1(["a", "b"], "macro").corpus(pairs) == 50.0
    assert ClassF1(["a", "b"], "micro").corpus(pairs) == 50.0


MISSING = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["a", "b", "c", None, "?"])), min_size=1)


@settings(max_examples=100, deadline=None)
@given(MISSING)
def test_scores_with_missing_and_unknown_predictions_are_scikit_learns(pairs):
    """scikit-learn gets a label of its own for what is no label of the set; no gold item has it, so its F1 is 0."""
    gold, predicted = zip(*((gold, predicted if predicted in list("abc") else "none") for gold, predicted in pairs))
    shown = sorted({*gold, *predicted} - {"none"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        accuracy = 100 * sklearn.metrics.accuracy_score(gold, predicted)
        micro = 100 * sklearn.metrics.f1_score(gold, predicted, average="micro")
        macro = 100 * sklearn.metrics.f1_score(gold, predicted, labels=shown, average="macro")
    assert ClassF1(list("abc"), "micro").corpus(pairs) == pytest.approx(micro, abs=EXACT)
    assert Accuracy().corpus(pairs) == pytest.approx(accuracy, abs=EXACT) == pytest.approx(micro, abs=EXACT)
    assert ClassF1(list("abc"), "macro").corpus(pairs) == pytest.approx(macro, abs=EXACT)


@pytest.mark.parametrize(
    ("metric", "right", "gold"),
    [
        (Accuracy(), ("a", "a"), "b"),
        (ClassF1(["a", "b"], "micro"), ("a", "a"), "b"),
        (ClassF1(["a", "b"], "macro"), ("a", "a"), "b"),
        (TokenAccuracy(), (["O"], ["O"]), ["O"]),
        (AnswerF1(), (Reference(("x",), "en"), "x"), Reference(("y",), "en")),
        (ExactMatch(), (Reference(("x",), "en"), "x"), Reference(("y",), "en")),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_no_prediction_is_half_the_score_of_two_items_one_of_which_is_right(metric, right, gold):
    missing = [None] if isinstance(gold, list) else None
    assert metric.corpus([right, (gold, missing)]) == 50.0


def test_scores_of_many_resamples_come_in_one_call():
    pairs = [("a", "a"), ("b", "a"), ("b", "b")]
    metric = ClassF1(["a", "b"], "macro")
    counts = metric.statistics(pairs)
    totals = np.stack([counts.sum(0), counts[:1].sum(0), counts[1:].sum(0)])
    expected = [metric.corpus(pairs), metric.corpus(pairs[:1]), metric.corpus(pairs[1:])]
    assert metric.score(totals).tolist() == pytest.approx(expected)


def test_nothing_to_find_and_nothing_found_is_zero_not_an_error():
    assert ChunkF1().corpus([(["O", "O"], ["O", "O"])]) == 0.0


def test_chunks_are_types_with_first_and_last_token():
    assert lenient_chunks(["I-PER", "I-PER", "B-PER", "O", "I-LOC"]) == {("PER", 0, 1), ("PER", 2, 2), ("LOC", 4, 4)}
    assert strict_chunks(["I-PER", "I-PER", "B-PER", "O", "I-LOC"]) == {("PER", 2, 2)}


def test_signature_says_metric_unit_mode_size_split_and_version():
    import fairseq_xalign

    text = ChunkF1("strict").signature(7, split="test", lang="hi")
    assert text == (
        f"chunk_f1_strict|per:chunk|average:micro|mode:strict|n:7|split:test|lang:hi|v:{fairseq_xalign.__version__}"
    )
    assert signature("x", split=None) == f"x|v:{fairseq_xalign.__version__}"
