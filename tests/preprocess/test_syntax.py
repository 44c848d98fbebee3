"""``derive --transform syn``: nodes in another language's order, and everything else as it was."""

import json
from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.data.formats import conllu
from fairseq_xalign.errors import UserError
from preprocess.__main__ import main
from preprocess.derive.order import OrderOptions
from preprocess.derive.order_model import NOUNS, VERBS, OrderModel
from preprocess.derive.parses import Parsed, word_rows, write_parses
from preprocess.derive.pipeline import Pipeline
from preprocess.derive.syntax import REORDERED, TOO_MANY, Syntax
from preprocess.derive.tree import Tree
from preprocess.parsers.interface import row
from preprocess.readers import conllu as treebank
from preprocess.readers import ner
from preprocess.readers.words import Passage
from tests.support.public_data import public_files
from tests.support.samples import subword_folder, write_lines

SMALL = settings(max_examples=60, deadline=None)
FRENCH = OrderModel(
    {
        NOUNS: {"PRE @ amod": 8.0, "PRE det @": 8.0, "PRE case det": 8.0, "PRE case @": 8.0, "PRE det amod": 8.0},
        VERBS: {"PRE obj @": 8.0, "PRE nsubj @": 8.0, "PRE nsubj obj": 8.0, "PRE @ punct": 9.0, "PRE obj punct": 9.0},
    }
)
"""Adjectives follow, objects go before the verb, subjects first."""
EVEN = OrderModel({})
"""All orders alike."""


def parsed(*words):
    """Rows of ``form/TAG/head/relation``."""
    fields = [word.split("/") for word in words]
    return [row(number, form, tag, int(head), rel, False) for number, (form, tag, head, rel) in enumerate(fields, 1)]


CATS = parsed(
    "the/DET/3/det", "black/ADJ/3/amod", "cats/NOUN/4/nsubj", "eat/VERB/0/root", "fresh/ADJ/6/amod",
    "fish/NOUN/4/obj", "./PUNCT/4/punct",
)  # fmt: skip


def syntax(model=FRENCH, seed=1, counts=None):
    return Syntax(OrderOptions("all-final", seed, model, counts))


def passage(rows, place=(1,), **more):
    return Passage([token[conllu.FORM] for token in rows], place, attached=False, rows=rows, **more)


def test_nouns_and_verbs_take_the_order_of_the_model():
    assert syntax().arrange(passage(CATS)).words == "the cats black fish fresh eat .".split()


def test_the_draw_is_fixed_by_seed_and_place():
    def words(seed, place):
        return syntax(EVEN, seed).arrange(passage(CATS, (place,))).words

    assert words(1, 1) == words(1, 1)
    assert len({tuple(words(seed, 1)) for seed in range(20)}) > 10
    assert len({tuple(words(1, place)) for place in range(20)}) > 10


def test_orders_are_drawn_as_often_as_the_model_says():
    model = OrderModel({NOUNS: {"PRE @ amod": 1.0986122886681098}})  # three to one
    rows = parsed("red/ADJ/2/amod", "cars/NOUN/0/root")
    drawn = Counter(syntax(model).arrange(passage(rows, (place,))).words[0] for place in range(1000))
    assert drawn["cars"] / 1000 == pytest.approx(0.75, abs=0.04)


def test_only_nouns_and_verbs_are_reordered():
    rows = parsed("very/ADV/2/advmod", "happy/ADJ/0/root", "indeed/ADV/2/advmod")
    assert all(syntax(EVEN, seed).arrange(passage(rows)).order == [0, 1, 2] for seed in range(10))


def test_a_node_with_seven_dependents_keeps_its_order_and_is_counted():
    rows = parsed("go/VERB/0/root", *(f"w{i}/ADV/1/advmod" for i in range(7)))
    counts = Counter()
    assert syntax(EVEN, counts=counts).arrange(passage(rows)).order == list(range(8))
    assert counts == {TOO_MANY: 1}
    counts = Counter()
    assert any(syntax(EVEN, seed, counts).arrange(passage(rows[:-1])).order != list(range(7)) for seed in range(3))
    assert counts == {REORDERED: 3} or counts[REORDERED] >= 1


def test_where_dependencies_cross_the_order_stays_and_other_nodes_change():
    rows = parsed(
        "red/ADJ/3/amod", "who/PRON/5/obj", "cars/NOUN/4/nsubj", "said/VERB/0/root", "saw/VERB/3/acl", "x/X/4/obj"
    )
    tree = Tree.of_rows(rows)
    assert not tree.projective
    for seed in range(20):
        order = syntax(EVEN, seed).arrange(passage(rows)).order
        assert sorted(order) == list(range(6))
        assert order.index(1) - order.index(0) == 1, "the words of the crossing nodes stay as they are"


