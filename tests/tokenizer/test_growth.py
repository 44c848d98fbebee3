"""A vocabulary that grows by <2xx> tokens keeps every id that it had, whatever library it comes from."""

import pytest
from fairseq.data import Dictionary

from fairseq_xalign.errors import UserError
from fairseq_xalign.tokenizer.growth import extends, with_language_tokens
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from tests.support.small_tokenizers import KINDS, LINES, small, small_doubled


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [small, small_doubled])
def test_new_tokens_follow_all_other_ids(kind, make, tmp_path):
    before = make(kind)
    grown = with_language_tokens(before, ["zh-TW", "de", "nl", "nl"])
    assert grown.symbols() == [*before.symbols(), "<2zh-TW>", "<2nl>"] and len(grown) == len(before) + 2
    assert [grown.language_id(name) for name in ("de", "zh-TW", "nl")] == [
        before.language_id("de"), len(before), len(before) + 1
    ]  # fmt: skip
    assert list(grown.excluded_ids) == list(before.excluded_ids)
    assert [grown.encode(line) for line in LINES[:20]] == [before.encode(line) for line in LINES[:20]]
    ids = grown.encode(LINES[0])
    assert grown.decode([len(before), *ids, *grown.language_ids]) == before.decode(ids)
    assert grown.to_foreign(range(len(before))) == before.to_foreign(range(len(before)))
    assert grown.to_foreign(range(len(before), len(grown))) == [None, None]
    grown.save(tmp_path / "grown")
    for again in (Tokenizer.load(tmp_path / "grown"), Tokenizer.from_state(grown.state())):
        assert (again.sha256, again.symbols()) == (grown.sha256, grown.symbols())
    assert Dictionary.load(str(tmp_path / "grown" / "dict.txt")).symbols == grown.symbols()


@pytest.mark.parametrize("kind", ["trained", "wordpiece"])
def test_growth_in_two_steps_is_growth_in_one(kind):
    before = small(kind)
    once = with_language_tokens(before, ["nl", "pl"])
    twice = with_language_tokens(with_language_tokens(before, ["nl"]), ["pl"])
    assert once.sha256 == twice.sha256 != before.sha256
    assert with_language_tokens(once, ["nl"]).sha256 == once.sha256


def test_a_vocabulary_that_only_grew_is_told_from_another():
    before = small("trained")
    grown = with_language_tokens(before, ["nl"])
    assert extends(before, before) and extends(grown, before) and not extends(before, grown)
    assert not extends(before.doubled(), before) and not extends(grown, small("bbpe"))
    assert not extends(with_language_tokens(before, ["pl", "nl"]), grown)
    assert not extends(with_language_tokens(small("spelled"), ["nl"]), before)


def test_a_token_that_is_a_piece_already_is_refused(monkeypatch):
    tokenizer = Tokenizer.from_state(small("trained").state())
    monkeypatch.setattr(tokenizer, "id", {"<2nl>": 77}.get)
    with pytest.raises(UserError, match="has a piece '<2nl>' already \\(id 77\\)"):
        with_language_tokens(tokenizer, ["nl"])


def test_a_vocabulary_with_excluded_ids_in_the_wrong_place_is_damaged():
    state = small("wordpiece").state()
    for wrong in ([3, 4], [i + 1 for i in state["excluded"]]):
        with pytest.raises(UserError, match="excluded ids are not where they should be"):
            Tokenizer.from_state({**state, "excluded": wrong})
