"""``xalign-preprocess derive``: the transformations, their way back, and what the labels do."""

import importlib
import json
import os
import threading
import tracemalloc
from collections import Counter
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.data.formats import conllu
from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_lines
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from preprocess import derive as command
from preprocess.__main__ import main
from preprocess.derive.manifest import parse_transforms
from preprocess.derive.marks import SPLITS, Marked, cut
from preprocess.derive.order import OrderOptions
from preprocess.derive.permutation import keyed_order
from preprocess.derive.pipeline import Pipeline
from preprocess.derive.registry import WORD_ORDERS
from preprocess.derive.transliteration import Transliteration
from preprocess.readers import FORMATS, classification, ner, nli, qa, running_text
from preprocess.readers import conllu as treebank
from preprocess.readers.words import Passage, SpacedText
from tests.support.public_data import public_files
from tests.support.samples import model_bytes, sentences, train_model, write_lines
from tests.support.small_tokenizers import small, small_doubled

SMALL = settings(max_examples=30, deadline=None)
COMPOSITIONS = ["inv", "perm", "trans", "inv,perm", "perm,inv", "inv,trans", "trans,perm", "inv,perm,trans"]


@pytest.fixture(scope="module")
def natural():
    return Tokenizer.trained(model_bytes(), ["en", "de"])


@pytest.fixture(scope="module")
def doubled(natural):
    return natural.doubled(0.25, 1)


def pipelines(transform, doubled, split="all-final", seed=1):
    """The transformation and its way back."""
    names, transliterated = parse_transforms(transform)
    orders = [WORD_ORDERS[name](OrderOptions(split, seed)) for name in names]
    script = Transliteration(doubled, Counter()) if transliterated else None
    return Pipeline(orders, script), Pipeline(orders, script, reverse=True)


def invert(line, split="all-final", attached=True):
    spaced = SpacedText(line)
    passage = Passage(spaced.words, (1,), attached)
    return spaced.with_words(WORD_ORDERS["inv"](OrderOptions(split, 1)).arrange(passage).words)


# Inversion


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


# Permutation


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


# The way back: every transformation and composition, every format

WORDS = st.one_of(
    st.lists(st.sampled_from(["the", "ing", "walk", "house", "tree"]), min_size=1, max_size=2).map("".join),
    st.text(alphabet="abz.!?é", min_size=1, max_size=4),
)
PLAIN = st.from_regex(r"[a-z]{1,4}|[.!?]", fullmatch=True)


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


# Transliteration


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


# The command


@pytest.fixture
def place(tmp_path, natural):
    natural.save(tmp_path / "sub")
    write_lines(tmp_path / "text", sentences("en", 50))
    return tmp_path


def derive(place, *options, source="text", output="out", data_format="text"):
    files = ["--format", data_format, "--input", str(place / source), "--output", str(place / output)]
    return main(["derive", *files, *options])


def vocabulary(place, output="sub2"):
    return ["--subword", str(place / "sub"), "--output-subword", str(place / output)]


@pytest.mark.parametrize("transform", COMPOSITIONS)
def test_reverse_takes_all_from_the_manifest(place, transform):
    script = vocabulary(place) if "trans" in transform else []
    assert derive(place, "--transform", transform, "--seed", "3", *script) == 0
    assert (place / "out").read_bytes() != (place / "text").read_bytes()
    assert derive(place, "--reverse", *script[:2], source="out", output="back") == 0
    assert (place / "back").read_bytes() == (place / "text").read_bytes()


def test_reverse_without_manifest_or_transformations_names_the_input(place, capsys):
    assert derive(place, "--reverse") == 1
    assert f"{place}/text: no manifest says how it was derived" in capsys.readouterr().err


def test_words_come_first_however_the_list_is_written(place):
    assert derive(place, "--transform", "trans,inv", *vocabulary(place), output="a") == 0
    assert derive(place, "--transform", "inv,trans", *vocabulary(place), output="b") == 0
    assert (place / "a").read_bytes() == (place / "b").read_bytes()
    assert json.loads((place / "a.manifest.json").read_text())["transforms"] == ["inv", "trans"]