@st.composite
def trees(draw, size=9):
    """Sentences with random heads, projective or not."""
    count = draw(st.integers(1, size))
    ranks = draw(st.permutations(range(count)))
    heads = [0] * count
    for place, word in enumerate(ranks[1:], 1):
        heads[word] = ranks[draw(st.integers(0, place - 1))] + 1
    tags = draw(st.lists(st.sampled_from(["NOUN", "VERB", "ADJ", "DET", "PUNCT"]), min_size=count, max_size=count))
    rels = st.lists(st.sampled_from(["amod", "obj", "nsubj", "det"]), min_size=count, max_size=count)
    return [
        row(i + 1, f"w{i}", tag, head, rel if head else "root", False)
        for i, (tag, head, rel) in enumerate(zip(tags, heads, draw(rels)))
    ]


def change(model=EVEN, seed=1):
    return Pipeline([syntax(model, seed)])


@SMALL
@given(trees(), st.integers(0, 50))
def test_words_tags_and_heads_are_kept_and_projective_trees_stay_projective(rows, seed):
    sentence = conllu.Sentence(1, seed + 1, [], rows)
    derived = treebank.derive(sentence, change(seed=seed), Counter())

    def facts(sentence):
        names = {"0": "root"} | {token[conllu.ID]: token[conllu.FORM] for token in sentence.rows}
        return sorted((t[conllu.FORM], t[conllu.UPOS], t[conllu.DEPREL], names[t[conllu.HEAD]]) for t in sentence.rows)

    assert facts(derived) == facts(sentence)
    before, after = Tree.of_rows(rows), Tree.of_rows(derived.rows)
    assert after.projective or not before.projective
    assert sum(after.together) == sum(before.together), "what stood together stands together"


@SMALL
@given(trees(), st.integers(0, 50), st.data())
def test_a_labelled_span_is_never_torn_apart(rows, seed, data):
    count = len(rows)
    start = data.draw(st.integers(0, count - 1))
    stop = data.draw(st.integers(start + 1, count))
    spans = [0 if start <= i < stop else -1 for i in range(count)]
    order = syntax(EVEN, seed).arrange(passage(rows, spans=spans)).order
    places = sorted(order.index(i) for i in range(start, stop))
    assert places == list(range(places[0], places[0] + stop - start))


@SMALL
@given(trees(), st.integers(0, 50), st.sampled_from(["alone", "with inv", "with perm"]))
def test_the_way_back_gives_the_natural_order(rows, seed, others):
    from preprocess.derive.registry import WORD_ORDERS

    options = OrderOptions("all-final", seed, EVEN)
    chain = [Syntax(options), *([] if others == "alone" else [WORD_ORDERS[others.split()[1]](options)])]
    there = Pipeline(chain).arrange(passage(rows))
    back = Pipeline(chain, reverse=True).arrange(Passage(there.words, (1,), attached=False, rows=rows))
    assert back.words == [token[conllu.FORM] for token in rows]
    assert [there.order[place] for place in back.order] == list(range(len(rows)))


def test_the_way_back_refuses_what_does_not_belong_together():
    there = syntax(EVEN, 3).arrange(passage(CATS))
    with pytest.raises(UserError, match="not those that the parses"):
        syntax(EVEN, 4).undo(Passage(there.words, (1,), attached=False, rows=CATS))
    with pytest.raises(UserError, match="another number of words"):
        syntax(EVEN, 3).undo(Passage(there.words, (1,), attached=False, rows=CATS[:-1]))


# Running text: the parse of a parser, word by word


def sentences_of(*groups):
    return [conllu.Sentence(1, number, [], rows) for number, rows in enumerate(groups, 1)]


def attached(rows, *places):
    for place in places:
        rows[place][conllu.MISC] = "SpaceAfter=No"
    return rows


def test_tokens_up_to_white_space_are_one_word_with_the_head_of_the_topmost():
    tokens = "I/PRON/4/nsubj do/AUX/4/aux n't/PART/4/advmod know/VERB/0/root him/PRON/4/obj ./PUNCT/4/punct"
    rows = attached(parsed(*tokens.split()), 1, 4)
    words = word_rows(sentences_of(rows), attached=True)
    assert [word[conllu.FORM] for word in words] == ["I", "don't", "know", "him."]
    assert [word[conllu.HEAD] for word in words] == ["3", "3", "0", "3"]
    assert words[3][conllu.UPOS] == "PRON", "punctuation gives its word no tag"
    assert len(word_rows(sentences_of(rows), attached=False)) == 6


