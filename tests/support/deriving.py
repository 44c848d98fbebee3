"""Transformations for tests of ``derive``: there, and the way back."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st

from preprocess.derive.manifest import parse_transforms
from preprocess.derive.order import OrderOptions
from preprocess.derive.pipeline import Pipeline
from preprocess.derive.registry import WORD_ORDERS
from preprocess.derive.transliteration import Transliteration
from preprocess.readers.words import Passage, SpacedText

SMALL = settings(max_examples=30, deadline=None)

COMPOSITIONS = ["inv", "perm", "trans", "inv,perm", "perm,inv", "inv,trans", "trans,perm", "inv,perm,trans"]


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


WORDS = st.one_of(
    st.lists(st.sampled_from(["the", "ing", "walk", "house", "tree"]), min_size=1, max_size=2).map("".join),
    st.text(alphabet="abz.!?é", min_size=1, max_size=4),
)
