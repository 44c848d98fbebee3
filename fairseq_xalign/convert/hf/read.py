"""Open a folder of `transformers` as if it were a checkpoint of ours, without that library.

Weights, settings and tokenizer are read from their files. A folder in which fairseq released XLM-R (``model.pt``,
``dict.txt``, ``sentencepiece.bpe.model``) is opened in the same way, without fairseq.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fairseq_xalign.constants import CHECKPOINT_FORMAT
from fairseq_xalign.convert.hf import fairseq_release
from fairseq_xalign.convert.hf.layouts import Layout, Ours, layout_of
from fairseq_xalign.convert.hf.vocabulary import Rows, Vocabulary, fairseq_vocabulary, vocabulary_in
from fairseq_xalign.convert.hf.weights import weights_in
from fairseq_xalign.errors import UserError, first_of
from fairseq_xalign.files import read_json
from fairseq_xalign.models.config import EncoderConfig
from fairseq_xalign.models.encoder import Encoder
from fairseq_xalign.tokenizer.tokenizer import Tokenizer

CONFIG = "config.json"
FOREIGN = "foreign"
"""The field of ``task_state`` about the folder that a checkpoint comes from, and, with a full stop, the prefix of
weights in ``model`` that our encoder has no place for."""
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
HUB_FILES = ["*.json", "*.txt", "*.model"]
"""What is downloaded besides weights."""
SHOWN = 8
"""How many names of weights a message lists."""


def open_folder(path: str | Path, allow_mismatch: bool = False) -> dict[str, Any]:
    """Read a folder of `transformers`, or of fairseq's XLM-R.

    Args:
        path: the folder, or the name of a model on the Hugging Face hub.
        allow_mismatch: give weights that are missing their initial values, and leave out those that are unknown.

    Returns:
        ``model``: weights by name, ``encoder.*`` and ``foreign.*``, in float32 (or float64, as they stand);
        ``task_state``: what a checkpoint of ours says (``models/checkpoint.py``), and ``foreign``: ``layout`` (its
        name), ``config`` (the contents of ``config.json``), ``rows`` (see :func:`rows_of`), ``fresh`` (names of
        encoder weights that the folder does not have: those of an MLM head, or of whatever was missing), ``left_out``
        (names of weights that are unknown) and ``files`` (see :func:`vocabulary.tokenizer_files`).

    Raises:
        UserError: an architecture or a setting that is not supported, weights that are missing or unknown, a
            tokenizer that does not fit. Nothing is run that a file might contain.
    """
    folder = local_folder(path)
    config, place, weights, vocabulary = _contents(folder)
    layout = layout_of(config, str(folder / CONFIG))
    with _naming(folder / CONFIG if (folder / CONFIG).exists() else place):
        encoder = layout.encoder_config(config, len(vocabulary.tokenizer))
    _check_rows(layout, config, weights, vocabulary, place)
    with _naming(place):
        found = layout.ours(weights, encoder, vocabulary.all_rows)
    head = {name for name in expected_shapes(encoder) if name.startswith("lm_")}
    without_head = head <= set(found.absent)
    missing = [name for name in found.missing if not (without_head and layout.in_head(name))]
    if (missing or found.unexpected) and not allow_mismatch:
        raise _mismatch(missing, found.unexpected, place)
    fresh = complete(found, encoder, place)
    task_state = {
        "format": CHECKPOINT_FORMAT,
        "encoder": asdict(encoder),
        "languages": [],
        "tokenizer": vocabulary.tokenizer.state(),
        "input": "s",
        FOREIGN: {
            "layout": layout.name,
            "config": config,
            "rows": vocabulary.rows,
            "fresh": fresh,
            "left_out": found.unexpected,
            "files": vocabulary.files,
        },
    }
    model = {f"encoder.{k}": v for k, v in found.weights.items()} | {f"{FOREIGN}.{k}": v for k, v in found.kept.items()}
    return {"model": model, "task_state": task_state}


def rows_of(task_state: Mapping[str, Any]) -> Rows:
    """By our id, the row in the tables of the folder that a checkpoint was converted from; None for what is ours."""
    rows = task_state[FOREIGN]["rows"]
    size = task_state["encoder"]["vocab_size"]
    if rows is not None:
        return [*rows, *[None] * (size - len(rows))]
    tokenizer = Tokenizer.from_state(task_state["tokenizer"])
    return tokenizer.to_foreign(range(len(tokenizer)))


def local_folder(path: str | Path) -> Path:
    """The folder itself, or where the hub's model of this name has been downloaded to.

    Raises:
        UserError: no such folder, and no model that can be downloaded.
    """
    folder, name = Path(path), str(path)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise UserError("is a file, not a folder", folder, remedy=f"Name the folder that has {CONFIG} and the weights")
    if not HUB_NAME.fullmatch(name):
        raise UserError(
            "no such folder", folder, remedy="Name a folder, or a model of the hub such as xlm-roberta-base"
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise UserError(
            "no such folder, and models of the Hugging Face hub need huggingface_hub, which is not installed",
            name,
            remedy='Check the name, or pip install "fairseq_xalign[hf]"',
        ) from error
    try:
        found = Path(snapshot_download(name, allow_patterns=[*HUB_FILES, "*.safetensors"]))
        if not list(found.glob("*.safetensors")):
            found = Path(snapshot_download(name, allow_patterns=[*HUB_FILES, "pytorch_model*.bin"]))
    except Exception as error:  # of the network, of the hub, or of the cache: the library has many
        said = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(
            f"no such folder, and the Hugging Face hub cannot be asked for it: {said}",
            name,
            remedy="Check the name and the connection, or download the model elsewhere and name its folder",
        ) from error
    return found


def _contents(folder: Path) -> tuple[dict[str, Any], Path, Mapping[str, Tensor], Vocabulary]:
    """The settings, the file of the weights, the weights, and the vocabulary of a folder."""
    if not (folder / CONFIG).exists():
        if (folder / fairseq_release.MODEL).exists():
            config, weights = fairseq_release.read_release(folder)
            return config, folder / fairseq_release.MODEL, weights, fairseq_vocabulary(folder)
        raise UserError(
            f"not a folder of transformers: it has no {CONFIG}",
            folder,
            remedy=f"Name a folder with {CONFIG}, weights and a tokenizer, or one of fairseq's XLM-R with model.pt",
        )
    config = read_json(folder / CONFIG)
    if not isinstance(config, dict):
        raise UserError("is not a JSON object", folder / CONFIG, remedy="Copy the folder again")
    layout_of(config, str(folder / CONFIG))  # an unsupported architecture is named before anything else is missed
    place, weights = weights_in(folder)
    return config, place, weights, vocabulary_in(folder)


def _check_rows(
    layout: Layout, config: Mapping[str, Any], weights: Mapping[str, Tensor], vocabulary: Vocabulary, place: Path
) -> None:
    """Compare the vocabulary's size in the weights, the settings and the tokenizer."""
    name = layout.outer["embed_tokens.weight"]
    stored = next((key for key in weights if layout.bare(key) == name), None)
    if stored is None:
        return  # reported as missing
    rows, said = len(weights[stored]), config.get("vocab_size")
    if said is not None and said != rows:
        raise UserError(
            f"{stored} has {rows} rows, but vocab_size in {CONFIG} is {said}",
            place,
            remedy="The files are not of one model: copy the folder again",
        )
    largest = max(row for row in vocabulary.all_rows if row is not None)
    if largest >= rows:
        raise UserError(
            f"{stored} has {rows} rows, but the tokenizer has the id {largest}",
            place,
            remedy="The tokenizer is not that of the weights: copy the folder again, or give the embedding more rows",
        )