def test_the_heads_of_a_second_sentence_are_counted_on():
    two = sentences_of(parsed("Go/VERB/0/root", "home/ADV/1/advmod"), parsed("a/DET/2/det", "b/NOUN/0/root"))
    assert [word[conllu.HEAD] for word in word_rows(two, True)] == ["0", "1", "4", "0"]


def test_final_marks_of_running_text_stay_at_the_end_of_their_sentence():
    rows = attached(
        parsed("Cats/NOUN/2/nsubj", "eat/VERB/0/root", "U.S./PROPN/4/amod", "fish/NOUN/2/obj", "./PUNCT/2/punct"), 3
    )
    words = word_rows(sentences_of(rows), attached=True)
    text = Passage(["Cats", "eat", "U.S.", "fish."], (1,), rows=words)
    there = syntax().arrange(text)
    assert there.words == ["Cats", "fish", "U.S.", "eat."]
    assert there.marks_after == [0, 0, 0, 1]
    back = syntax().undo(Passage(there.words, (1,), rows=words))
    assert back.words == text.words


@SMALL
@given(trees(), st.data())
def test_merging_tokens_into_words_never_makes_a_circle(rows, data):
    joints = data.draw(st.sets(st.integers(0, len(rows) - 1)))
    words = word_rows(sentences_of(attached(rows, *joints)), attached=True)
    Tree.of_rows(words)
    assert "".join(word[conllu.FORM] for word in words) == "".join(token[conllu.FORM] for token in rows)


# The command, with parses that are there


TEXT = ["the black cats eat fresh fish .", "", "the black cats eat fresh fish ."]


@pytest.fixture
def place(tmp_path):
    write_lines(tmp_path / "text", TEXT)
    FRENCH.save(tmp_path / "french.json")
    parser = SimpleNamespace(name="by hand", parse=lambda passages: ([CATS] for _ in passages))
    passages = [Passage(line.split(), (number,)) for number, line in enumerate(TEXT, 1) if line]
    write_parses(iter(passages), parser, tmp_path / "text.parses.conllu")
    return tmp_path


def derive(place, *options, source="text", output="out", data_format="text"):
    files = ["--input", str(place / source), "--output", str(place / output)]
    model = [] if "--order-model" in options else ["--order-model", str(place / "french.json")]
    return main(["derive", "--format", data_format, *files, *model, *options])


def test_text_is_put_in_order_by_the_parses_beside_it_and_back(place, capsys):
    assert derive(place, "--transform", "syn") == 0
    assert (place / "out").read_text().splitlines() == [
        "the cats black fish fresh eat .",
        "",
        "the cats black fish fresh eat .",
    ]
    manifest = json.loads((place / "out.manifest.json").read_text())
    assert manifest["syntax"]["parses"]["name"] == "text.parses.conllu"
    assert manifest["counts"][REORDERED] == 6
    parses = ["--parses", str(place / "text.parses.conllu")]
    assert derive(place, "--reverse", *parses, source="out", output="back") == 0
    assert (place / "back").read_text() == (place / "text").read_text()
    assert "reading the parses in" in capsys.readouterr().err


def test_it_is_composed_with_transliteration(place, capsys):
    subword_folder(place / "sub")
    vocabulary = ["--subword", str(place / "sub"), "--output-subword", str(place / "sub2")]
    assert derive(place, "--transform", "trans,syn", *vocabulary) == 0
    assert "derived trans∘syn" in capsys.readouterr().err
    assert derive(place, "--transform", "syn", output="syn") == 0
    command = ["derive", "--format", "text", "--transform", "trans", "--subword", str(place / "sub2")]
    assert main([*command, "--input", str(place / "syn"), "--output", str(place / "after")]) == 0
    assert (place / "out").read_text() == (place / "after").read_text()
    back = ["--reverse", "--subword", str(place / "sub2"), "--parses", str(place / "text.parses.conllu")]
    assert derive(place, *back, source="out", output="back") == 0
    assert (place / "back").read_text() == (place / "text").read_text()


