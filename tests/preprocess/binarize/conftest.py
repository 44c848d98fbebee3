"""A subword folder, its tokenizer, and two texts that are translations by line."""

import pytest

from tests.support.samples import sentences, subword_folder, write_lines


@pytest.fixture(scope="module")
def subword(tmp_path_factory):
    path = tmp_path_factory.mktemp("subword") / "sub"
    subword_folder(path)
    return path


@pytest.fixture(scope="module")
def tokenizer(subword):
    from fairseq_xalign.tokenizer.tokenizer import Tokenizer

    return Tokenizer.load(subword)


@pytest.fixture
def texts(tmp_path):
    for language in ("en", "de"):
        write_lines(tmp_path / f"text.{language}", sentences(language, 300))
    return tmp_path
