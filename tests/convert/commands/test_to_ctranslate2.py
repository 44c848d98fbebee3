"""``xalign-convert to-ctranslate2``: a folder that translates as the checkpoint does, or nothing."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from fairseq_xalign.convert import ctranslate2_check
from fairseq_xalign.convert.__main__ import main
from fairseq_xalign.convert.commands.to_ctranslate2 import to_ctranslate2
from fairseq_xalign.errors import UserError
from fairseq_xalign.models.checkpoint import read_translator
from fairseq_xalign.models.generate import translate
from fairseq_xalign.models.presets import translation_preset
from fairseq_xalign.models.translation import TranslationModel
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from tests.support.checkpoints import encoder_state, save, translation_state
from tests.support.small_tokenizers import small
from tests.support.translation import never_pad

DOCS = Path(__file__).parents[3] / "docs" / "translation.md"
LINES = ["the world is new", "a house", "", "no other man said that the water of the river was cold"]


@pytest.fixture
def ctranslate2():
    return pytest.importorskip("ctranslate2", reason="CTranslate2 is not installed")


def save_checkpoint(folder: Path, kind: str = "trained") -> Path:
    """A folder with a model of random weights that are large enough for sentences and words to matter."""
    state, tokenizer = translation_state(), small(kind)
    torch.manual_seed(3)
    changes = {"width": 16, "heads": 2, "ffn_width": 32, "embedding_std": 0.3, "positions": "sinusoidal"}
    encoder, decoder = translation_preset("mmte_tiny", len(tokenizer), **changes)
    state["model"] = never_pad(TranslationModel(encoder, decoder), 3.0).state_dict()
    state["task_state"] |= {
        "encoder": asdict(encoder),
        "decoder": asdict(decoder),
        "tokenizer": tokenizer.state(),
        "languages": ["en", "de"],
        "directions": ["en-de"],
    }
    return save(state, folder / "mnmt" / "checkpoint_best.pt").parent


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    return save_checkpoint(tmp_path)


def test_the_folder_has_all_that_translates_plain_text(ctranslate2, checkpoint, tmp_path, capsys):
    assert main(["to-ctranslate2", str(checkpoint), str(tmp_path / "ct2")]) == 0
    assert re.search(
        r"float32: \d+ of 16 translations are equal.* differs by \d\.\de-0[6-9] at most", capsys.readouterr().err
    )
    files = {
        "model.bin",
        "config.json",
        "shared_vocabulary.json",
        "dict.txt",
        "spm.model",
        "subword.json",
        "settings.json",
    }
    assert {file.name for file in (tmp_path / "ct2").iterdir()} == files
    settings = json.loads((tmp_path / "ct2" / "settings.json").read_text("utf-8"))
    assert settings["directions"] == ["en-de"] and settings["longest"] == {"source": 1024, "target": 1024}
    tokenizer = read_translator(checkpoint)[1]
    assert Tokenizer.load(tmp_path / "ct2").sha256 == tokenizer.sha256
    assert json.loads((tmp_path / "ct2" / "shared_vocabulary.json").read_text("utf-8")) == tokenizer.symbols()


@pytest.mark.parametrize(("number", "kind"), [(0, "trained"), (1, "trained"), (1, "wordpiece"), (1, "roberta")])
def test_the_examples_of_the_documentation_translate_as_the_checkpoint_does(
    ctranslate2, tmp_path, monkeypatch, number, kind, capsys
):
    examples = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    example = [text for text in examples if "ctranslate2.Translator" in text][number]
    checkpoint = save_checkpoint(tmp_path, kind)
    to_ctranslate2(checkpoint, tmp_path / "ct2", sentences=1)
    monkeypatch.chdir(tmp_path)
    model, tokenizer, _ = read_translator(checkpoint)
    expected = [text for text in translate(model, tokenizer, LINES, "en", "de") if text]
    lines = f"lines = {[line for line in LINES if line]!r}\n"
    capsys.readouterr()
    exec(re.sub(r"lines = .*\n", lambda _: lines, example), {})
    assert capsys.readouterr().out.splitlines() == expected and len(set(expected)) > 1


def test_text_of_ones_own_is_what_the_check_translates(ctranslate2, checkpoint, tmp_path):
    (tmp_path / "valid.en").write_text("\n".join(LINES * 2), encoding="utf-8")
    settings = to_ctranslate2(checkpoint, tmp_path / "ct2", text=tmp_path / "valid.en", sentences=5)
    assert settings["check"]["float32"]["sentences"] == 5
    (tmp_path / "empty").write_text("\n \n", encoding="utf-8")
    with pytest.raises(UserError, match="empty: has no sentence"):
        to_ctranslate2(checkpoint, tmp_path / "other", text=tmp_path / "empty")


def test_a_quantized_folder_is_smaller_and_says_how_much_it_differs(ctranslate2, checkpoint, tmp_path):
    to_ctranslate2(checkpoint, tmp_path / "exact")
    settings = to_ctranslate2(checkpoint, tmp_path / "ct2", quantization="int8")
    sizes = [(tmp_path / name / "model.bin").stat().st_size for name in ("exact", "ct2")]
    assert sizes[1] < sizes[0] and settings["quantization"] == "int8"
    assert settings["check"]["float32"]["largest_difference"] < 1e-4 < settings["check"]["int8"]["largest_difference"]


def test_nothing_appears_where_the_models_do_not_agree(ctranslate2, checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ctranslate2_check, "TOLERANCE", 1e-12)
    assert main(["to-ctranslate2", str(checkpoint), str(tmp_path / "ct2")]) == 1
    assert "the converted model does not compute the same" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"mnmt"}


def test_what_exists_is_not_replaced(ctranslate2, checkpoint, tmp_path):
    (tmp_path / "ct2").mkdir()
    to_ctranslate2(checkpoint, tmp_path / "ct2", sentences=1)  # an empty folder is filled
    with pytest.raises(UserError, match="ct2: exists already"):
        to_ctranslate2(checkpoint, tmp_path / "ct2")


def test_checkpoints_that_cannot_leave_are_refused_by_name(ctranslate2, tmp_path):
    apart = translation_state()
    apart["task_state"]["target_token"] = "separate"
    with pytest.raises(UserError, match="--target-token separate cannot leave"):
        to_ctranslate2(save(apart, tmp_path / "apart.pt"), tmp_path / "ct2")
    with pytest.raises(UserError, match="does not translate: it has no decoder"):
        to_ctranslate2(save(encoder_state(), tmp_path / "encoder.pt"), tmp_path / "ct2")
    assert not (tmp_path / "ct2").exists()


def test_without_a_target_token_the_source_is_the_text_alone(ctranslate2, tmp_path):
    state = translation_state()
    state["task_state"] |= {"target_token": "none", "directions": ["en-xx"]}
    settings = to_ctranslate2(save(state, tmp_path / "bilingual.pt"), tmp_path / "ct2", sentences=4)
    assert settings["input"] == "the source is the pieces; CTranslate2 adds </s>"
