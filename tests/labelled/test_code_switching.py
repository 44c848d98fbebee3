"""Translate-train with code-switching: two examples with one text in each language, in one batch."""

import numpy as np
import pytest

from fairseq_xalign.constants import BOS, EOS
from fairseq_xalign.data.batching import Budget
from fairseq_xalign.data.windows import Planner
from fairseq_xalign.errors import UserError
from fairseq_xalign.labelled.batches import LabelledCollater, LabelledStream
from fairseq_xalign.labelled.classification import Classification
from fairseq_xalign.labelled.code_switching import TOGETHER, switched
from fairseq_xalign.labelled.pairs import Pairs
from fairseq_xalign.tokenizer.framing import FRAMES

LABELS = ["no", "yes"]


class Characters:
    """A tokenizer whose ids are numbers of letters, from 5; those of German words are capital letters, from 50."""

    def encode(self, text):
        return [(50 if letter.isupper() else 5) + ord(letter.lower()) - ord("a") for letter in text]


def row(name, first, second, label="yes"):
    return {"id": name, "text": first, "text_pair": second, "label": label}


ENGLISH = [row("1", "a", "bc"), row("2", "def", "g", "no"), row("3", "hh", "iijj"), row("4", "k", "l")]
GERMAN = [row(r["id"], r["text"].upper(), r["text_pair"].upper(), r["label"]) for r in ENGLISH[:3]]


def test_each_example_becomes_two_with_one_text_in_english_and_the_original_is_gone():
    made, left_out = switched(Pairs(), GERMAN, ENGLISH, ("de", "en"))
    assert [(r["text"], r["text_pair"]) for r in made] == [
        ("a", "BC"), ("A", "bc"), ("def", "G"), ("DEF", "g"), ("hh", "IIJJ"), ("HH", "iijj")]  # fmt: skip
    assert [r["label"] for r in made] == ["yes", "yes", "no", "no", "yes", "yes"] and not left_out
    assert [r["languages"] for r in made[:2]] == [("en", "de"), ("de", "en")]


def test_what_has_no_partner_or_another_label_is_counted_and_left_out():
    rows = [*GERMAN[:1], row("2", "DEF", "G", "yes"), row("9", "X", "Y")]
    made, left_out = switched(Pairs(), rows, ENGLISH, ("de", "en"))
    assert len(made) == TOGETHER
    assert left_out == {"has another label": 1, "has no example with the same id": 1}
    with pytest.raises(UserError, match="examples of classification have one text"):
        switched(Classification(), rows[:1], ENGLISH, ("de", "en"))


@pytest.mark.parametrize("size", [1, 2])
def test_both_stay_in_one_batch_whatever_its_size_and_each_token_has_its_language(size):
    made, _ = switched(Pairs(), GERMAN, ENGLISH, ("de", "en"))
    encoded = Pairs().encode_framed(Characters(), made, LABELS, "de", 16, FRAMES["s"])
    stream = LabelledStream(encoded, 16, FRAMES["s"], TOGETHER)
    assert len(stream) == 3
    numbers = {"en": 1, "de": 2}
    collate = LabelledCollater([stream], Pairs(), numbers, ["de"])
    planner = Planner([stream], np.array([1.0]), 3, Budget(sequences=size), seed=1)
    window = planner.plan(planner.start())
    seen = []
    for number, sequences in enumerate(window.batches):
        sample = collate(window, number)
        packed = sample["streams"]["labelled"]
        assert sample["nsentences"] == TOGETHER * len(sequences) == len(packed["starts"]) - 1 == len(packed["keys"])
        first, second = sample["names"][::2], sample["names"][1::2]
        assert first == second and all(name.startswith("de ") for name in first)
        seen += first
        # What the plan allows for is what there is.
        assert len(packed["tokens"]) == sum(stream.lengths(window.unit[sequences])[:, 0]) + len(sequences)
        for token, language in zip(packed["tokens"].tolist(), packed["languages"].tolist()):
            assert token in (BOS, EOS) or language == numbers["de" if token >= 50 else "en"]
    assert sorted(seen) == ["de 1", "de 2", "de 3"]


def test_without_it_a_unit_is_an_example():
    encoded = Pairs().encode_framed(Characters(), ENGLISH, LABELS, "en", 16, FRAMES["s"])
    stream = LabelledStream(encoded, 16)
    assert len(stream) == 4 and stream.lengths(np.arange(4))[:, 0].tolist() == [5, 6, 8, 4]
