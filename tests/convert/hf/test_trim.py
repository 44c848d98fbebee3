"""A vocabulary trimmed to some languages: exact on what is kept, and defined on everything else."""

from __future__ import annotations

import functools
import json
import types

import pytest
import torch
import transformers

from fairseq_xalign.constants import FIRST_PIECE, UNK
from fairseq_xalign.convert.hf.read import open_folder, rows_of
from fairseq_xalign.convert.hf.trim import kept_ids, trim, used_pieces
from fairseq_xalign.convert.hf.vocabulary import tokenizer_files
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.checkpoint import with_prefix
from fairseq_xalign.models.config import EncoderConfig
from fairseq_xalign.models.encoder import Encoder
from fairseq_xalign.objectives.batch import pack
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from fairseq_xalign.tokenizer.trimming import is_basic
from tests.support.foreign_models import real_encoder, write_bert, write_xlmr
from tests.support.small_tokenizers import LINES, train_foreign_sentencepiece, train_roberta


def write_sentencepiece(folder):
    """XLM-R with SentencePiece's own file alone, as older folders have it."""
    write_xlmr(folder)
    (folder / "sentencepiece.bpe.model").write_bytes(train_foreign_sentencepiece(folder).read_bytes())
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "XLMRobertaTokenizer"}')
    model = transformers.XLMRobertaForMaskedLM.from_pretrained(folder)
    model.resize_token_embeddings(602)  # <s> <pad> </s> <unk>, 597 pieces, <mask>
    model.save_pretrained(folder)
    return folder


KINDS = {"WordPiece": write_bert, "tokenizer.json": write_xlmr, "SentencePiece": write_sentencepiece}


@pytest.fixture(scope="module", params=KINDS)
def opened(request, tmp_path_factory):
    """How to open a folder, and a corpus of a third of the text."""
    root = tmp_path_factory.mktemp("trim")
    folder = KINDS[request.param](root / "theirs")
    (root / "corpus").write_text("\n".join(LINES[::3]) + "\n", "utf-8")
    return types.SimpleNamespace(folder=folder, corpora={"en": [root / "corpus"]}, trimmed=functools.cache(
        lambda limit=None: trim(open_folder(folder), {"en": [root / "corpus"]}, limit)
    ))  # fmt: skip


def parts(state):
    task = state["task_state"]
    encoder = Encoder(EncoderConfig.from_dict(task["encoder"]))
    encoder.load_state_dict(with_prefix(state["model"], "encoder."))
    return encoder.eval(), Tokenizer.from_state(task["tokenizer"])


@torch.no_grad()
def test_text_of_kept_pieces_has_the_same_pieces_and_hidden_states(opened):
    whole, before = parts(open_folder(opened.folder))
    small, after = parts(opened.trimmed())
    assert len(after) < len(before)
    checked = 0
    for line in LINES:
        ids = before.encode(line)
        pieces = [before.piece(i) for i in ids]
        if all(after.id(piece) is not None for piece in pieces):
            new = after.encode(line)
            assert [after.piece(i) for i in new] == pieces
            first, second = ([0, *found[:60], 2] for found in (ids, new))
            assert torch.equal(whole(pack([first])), small(pack([second])))
            logits = whole.lm_logits(whole(pack([first])))[:, [before.id(p) for p in after.symbols()]]
            torch.testing.assert_close(small.lm_logits(small(pack([second]))), logits, atol=1e-6, rtol=1e-6)
            checked += 1
    assert checked >= len(LINES) // 3


def test_other_text_is_cut_into_what_is_left_and_never_unknown_where_it_was_known(opened):
    _, before = parts(open_folder(opened.folder))
    _, after = parts(opened.trimmed(len(kept_ids(before, {}, None))))  # nothing but what is always kept
    changed = 0
    for line in LINES:
        old, new = before.encode(line), after.encode(line)
        assert new.count(UNK) <= old.count(UNK)
        assert after.decode(new) == before.decode(old)
        changed += [after.piece(i) for i in new] != [before.piece(i) for i in old]
    assert changed


