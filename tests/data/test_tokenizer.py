"""The vocabulary: id order, words alone and in sentences, transliterated text, foreign models, folders."""

import json
import pickle
import re
from collections import Counter
from pathlib import Path

import pytest
import sentencepiece
import tokenizers
import torch
from fairseq.data import Dictionary
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_xalign.constants import FIRST_PIECE, MASK, SPECIAL_SYMBOLS, UNK
from fairseq_xalign.data import tokenizer_transliteration
from fairseq_xalign.data.tokenizer import (
    RESERVED_SYMBOLS,
    Tokenizer,
    has_reserved,
    reserved_index,
    reserved_symbol,
)
from fairseq_xalign.errors import UserError
from preprocess.subword import train_sentencepiece

TEXT = Path(__file__).parent / "text.en.txt"
LINES = TEXT.read_text(encoding="utf-8").splitlines()
PIECES = 900
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


def make_wordpiece(folder: Path) -> Path:
    """A small BERT-like vocab.txt: BERT's specials in its own order, letters, frequent words and endings."""
    words = Counter(word for line in LINES for word in re.findall(r"\w+", line.lower()))
    endings = Counter(f"##{word[-k:]}" for word in words.elements() for k in (2, 3) if len(word) > k)
    letters = sorted(set("".join(LINES).lower()) - {" "})
    symbols = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    symbols += [f"##{letter}" for letter in letters if letter.isalnum()]
    symbols += [word for word, _ in words.most_common(300) if len(word) > 1]
    symbols += [ending for ending, _ in endings.most_common(200)]
    (folder / "vocab.txt").write_text("".join(f"{symbol}\n" for symbol in symbols), encoding="utf-8")
    return folder / "vocab.txt"


def make_xlmr(folder: Path) -> Path:
    """A small XLM-R-like tokenizer.json: unigram, metaspace, ``<mask>`` as the last id."""
    processor = sentencepiece.SentencePieceProcessor(
        model_proto=train_sentencepiece(iter(LINES), 600, "unigram", 0.9995)
    )
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    vocabulary = [(name, 0.0) for name in names]
    vocabulary += [(processor.id_to_piece(i), processor.get_score(i)) for i in range(FIRST_PIECE, len(processor))]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.Unigram(vocabulary, unk_id=3))
    tokenizer.normalizer = tokenizers.normalizers.NFKC()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [tokenizers.pre_tokenizers.WhitespaceSplit(), tokenizers.pre_tokenizers.Metaspace()]
    )
    tokenizer.decoder = tokenizers.decoders.Metaspace()
    tokenizer.add_special_tokens([*names, "<mask>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def train_roberta(folder: Path) -> Path:
    """A small RoBERTa-like tokenizer.json: byte-level BPE without a space before the first word."""
    tokenizer = tokenizers.ByteLevelBPETokenizer(add_prefix_space=False)
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "madeupword0000"]
    tokenizer.train_from_iterator(LINES, vocab_size=700, special_tokens=names, show_progress=False)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def train_foreign_sentencepiece(folder: Path) -> Path:
    """SentencePiece's default order: <unk> 0, <s> 1, </s> 2, no padding, two control symbols."""
    path = folder / "foreign.model"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES),
        model_prefix=str(path.with_suffix("")),
        vocab_size=600,
        control_symbols=["<sep>", "<cls>"],
        minloglevel=2,
    )
    return path


FOREIGN = {
    "wordpiece": make_wordpiece,
    "xlmr": make_xlmr,
    "roberta": train_roberta,
    "sentencepiece": train_foreign_sentencepiece,
}
KINDS = ["trained", *FOREIGN]


@pytest.fixture(scope="session")
def model_files(tmp_path_factory) -> dict[str, Path]:
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in FOREIGN.items()}


@pytest.fixture(scope="session")
def all_tokenizers(model_files) -> dict[str, Tokenizer]:
    data = train_sentencepiece(iter(LINES), PIECES, "unigram", 0.9995)
    trained = Tokenizer.trained(data, ["en"], ["de", "fr"], {"seed": 1})
    return {"trained": trained} | {name: Tokenizer.adopted(path, ["de"]) for name, path in model_files.items()}


