"""The vocabulary: order of ids, words alone and in sentences, transliterated text."""

import pytest
import sentencepiece
import tokenizers
from fairseq.data import Dictionary
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.constants import FIRST_PIECE, MASK, SPECIAL_SYMBOLS, UNK
from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer import transliteration as tokenizer_transliteration
from fairseq_xalign.tokenizer.tokenizer import (
    RESERVED_SYMBOLS,
    Tokenizer,
    has_reserved,
    reserved_index,
    reserved_symbol,
)
from preprocess.subword_models import train_sentencepiece
from tests.support.small_tokenizers import KINDS, LINES, PIECES, SPELLED, segmentation_ties, small, small_doubled

ODD_WORDS = ["\U0001f600", "a\U0001f600b", "\u2603\u2603,", "x\u200by", "\ufdfa", "\u337f", "don't", "<mask>", "<unk>"]
ODD_WORDS += [
    "\u2581",
    "a\u2581b",
    "\u00a8x",
    "\ufffd",
    "</s>",
    "[MASK]",
    "<2de>",
    "\u9f98\u9f98",
    "0000000",
    "aaaaaaa",
]
WORDS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Co", "Z"]), min_size=1, max_size=12),
    st.text("abcdeilnorstuwy.,'\U0001f600\u2603\u00e9", min_size=1, max_size=20),
    st.sampled_from(ODD_WORDS),
    st.sampled_from(sorted({word for line in LINES[:60] for word in line.split()})),
).filter(lambda word: len(word.split()) == 1 and word.split()[0] == word)


# Order of ids


def test_ids_are_specials_then_pieces_then_language_tokens():
    trained = small("trained")
    assert [trained.piece(i) for i in range(FIRST_PIECE)] == list(SPECIAL_SYMBOLS)
    assert trained.natural_ids == range(5, 5 + PIECES) and trained.pieces == PIECES
    assert len(trained.derived_ids) == 0
    assert trained.symbols()[-2:] == ["<2de>", "<2fr>"]
    assert trained.language_id("fr") == len(trained) - 1 and trained.language_id("xx") is None
    assert [trained.id(symbol) for symbol in trained.symbols()] == list(range(len(trained)))
    assert trained.id("no such piece") is None


def test_a_language_without_a_token_is_refused_with_those_that_have_one():
    trained = small("trained")
    assert trained.language_token("fr") == trained.language_id("fr")
    with pytest.raises(UserError, match=r"no <2xx>.*it has <2de>, <2fr>.*--language-tokens xx"):
        trained.language_token("xx")


def test_a_doubled_vocabulary_has_copies_between_pieces_and_language_tokens():
    trained = small("trained")
    doubled = trained.doubled()
    assert len(doubled) == len(trained) + PIECES
    assert doubled.natural_ids == trained.natural_ids
    assert doubled.derived_ids == range(5 + PIECES, 5 + 2 * PIECES)
    assert doubled.symbols()[5 + PIECES + 7] == reserved_symbol(7)
    assert doubled.language_id("fr") == len(doubled) - 1


@pytest.mark.parametrize("kind", KINDS)
def test_fairseq_reads_the_same_ids_from_dict_txt(kind, tmp_path):
    for tokenizer in (small(kind), small_doubled(kind)):
        tokenizer.save(tmp_path / "subword")
        dictionary = Dictionary.load(str(tmp_path / "subword" / "dict.txt"))
        assert dictionary.symbols == tokenizer.symbols()
        assert dictionary.index("<mask>") == MASK


# Text