def test_the_manifest_says_how_the_file_was_made(place):
    from fairseq_xalign.files import sha256

    options = ["--transform", "inv,trans", "--overlap", "0.25", "--seed", "5"]
    assert derive(place, *options, *vocabulary(place)) == 0
    doubled = Tokenizer.load(place / "sub2")
    assert len(doubled.derived["kept"]) == round(0.25 * doubled.pieces)
    manifest = json.loads((place / "out.manifest.json").read_text())
    assert manifest == {
        "format": 1,
        "kind": "derived",
        "reverse": False,
        "transforms": ["inv", "trans"],
        "inv_split": "all-final",
        "data_format": "text",
        "seed": 5,
        "overlap": 0.25,
        "input": {"name": "text", "sha256": sha256(place / "text")},
        "output": {"name": "out", "sha256": sha256(place / "out")},
        "subword_sha256": doubled.sha256,
        "counts": manifest["counts"],
    }
    assert manifest["counts"]["examples"] == 50


def test_a_vocabulary_that_is_there_is_reused_if_it_agrees(place, capsys):
    options = ["--transform", "trans", "--overlap", "0.5"]
    assert derive(place, *options, "--seed", "1", *vocabulary(place), output="a") == 0
    before = {p.name: p.stat().st_mtime_ns for p in (place / "sub2").iterdir()}
    assert derive(place, *options, "--seed", "1", *vocabulary(place), output="b") == 0
    assert before == {p.name: p.stat().st_mtime_ns for p in (place / "sub2").iterdir()}
    assert derive(place, "--transform", "trans", "--subword", str(place / "sub2"), output="c") == 0
    assert (place / "a").read_bytes() == (place / "b").read_bytes() == (place / "c").read_bytes()
    assert json.loads((place / "c.manifest.json").read_text())["overlap"] == 0.5
    capsys.readouterr()
    assert derive(place, *options, "--seed", "2", *vocabulary(place), output="d") == 1
    assert "it has overlap 0.5, seed 1" in capsys.readouterr().err
    assert not (place / "d").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--transform", "syn"], "syn needs the order of another language"),
        (["--transform", "trams"], "unknown transformation 'trams'. Did you mean 'trans'?"),
        (["--transform", "inv,inv"], "twice"),
        ([], "--transform is missing"),
        (["--transform", "trans"], "trans needs a vocabulary"),
        (["--transform", "inv", "--subword", "x"], "are for trans"),
        (["--transform", "trans", "--subword", "nowhere"], "nowhere"),
        (["--reverse", "--transform", "inv", "--output-subword", "x"], "writes no vocabulary"),
    ],
)
def test_wrong_options_are_one_line_and_leave_nothing(place, capsys, options, message):
    assert derive(place, *options) == 1
    error = capsys.readouterr().err
    assert message in error.splitlines()[-1]
    assert not (place / "out").exists()


@pytest.mark.parametrize(
    ("data_format", "content"),
    [
        ("text", []),
        ("text", ["", " "]),
        ("conllu", ["# a comment", ""]),
        ("ner", [""]),
        ("nli", ["premise\thypothesis\tlabel"]),
        ("qa", ['{"data": []}']),
    ],
)
def test_a_file_without_words_is_an_error_and_leaves_nothing(place, capsys, data_format, content):
    write_lines(place / "empty", content)
    assert derive(place, "--transform", "inv", source="empty", data_format=data_format) == 1
    assert f"{place}/empty: no words in it. Give a file of --format {data_format}" in capsys.readouterr().err
    assert not list(place.glob("out*"))


def test_reverse_refuses_what_the_manifest_contradicts(place, capsys):
    assert derive(place, "--transform", "inv,trans", *vocabulary(place)) == 0
    doubled = ["--subword", str(place / "sub2")]
    cases = [
        (["--transform", "inv", *doubled], "--transform says inv, but the manifest says inv,trans"),
        (["--seed", "9", *doubled], "--seed says 9, but the manifest says 1"),
        (["--inv-split", "none", *doubled], "--inv-split says none"),
    ]
    for options, message in cases:
        assert derive(place, "--reverse", *options, source="out", output="back") == 1
        assert message in capsys.readouterr().err
    Tokenizer.load(place / "sub").doubled(0.5, 1).save(place / "other")
    assert derive(place, "--reverse", "--subword", str(place / "other"), source="out", output="back") == 1
    assert "not the vocabulary that the file was derived with" in capsys.readouterr().err
    with open(place / "out", "a", encoding="utf-8") as stream:
        stream.write("one line more\n")
    assert derive(place, "--reverse", *doubled, source="out", output="back") == 1
    assert "not the one that out.manifest.json describes" in capsys.readouterr().err
    assert not (place / "back").exists()


