"""What came from transformers goes back as it came, bit for bit; after a training, as the same kind of model."""

import json

import pytest
import torch
from safetensors.torch import load_file

from fairseq_xalign.convert.commands.from_hf import from_hf
from fairseq_xalign.convert.commands.to_hf import to_hf
from fairseq_xalign.models.checkpoint import read_checkpoint
from tests.support.small_tokenizers import LINES

transformers = pytest.importorskip("transformers")

from tests.support.foreign_models import real_encoder, write_bert, write_xlmr  # noqa: E402

MODELS = {
    "bert": lambda folder: write_bert(folder),
    "bert with unused rows": lambda folder: write_bert(folder, more=5),
    "bert for mlm": lambda folder: write_bert(folder, transformers.BertForMaskedLM),
    "bert without head": lambda folder: write_bert(folder, transformers.BertModel, words="xlmr"),
    "xlmr": lambda folder: write_xlmr(folder),
    "xlmr without head": lambda folder: write_xlmr(folder, transformers.XLMRobertaModel),
}


def assert_equal_tensors(one, other):
    before, after = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    before = {name: value for name, value in before.items() if not name.endswith("position_ids")}  # 0, 1, 2, ...
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(after[name], value), name


@pytest.mark.parametrize("name", MODELS)
def test_weights_settings_and_tokenizer_come_back_as_they_went(name, tmp_path):
    source = MODELS[name](tmp_path / "source")
    from_hf(source, tmp_path / "ours")
    to_hf(tmp_path / "ours", tmp_path / "back")
    assert_equal_tensors(source, tmp_path / "back")
    assert json.loads((tmp_path / "back" / "config.json").read_text()) == json.loads(
        (source / "config.json").read_text()
    )
    files = [f for f in source.iterdir() if f.name.startswith("tokenizer") or f.suffix == ".txt"]
    assert files
    for file in files:
        assert (tmp_path / "back" / file.name).read_bytes() == file.read_bytes(), file.name


@pytest.mark.parametrize("name", ["bert with unused rows", "xlmr"])
def test_after_a_training_it_is_the_same_kind_of_model_without_a_stale_pooler(name, tmp_path):
    source = MODELS[name](tmp_path / "source")
    from_hf(source, tmp_path / "ours")
    state = read_checkpoint(tmp_path / "ours")
    # What a training leaves: other weights, nothing foreign, and another task_state.
    state["model"] = {k: v + 0.01 for k, v in state["model"].items() if k.startswith("encoder.")}
    del state["task_state"]["converted"]
    (tmp_path / "trained").mkdir()
    torch.save(state, tmp_path / "trained" / "checkpoint_last.pt")
    found = to_hf(tmp_path / "trained", tmp_path / "back")
    assert any("pooler" in note for note in found["notes"])
    assert found["architecture"] == {"b": "BertForMaskedLM", "x": "XLMRobertaForMaskedLM"}[name[0]]
    auto = transformers.AutoTokenizer.from_pretrained(source)
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "back")
    assert all(auto(line)["input_ids"] == again(line)["input_ids"] for line in LINES[:20])


@pytest.mark.parametrize("name", ["minilm", "e5"])
def test_real_weights_come_back_as_they_went(name, tmp_path):
    source = real_encoder(name)
    from_hf(source, tmp_path / "ours")
    found = to_hf(tmp_path / "ours", tmp_path / "back")
    assert_equal_tensors(source, tmp_path / "back")
    assert (tmp_path / "back" / "tokenizer.json").read_bytes() == (source / "tokenizer.json").read_bytes()
    assert found["compared"]["other_ids"] <= 5 and found["compared"]["difference"] < 1e-5