def test_ids_of_real_text_equal_sentencepieces_own_on_whole_lines_but_for_ties():
    trained = small("trained")
    processor = sentencepiece.SentencePieceProcessor(model_proto=trained.model_bytes)
    pairs = [(trained.encode(line), processor.encode(line)) for line in LINES]
    assert all(segmentation_ties(processor, *pair) for pair in pairs)
    assert sum(ours != theirs for ours, theirs in pairs) < 0.02 * len(LINES)
    for line in LINES:
        assert trained.encode(line) == [i for word in line.split() for i in processor.encode(word)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_has_the_same_ids_alone_and_in_its_sentence(kind):
    tokenizer = small(kind)
    for line in LINES[:100]:
        assert tokenizer.encode(line) == [i for ids in tokenizer.encode_words(line.split()) for i in ids]


@settings(max_examples=150, deadline=None)
@given(words=st.lists(WORDS, max_size=6))
def test_no_text_gives_a_special_but_unk_and_every_word_gives_an_id(words):
    for tokenizer in (*map(small, KINDS), small_doubled("trained")):
        ids = tokenizer.encode(" ".join(words))
        assert all(i in tokenizer.natural_ids or i == UNK for i in ids)
        by_word = tokenizer.encode_words(words)
        assert len(by_word) == len(words) and all(by_word)
        kept = [i for word, found in zip(words, by_word, strict=True) if tokenizer.encode(word) for i in found]
        assert ids == kept


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_gives_real_text_back(kind):
    tokenizer = small(kind)
    text = "the people of the states and the government"
    ids = [0, *tokenizer.encode(text), 2, 1, tokenizer.language_id("de")]
    assert tokenizer.decode(ids) == text


def test_a_word_that_vanishes_is_unk_among_words_only():
    trained = small("trained")
    assert trained.encode("\u200b") == []
    assert trained.encode_words(["\u200b", "the"]) == [[UNK], trained.encode("the")]


def test_the_cache_of_words_is_bounded_and_changes_nothing(monkeypatch):
    trained = small("trained")
    monkeypatch.setattr(tokenizer_transliteration, "CACHED_WORDS", 10)
    fresh = Tokenizer.from_state(trained.state())
    assert [fresh.encode(line) for line in LINES[:50]] == [trained.encode(line) for line in LINES[:50]]
    assert len(fresh._ids) <= 10


# Text that spells symbols

SPELLERS = ["trained", "spelled", "bbpe", "wordpiece", "xlmr", "roberta", "sentencepiece"]
SYMBOLS = "<s> </s> <pad> <unk> <mask> [MASK] [UNK] [CLS] [unused0] madeupword0000 <2de>".split()
BITS = ["<s>", "</s>", "<mask>", "<", ">", "a", "\u2581", "old", "<2de>"]


@pytest.mark.parametrize("kind", SPELLERS)
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_text_that_spells_a_symbol_is_cut_into_pieces_like_any_text(kind, symbol):
    for tokenizer in (small(kind), small_doubled(kind)):
        for text in (symbol, f"{symbol}old price{symbol} new", f"a {symbol} b"):
            ids = tokenizer.encode(text)
            assert all(i in tokenizer.natural_ids or i == UNK for i in ids)
            if UNK in ids:  # only by a character that has no piece, never by the name of a symbol
                known = {c for c in text if not c.isspace() and UNK not in tokenizer.encode(f"a{c}a")}
                assert set(text) - {" "} - known
        assert [i for ids in tokenizer.encode_words(["old", symbol]) for i in ids] == tokenizer.encode(f"old {symbol}")


@pytest.mark.parametrize("kind", ["spelled", "bbpe"])
def test_text_that_spells_symbols_in_training_makes_the_round_trip(kind):
    for tokenizer in (small(kind), small_doubled(kind)):
        for text in (*SPELLED, "<s> </s> <pad> <unk> <mask> <2de> \u2581 a\u2581b \u2585\u2581"):
            ids = tokenizer.encode(text)
            assert UNK not in ids and tokenizer.decode(ids) == text
            assert Tokenizer.from_state(tokenizer.state()).encode(text) == ids
            written = [tokenizer.transliterate(word) for word in text.split()]
            assert " ".join(map(tokenizer.untransliterate, written)) == text


@settings(max_examples=200, deadline=None)
@given(words=st.lists(st.lists(st.sampled_from(BITS), min_size=1).map("".join), max_size=5))
def test_any_text_of_spelled_symbols_makes_the_round_trip(words):
    for kind in ("spelled", "bbpe"):
        text = " ".join(words)
        assert small(kind).decode(small(kind).encode(text)) == text


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_symbols_in_the_text_of_training_leave_every_character_known(model_type):
    lines = [f"<s>old price</s> {line}" if i % 3 == 0 else line for i, line in enumerate(LINES)]
    tokenizer = Tokenizer.trained(train_sentencepiece(iter(lines), 800, model_type, 0.999995))
    assert not any(UNK in tokenizer.encode(line) for line in lines)
    assert (
        tokenizer.symbols()[:FIRST_PIECE] == list(SPECIAL_SYMBOLS) == [tokenizer.piece(i) for i in range(FIRST_PIECE)]
    )
    assert len(set(tokenizer.symbols())) == len(tokenizer)


def test_a_model_of_text_without_symbols_has_their_usual_names():
    processor = sentencepiece.SentencePieceProcessor(model_proto=small("trained").model_bytes)
    assert [processor.id_to_piece(i) for i in range(FIRST_PIECE)] == list(SPECIAL_SYMBOLS)
    assert (processor.bos_id(), processor.pad_id(), processor.eos_id(), processor.unk_id()) == (0, 1, 2, 3)
    assert processor.is_control(MASK) and processor.is_unknown(UNK)


def test_user_defined_symbols_of_an_adopted_model_are_not_found_in_text(tmp_path):
    prefix = str(tmp_path / "theirs")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([f"[ {line} ] <masking>" for line in LINES]), model_prefix=prefix, vocab_size=600,
        user_defined_symbols=["<mask>", "<unused1>", "keep"], minloglevel=2,
    )  # fmt: skip
    tokenizer = Tokenizer.adopted(f"{prefix}.model")
    assert tokenizer.to_foreign([MASK]) != [None]
    for word in ("<mask>", "a<mask>b"):
        ids = tokenizer.encode(word)
        assert len(ids) > 2 and UNK not in ids and MASK not in ids
    assert len(tokenizer.excluded_ids) == 1 and tokenizer.piece(tokenizer.encode("xkeepx")[-2]) == "keep"