def test_specials_and_single_characters_are_kept_and_the_most_frequent_of_the_rest(opened):
    _, before = parts(open_folder(opened.folder))
    used = used_pieces(before, opened.corpora)
    basic = {before.piece(i) for i in before.natural_ids if is_basic(before.piece(i))}
    limit = len(basic) + FIRST_PIECE + 20
    _, after = parts(opened.trimmed(limit))
    assert 0 <= len(after) - limit <= 1  # for Unigram, the piece of the lowest score is kept besides
    assert basic | set(before.symbols()[:FIRST_PIECE]) <= set(after.symbols())
    rest = sorted((i for i in used if before.piece(i) not in basic and i >= FIRST_PIECE), key=lambda i: (-used[i], i))
    assert {before.piece(i) for i in rest[:20]} <= set(after.symbols())
    with pytest.raises(UserError, match=r"--keep 9: \d+ symbols are always kept"):
        opened.trimmed(9)


def test_the_trimmed_folder_is_consistent_for_the_way_out(opened):
    state = opened.trimmed()
    task, model = state["task_state"], state["model"]
    _, after = parts(state)
    rows = rows_of(task)
    assert sorted(rows) == list(range(len(after)))
    config = task["foreign"]["config"]
    assert config["vocab_size"] == task["encoder"]["vocab_size"] == len(model["encoder.embed_tokens.weight"])
    assert rows[1] == config["pad_token_id"]
    assert not any("word_embeddings" in name for name in model)


def test_transformers_opens_the_trimmed_tokenizer(opened, tmp_path):
    state = opened.trimmed()
    for name, data in tokenizer_files(state["task_state"]).items():
        (tmp_path / name).write_bytes(data)
    _, after = parts(state)
    (tmp_path / "config.json").write_text(json.dumps(state["task_state"]["foreign"]["config"]))
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for line in LINES[:60]:
        expected = theirs(line, add_special_tokens=False)["input_ids"]
        found = [rows_of(state["task_state"])[i] for i in after.encode(line)]
        assert found == expected


def test_every_language_counts_alike(tmp_path):
    tokenizer = Tokenizer.adopted(write_bert(tmp_path / "bert"))
    (tmp_path / "much").write_text("the of\n" * 99, "utf-8")
    (tmp_path / "little").write_text("and\n", "utf-8")
    used = used_pieces(tokenizer, {"en": [tmp_path / "much"], "xx": [tmp_path / "little"]})
    shares = {tokenizer.piece(i): share for i, share in used.items()}
    assert shares["and"] == 1.0
    assert sum(shares.values()) == pytest.approx(2.0)
    (tmp_path / "empty").write_text("\n", "utf-8")
    with pytest.raises(UserError, match="empty: no text in xx"):
        used_pieces(tokenizer, {"xx": [tmp_path / "empty"]})


def test_merges_are_not_trimmed(tmp_path):
    folder = write_xlmr(tmp_path / "roberta")
    train_roberta(folder)
    vocabulary = len(json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"])
    model = transformers.XLMRobertaForMaskedLM.from_pretrained(folder)
    model.resize_token_embeddings(vocabulary)
    model.save_pretrained(folder)
    (tmp_path / "corpus").write_text("\n".join(LINES), "utf-8")
    with pytest.raises(UserError, match="models of the type BPE cannot be trimmed"):
        trim(open_folder(folder), {"en": [tmp_path / "corpus"]})


@torch.no_grad()
def test_the_vocabulary_of_xlm_r_is_trimmed_exactly(tmp_path):
    folder = real_encoder("e5")
    (tmp_path / "en").write_text("\n".join(LINES), "utf-8")
    (tmp_path / "hi").write_text("नमस्ते दुनिया, यह एक लंबा वाक्य है।\n", "utf-8")
    state = open_folder(folder)
    whole, before = parts(state)
    small, after = parts(trim(state, {"en": [tmp_path / "en"], "hi": [tmp_path / "hi"]}, 40_000))
    assert len(after) < 40_001
    for text in (LINES[0], LINES[-1], "यह एक वाक्य है।"):
        old, new = before.encode(text), after.encode(text)
        assert [before.piece(i) for i in old] == [after.piece(i) for i in new]
        assert torch.equal(whole(pack([[0, *old, 2]])), small(pack([[0, *new, 2]])))
