"""The encoder of a translation checkpoint becomes an encoder checkpoint with the same weights."""

from dataclasses import asdict

import pytest
import torch

from fairseq_xalign.convert.__main__ import main
from fairseq_xalign.convert.commands.from_mnmt import from_mnmt
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.archs import fitting_arch
from fairseq_xalign.models.checkpoint import read_checkpoint, read_encoder
from fairseq_xalign.models.presets import preset, translation_preset
from fairseq_xalign.objectives.batch import pack
from fairseq_xalign.tokenizer.framing import frame_of
from tests.support.checkpoints import encoder_state, save, translation_model, translation_state


def test_the_encoder_keeps_its_weights_and_says_what_it_reads(tmp_path):
    state = translation_state()
    out = from_mnmt(save(state, tmp_path / "mnmt.pt"), tmp_path / "out")
    assert out == tmp_path / "out" / "checkpoint_last.pt"
    made = read_checkpoint(tmp_path / "out")
    assert made["model"].keys() == {name for name in state["model"] if name.startswith("encoder.")}
    assert all(torch.equal(value, state["model"][name]) for name, value in made["model"].items())
    task = made["task_state"]
    assert task["input"] == "eos" and frame_of(task).shown == "x </s>"
    assert not {"decoder", "target_token", "directions"} & task.keys()
    assert (task["languages"], task["encoder"]) == (["en", "xx"], state["task_state"]["encoder"])
    assert task["converted"] == {"command": "from-mnmt", "of": [str(tmp_path / "mnmt.pt")]}
    assert "last_optimizer_state" not in made and not {"best", "val_loss"} & made["extra_state"].keys()
    encoder, tokenizer, _ = read_encoder(out)
    assert torch.equal(encoder.embed_tokens.weight, state["model"]["encoder.embed_tokens.weight"])
    assert tokenizer.language_tokens == ["<2en>", "<2xx>"]


def test_an_encoder_that_was_trained_on_masked_text_too_keeps_its_input(tmp_path):
    state = translation_state()
    state["task_state"]["input"] = "s"
    made = from_mnmt(save(state, tmp_path / "mnmt.pt"), tmp_path / "out.pt")
    assert frame_of(read_checkpoint(made)["task_state"]).shown == "<s> x </s>"


def test_the_encoder_alone_answers_as_it_does_within_the_model(tmp_path):
    state = translation_state()
    encoder, _, _ = read_encoder(from_mnmt(save(state, tmp_path / "mnmt.pt"), tmp_path / "out.pt"))
    model, batch = translation_model(state), pack([[7, 9, 11, 2], [30, 2]])
    with torch.inference_mode():
        assert torch.equal(encoder(batch), model.encode(batch).features)


def test_an_encoder_checkpoint_is_refused_and_nothing_is_written(tmp_path, capsys):
    save(encoder_state(), tmp_path / "encoder.pt")
    assert main(["from-mnmt", str(tmp_path / "encoder.pt"), str(tmp_path / "out.pt")]) == 1
    error = capsys.readouterr().err
    assert "encoder.pt: not a translation checkpoint: it has no decoder" in error and error.count("\n") == 1
    assert not (tmp_path / "out.pt").exists()


def test_a_folder_with_a_checkpoint_is_not_overwritten_but_a_file_is(tmp_path):
    made = save(translation_state(), tmp_path / "run" / "checkpoint_best.pt")
    with pytest.raises(UserError, match="checkpoint_best.pt: there is a checkpoint already"):
        from_mnmt(made, tmp_path / "run")
    file = save(encoder_state(), tmp_path / "old.pt")
    assert from_mnmt(made, file) == file and read_checkpoint(file)["task_state"]["input"] == "eos"


def test_a_damaged_checkpoint_is_named(tmp_path):
    state = translation_state()
    state["task_state"]["encoder"]["vocab_size"] += 1
    with pytest.raises(UserError, match=r"damaged.pt: its embeddings have 407 rows, but its vocabulary 408 symbols"):
        from_mnmt(save(state, tmp_path / "damaged.pt"), tmp_path / "out.pt")


def test_the_command_says_how_to_fine_tune(tmp_path, capsys):
    save(translation_state(), tmp_path / "mnmt.pt")
    assert main(["from-mnmt", str(tmp_path / "mnmt.pt"), str(tmp_path / "out.pt")]) == 0
    said = capsys.readouterr().err
    assert f"--finetune-from-model {tmp_path}/out.pt" in said and "--arch mmte_tiny_encoder" in said
    assert {"--encoder-embed-dim 16", "--encoder-ffn-embed-dim 32", "--encoder-attention-heads 2"} <= {
        f"{a} {b}" for a, b in zip(said.split(), said.split()[1:])
    }


@pytest.mark.parametrize(
    ("config", "found"),
    [
        (preset("xalign_small", 100, dropout=0.3), ("xalign_small", [])),
        (translation_preset("mmte_base", 100)[0], ("mmte_base_encoder", [])),
        (
            preset("mmte_big_encoder", 9, layers=3, heads=8),
            ("mmte_big_encoder", ["--encoder-layers 3", "--encoder-attention-heads 8"]),
        ),
        (preset("xalign_small", 100, layernorm_eps=1e-3), (None, [])),
    ],
)
def test_the_architecture_and_options_of_a_shape_are_found(config, found):
    arch, options = fitting_arch(asdict(config))
    assert (arch, sorted(options)) == (found[0], sorted(found[1]))
