"""Labelled examples come back, and their labels follow the words through every transformation."""

import importlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_xalign.data.formats import conllu
from preprocess.derive.marks import SPLITS
from preprocess.readers import FORMATS, classification, ner, nli, qa
from preprocess.readers import conllu as treebank
from preprocess.readers.words import SpacedText
from tests.support.deriving import COMPOSITIONS, SMALL, WORDS, invert, pipelines
from tests.support.samples import write_lines

PLAIN = st.from_regex(r"[a-z]{1,4}|[.!?]", fullmatch=True)


@st.composite
def treebank_sentences(draw):
    forms = draw(st.lists(WORDS, min_size=1, max_size=7))
    rows = []
    for number, form in enumerate(forms, 1):
        head = draw(st.integers(0, len(forms)))
        lemma = draw(st.sampled_from(["_", "walk", "the tree"]))
        rows.append([str(number), form, lemma, "NOUN", "_", "_", str(head), "dep", f"{head}:dep", "Gloss=x"])
    return conllu.Sentence(2, draw(st.integers(1, 5)), ["# sent_id = s", f"# text = {' '.join(forms)}"], rows)


@st.composite
def entity_sentences(draw):
    tokens, tags = [], []
    for _ in range(draw(st.integers(1, 5))):
        length, kind = draw(st.integers(1, 3)), draw(st.sampled_from(["", "PER", "LOC"]))
        tokens += draw(st.lists(WORDS, min_size=length, max_size=length))
        tags += (["B-" + kind] + ["I-" + kind] * (length - 1)) if kind else ["O"] * length
    return ner.Sentence(1, draw(st.integers(1, 5)), tokens, tags)


@st.composite
def pairs(draw):
    premise, hypothesis = (" ".join(draw(st.lists(WORDS, max_size=6))) for _ in range(2))
    return nli.Pair(draw(st.integers(1, 9)), premise, hypothesis, "neutral")


@st.composite
def labelled_texts(draw):
    return classification.LabelledText(draw(st.integers(1, 9)), "ask", " ".join(draw(st.lists(WORDS, min_size=1))))


@st.composite
def documents(draw):
    """One context; each answer is one of its words, so that no transformation tears it apart."""
    words = draw(st.lists(st.from_regex(r"[a-z]{2,5}", fullmatch=True), min_size=1, max_size=9))
    context, starts = " ".join(words), SpacedText(" ".join(words)).starts(words)
    chosen = draw(st.lists(st.integers(0, len(words) - 1), min_size=1, max_size=3))
    questions = [
        {
            "id": f"q{number}",
            "question": " ".join(draw(st.lists(PLAIN, min_size=1, max_size=5))),
            "answers": [{"text": words[index], "answer_start": starts[index]}],
        }
        for number, index in enumerate(chosen)
    ]
    return qa.Document(1, "f", {"data": [{"title": "t", "paragraphs": [{"context": context, "qas": questions}]}]})


EXAMPLES = {
    "conllu": treebank_sentences,
    "ner": entity_sentences,
    "nli": pairs,
    "qa": documents,
    "classification": labelled_texts,
}


@pytest.mark.parametrize("transform", COMPOSITIONS)
@pytest.mark.parametrize("data_format", list(EXAMPLES))
def test_labelled_examples_come_back(data_format, transform, doubled):
    reader = importlib.import_module(FORMATS[data_format])
    there, back = pipelines(transform, doubled, "all-final" if reader.SENTENCE_BY_SENTENCE else "none")

    @SMALL
    @given(EXAMPLES[data_format]())
    def check(example):
        assert reader.derive(reader.derive(example, there, Counter()), back, Counter()) == example

    check()


@pytest.mark.parametrize("transform", ["inv", "perm", "inv,perm", "perm,trans"])
@pytest.mark.parametrize("split", list(SPLITS))
def test_entities_stay_whole_and_valid_iob2(transform, split, doubled):
    there, _ = pipelines(transform, doubled, split)

    def entities(sentence, spell):
        numbers, types, repaired = ner.spans(sentence.tags)
        assert repaired == 0
        members = [[] for _ in types]
        for token, number in zip(sentence.tokens, numbers):
            if number >= 0:
                members[number].append(spell(token))
        return Counter((kind, tuple(sorted(words))) for kind, words in zip(types, members))

    @SMALL
    @given(entity_sentences())
    def check(sentence):
        derived = ner.derive(sentence, there, Counter())
        assert entities(derived, lambda token: token) == entities(sentence, there.spell)

    check()