def test_a_treebank_brings_its_parses_along(place):
    with open(place / "t.conllu", "w", encoding="utf-8") as stream:
        conllu.write(stream, conllu.Sentence(1, 1, ["# text = x"], CATS))
    assert derive(place, "--transform", "syn", source="t.conllu", data_format="conllu") == 0
    (derived,) = conllu.read(place / "out")
    assert derived.column(conllu.FORM) == "the cats black fish fresh eat .".split()
    back = ["--reverse", "--parses", str(place / "t.conllu")]
    assert derive(place, *back, source="out", output="back", data_format="conllu") == 0
    assert [s.rows for s in conllu.read(place / "back")] == [s.rows for s in conllu.read(place / "t.conllu")]


def test_entities_move_whole_and_come_back(place):
    write_lines(
        place / "ner", [f"{t[1]}\t{tag}" for t, tag in zip(CATS, ["O", "B-X", "I-X", "O", "O", "B-Y", "O"])] + [""]
    )
    parser = SimpleNamespace(name="by hand", parse=lambda passages: ([CATS] for _ in passages))
    (sentence,) = ner.read(place / "ner")
    numbers, _, _ = ner.spans(sentence.tags)
    write_parses(iter([Passage(sentence.tokens, (1,), False, numbers)]), parser, place / "ner.parses.conllu")
    assert derive(place, "--transform", "syn", source="ner", data_format="ner") == 0
    assert (place / "out").read_text().split("\n")[:6] == [
        "the\tO",
        "cats\tB-X",
        "black\tI-X",
        "fish\tB-Y",
        "fresh\tO",
        "eat\tO",
    ]
    back = ["--reverse", "--parses", str(place / "ner.parses.conllu")]
    assert derive(place, *back, source="out", output="back", data_format="ner") == 0
    assert (place / "back").read_text() == (place / "ner").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--transform", "syn", "--order-model", "nowhere.json"], "nowhere.json"),
        (["--transform", "inv,syn"], "it comes first. Write --transform syn,inv"),
        (["--transform", "inv"], "are for syn. Add syn to --transform"),
        (["--transform", "syn", "--parses", "nowhere"], "nowhere is missing. Give --parser DIR"),
        (["--transform", "syn", "--parses", "nowhere", "--parser", "gone"], "gone: no such parser"),
    ],
)
def test_wrong_options_are_one_line_and_leave_nothing(place, capsys, options, message):
    assert derive(place, *options) == 1
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (place / "out").exists()


def test_syn_without_a_model_says_how_to_make_one(place, capsys):
    files = ["--input", str(place / "text"), "--output", str(place / "out")]
    assert main(["derive", "--format", "text", "--transform", "syn", *files]) == 1
    assert "Make a model with xalign-preprocess order" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([*TEXT, "more"], "no parse of passage 4"),
        (TEXT[:2], "the parse of passage 3 belongs to no text"),
        (["a black cats eat fresh fish .", *TEXT[1:]], "the parse has 'the' where the text has 'a'"),
        (["the cats .", *TEXT[1:]], "the parse has 7 words, the text has 3"),
        (["", *TEXT], "the parse of passage 1 stands where that of 2 is expected"),
    ],
)
def test_parses_of_another_text_are_refused_with_file_line_and_remedy(place, capsys, lines, message):
    write_lines(place / "text", lines)
    assert derive(place, "--transform", "syn") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert message in error and "text.parses.conllu" in error and "Delete it to have the text parsed again" in error
    assert not (place / "out").exists()


def test_the_way_back_checks_the_files_against_the_manifest(place, capsys):
    assert derive(place, "--transform", "syn") == 0
    parses = ["--parses", str(place / "text.parses.conllu")]
    EVEN.save(place / "even.json")
    assert derive(place, "--reverse", *parses, "--order-model", str(place / "even.json"), source="out", output="b") == 1
    assert "not the --order-model that the file was derived with" in capsys.readouterr().err
    assert derive(place, "--reverse", source="out", output="b") == 1
    assert "syn is undone by the parses of the natural words. Give --parses" in capsys.readouterr().err
    with open(place / "text.parses.conllu", "a", encoding="utf-8") as stream:
        stream.write("# more\n")
    assert derive(place, "--reverse", *parses, source="out", output="b") == 1
    assert "not the --parses that the file was derived with" in capsys.readouterr().err
    assert not (place / "b").exists()


def test_parses_are_handed_on_by_passage():
    seen = []
    change = SimpleNamespace(arrange=seen.append, spell=str)
    (path,) = public_files("ud/UD_English-PUD/*.conllu*")
    parsed = Parsed(change, path, natural=True)
    for sentence in conllu.read(path):
        parsed.arrange(Passage(sentence.column(conllu.FORM), (sentence.number,), attached=False))
    parsed.finish()
    assert len(seen) == 1000 and all(passage.rows for passage in seen)