@contextlib.contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Let errors that name no file name this one."""
    try:
        yield
    except UserError as error:
        raise UserError(error.what, error.where or file, error.line, error.remedy) from error


def _mismatch(missing: Sequence[str], unexpected: Sequence[str], place: Path) -> UserError:
    """The error that lists weights of either kind."""
    said = []
    for names, what in ((missing, "missing"), (unexpected, "unknown to our encoder")):
        if names:
            said.append(f"{len(names)} tensors are {what}: {first_of(names, SHOWN)}")
    return UserError(
        "; ".join(said),
        place,
        remedy="With --allow-mismatch, what is missing gets initial values, and what is unknown is left out",
    )


def expected_shapes(encoder: EncoderConfig) -> dict[str, torch.Size]:
    """The shape of each weight of our encoder, without making it."""
    with torch.device("meta"):
        return {name: value.shape for name, value in Encoder(encoder).state_dict().items()}


def complete(found: Ours, encoder: EncoderConfig, place: Path) -> list[str]:
    """Give weights that are not there initial values, and return their names.

    Raises:
        UserError: a weight of another shape than the settings say.
    """
    draw, fresh = torch.Generator().manual_seed(1), []
    for name, shape in expected_shapes(encoder).items():
        value = found.weights.get(name)
        if value is None:
            fresh.append(name)
            value = found.weights[name] = torch.zeros(shape)
            if name.endswith("norm.weight"):
                value.fill_(1.0)
            elif name.endswith(".weight"):
                value.normal_(std=encoder.initializer_std, generator=draw)
        if value.shape != shape:
            raise UserError(
                f"{name} has shape {tuple(value.shape)}, but {CONFIG} says {tuple(shape)}",
                place,
                remedy="The weights are not those of these settings: copy the folder again",
            )
    return fresh