# Byte-level BPE


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_no_text_is_unknown_to_byte_level_bpe_and_all_of_it_comes_back(text):
    tokenizer = small("bbpe")
    ids = tokenizer.encode(text)
    assert all(i in tokenizer.natural_ids for i in ids)
    assert tokenizer.decode(ids) == " ".join(text.split())
    assert [i for word in tokenizer.encode_words(text.split()) for i in word] == ids


def test_a_byte_level_model_has_a_piece_for_every_byte_and_our_order_of_ids():
    tokenizer = small("bbpe")
    assert tokenizer.pieces == PIECES and tokenizer.foreign_ids is None and tokenizer.kind == "tokenizers"
    assert tokenizer.symbols()[:FIRST_PIECE] == list(SPECIAL_SYMBOLS)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    assert set(tokenizer.symbols()[FIRST_PIECE : FIRST_PIECE + 256]) == set(alphabet)


# Transliterated text


@pytest.mark.parametrize("number", [0, 1, 65533, 65534, 65535, RESERVED_SYMBOLS - 1])
def test_reserved_symbols_are_private_characters_that_read_back(number):
    symbol = reserved_symbol(number)
    assert reserved_index(symbol) == number and has_reserved(f"a{symbol}")
    assert ord(symbol) & 0xFFFE != 0xFFFE, "a non-character"
    assert not symbol.isspace() and len(symbol.encode()) == 4


def test_reserved_symbols_end_with_unicode():
    assert ord(reserved_symbol(RESERVED_SYMBOLS - 1)) == 0x10FFFD
    assert len({reserved_symbol(i) for i in range(RESERVED_SYMBOLS)}) == RESERVED_SYMBOLS
    with pytest.raises(ValueError, match="no reserved symbol"):
        reserved_symbol(RESERVED_SYMBOLS)
    assert reserved_index("a") is None and reserved_index(chr(0xFFFFE)) is None


@pytest.mark.parametrize("kind", KINDS)
def test_transliterated_real_text_has_the_shifted_ids(kind):
    natural, doubled = small(kind), small_doubled(kind)
    n, kept = natural.pieces, set(doubled.derived["kept"])
    for line in LINES:
        ids = doubled.encode(" ".join(natural.transliterate(word) for word in line.split()))
        expected = [i if i == UNK or i - 5 in kept else i + n for i in natural.encode(line)]
        assert ids == expected == doubled.shift(natural.encode(line))
        assert doubled.encode(line) == natural.encode(line)