def test_transliterated_text_is_not_transliterated_again(place, capsys):
    assert derive(place, "--transform", "trans", *vocabulary(place)) == 0
    assert derive(place, "--transform", "trans", *vocabulary(place), source="out", output="twice") == 1
    assert f"{place}/out:1:" in capsys.readouterr().err
    assert not (place / "twice").exists()


def test_memory_does_not_grow_with_the_text(place):
    def peak(lines):
        write_lines(place / "long", sentences("en", 100) * (lines // 100))
        tracemalloc.start()
        assert derive(place, "--transform", "inv,perm", source="long") == 0
        result = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return result

    peak(100)
    assert peak(2000) < peak(200) + 100_000


def test_a_span_is_never_taken_for_a_final_mark():
    passage = Passage(["Yahoo", "!", "."], (1,), attached=False, spans=[0, 0, -1])
    assert Marked.of(passage, "all-final").marks == ["", "", "."]


def test_an_unknown_transformation_names_the_known_ones():
    with pytest.raises(UserError, match=r"inv, perm, syn, trans"):
        parse_transforms("invert")


@pytest.mark.parametrize(
    ("data_format", "content", "choice", "expected"),
    [
        ("classification", "label\ttext\nask\ta b\n", "auto", "label\ttext\nask\tb a\n"),
        ("classification", "label\tsome text\nask\ta b\n", "auto", "label\ttext some\nask\tb a\n"),
        ("classification", "what\tis said\nask\ta b\n", "yes", "what\tis said\nask\tb a\n"),
        ("nli", "premise\thypothesis\tlabel\na b\tc d\tx\n", "no", "premise\thypothesis\tlabel\nb a\td c\tx\n"),
        ("nli", "a b\tc d\tx\na b\tc d\tx\n", "yes", "a b\tc d\tx\nb a\td c\tx\n"),
    ],
)
def test_a_header_passes_through_and_comes_back(tmp_path, capsys, data_format, content, choice, expected):
    (tmp_path / "t").write_text(content)
    options = ["--format", data_format, "--input", f"{tmp_path}/t", "--output", f"{tmp_path}/d"]
    assert main(["derive", "--transform", "inv", *options, "--header", choice]) == 0
    assert (tmp_path / "d").read_text() == expected
    assert ("taken for the names of the columns" in capsys.readouterr().err) == expected.startswith(
        content.partition("\n")[0]
    ) or choice == "no"
    back = ["--format", data_format, "--input", f"{tmp_path}/d", "--output", f"{tmp_path}/b", "--reverse"]
    assert main(["derive", *back]) == 0
    assert (tmp_path / "b").read_text() == content
    assert main(["derive", *back, "--header", "no" if choice != "no" else "yes"]) == 1
    assert "--header says" in capsys.readouterr().err


def test_a_header_of_running_text_is_refused(tmp_path, capsys):
    write_lines(tmp_path / "t", ["a b"])
    options = ["--format", "text", "--input", f"{tmp_path}/t", "--output", f"{tmp_path}/d", "--header", "yes"]
    assert main(["derive", "--transform", "inv", *options]) == 1
    assert "has no header" in capsys.readouterr().err


def test_derive_is_a_function_that_returns_its_counts(tmp_path):
    source = write_lines(tmp_path / "t", ["a b c.", "d e"])
    counts = command.derive(source, tmp_path / "d", "text", transform="inv")
    assert (counts["examples"], counts["words"]) == (2, 5)
    assert (tmp_path / "d").read_text() == "c b a.\ne d\n"
    command.derive(tmp_path / "d", tmp_path / "b", "text", reverse=True)
    assert (tmp_path / "b").read_text() == source.read_text()


def test_an_output_that_is_a_pipe_has_no_manifest_beside_it(tmp_path):
    write_lines(tmp_path / "t", ["a b c."])
    os.mkfifo(tmp_path / "pipe")
    found = []
    reader = threading.Thread(daemon=True, target=lambda: found.append((tmp_path / "pipe").read_text()))
    reader.start()
    command.derive(tmp_path / "t", tmp_path / "pipe", "text", transform="inv")
    reader.join()
    assert found == ["c b a.\n"] and sorted(p.name for p in tmp_path.iterdir()) == ["pipe", "t"]


def test_a_pipe_is_derived_like_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(daemon=True, target=lambda: (tmp_path / "pipe").write_text("a b c.\n"))
    writer.start()
    command.derive(tmp_path / "pipe", tmp_path / "d", "text", transform="inv")
    writer.join()
    assert (tmp_path / "d").read_text() == "c b a.\n"
