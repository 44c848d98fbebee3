"""Folders of transformers in all the forms in which they are found, and those that are refused."""

from __future__ import annotations

import json
import os
import pickle
import sys

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from fairseq_xalign.convert.hf.read import open_folder
from fairseq_xalign.convert.hf.vocabulary import tokenizer_files
from fairseq_xalign.errors import UserError
from tests.support.foreign_models import change_config, write_bert, write_xlmr


@pytest.fixture
def folder(tmp_path):
    return write_bert(tmp_path / "bert")


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return open_folder(write_bert(tmp_path_factory.mktemp("model")))["model"]


def same(found, expected):
    return found.keys() == expected.keys() and all(torch.equal(found[k], v) for k, v in expected.items())


def pickled(folder, change=lambda tensors: tensors, **options):
    """Replace the safetensors of a folder by a pickle."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(change(tensors), folder / "pytorch_model.bin", **options)


def test_sharded_safetensors_are_one_model(folder, expected):
    model = transformers.BertForPreTraining.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    assert same(open_folder(folder)["model"], expected)
    next(iter(sorted(folder.glob("model-*.safetensors")))).unlink()
    with pytest.raises(UserError, match=r"index\.json: names model-00001.*not there"):
        open_folder(folder)


@pytest.mark.parametrize("zipped", [True, False], ids=["today's pickle", "PyTorch's before 1.6"])
def test_pickles_of_tensors_are_read(folder, expected, zipped):
    pickled(folder, _use_new_zipfile_serialization=zipped)
    assert same(open_folder(folder)["model"], expected)


def test_names_of_the_first_berts_are_read(folder, expected):
    def first(tensors):
        old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        renamed = {}
        for name, value in tensors.items():
            for new, before in old.items():
                name = name.replace(new, before)
            renamed[name] = value
        extra = {"bert.embeddings.position_ids": torch.arange(64)[None]}
        tied = {"cls.predictions.decoder.weight": tensors["bert.embeddings.word_embeddings.weight"]}
        return renamed | extra | tied

    pickled(folder, first)
    assert same(open_folder(folder)["model"], expected)


def test_half_precision_is_widened(folder):
    tensors = {k: v.half() for k, v in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    model = open_folder(folder)["model"]
    assert {v.dtype for v in model.values()} == {torch.float32}
    name = "bert.encoder.layer.0.intermediate.dense.weight"
    assert torch.equal(model["encoder.layers.0.ffn_in.weight"].half(), tensors[name])


def test_the_files_of_the_tokenizer_are_kept_as_they_were(folder):
    task = open_folder(folder)["task_state"]
    kept = tokenizer_files(task)
    assert {"vocab.txt", "tokenizer_config.json"} <= kept.keys()
    assert all((folder / name).read_bytes() == data for name, data in kept.items())


class Harmful:
    def __reduce__(self):
        return os.mkdir, (str(HARM),)


HARM = ""


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_is_refused_and_nothing_is_run(folder, tmp_path, monkeypatch, zipped):
    monkeypatch.setattr(sys.modules[__name__], "HARM", str(tmp_path / "harm"))
    pickled(folder, lambda tensors: {**tensors, "x": Harmful()}, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=r"pytorch_model\.bin: refused.*Nothing was run"):
        open_folder(folder)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(UserError, match=r"pytorch_model\.bin: "):
        open_folder(folder)
    assert not (tmp_path / "harm").exists()


def without(name):
    return lambda tensors: {k: v for k, v in tensors.items() if k != name}


LAYER = "bert.encoder.layer.1.attention.self.key.weight"
WEIGHTS = {
    "missing": (without(LAYER), "1 tensors are missing: encoder.layer.1.attention.self.key.weight"),
    "part of the head": (without("cls.predictions.transform.dense.bias"), "missing: cls.predictions.transform.dense"),
    "unknown": (lambda t: {**t, "classifier.weight": torch.zeros(3, 32)}, "unknown to our encoder: classifier.weight"),
    "another shape": (
        lambda t: {**t, LAYER: torch.zeros(32, 16)},
        r"key.weight.*have the shapes \(32, 32\) and \(32, 16\)",
    ),
    "fewer rows": (
        lambda t: t | {"bert.embeddings.word_embeddings.weight": t["bert.embeddings.word_embeddings.weight"][:50]},
        "has 50 rows, but vocab_size in config.json is",
    ),
    "quantised": (
        lambda t: {**t, LAYER: torch.ones(32, 32, dtype=torch.int8)},
        f"{LAYER} is stored as int8: quantised",
    ),
    "eight bits": (lambda t: {**t, LAYER: t[LAYER].to(torch.float8_e4m3fn)}, f"{LAYER} is stored as float8_e4m3fn"),
    "not a number": (lambda t: {**t, LAYER: t[LAYER] * float("nan")}, f"bin: {LAYER} has values that are not finite"),
    "overflow": (lambda t: {**t, LAYER: (t[LAYER] * 1e9).half()}, f"{LAYER} has values that are not finite"),
    "an output of its own": (
        lambda t: {**t, "cls.predictions.decoder.weight": t["bert.embeddings.word_embeddings.weight"] + 1},
        "decoder.weight is not the embedding table",
    ),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_weights_that_do_not_fit_are_listed(folder, case):
    change, message = WEIGHTS[case]
    pickled(folder, change)
    with pytest.raises(UserError, match=message):
        open_folder(folder)


def test_with_allow_mismatch_what_is_missing_begins_anew_and_what_is_unknown_is_left_out(folder):
    pickled(folder, lambda t: {**without(LAYER)(t), "classifier.weight": torch.zeros(3, 32)})
    state = open_folder(folder, allow_mismatch=True)
    foreign = state["task_state"]["foreign"]
    assert foreign["fresh"] == ["layers.1.qkv.weight"]
    assert foreign["left_out"] == ["classifier.weight"]
    assert 0.01 < state["model"]["encoder.layers.1.qkv.weight"].std() < 0.03
    assert "foreign.pooler.dense.weight" in state["model"]


SETTINGS = {
    "architecture": (
        {"model_type": "deberta-v2", "architectures": ["DebertaV2Model"]},
        r"'deberta-v2' \(Deberta.*bert",
    ),
    "none": ({"model_type": None}, "names no model_type"),
    "positions": ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
    "activation": ({"hidden_act": "gelu_new"}, "hidden_act is 'gelu_new'"),
    "decoder": ({"is_decoder": True}, "is_decoder is True"),
    "vocabulary": ({"vocab_size": 7}, "vocab_size in config.json is 7"),
    "width": ({"intermediate_size": 64}, r"ffn_in.weight has shape \(48, 32\), but config.json says \(64, 32\)"),
    "heads": ({"num_attention_heads": 5}, "config.json: hidden_size is 32, not a multiple of num_attention_heads 5"),
    "a width in quotes": ({"hidden_size": "32"}, "config.json: hidden_size is '32'. Choose 1 or more"),
    "a broken number of layers": ({"num_hidden_layers": 2.0}, r"config.json: num_hidden_layers is 2\.0"),
    "true heads": ({"num_attention_heads": True}, "config.json: num_attention_heads is True"),
    "a list": ({"intermediate_size": [48]}, r"config.json: intermediate_size is \[48\]"),
    "an epsilon in quotes": ({"layer_norm_eps": "1e-12"}, "config.json: layer_norm_eps is '1e-12'"),
    "positions in quotes": ({"max_position_embeddings": "64"}, "config.json: max_position_embeddings is '64'"),
    "negative layers": ({"num_hidden_layers": -1}, "config.json: num_hidden_layers is -1. Choose 0 or more"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_settings_that_our_encoder_cannot_follow_are_named(folder, case):
    changes, message = SETTINGS[case]
    change_config(folder, **changes)
    with pytest.raises(UserError, match=message):
        open_folder(folder)


def test_a_tokenizer_of_another_model_is_refused(folder):
    with open(folder / "vocab.txt", "a", encoding="utf-8") as file:
        file.write("onemore\nandmore\n")
    with pytest.raises(UserError, match=r"rows, but the tokenizer has the id \d+"):
        open_folder(folder)
    (folder / "vocab.txt").unlink()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink(missing_ok=True)
    with pytest.raises(UserError, match="no tokenizer in this folder"):
        open_folder(folder)


def test_tokenizers_that_cut_words_by_rules_of_their_own_are_refused(folder):
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertJapaneseTokenizer"}))
    with pytest.raises(UserError, match="BertJapaneseTokenizer is not supported"):
        open_folder(folder)


def test_damaged_and_missing_files_are_named(folder, tmp_path):
    (folder / "model.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(UserError, match=r"model\.safetensors: cannot be read as safetensors"):
        open_folder(folder)
    (folder / "model.safetensors").rename(folder / "tf_model.h5")
    with pytest.raises(UserError, match=r"weights are those of TensorFlow"):
        open_folder(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json:1: not valid JSON"):
        open_folder(folder)
    with pytest.raises(UserError, match="it has no config.json"):
        open_folder(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        open_folder(tmp_path / "nowhere")


def test_a_hub_name_without_the_network_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="no-such/model-here: no such folder, and the Hugging Face hub cannot be asked"):
        open_folder("no-such/model-here")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"not installed.*fairseq_xalign\[hf\]"):
        open_folder("no-such/model-here")


def test_positions_of_roberta_begin_behind_the_padding_symbol(tmp_path):
    folder = write_xlmr(tmp_path / "xlmr")
    state = open_folder(folder)
    assert state["task_state"]["encoder"]["max_positions"] == 64
    change_config(folder, pad_token_id=3)
    with pytest.raises(UserError, match="pad_token_id is 3"):
        open_folder(folder)
