"""Published vocabularies in our id order: nothing is lost, and text gets their own ids."""

import pytest
import sentencepiece
import tokenizers

from fairseq_xalign.constants import MASK
from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from tests.support.small_tokenizers import FOREIGN, LINES, model_file, segmentation_ties, small, small_doubled


def test_bert_symbols_are_mapped_by_name_and_unused_ones_moved_to_the_end():
    tokenizer = small("wordpiece")
    foreign = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
    symbols = tokenizer.model_bytes.decode().splitlines()
    assert tokenizer.to_foreign(range(5)) == [symbols.index(name) for name in foreign]
    assert tokenizer.symbols()[-3:] == ["<2de>", "[unused0]", "[unused1]"]
    assert list(tokenizer.excluded_ids) == [len(tokenizer) - 2, len(tokenizer) - 1]
    assert tokenizer.options["lowercase"] is True
    assert tokenizer.encode("The GOVERNMENT") == tokenizer.encode("the government")


def test_roberta_fillers_are_excluded():
    assert small("roberta").symbols()[-1] == "madeupword0000"


@pytest.mark.parametrize(("kind", "exact"), [("wordpiece", True), ("xlmr", True), ("roberta", False)])
def test_ids_equal_the_tokenizers_librarys_own(kind, exact):
    tokenizer = small(kind)
    if kind == "wordpiece":
        theirs = tokenizers.BertWordPieceTokenizer(str(model_file(kind)), lowercase=True)
    else:
        theirs = tokenizers.Tokenizer.from_file(str(model_file(kind)))
    for line in [*LINES, "caf\u00e9 \U0001f600 \u9f98\u9f98 x\u200by 1,000.50!", "a\u200c b\u200cc d"]:
        # Byte-level models see every word after a space here, so their first one gets one too.
        expected = theirs.encode(line if exact else f" {line}", add_special_tokens=False).ids
        assert tokenizer.to_foreign(tokenizer.encode(line)) == expected


def test_ids_equal_a_foreign_sentencepiece_models_own():
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(model_file("sentencepiece")))
    tokenizer = small("sentencepiece")
    for line in LINES:
        ours = tokenizer.to_foreign(tokenizer.encode(line))
        assert ours == [i for word in line.split() for i in theirs.encode(word)]
        assert segmentation_ties(theirs, ours, theirs.encode(line))
    assert tokenizer.symbols()[-2:] == ["<sep>", "<cls>"] and len(tokenizer.excluded_ids) == 2
    assert tokenizer.to_foreign(range(5)) == [1, None, 2, 0, None]


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_ids_make_the_round_trip(kind):
    for tokenizer in (small(kind), small_doubled(kind)):
        ids = [i for i, foreign in enumerate(tokenizer.to_foreign(range(len(tokenizer)))) if foreign is not None]
        foreign = tokenizer.to_foreign(ids)
        assert tokenizer.from_foreign(foreign) == ids
        assert sorted(foreign) == list(range(tokenizer.model.size)), "every foreign id has one place"
        assert tokenizer.to_foreign([*tokenizer.derived_ids, *tokenizer.language_ids]) == [None] * (
            len(tokenizer.derived_ids) + 1
        )


def test_text_that_spells_a_special_symbol_is_text():
    for kind, word in [("wordpiece", "[MASK]"), ("xlmr", "<mask>"), ("roberta", "<mask>"), ("trained", "<mask>")]:
        ids = small(kind).encode(word)
        assert len(ids) > 1 and MASK not in ids


def test_a_cased_vocabulary_is_recognised_and_the_configuration_beside_it_wins(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nParis\nparis\n", encoding="utf-8")
    assert Tokenizer.adopted(path).options["lowercase"] is False
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": true}', encoding="utf-8")
    assert Tokenizer.adopted(path).options["lowercase"] is True
    assert Tokenizer.adopted(path, lowercase=False).encode("Paris") == [5]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("spm.model", b"not a model", "not a SentencePiece model"),
        ("tokenizer.json", b"{}", "cannot be read as a tokenizers vocabulary"),
        ("vocab.txt", b"the\nof\n", r"needs \[UNK\]"),
        ("model.bin", b"", "cannot tell what kind"),
    ],
)
def test_a_file_that_is_no_model_is_named_in_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        Tokenizer.adopted(tmp_path / name)


@pytest.mark.parametrize("setting", [{"add_dummy_prefix": False}, {"treat_whitespace_as_suffix": True}])
def test_a_model_that_cuts_a_word_otherwise_in_a_sentence_is_refused(tmp_path, setting):
    path = tmp_path / "odd.model"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES), model_prefix=str(path.with_suffix("")), vocab_size=400, minloglevel=2, **setting
    )
    with pytest.raises(UserError, match=r"white space|in a sentence"):
        Tokenizer.adopted(path)


def test_a_language_token_that_the_model_has_already_is_refused(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("[UNK]\n<2de>\nthe\n", encoding="utf-8")
    with pytest.raises(UserError, match="<2de>"):
        Tokenizer.adopted(path, ["de"])


def test_without_the_tokenizers_library_it_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(UserError, match="pip install tokenizers"):
        Tokenizer.adopted(model_file("wordpiece"))
