"""All corpora by name."""

from __future__ import annotations

from preprocess.corpora import (
    bitext,
    dictionaries,
    english,
    intents,
    interface,
    labelled,
    labelled_archives,
    ntrex,
    treebanks,
    ud_releases,
    universal_dependencies,
    verses,
)
from preprocess.corpora.corpus import Corpus

MODULES = (
    english,
    verses,
    interface,
    bitext,
    ntrex,
    intents,
    labelled,
    labelled_archives,
    treebanks,
    dictionaries,
    universal_dependencies,
    ud_releases,
)
CORPORA: dict[str, Corpus] = {corpus.name: corpus for module in MODULES for corpus in module.CORPORA}