@pytest.fixture(scope="session")
def doubled_tokenizers(all_tokenizers) -> dict[str, Tokenizer]:
    return {name: tokenizer.doubled(0.25, seed=3) for name, tokenizer in all_tokenizers.items()}


@pytest.fixture
def trained(all_tokenizers) -> Tokenizer:
    return all_tokenizers["trained"]


# Order of ids


def test_ids_are_specials_then_pieces_then_language_tokens(trained):
    assert [trained.piece(i) for i in range(FIRST_PIECE)] == list(SPECIAL_SYMBOLS)
    assert trained.natural_ids == range(5, 5 + PIECES) and trained.pieces == PIECES
    assert len(trained.derived_ids) == 0
    assert trained.symbols()[-2:] == ["<2de>", "<2fr>"]
    assert trained.language_id("fr") == len(trained) - 1 and trained.language_id("xx") is None
    assert [trained.id(symbol) for symbol in trained.symbols()] == list(range(len(trained)))
    assert trained.id("no such piece") is None


def test_a_doubled_vocabulary_has_copies_between_pieces_and_language_tokens(trained):
    doubled = trained.doubled()
    assert len(doubled) == len(trained) + PIECES
    assert doubled.natural_ids == trained.natural_ids
    assert doubled.derived_ids == range(5 + PIECES, 5 + 2 * PIECES)
    assert doubled.symbols()[5 + PIECES + 7] == reserved_symbol(7)
    assert doubled.language_id("fr") == len(doubled) - 1


@pytest.mark.parametrize("kind", KINDS)
def test_fairseq_reads_the_same_ids_from_dict_txt(kind, all_tokenizers, doubled_tokenizers, tmp_path):
    for tokenizer in (all_tokenizers[kind], doubled_tokenizers[kind]):
        tokenizer.save(tmp_path / "subword")
        dictionary = Dictionary.load(str(tmp_path / "subword" / "dict.txt"))
        assert dictionary.symbols == tokenizer.symbols()
        assert dictionary.index("<mask>") == MASK


# Text


def segmentation_ties(processor, ours: list[int], theirs: list[int]) -> bool:
    """Whether two segmentations are equal, or equally probable up to the rounding of float32 sums."""
    score = [sum(processor.get_score(i) for i in ids) for ids in (ours, theirs)]
    return ours == theirs or score[0] == pytest.approx(score[1], rel=1e-5)


