"""``xalign-evaluate info`` on translation checkpoints, and on what ``xalign-convert`` made."""

import json

from fairseq_xalign.convert.commands.average import average
from fairseq_xalign.evaluate.__main__ import main
from fairseq_xalign.evaluate.commands.info import info
from tests.support.checkpoints import encoder_state, save, translation_model, translation_state


def test_a_translation_checkpoint_tells_directions_token_and_parameters(tmp_path, capsys):
    state = translation_state()
    save(state, tmp_path / "mnmt.pt")
    assert main(["info", str(tmp_path / "mnmt.pt"), "--json"]) == 0
    found, model = json.loads(capsys.readouterr().out), translation_model(state)
    sizes = found["parameters of"]
    assert sizes["encoder"] == sum(p.numel() for p in model.encoder.parameters())
    assert sizes["encoder"] + sizes["decoder"] == sum(p.numel() for p in model.parameters())
    assert found["directions"] == ["en-xx", "xx-en"] and found["target token"] == "source: <2xx> x </s>"
    assert found["decoder"]["tying"] == "all" and found["input"] == "x </s>"
    assert main(["info", str(tmp_path / "mnmt.pt")]) == 0
    assert "directions: en-xx, xx-en\n" in capsys.readouterr().out


def test_what_a_converted_checkpoint_was_made_of_is_said(tmp_path):
    files = [save(encoder_state(), tmp_path / f"{n}.pt", n) for n in (1, 2)]
    assert info(average(files, tmp_path / "out.pt"))["made by"] == f"xalign-convert average of {files[0]}, {files[1]}"
    assert not {"made by", "decoder", "directions"} & info(files[0]).keys()


def test_how_long_and_how_fast_a_checkpoint_was_trained_is_said(tmp_path):
    state = encoder_state()
    state["cfg"] = {
        "task": {"data": "DATA"},
        "optimization": {"lr": [0.0005], "max_update": 100, "max_epoch": 0, "update_freq": [2], "clip_norm": 0.0},
        "optimizer": {"_name": "adamw", "adam_betas": "(0.9, 0.98)", "weight_decay": 0.01},
        "lr_scheduler": {"_name": "polynomial_decay", "warmup_updates": 10, "lr": [0.0005]},
        "dataset": {"batch_size": 32, "max_tokens": None},
    }
    assert info(save(state, tmp_path / "c.pt"))["training"] == {
        "--lr": "0.0005", "--max-update": "100", "--update-freq": "2", "--optimizer": "adamw",
        "--adam-betas": "(0.9, 0.98)", "--weight-decay": "0.01", "--lr-scheduler": "polynomial_decay",
        "--warmup-updates": "10", "--batch-size": "32",
    }  # fmt: skip


def test_a_folder_of_transformers_is_said_to_be_one(tmp_path, capsys):
    (tmp_path / "config.json").write_text("{}", "utf-8")
    assert main(["info", str(tmp_path)]) == 1
    assert "It is one of transformers: convert it with `xalign-convert from-hf`" in capsys.readouterr().err
