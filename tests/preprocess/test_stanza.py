"""The parser that stands on Stanza, with a module of a few sentences in Stanza's place: what of it ends up in CoNLL-U.

Its objects have the attributes of Stanza's (https://stanfordnlp.github.io/stanza/data_objects.html): words are numbered
from 1 in their sentence and have the number of their head, a token has one word or, as "don't", several, and the places
of tokens are counted in characters of the whole document.
"""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from fairseq_xalign.errors import UserError
from preprocess.__main__ import main
from preprocess.derive.parses import write_parses
from preprocess.parsers.loading import load_parser
from preprocess.readers.words import Passage
from tests.support.samples import write_lines

CATS = [("Cats", "NOUN 2 nsubj"), ("sleep", "VERB 0 root"), (".", "PUNCT 2 punct")]
DOGS = [
    ("Dogs", "NOUN 4 nsubj"),
    ("don't", "AUX 4 aux", "PART 4 advmod"),
    ("care", "VERB 0 root"),
    ("!", "PUNCT 4 punct"),
]
"""A token of two words between others: the number of a word and that of its token differ from there on."""
BREAD = [("Nous", "PRON 4 nsubj"), ("du", "ADP 3 case", "DET 4 det"), ("pain", "NOUN 0 root")]
"""A token whose first word depends on its second one: the token has the tag and the head of the second."""
UNTAGGED = [("Hm", "None 0 None")]
KNOWN = {
    "Cats sleep. Dogs don't care!": [CATS, DOGS],
    "Nous du pain": [BREAD],
    "Hm": [UNTAGGED],
    "...": [],
}


def sentence(tokens, text="", begin=0):
    """A sentence of Stanza; its tokens are looked for in the document's text from ``begin`` on."""
    made, number = [], 0
    for form, *words in tokens:
        begin = text.find(form, begin)
        token = SimpleNamespace(text=form, words=[], end_char=begin + len(form) if text else None)
        for word in words:
            number += 1
            upos, head, deprel = (None if value == "None" else value for value in word.split())
            token.words.append(SimpleNamespace(id=number, head=int(head), upos=upos, deprel=deprel))
        made.append(token)
    return SimpleNamespace(tokens=made)


class Pipeline:
    """Knows the sentences of ``KNOWN``, of running text and of words that are given as tokens."""

    asked = []

    def __init__(self, language, processors, tokenize_pretokenized, verbose):
        if language == "xx":
            raise FileNotFoundError("no resources.json, and no network")
        self.asked.append((language, processors, tokenize_pretokenized))

    def bulk_process(self, texts):
        for text in texts:
            starts = [text.index(one[0][0]) for one in KNOWN[text]]
            made = [sentence(one, text, start) for one, start in zip(KNOWN[text], starts)]
            yield SimpleNamespace(text=text, sentences=made)

    def __call__(self, passages):
        found = [one for words in passages for one in (CATS, BREAD) if [form for form, *_ in one] == words]
        return SimpleNamespace(sentences=[sentence(one) for one in found])


@pytest.fixture
def stanza(monkeypatch):
    module = ModuleType("stanza")
    module.__version__, module.Pipeline = "1.10.1", Pipeline
    monkeypatch.setitem(sys.modules, "stanza", module)
    monkeypatch.setattr(Pipeline, "asked", [])


def parsed(path, *passages, name="stanza"):
    """What is written of the parses of passages, without the line that names the parser."""
    given = (Passage(text.split(), (number,), attached=attached) for number, (text, attached) in enumerate(passages, 1))
    write_parses(given, load_parser(name), path)
    first, *lines = path.read_text("utf-8").splitlines()
    assert first == f"# parser = stanza 1.10.1: {name.partition(':')[2] or 'en'}"
    return lines


def conllu(number, *rows):
    return [f"# passage = {number}", *("\t".join(row.split()) for row in rows), ""]


