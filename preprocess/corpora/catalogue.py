"""All corpora by name."""

from __future__ import annotations

from preprocess.corpora import (
    dictionaries,
    english,
    intents,
    interface,
    ntrex,
    treebanks,
    universal_dependencies,
    verses,
)
from preprocess.corpora.corpus import Corpus

CORPORA: dict[str, Corpus] = {
    corpus.name: corpus
    for module in (english, verses, interface, ntrex, intents, treebanks, dictionaries, universal_dependencies)
    for corpus in module.CORPORA
}
