"""A language is added at the end: whatever was there keeps its id and its weights, bit for bit."""

import pytest
import torch

from fairseq_xalign.convert.__main__ import main
from fairseq_xalign.convert.commands.add_language import add_language, with_row
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.checkpoint import read_checkpoint, read_encoder
from fairseq_xalign.objectives.batch import pack
from fairseq_xalign.tokenizer.growth import with_language_tokens
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from tests.support.checkpoints import encoder_state, save, translation_model, translation_state
from tests.support.translation import translation_batch


def test_a_row_is_the_mean_of_others_by_hand():
    rows = torch.tensor([[9.0, 9.0], [1.0, 2.0], [3.0, 6.0]])
    assert torch.equal(with_row(rows, 3, [1, 2]), torch.tensor([[9.0, 9.0], [1.0, 2.0], [3.0, 6.0], [2.0, 4.0]]))
    assert torch.equal(with_row(rows, 0, [1, 2]), torch.tensor([[2.0, 4.0], [1.0, 2.0], [3.0, 6.0]]))
    assert torch.equal(with_row(torch.tensor([1.0, 2.0]), 2, range(2)), torch.tensor([1.0, 2.0, 1.5]))
    assert torch.equal(rows[0], torch.tensor([9.0, 9.0]))


@pytest.mark.parametrize("tying", ["all", "decoder", "none"])
def test_a_translation_model_gets_a_token_and_keeps_everything_else(tmp_path, tying):
    state = translation_state(tying)
    out = add_language(save(state, tmp_path / "mnmt.pt"), "nl", tmp_path / "out.pt", subword=tmp_path / "sub")
    made, before = read_checkpoint(out), Tokenizer.from_state(state["task_state"]["tokenizer"])
    task, grown = made["task_state"], Tokenizer.from_state(made["task_state"]["tokenizer"])
    assert grown.symbols() == [*before.symbols(), "<2nl>"]
    assert Tokenizer.load(tmp_path / "sub").sha256 == grown.sha256
    assert task["languages"] == ["en", "xx", "nl"] and task["directions"] == ["en-xx", "xx-en"]
    assert task["encoder"]["vocab_size"] == task["decoder"]["vocab_size"] == len(grown)
    tokens = [before.language_id("en"), before.language_id("xx")]
    kept = {name: value for name, value in state["model"].items() if not name.startswith("objectives.")}
    assert made["model"].keys() == kept.keys()
    grew = 0
    for name, value in kept.items():
        found = made["model"][name]
        assert torch.equal(found[: len(value)], value), name
        if len(found) > len(value):
            grew += 1
            assert torch.equal(found[-1], value[tokens].double().mean(0).float()), name
    assert grew == {"all": 1, "decoder": 2, "none": 3}[tying]


@pytest.mark.parametrize("tying", ["all", "decoder", "none"])
def test_a_grown_translation_model_answers_as_before(tmp_path, tying):
    state = translation_state(tying)
    out = read_checkpoint(add_language(save(state, tmp_path / "mnmt.pt"), "nl", tmp_path / "out.pt"))
    old, new, batch = translation_model(state), translation_model(out), translation_batch()
    with torch.inference_mode():
        assert torch.equal(old(batch), new(batch))
        before, after = old.logits(old(batch)), new.logits(new(batch))
    assert after.shape[1] == before.shape[1] + 1
    torch.testing.assert_close(after[:, :-1], before, rtol=1e-6, atol=1e-6)


def test_growing_a_data_folder_gives_the_vocabulary_of_the_grown_model(tmp_path):
    state = translation_state()
    before = Tokenizer.from_state(state["task_state"]["tokenizer"])
    made = read_checkpoint(add_language(save(state, tmp_path / "mnmt.pt"), "nl", tmp_path / "out.pt"))
    assert Tokenizer.from_state(made["task_state"]["tokenizer"]).sha256 == with_language_tokens(before, ["nl"]).sha256


