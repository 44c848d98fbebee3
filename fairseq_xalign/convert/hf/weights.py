"""The weights of a folder, each tensor read when it is asked for: safetensors, or pickles without the code in them."""

from __future__ import annotations

import argparse
import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fairseq_xalign.errors import UserError
from fairseq_xalign.files import read_json

SAFE, SAFE_INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLE, PICKLE_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
WEIGHTS = (SAFE, SAFE_INDEX, PICKLE, PICKLE_INDEX)
"""Where `transformers` puts weights, in the order in which they are preferred."""
FOREIGN_FORMATS = {"tf_model.h5": "TensorFlow", "flax_model.msgpack": "Flax", "model.onnx": "ONNX"}
FORBIDDEN = re.compile("unsupported|WeightsUnpickler|blocked|GLOBAL", re.I)
"""What torch says of a pickle with anything but tensors and plain values."""
AGAIN = "Copy the folder again from where it came"


def weights_in(folder: Path) -> tuple[Path, Mapping[str, Tensor]]:
    """The file that says where the weights of a folder are, and the weights by name.

    Raises:
        UserError: no weights, weights of another library, a file that is missing or damaged or is no pickle of
            tensors alone.
    """
    place = next((folder / name for name in WEIGHTS if (folder / name).exists()), None)
    if place is None:
        other = next((name for name in FOREIGN_FORMATS if (folder / name).exists()), None)
        raise UserError(
            f"its weights are those of {FOREIGN_FORMATS[other]}" if other else "no weights in this folder",
            folder,
            remedy=f"It must have {SAFE} or {PICKLE}"
            + (": open it with transformers and from_tf=True or from_flax=True, and save it again" if other else ""),
        )
    if place.name in (SAFE, PICKLE):
        return place, SafeTensors(place) if place.name == SAFE else read_pickle(place)
    return place, Shards(place)


class SafeTensors(Mapping[str, Tensor]):
    """The tensors of a ``.safetensors`` file, each mapped for itself, so that its memory is free when it is."""

    def __init__(self, path: Path) -> None:
        from safetensors import SafetensorError, safe_open

        self._path, self._open = str(path), safe_open
        try:
            with self._open(self._path, framework="pt") as file:
                self._names = list(file.keys())
        except (SafetensorError, OSError) as error:
            raise UserError(f"cannot be read as safetensors: {error}", path, remedy=AGAIN) from error

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        with self._open(self._path, framework="pt") as file:
            return file.get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Shards(Mapping[str, Tensor]):
    """The tensors of several files that an index lists; one file is open at a time."""

    def __init__(self, index: Path) -> None:
        found = read_json(index)
        places = found.get("weight_map") if isinstance(found, dict) else None
        if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
            raise UserError("has no weight_map, which says where each tensor is", index, remedy=AGAIN)
        for name in sorted(set(places.values())):
            if Path(name).name != name or not (index.parent / name).exists():
                raise UserError(f"names {name}, which is not there", index, remedy=AGAIN)
        self._index, self._places = index, places
        self._open: tuple[str, Mapping[str, Tensor]] = ("", {})

    def __getitem__(self, name: str) -> Tensor:
        shard = self._places[name]
        if self._open[0] != shard:
            path = self._index.parent / shard
            self._open = ("", {})
            self._open = shard, SafeTensors(path) if path.suffix == ".safetensors" else read_pickle(path)
        if name not in self._open[1]:
            raise UserError(
                f"has no {name}, although {self._index.name} says so", self._index.parent / shard, remedy=AGAIN
            )
        return self._open[1][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def read_pickle(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a pickled ``state_dict``; nothing that the pickle contains is run.

    Raises:
        UserError: the file is damaged, or holds anything but tensors.
    """
    state = read_pickled(path)
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    if len(tensors) < len(state) or not tensors:
        other = next((name for name, value in state.items() if not isinstance(value, Tensor)), "nothing")
        raise UserError(f"is no list of tensors: it has {other!r}", path, remedy=AGAIN)
    return tensors


def read_pickled(path: Path) -> dict[str, Any]:
    """A pickled dictionary of tensors and plain values; nothing that the pickle contains is run.

    Tensors stay on the disk until they are used, where the file's format allows it.
    """
    torch.serialization.add_safe_globals([argparse.Namespace])  # plain options, as fairseq keeps them
    try:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError:  # PyTorch's format before 1.6 cannot be mapped
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if FORBIDDEN.search(str(error)):
            raise UserError(
                "refused: the pickle contains more than tensors and plain values, which could be code. Nothing was run",
                path,
                remedy="Use weights in safetensors, or convert the file where you trust it",
            ) from error
        raise UserError("cannot be read as a pickle of PyTorch", path, remedy=AGAIN) from error
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", path, remedy="Check its permissions") from error
    except Exception as error:
        raise UserError("cannot be read as a pickle of PyTorch", path, remedy=AGAIN) from error
    if not isinstance(state, dict):
        raise UserError(f"holds a {type(state).__name__}, not tensors by name", path, remedy=AGAIN)
    return state
