"""English in the order of French, on parallel treebanks (PUD): fitted to one half, compared on the other."""

from collections import Counter

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

HALF = 500
POINTS = 5.0
"""Measured: of the objects that are nouns 98.8 % follow the verb in English so reordered, 100 % in French; of the
adjectives 63.0 % and 67.4 % follow the noun. In all sentences it is 60.7 % and 66.4 %: nodes of more than six
dependents keep the order of English. English also has nouns without a determiner, of which half a treebank of French
has few examples."""


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
    pipeline = Pipeline([Syntax(OrderOptions("none", 1, model))])
    derived = [treebank.derive(sentence, pipeline, Counter()) for sentence in english]
    derived, held_out = ([s for s in part if reordered(s)] for part in (derived, french[HALF:]))
    assert min(len(derived), len(held_out)) > 0.7 * HALF
    objects, adjectives = ("obj", ("NOUN", "PROPN"), "VERB"), ("amod", ("ADJ",), "NOUN")
    assert share_after(english, *adjectives) < 2
    for relation in (objects, adjectives):
        assert abs(share_after(derived, *relation) - share_after(held_out, *relation)) < POINTS