@settings(max_examples=400, deadline=None)
@given(words=st.lists(WORDS, min_size=1, max_size=4))
@pytest.mark.parametrize("kind", KINDS)
def test_any_transliterated_word_has_the_shifted_ids(kind, words):
    natural, doubled = small(kind), small_doubled(kind)
    written = [natural.transliterate(word) for word in words]
    assert all(len(word.split()) == 1 for word in written), "a word stays one word"
    assert doubled.encode_words(written) == [doubled.shift(ids) for ids in natural.encode_words(words)]
    assert doubled.encode(" ".join(written)) == doubled.shift(natural.encode(" ".join(words)))


@settings(max_examples=200, deadline=None)
@given(word=WORDS)
@pytest.mark.parametrize("kind", KINDS)
def test_untransliterated_words_have_their_natural_ids_again(kind, word):
    tokenizer = small(kind)
    spelt = tokenizer.untransliterate(tokenizer.transliterate(word))
    assert not has_reserved(spelt)
    assert tokenizer.encode_words([spelt]) == tokenizer.encode_words([word])


@pytest.mark.parametrize("kind", KINDS)
def test_untransliterating_gives_the_spelling_back(kind):
    tokenizer = small(kind)
    for word in ["government", "walking", "don't", "1994,", "the", "xylophones"]:
        assert tokenizer.untransliterate(tokenizer.transliterate(word)) == word


@pytest.mark.parametrize("kind", KINDS)
def test_decoded_derived_ids_encode_to_themselves(kind):
    doubled = small_doubled(kind)
    for line in LINES[:100]:
        ids = doubled.shift(doubled.encode(line))
        assert doubled.encode(doubled.decode(ids)) == ids


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_ids_can_be_decoded(data):
    for tokenizer in map(small_doubled, KINDS):
        ids = data.draw(st.lists(st.integers(0, len(tokenizer) - 1), max_size=8))
        text = tokenizer.decode(ids)
        assert all(i == UNK or i in tokenizer.natural_ids or i in tokenizer.derived_ids for i in tokenizer.encode(text))


def test_unknown_characters_stay_as_they_are_and_a_run_is_one_unk():
    trained = small("trained")
    written = trained.transliterate("the\u2603\u2603the")
    assert written.count("\u2603") == 2 and has_reserved(written)
    assert trained.doubled().encode(written).count(UNK) == 1


def test_natural_letters_inside_a_transliterated_word_are_unknown():
    trained = small("trained")
    doubled = trained.doubled()
    assert doubled.encode(f"ab{reserved_symbol(3)}c") == [UNK, doubled.derived_ids[3], UNK]
    beyond = reserved_symbol(PIECES)  # no piece of this vocabulary: a character like any unknown one
    assert doubled.encode(f"{reserved_symbol(3)}{beyond}") == [doubled.derived_ids[3], UNK]


def test_transliterating_twice_is_refused():
    trained = small("trained")
    with pytest.raises(UserError, match="private-use"):
        trained.transliterate(trained.transliterate("the"))


@pytest.mark.parametrize(("overlap", "share"), [(0.0, 0), (0.25, 225), (0.5, 450), (1.0, 900)])
def test_the_overlap_is_an_exact_share_drawn_without_replacement(overlap, share):
    trained = small("trained")
    kept = trained.doubled(overlap, seed=7).derived["kept"]
    assert len(kept) == len(set(kept)) == share and kept == sorted(kept)
    assert kept == trained.doubled(overlap, seed=7).derived["kept"]
    if 0 < overlap < 1:
        assert kept != trained.doubled(overlap, seed=8).derived["kept"]


@pytest.mark.parametrize("overlap", [-0.1, 1.5, float("nan")])
def test_an_overlap_outside_0_to_1_is_refused(overlap):
    trained = small("trained")
    with pytest.raises(UserError, match="between 0 and 1"):
        trained.doubled(overlap)


def test_a_negative_seed_is_refused():
    with pytest.raises(UserError, match="--seed -1 is too small. Choose 0 or more"):
        small("trained").doubled(0.25, seed=-1)


def test_doubling_twice_is_refused():
    trained = small("trained")
    with pytest.raises(UserError, match="doubled already"):
        trained.doubled().doubled()