def test_an_encoder_answers_as_before_and_has_an_embedding_for_the_language(tmp_path):
    before, after = save(encoder_state(2), tmp_path / "encoder.pt"), tmp_path / "out"
    add_language(before, "nl", after)
    (old, tokenizer, _), (new, grown, task) = read_encoder(before), read_encoder(after)
    assert task["languages"] == ["en", "xx", "nl"] and task["encoder"]["n_languages"] == 3
    assert grown.sha256 == tokenizer.sha256  # it has no <2xx> tokens, so it needs none
    batch = pack([[0, 7, 9, 11, 2], [0, 30, 2]])
    for language in (1, 2):
        batch.languages = torch.full_like(batch.tokens, language)
        with torch.inference_mode():
            assert torch.equal(old(batch), new(batch))
            assert torch.equal(old.lm_logits(old(batch)), new.lm_logits(new(batch)))
    rows = new.embed_languages.weight
    torch.testing.assert_close(rows[3], (rows[1] + rows[2]) / 2)
    assert (rows[0] == 0).all()


def test_an_encoder_with_tokens_gets_one_and_its_scores_of_old_symbols_stay(tmp_path):
    state = translation_state("all")
    for name in ("decoder", "target_token", "directions"):
        del state["task_state"][name]
    state["model"] = {k: v for k, v in state["model"].items() if k.startswith("encoder.")}
    before = save(state, tmp_path / "encoder.pt")
    (old, tokenizer, _) = read_encoder(before)
    (new, grown, _) = read_encoder(add_language(before, "nl", tmp_path / "out.pt"))
    assert len(grown) == len(tokenizer) + 1
    batch = pack([[0, 7, 9, 11, 2], [0, 30, 2]])
    with torch.inference_mode():
        assert torch.equal(old(batch), new(batch))
        scores = new.lm_logits(new(batch))[:, : len(tokenizer)]
        torch.testing.assert_close(scores, old.lm_logits(old(batch)), rtol=1e-6, atol=1e-6)


def test_a_token_that_the_vocabulary_had_but_no_training_used_begins_as_the_mean(tmp_path):
    state = translation_state("none")
    state["task_state"] |= {"languages": ["en"], "directions": []}
    made = read_checkpoint(add_language(save(state, tmp_path / "mnmt.pt"), "xx", tmp_path / "out.pt"))
    rows, old = (s["model"]["decoder.embed_tokens.weight"] for s in (made, state))
    tokenizer = Tokenizer.from_state(made["task_state"]["tokenizer"])
    en, xx = tokenizer.language_id("en"), tokenizer.language_id("xx")
    assert len(rows) == len(old) and torch.equal(rows[xx], old[en])
    others = [i for i in range(len(old)) if i != xx]
    assert torch.equal(rows[others], old[others])


@pytest.mark.parametrize(
    ("language", "change", "message"),
    [
        ("xx", {}, "has 'xx' already. Its languages are en, xx"),
        ("4x", {}, "XX '4x' is not a language code"),
        ("nl", {"target_token": "none"}, "it has no <2xx> tokens: a bilingual model"),
        ("nl", {"encoder": {"vocab_size": 3}}, "its embeddings have 407 rows, but its vocabulary 3 symbols"),
    ],
)
def test_what_cannot_grow_is_refused_and_nothing_is_written(tmp_path, capsys, language, change, message):
    state = translation_state()
    state["task_state"] |= change
    save(state, tmp_path / "mnmt.pt")
    arguments = ["add-language", str(tmp_path / "mnmt.pt"), language, str(tmp_path / "out.pt")]
    assert main([*arguments, "--subword", str(tmp_path / "sub")]) == 1
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mnmt.pt"]


def test_a_folder_that_is_no_subword_folder_is_not_replaced(tmp_path):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a").write_text("a")
    with pytest.raises(UserError, match="exists and is not a subword folder"):
        add_language(save(translation_state(), tmp_path / "m.pt"), "nl", tmp_path / "o.pt", subword=tmp_path / "text")
    assert not (tmp_path / "o.pt").exists()


@pytest.mark.parametrize(
    ("languages", "said"),
    [
        (2, "nl added, with a language embedding; this model has no language tokens"),
        (
            0,
            "nl added to the list of languages; this model has neither language tokens nor language embeddings, so no "
            "weights changed",
        ),
    ],
)
def test_the_command_says_what_changed_in_a_model_without_language_tokens(tmp_path, capsys, languages, said):
    before = save(encoder_state(languages), tmp_path / "encoder.pt")
    assert main(["add-language", str(before), "nl", str(tmp_path / "out.pt")]) == 0
    assert capsys.readouterr().err == f"{tmp_path}/out.pt: {said}\n"