def test_ids_of_real_text_equal_sentencepieces_own_on_whole_lines_but_for_ties(trained):
    processor = sentencepiece.SentencePieceProcessor(model_proto=trained.model_bytes)
    pairs = [(trained.encode(line), processor.encode(line)) for line in LINES]
    assert all(segmentation_ties(processor, *pair) for pair in pairs)
    assert sum(ours != theirs for ours, theirs in pairs) < 0.02 * len(LINES)
    for line in LINES:
        assert trained.encode(line) == [i for word in line.split() for i in processor.encode(word)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_has_the_same_ids_alone_and_in_its_sentence(kind, all_tokenizers):
    tokenizer = all_tokenizers[kind]
    for line in LINES[:100]:
        assert tokenizer.encode(line) == [i for ids in tokenizer.encode_words(line.split()) for i in ids]


@settings(max_examples=150, deadline=None)
@given(words=st.lists(WORDS, max_size=6))
def test_no_text_gives_a_special_but_unk_and_every_word_gives_an_id(words, all_tokenizers, doubled_tokenizers):
    for tokenizer in (*all_tokenizers.values(), doubled_tokenizers["trained"]):
        ids = tokenizer.encode(" ".join(words))
        assert all(i in tokenizer.natural_ids or i == UNK for i in ids)
        by_word = tokenizer.encode_words(words)
        assert len(by_word) == len(words) and all(by_word)
        kept = [i for word, found in zip(words, by_word, strict=True) if tokenizer.encode(word) for i in found]
        assert ids == kept


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_gives_real_text_back(kind, all_tokenizers):
    tokenizer = all_tokenizers[kind]
    text = "the people of the states and the government"
    ids = [0, *tokenizer.encode(text), 2, 1, tokenizer.language_id("de")]
    assert tokenizer.decode(ids) == text


def test_a_word_that_vanishes_is_unk_among_words_only(trained):
    assert trained.encode("\u200b") == []
    assert trained.encode_words(["\u200b", "the"]) == [[UNK], trained.encode("the")]


def test_the_cache_of_words_is_bounded_and_changes_nothing(trained, monkeypatch):
    monkeypatch.setattr(tokenizer_transliteration, "CACHED_WORDS", 10)
    fresh = Tokenizer.from_state(trained.state())
    assert [fresh.encode(line) for line in LINES[:50]] == [trained.encode(line) for line in LINES[:50]]
    assert len(fresh._ids) <= 10


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
def test_transliterated_real_text_has_the_shifted_ids(kind, all_tokenizers, doubled_tokenizers):
    natural, doubled = all_tokenizers[kind], doubled_tokenizers[kind]
    n, kept = natural.pieces, set(doubled.derived["kept"])
    for line in LINES:
        ids = doubled.encode(" ".join(natural.transliterate(word) for word in line.split()))
        expected = [i if i == UNK or i - 5 in kept else i + n for i in natural.encode(line)]
        assert ids == expected == doubled.shift(natural.encode(line))
        assert doubled.encode(line) == natural.encode(line)


@settings(max_examples=400, deadline=None)
@given(words=st.lists(WORDS, min_size=1, max_size=4))
@pytest.mark.parametrize("kind", KINDS)
def test_any_transliterated_word_has_the_shifted_ids(kind, words, all_tokenizers, doubled_tokenizers):
    natural, doubled = all_tokenizers[kind], doubled_tokenizers[kind]
    written = [natural.transliterate(word) for word in words]
    assert all(len(word.split()) == 1 for word in written), "a word stays one word"
    assert doubled.encode_words(written) == [doubled.shift(ids) for ids in natural.encode_words(words)]
    assert doubled.encode(" ".join(written)) == doubled.shift(natural.encode(" ".join(words)))


@settings(max_examples=200, deadline=None)
@given(word=WORDS)
@pytest.mark.parametrize("kind", KINDS)
def test_untransliterated_words_have_their_natural_ids_again(kind, word, all_tokenizers):
    tokenizer = all_tokenizers[kind]
    spelt = tokenizer.untransliterate(tokenizer.transliterate(word))
    assert not has_reserved(spelt)
    assert tokenizer.encode_words([spelt]) == tokenizer.encode_words([word])


@pytest.mark.parametrize("kind", KINDS)
def test_untransliterating_gives_the_spelling_back(kind, all_tokenizers):
    tokenizer = all_tokenizers[kind]
    for word in ["government", "walking", "don't", "1994,", "the", "xylophones"]:
        assert tokenizer.untransliterate(tokenizer.transliterate(word)) == word


@pytest.mark.parametrize("kind", KINDS)
def test_decoded_derived_ids_encode_to_themselves(kind, doubled_tokenizers):
    doubled = doubled_tokenizers[kind]
    for line in LINES[:100]:
        ids = doubled.shift(doubled.encode(line))
        assert doubled.encode(doubled.decode(ids)) == ids


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_ids_can_be_decoded(data, doubled_tokenizers):
    for tokenizer in doubled_tokenizers.values():
        ids = data.draw(st.lists(st.integers(0, len(tokenizer) - 1), max_size=8))
        text = tokenizer.decode(ids)
        assert all(i == UNK or i in tokenizer.natural_ids or i in tokenizer.derived_ids for i in tokenizer.encode(text))


def test_unknown_characters_stay_as_they_are_and_a_run_is_one_unk(trained):
    written = trained.transliterate("the\u2603\u2603the")
    assert written.count("\u2603") == 2 and has_reserved(written)
    assert trained.doubled().encode(written).count(UNK) == 1


def test_natural_letters_inside_a_transliterated_word_are_unknown(trained):
    doubled = trained.doubled()
    assert doubled.encode(f"ab{reserved_symbol(3)}c") == [UNK, doubled.derived_ids[3], UNK]
    beyond = reserved_symbol(PIECES)  # no piece of this vocabulary: a character like any unknown one
    assert doubled.encode(f"{reserved_symbol(3)}{beyond}") == [doubled.derived_ids[3], UNK]


def test_transliterating_twice_is_refused(trained):
    with pytest.raises(UserError, match="private-use"):
        trained.transliterate(trained.transliterate("the"))


@pytest.mark.parametrize(("overlap", "share"), [(0.0, 0), (0.25, 225), (0.5, 450), (1.0, 900)])
def test_the_overlap_is_an_exact_share_drawn_without_replacement(trained, overlap, share):
    kept = trained.doubled(overlap, seed=7).derived["kept"]
    assert len(kept) == len(set(kept)) == share and kept == sorted(kept)
    assert kept == trained.doubled(overlap, seed=7).derived["kept"]
    if 0 < overlap < 1:
        assert kept != trained.doubled(overlap, seed=8).derived["kept"]


@pytest.mark.parametrize("overlap", [-0.1, 1.5, float("nan")])
def test_an_overlap_outside_0_to_1_is_refused(trained, overlap):
    with pytest.raises(UserError, match="between 0 and 1"):
        trained.doubled(overlap)


def test_doubling_twice_is_refused(trained):
    with pytest.raises(UserError, match="doubled already"):
        trained.doubled().doubled()


# Foreign models


def test_bert_symbols_are_mapped_by_name_and_unused_ones_moved_to_the_end(all_tokenizers):
    tokenizer = all_tokenizers["wordpiece"]
    foreign = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
    symbols = tokenizer.model_bytes.decode().splitlines()
    assert tokenizer.to_foreign(range(5)) == [symbols.index(name) for name in foreign]
    assert tokenizer.symbols()[-3:] == ["<2de>", "[unused0]", "[unused1]"]
    assert list(tokenizer.excluded_ids) == [len(tokenizer) - 2, len(tokenizer) - 1]
    assert tokenizer.options["lowercase"] is True
    assert tokenizer.encode("The GOVERNMENT") == tokenizer.encode("the government")


def test_roberta_fillers_are_excluded(all_tokenizers):
    assert all_tokenizers["roberta"].symbols()[-1] == "madeupword0000"


@pytest.mark.parametrize(("kind", "exact"), [("wordpiece", True), ("xlmr", True), ("roberta", False)])
def test_ids_equal_the_tokenizers_librarys_own(kind, exact, all_tokenizers, model_files):
    tokenizer = all_tokenizers[kind]
    if kind == "wordpiece":
        theirs = tokenizers.BertWordPieceTokenizer(str(model_files[kind]), lowercase=True)
    else:
        theirs = tokenizers.Tokenizer.from_file(str(model_files[kind]))
    for line in [*LINES, "caf\u00e9 \U0001f600 \u9f98\u9f98 x\u200by 1,000.50!"]:
        # Byte-level models see every word after a space here, so their first one gets one too.
        expected = theirs.encode(line if exact else f" {line}", add_special_tokens=False).ids
        assert tokenizer.to_foreign(tokenizer.encode(line)) == expected


def test_ids_equal_a_foreign_sentencepiece_models_own(all_tokenizers, model_files):
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(model_files["sentencepiece"]))
    tokenizer = all_tokenizers["sentencepiece"]
    for line in LINES:
        ours = tokenizer.to_foreign(tokenizer.encode(line))
        assert ours == [i for word in line.split() for i in theirs.encode(word)]
        assert segmentation_ties(theirs, ours, theirs.encode(line))
    assert tokenizer.symbols()[-2:] == ["<sep>", "<cls>"] and len(tokenizer.excluded_ids) == 2
    assert tokenizer.to_foreign(range(5)) == [1, None, 2, 0, None]


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_ids_make_the_round_trip(kind, all_tokenizers, doubled_tokenizers):
    for tokenizer in (all_tokenizers[kind], doubled_tokenizers[kind]):
        ids = [i for i, foreign in enumerate(tokenizer.to_foreign(range(len(tokenizer)))) if foreign is not None]
        foreign = tokenizer.to_foreign(ids)
        assert tokenizer.from_foreign(foreign) == ids
        assert sorted(foreign) == list(range(tokenizer.model.size)), "every foreign id has one place"
        assert tokenizer.to_foreign([*tokenizer.derived_ids, *tokenizer.language_ids]) == [None] * (
            len(tokenizer.derived_ids) + 1
        )