def test_tags_and_heads_follow_their_words_through_every_order(doubled):
    there, _ = pipelines("inv,perm", doubled, "none")

    @SMALL
    @given(treebank_sentences())
    def check(sentence):
        for index, row in enumerate(sentence.rows):
            row[conllu.XPOS] = f"was{index + 1}"
        derived = treebank.derive(sentence, there, Counter())
        assert derived.column(conllu.ID) == [str(i + 1) for i in range(len(derived.rows))]
        old_ids = {str(i): row[conllu.XPOS].removeprefix("was") for i, row in enumerate(derived.rows, 1)} | {"0": "0"}
        for row in derived.rows:
            old = sentence.rows[int(row[conllu.XPOS].removeprefix("was")) - 1]
            assert row[conllu.FORM] == old[conllu.FORM]
            assert old_ids[row[conllu.HEAD]] == old[conllu.HEAD]
            assert row[conllu.DEPS] == f"{row[conllu.HEAD]}:dep"

    check()


def test_a_treebank_loses_ranges_and_empty_nodes_and_says_so(tmp_path, doubled):
    rows = ["1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_"]
    for number, form, head in ((1, "de", 3), (2, "le", 3), (3, "pain", 0), (4, ".", 3)):
        rows.append(f"{number}\t{form}\t{form}\tX\t_\t_\t{head}\tdep\t{head}:dep\tSpaceAfter=No")
    rows.insert(4, "3.1\tx\tx\tVERB\t_\t_\t_\t_\t0:root\t_")
    rows[-1] = rows[-1].replace("3:dep", "3:dep|3.1:dep")
    source = write_lines(tmp_path / "a.conllu", ["# text = du pain.", *rows, ""])
    counts = Counter()
    (sentence,) = conllu.read(source)
    derived = treebank.derive(sentence, pipelines("inv", doubled, "none")[0], counts)
    assert derived.comments == ["# text = pain le de ."]
    assert [(row[0], row[1], row[6], row[8], row[9]) for row in derived.rows] == [
        ("1", "pain", "0", "0:dep", "_"),
        ("2", "le", "1", "1:dep", "_"),
        ("3", "de", "1", "1:dep", "_"),
        ("4", ".", "1", "1:dep", "_"),
    ]
    assert (counts["multiword ranges dropped"], counts["empty nodes dropped"]) == (1, 1)
    assert (counts["enhanced dependencies dropped"], counts["SpaceAfter dropped"]) == (1, 4)


CONTEXT = "Brady beat the Denver Broncos, again. Manning lost 3 games."


@pytest.mark.parametrize(
    ("answer", "transform", "expected", "counted"),
    [
        ("Denver Broncos", "inv", "Broncos, Denver", "answers widened to whole words"),
        ("the Denver", "inv", "Denver the", None),
        ("Brady", "inv", "Brady", None),
        ("again", "inv", "again", None),
        ("again.", "inv", "again", "answers that lost a final mark"),
        ("games", "inv", "games", None),
        ("anning", "inv", "Manning", "answers widened to whole words"),
        ("again. Manning", "inv", None, "answers dropped: words no longer together"),
        ("Brady beat the Denver Broncos, again. Manning lost 3 games.", "inv", CONTEXT, "whole"),
        ("Denver Broncos,", "trans", "Denver Broncos,", None),
    ],
)
def test_answers_move_with_their_words(answer, transform, expected, counted, doubled):
    there, _ = pipelines(transform, doubled)
    question = {"id": "1", "question": "Who?", "answers": [{"text": answer, "answer_start": CONTEXT.index(answer)}]}
    document = qa.Document(1, "f", {"data": [{"paragraphs": [{"context": CONTEXT, "qas": [question]}]}]})
    counts = Counter()
    paragraph = qa.derive(document, there, counts).content["data"][0]["paragraphs"][0]
    if expected is None:
        assert paragraph["qas"] == []
        assert (counts["questions dropped"], counts[counted]) == (1, 1)
        return
    (found,) = paragraph["qas"][0]["answers"]
    start = found["answer_start"]
    assert paragraph["context"][start : start + len(found["text"])] == found["text"]
    if counted == "whole":
        assert found["text"] == invert(CONTEXT).removesuffix(".")
        return
    assert found["text"] == " ".join(there.spell(word) for word in expected.split())
    assert {name for name, count in counts.items() if count and name.startswith("answers ")} == {counted} - {None}


def test_an_answer_that_is_not_where_it_says_is_dropped_and_counted(doubled):
    there, _ = pipelines("inv", doubled)
    answers = [{"text": "Brady", "answer_start": 3}, {"text": "Brady", "answer_start": 0}]
    question = {"id": "1", "question": "Who?", "answers": answers}
    document = qa.Document(1, "f", {"data": [{"paragraphs": [{"context": CONTEXT, "qas": [question]}]}]})
    counts = Counter()
    derived = qa.derive(document, there, counts)
    assert len(derived.content["data"][0]["paragraphs"][0]["qas"][0]["answers"]) == 1
    assert counts["answers dropped: not at their place in the context"] == 1
