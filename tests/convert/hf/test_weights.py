"""Files of weights: what is read of them, and the line for each that is damaged or is something else."""

from __future__ import annotations

import json
import re

import pytest
import torch
from safetensors.torch import save_file

from fairseq_xalign.convert.hf.weights import (
    PICKLE,
    PICKLE_INDEX,
    SAFE,
    SAFE_INDEX,
    SafeTensors,
    read_pickle,
    read_pickled,
    weights_in,
)
from fairseq_xalign.errors import UserError

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "b.bias": torch.tensor([1.5, -2.0]).half()}


def said(line: str):
    return pytest.raises(UserError, match=re.escape(line))


def same(found, expected=TENSORS) -> bool:
    return {*found} == {*expected} and len(found) == len(expected) and all(
        torch.equal(found[name], value) and found[name].dtype == value.dtype for name, value in expected.items()
    )  # fmt: skip


def sharded(folder, suffix: str = ".safetensors", **places: str):
    """An index of two files with one tensor each; ``places`` change where it says that they are."""
    one, two = f"one{suffix}", f"two{suffix}"
    for (name, value), file in zip(TENSORS.items(), (one, two)):
        save_file({name: value}, folder / file) if suffix == ".safetensors" else torch.save(
            {name: value}, folder / file
        )
    index = folder / (SAFE_INDEX if suffix == ".safetensors" else PICKLE_INDEX)
    index.write_text(json.dumps({"weight_map": {"a.weight": one, "b.bias": two} | places}))
    return index


def test_safetensors_are_preferred_to_a_pickle(tmp_path):
    save_file(TENSORS, tmp_path / SAFE)
    torch.save({"other": torch.zeros(1)}, tmp_path / PICKLE)
    place, found = weights_in(tmp_path)
    assert place == tmp_path / SAFE and same(found)
    with pytest.raises(KeyError):
        found["c"]


def test_a_pickle_alone_is_read(tmp_path):
    torch.save(TENSORS, tmp_path / PICKLE)
    place, found = weights_in(tmp_path)
    assert place == tmp_path / PICKLE and same(found)


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_shards_are_read_by_their_index_in_any_order(tmp_path, suffix):
    index = sharded(tmp_path, suffix)
    place, found = weights_in(tmp_path)
    assert place == index and same(found)
    assert [float(found[name].sum()) for name in ("b.bias", "a.weight", "b.bias")] == [-0.5, 15.0, -0.5]


def test_an_index_that_promises_a_tensor_its_file_does_not_have_is_named(tmp_path):
    sharded(tmp_path, **{"b.bias": "one.safetensors"})
    _, found = weights_in(tmp_path)
    with said(f"one.safetensors: has no b.bias, although {SAFE_INDEX} says so. Copy the folder again"):
        found["b.bias"]


@pytest.mark.parametrize("elsewhere", ["three.safetensors", "../outside.safetensors"])
def test_an_index_leads_to_no_file_outside_the_folder_or_that_is_missing(tmp_path, elsewhere):
    save_file(TENSORS, tmp_path / "outside.safetensors")
    folder = tmp_path / "model"
    folder.mkdir()
    sharded(folder, **{"b.bias": elsewhere})
    with said(f"{SAFE_INDEX}: names {elsewhere}, which is not there"):
        weights_in(folder)


@pytest.mark.parametrize("content", ["{}", "[]", '{"weight_map": ["one"]}', '{"weight_map": {"a": 1}}'])
def test_an_index_without_places_is_named(tmp_path, content):
    (tmp_path / SAFE_INDEX).write_text(content)
    with said(f"{SAFE_INDEX}: has no weight_map, which says where each tensor is"):
        weights_in(tmp_path)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        (None, "no weights in this folder. It must have model.safetensors or pytorch_model.bin"),
        (
            "flax_model.msgpack",
            "its weights are those of Flax. It must have model.safetensors or pytorch_model.bin: open",
        ),
        ("model.onnx", "its weights are those of ONNX"),
    ],
)
def test_folders_without_weights_of_pytorch_say_what_they_have(tmp_path, file, line):
    if file:
        (tmp_path / file).write_bytes(b"x")
    with said(f"{tmp_path}: {line}"):
        weights_in(tmp_path)


def test_damaged_files_are_named(tmp_path):
    save_file(TENSORS, tmp_path / SAFE)
    (tmp_path / SAFE).write_bytes((tmp_path / SAFE).read_bytes()[:-4])
    with said(f"{SAFE}: cannot be read as safetensors"):
        SafeTensors(tmp_path / SAFE)
    torch.save(TENSORS, tmp_path / PICKLE)
    (tmp_path / PICKLE).write_bytes((tmp_path / PICKLE).read_bytes()[:-100])
    with said(f"{PICKLE}: cannot be read as a pickle of PyTorch"):
        read_pickle(tmp_path / PICKLE)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ({"a": torch.zeros(1), "epoch": 3}, "is no list of tensors: it has 'epoch'"),
        ({}, "is no list of tensors: it has 'nothing'"),
        ([torch.zeros(1)], "holds a list, not tensors by name"),
    ],
)
def test_a_pickle_of_something_else_is_no_list_of_weights(tmp_path, value, line):
    torch.save(value, tmp_path / PICKLE)
    with said(f"{PICKLE}: {line}"):
        read_pickle(tmp_path / PICKLE)


def test_plain_values_beside_tensors_are_read_where_they_are_wanted(tmp_path):
    torch.save({"model": TENSORS, "epoch": 3}, tmp_path / PICKLE)
    found = read_pickled(tmp_path / PICKLE)
    assert found["epoch"] == 3 and same(found["model"])
