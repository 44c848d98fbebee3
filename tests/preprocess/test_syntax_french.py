"""English in the order of French, on parallel treebanks (PUD): fitted to one half, compared on the other."""

from collections import Counter
from pathlib import Path

import pytest

from fairseq_xalign.data.formats import conllu
from preprocess.derive.order import OrderOptions
from preprocess.derive.order_features import MAX_DEPENDENTS
from preprocess.derive.order_fitting import DEFAULT_PENALTY, fit_model
from preprocess.derive.order_model import OrderModel
from preprocess.derive.pipeline import Pipeline
from preprocess.derive.syntax import Syntax
from preprocess.derive.tree import Tree
from preprocess.readers import conllu as treebank
from tests.support.public_data import public_files

DATA_PAGE = Path(__file__).resolve().parents[2] / "docs" / "data.md"
HALF = 500
POINTS = 5.0
SEED = 1
FILTERED = {"objects": (98.3, 100.0), "adjectives": (63.0, 67.4)}
UNFILTERED = {"objects": (98.8, 100.0), "adjectives": (60.7, 66.4)}
"""Measured, in per cent: how many words follow their head in English so reordered, and in French. The first figures
leave out the sentences of which not all may be put in order, as Wang and Eisner do; in them, nodes of more than six
dependents keep the order of English. English also has nouns without a determiner, of which half a treebank of French
has few examples. ``docs/data.md`` has these figures, and the range over five seeds."""
ROUNDED = 0.051
RELATIONS = {"objects": ("obj", ("NOUN", "PROPN"), "VERB"), "adjectives": ("amod", ("ADJ",), "NOUN")}


def reordered(sentence):
    """Whether all of a sentence may be put in order; Wang and Eisner leave out the others."""
    tree = Tree.of_rows(sentence.rows)
    return tree.projective and max(map(len, tree.dependents)) <= MAX_DEPENDENTS


def share_after(sentences, relation, tags, head):
    """How often, in per cent, words of these tags follow the head that they depend on by this relation."""
    after = total = 0
    for sentence in sentences:
        for place, row in enumerate(sentence.rows):
            other = int(row[conllu.HEAD]) - 1
            same = row[conllu.DEPREL].partition(":")[0] == relation and row[conllu.UPOS] in tags
            if other >= 0 and same and sentence.rows[other][conllu.UPOS] == head:
                total += 1
                after += place > other
    return 100 * after / total


def test_english_takes_the_order_of_held_out_french():
    (french_file,) = public_files("ud/UD_French-PUD/*.conllu*")
    (english_file,) = public_files("ud/UD_English-PUD/*.conllu*")
    french, english = list(conllu.read(french_file)), list(conllu.read(english_file))[HALF:]
    model = fit_model(french[:HALF], OrderModel({}), DEFAULT_PENALTY, Counter())
    pipeline = Pipeline([Syntax(OrderOptions("none", SEED, model))])
    derived, held_out = [treebank.derive(sentence, pipeline, Counter()) for sentence in english], french[HALF:]
    assert share_after(english, *RELATIONS["adjectives"]) < 2
    for name, relation in RELATIONS.items():
        found = share_after(derived, *relation), share_after(held_out, *relation)
        assert found == pytest.approx(UNFILTERED[name], abs=ROUNDED), "over all sentences"
    derived, held_out = ([s for s in part if reordered(s)] for part in (derived, held_out))
    assert (len(derived), len(held_out)) == (364, 401)
    for name, relation in RELATIONS.items():
        found = share_after(derived, *relation), share_after(held_out, *relation)
        assert found == pytest.approx(FILTERED[name], abs=ROUNDED)
        assert abs(found[0] - found[1]) < POINTS


@pytest.mark.parametrize(("sentences", "figures"), [("put in order", FILTERED), ("all", UNFILTERED)])
def test_the_documentation_has_the_figures_that_are_asserted_here(sentences, figures):
    (row,) = [line for line in DATA_PAGE.read_text("utf-8").splitlines() if line.strip().startswith(f"| {sentences}")]
    assert [float(cell) for cell in row.split("|")[3:7]] == [*figures["objects"], *figures["adjectives"]]