def test_running_text_becomes_a_row_for_each_token_with_heads_of_tokens_and_the_spaces_of_the_document(
    stanza, tmp_path
):
    found = parsed(tmp_path / "parses", ("Cats sleep. Dogs don't care!", True), ("Nous du pain", True))
    assert found == [
        *conllu(
            1,
            "1 Cats  _ NOUN  _ _ 2 nsubj _ _",
            "2 sleep _ VERB  _ _ 0 root  _ SpaceAfter=No",
            "3 .     _ PUNCT _ _ 2 punct _ _",
        ),
        *conllu(
            1,
            "1 Dogs  _ NOUN  _ _ 3 nsubj _ _",
            "2 don't _ AUX   _ _ 3 aux   _ _",
            "3 care  _ VERB  _ _ 0 root  _ SpaceAfter=No",
            "4 !     _ PUNCT _ _ 3 punct _ _",
        ),
        *conllu(
            2,
            "1 Nous _ PRON _ _ 3 nsubj _ _",
            "2 du   _ DET  _ _ 3 det   _ _",
            "3 pain _ NOUN _ _ 0 root  _ _",
        ),
    ]
    assert Pipeline.asked == [("en", "tokenize,mwt,pos,lemma,depparse", False)]


def test_words_that_are_tokens_stay_what_they_are_and_each_passage_is_a_sentence(stanza, tmp_path):
    passages = ("Nous du pain", False), ("Cats sleep .", False), ("Hm", True)
    found = parsed(tmp_path / "parses", *passages, name="stanza:fr")
    assert [line for line in found if line.startswith("#")] == ["# passage = 1", "# passage = 2", "# passage = 3"]
    assert "SpaceAfter=No" not in "".join(found)
    assert found[-2] == "1\tHm\t_\t_\t_\t_\t0\t_\t_\t_", "a word without a tag and a relation"
    pretokenized = ("fr", "tokenize,pos,lemma,depparse", True)
    assert Pipeline.asked == [pretokenized, ("fr", "tokenize,mwt,pos,lemma,depparse", False)]


def test_a_passage_in_which_stanza_finds_no_sentence_has_none_and_others_keep_their_names(stanza, tmp_path):
    found = parsed(tmp_path / "parses", ("...", True), ("Hm", True))
    assert [line for line in found if line.startswith("#")] == ["# passage = 2"]


def test_words_for_which_stanza_gives_no_sentence_do_not_take_the_one_of_others(stanza, tmp_path):
    with pytest.raises(UserError, match=r"stanza 1\.10\.1: en gave 1 sentence for 2 passages"):
        parsed(tmp_path / "parses", ("Dogs bark", False), ("Cats sleep .", False))
    assert not (tmp_path / "parses").exists()


def derive(place, parser, capsys):
    write_lines(place / "text", ["Cats sleep ."])
    write_lines(place / "tree.conllu", [*"1 Cats _ NOUN _ _ 2 nsubj _ _;2 sleep _ VERB _ _ 0 root _ _".split(";"), ""])
    tree = (place / "tree.conllu").read_text().replace(" ", "\t")
    (place / "tree.conllu").write_text(tree)
    assert main(["order", "--treebank", str(place / "tree.conllu"), "--output", str(place / "order.json")]) == 0
    files = ["--input", str(place / "text"), "--output", str(place / "out"), "--order-model", str(place / "order.json")]
    capsys.readouterr()
    assert main(["derive", "--transform", "syn", "--format", "text", *files, "--parser", parser]) == 1
    assert not (place / "out").exists() and not (place / "text.parses.conllu").exists()
    return capsys.readouterr().err


def test_a_missing_model_and_a_missing_package_are_one_line_with_the_way_out(stanza, tmp_path, capsys, monkeypatch):
    said = derive(tmp_path, "stanza:xx", capsys)
    assert "Stanza's models for 'xx' cannot be loaded: no resources.json, and no network. Download them" in said
    monkeypatch.setitem(sys.modules, "stanza", None)
    assert "Stanza is not installed. Install it with pip install stanza, or train" in derive(tmp_path, "stanza", capsys)
