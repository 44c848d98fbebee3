"""A vocabulary of two languages, and the same with transliterated copies of its pieces."""

import pytest

from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from tests.support.samples import model_bytes, sentences, write_lines


@pytest.fixture(scope="module")
def natural():
    return Tokenizer.trained(model_bytes(), ["en", "de"])


@pytest.fixture(scope="module")
def doubled(natural):
    return natural.doubled(0.25, 1)


@pytest.fixture
def place(tmp_path, natural):
    natural.save(tmp_path / "sub")
    write_lines(tmp_path / "text", sentences("en", 50))
    return tmp_path
