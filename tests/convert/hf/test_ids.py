"""Texts have the ids that transformers gives them, and text that spells symbols stays text."""

from __future__ import annotations

import functools
import lzma

import pytest
import transformers

from fairseq_xalign.constants import FIRST_PIECE, UNK
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from tests.support.foreign_models import real_encoder, write_bert, write_xlmr
from tests.support.public_data import public_files
from tests.support.small_tokenizers import LINES

SENTENCES = 3
"""Sentences per language: the whole of NTREX was compared once (docs/transformers.md)."""
ODD = (
    "  two  spaces ",
    "",
    "Ünïcödé ＡＢＣ ﬁ",
    "東京都 x",
    "a\u00a0b\tc",
    "e\u0301 x\u200d y",
    "می\u200cخواهم برو\u200c ",
    "x\u200by",
)
"""Spaces of several kinds, letters of no width, and what is normalised."""
SPELLED = (
    *("<s>", "</s>", "<pad>", "<unk>", "<mask>", "[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]", "[unused1]", "<2de>"),
    *("a <mask> b", "x[MASK]y", "<s> a </s> b </s>", "<mask><mask>", "[cls]", "<S>", "\x00<s>"),
)


@functools.cache
def both(folder):
    """Our tokenizer of a folder, and theirs; loading a real one takes seconds."""
    return Tokenizer.adopted(folder), transformers.AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("name", ["minilm", "e5"])
def test_ids_agree_with_transformers_in_all_languages_of_ntrex(name):
    files = public_files("ntrex/NTREX-128/newstest2019-*.txt.xz")
    assert len(files) >= 128
    ours, theirs = both(real_encoder(name))
    for number, file in enumerate(files):
        with lzma.open(file, "rt", encoding="utf-8", newline="\n") as stream:
            lines = [line.rstrip("\n") for line, _ in zip(stream, range(40 + SENTENCES), strict=False)]
        chosen = lines[number % 40 :][:SENTENCES]
        expected = theirs(chosen, add_special_tokens=False)["input_ids"]
        assert [ours.to_foreign(ours.encode(line)) for line in chosen] == expected, file.name
    for line in ODD:
        assert ours.to_foreign(ours.encode(line)) == theirs(line, add_special_tokens=False)["input_ids"], repr(line)


@pytest.mark.parametrize("write", [write_bert, write_xlmr], ids=["BERT", "XLM-R"])
def test_ids_of_small_models_agree_with_transformers(write, tmp_path):
    ours, theirs = both(write(tmp_path / "model"))
    for line in [*LINES[:80], "", "東京 x"]:
        assert ours.to_foreign(ours.encode(line)) == theirs(line, add_special_tokens=False)["input_ids"], line


@pytest.mark.parametrize("name", ["small BERT", "small XLM-R", "minilm", "e5"])
def test_text_that_spells_symbols_is_text(name, tmp_path):
    if name.startswith("small"):
        folder = (write_bert if "BERT" in name else write_xlmr)(tmp_path / "model")
    else:
        folder = real_encoder(name)
    ours, theirs = both(folder)
    for text in SPELLED:
        ids = ours.encode(text)
        assert all(i >= FIRST_PIECE or i == UNK for i in ids), text
        assert ids or text == "\x00"
        if name in ("minilm", "e5") and "\x00" not in text and "<2" not in text and "[unused" not in text:
            expected = theirs(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
            if not set(expected) & set(theirs.all_special_ids):
                assert ours.to_foreign(ids) == expected, text