def test_text_that_spells_a_special_symbol_is_text(all_tokenizers):
    for kind, word in [("wordpiece", "[MASK]"), ("xlmr", "<mask>"), ("roberta", "<mask>"), ("trained", "<mask>")]:
        ids = all_tokenizers[kind].encode(word)
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


def test_without_the_tokenizers_library_the_extra_is_named(model_files, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(UserError, match="extra `hf`"):
        Tokenizer.adopted(model_files["wordpiece"])


# Folders and checkpoints


@pytest.mark.parametrize("kind", KINDS)
def test_save_load_state_and_pickle_keep_ids_and_hash(kind, doubled_tokenizers, tmp_path):
    tokenizer = doubled_tokenizers[kind]
    tokenizer.save(tmp_path / "subword")
    torch.save({"tokenizer": tokenizer.state()}, tmp_path / "checkpoint.pt")
    stored = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["tokenizer"]
    derived = " ".join(tokenizer.transliterate(word) for word in LINES[0].split())
    for copy in (
        Tokenizer.load(tmp_path / "subword"),
        Tokenizer.from_state(stored),
        pickle.loads(pickle.dumps(tokenizer)),
    ):
        assert copy.sha256 == tokenizer.sha256
        assert copy.symbols() == tokenizer.symbols()
        assert copy.encode(f"{LINES[0]} {derived}") == tokenizer.encode(f"{LINES[0]} {derived}")
        assert copy.state() == tokenizer.state()


def test_the_hash_tells_apart_what_gives_other_ids(trained):
    state = trained.state()
    others = [trained.doubled(), trained.doubled(0.25, 1), trained.doubled(0.25, 2)]
    others.append(Tokenizer.from_state(state | {"language_tokens": ["<2fr>", "<2de>"]}))
    assert len({other.sha256 for other in (trained, *others)}) == 5
    same = Tokenizer.from_state(state | {"options": {"seed": 2}, "languages": ["en", "xx"]})
    assert same.sha256 == trained.sha256


def edit(place: Path, **changes) -> None:
    place.write_text(json.dumps(json.loads(place.read_text(encoding="utf-8")) | changes), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "subword.json").unlink(), "not a subword folder"),
        (lambda f: (f / "subword.json").write_text("{"), "not valid JSON"),
        (lambda f: (f / "subword.json").write_text("[]"), "format"),
        (lambda f: edit(f / "subword.json", format=99), "format 99, this version reads 1"),
        (lambda f: edit(f / "subword.json", pieces=None), "'pieces' is missing"),
        (lambda f: edit(f / "subword.json", pieces=PIECES - 1), "dict.txt makes"),
        (lambda f: edit(f / "subword.json", derived={"overlap": 0}), "kept"),
        (lambda f: edit(f / "subword.json", kind="magic", model="magic.bin"), "unknown kind"),
        (lambda f: edit(f / "subword.json", excluded=[5], language_tokens=["<2de>"]), "excluded"),
        (lambda f: (f / "spm.model").unlink(), "missing"),
        (lambda f: (f / "spm.model").write_bytes(b"x"), "changed or damaged"),
        (lambda f: (f / "dict.txt").write_text("<mask> 1\n"), "changed or damaged"),
    ],
)
def test_a_damaged_folder_is_refused_with_a_remedy(trained, tmp_path, damage, message):
    trained.save(tmp_path / "subword")
    damage(tmp_path / "subword")
    with pytest.raises(UserError, match=message):
        Tokenizer.load(tmp_path / "subword")


def test_a_checkpoint_of_a_newer_format_is_refused(trained):
    with pytest.raises(UserError, match="format 2"):
        Tokenizer.from_state(trained.state() | {"format": 2})


def test_saving_replaces_a_subword_folder_and_nothing_else(trained, tmp_path):
    trained.save(tmp_path / "subword")
    trained.doubled().save(tmp_path / "subword")
    assert len(Tokenizer.load(tmp_path / "subword").derived_ids) == PIECES
    mine = tmp_path / "thesis"
    mine.mkdir()
    (mine / "chapter.txt").write_text("years of work")
    with pytest.raises(UserError, match="not a subword folder"):
        trained.save(mine)
    assert (mine / "chapter.txt").read_text() == "years of work"
    (tmp_path / "subword" / "manifest.json").write_text("{}")
    with pytest.raises(UserError, match="not a subword folder"):
        trained.save(tmp_path / "subword")
