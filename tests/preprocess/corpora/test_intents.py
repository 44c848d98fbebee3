"""Intents from templates: every wording once, and no sentence in two splits."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess.corpora import (
    intents,
)
from tests.support.corpora import built, lines, make_zip

PLACES = ("", "in the room", "in my room", "of the room", "of my room")

TEMPLATES = [
    ("turn on", {"turn on"}),
    ("turn (on|off)", {"turn on", "turn off"}),
    ("[please] stop", {" stop", "please stop"}),
    ("(a;b)", {"a b", "b a"}),
    ("<go> home", {"walk home", "run home"}),
    ("<x:go>", {"walk", "run"}),
    ("set {level:brightness}", {"set max", "set maximum", "set low"}),
    ("{number} %", {"1 %", "2 %"}),
    ("in {area}", {"in X"}),
    ("say {message}", {"say X"}),
    (r"\(a\|b\)", {"(a|b)"}),
    ("light[s] [(in|of) (the|my) room]", {f"light{end} {place}" for end in ("", "s") for place in PLACES}),
]  # fmt: skip

RULES = {"go": "(walk|run)", "loop": "<loop>"}

LISTS = {
    "level": {"values": [{"in": "max[imum]", "out": 100}, "low"]},
    "number": {"range": {"from": 1, "to": 2}},
    "message": {"wildcard": True},
}


@pytest.mark.parametrize(("template", "wordings"), TEMPLATES)
def test_templates_expand_to_exactly_their_wordings(template, wordings):
    expander = intents.Expander(RULES, LISTS, random.Random(42))
    assert {expander.expand(template) for _ in range(400)} == wordings


@pytest.mark.parametrize("template", ["(a", "a)", "<none>", "{none}", "{area", "<loop>", "[a|b"])
def test_templates_that_cannot_be_read_are_refused(template):
    with pytest.raises(intents.CannotExpand):
        intents.Expander(RULES, LISTS, random.Random(42)).expand(template)


@given(st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=30))
def test_every_template_is_in_one_split_and_training_has_one(templates):
    dealt = intents.split_templates(templates)
    assert sorted(template for part in dealt.values() for template in part) == sorted(set(templates))
    assert dealt["train"]
    assert dealt == intents.split_templates(templates[::-1])


def test_no_sentence_of_intents_is_in_two_splits_and_runs_agree(tmp_path, monkeypatch):
    monkeypatch.setattr(intents, "FEWEST_SENTENCES", 5)
    about = {
        f"Do{n}": {"data": [{"sentences": [f"(please|now) do{n} [it] {word} {{number}}" for word in "abcdef"]}]}
        for n in range(6)
    }
    data = {"intents": about, "expansion_rules": {}, "lists": {"number": {"range": {"from": 1, "to": 9}}}}
    few = {"intents": {"Do0": about["Do0"]}, "expansion_rules": {}, "lists": {}}
    members = {
        f"home_assistant_intents/data/{language}.json": json.dumps(value)
        for language, value in (("en", data), ("xx", few))
    }
    archive = make_zip(tmp_path / "i.whl", members)
    folder, corpus = built("intents", {intents.INTENTS.file: archive}, tmp_path)
    assert corpus["intents"] == {"en": 6} and corpus["dropped"] == {"languages with few templates": 1}
    rows = {
        split: [row.split("\t") for row in lines(folder / f"{split}.en.tsv")] for split in ("train", "valid", "test")
    }
    texts = [text for split in rows.values() for _, text in split]
    assert len(texts) == len(set(texts)) and all(len(row) == 2 for split in rows.values() for row in split)
    assert {label for label, _ in rows["train"]} == {label for label, _ in rows["test"]} == set(about)
    words = {split: {(label, text.rstrip("0123456789 ")[-1]) for label, text in found} for split, found in rows.items()}
    assert not words["train"] & words["test"]
    assert intents.language_sentences(data, "en") == intents.language_sentences(data, "en")
