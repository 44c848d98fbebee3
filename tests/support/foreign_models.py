"""Small random models of `transformers` in folders, as it writes them, and how their batches and ours correspond."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from fairseq_xalign.constants import BOS, EOS, FIRST_PIECE
from fairseq_xalign.convert.hf.layouts import LAYOUTS, Layout
from fairseq_xalign.convert.hf.read import open_folder, rows_of
from fairseq_xalign.models.checkpoint import with_prefix
from fairseq_xalign.models.config import EncoderConfig
from fairseq_xalign.models.encoder import Encoder
from fairseq_xalign.objectives.batch import PackedBatch, pack
from fairseq_xalign.tokenizer.tokenizer import Tokenizer
from tests.support.small_tokenizers import make_wordpiece, make_xlmr

SHAPE = {
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
TOLERANCE = 1e-5
"""How far hidden states, logits, losses and gradients may differ, in float32."""


def real_encoder(name: str) -> Path:
    """A folder of real weights; skips the test where there is none."""
    root = os.environ.get("XALIGN_REAL_ENCODERS", "")
    if not root or not (Path(root) / name).is_dir():
        pytest.skip(f"needs the folder {name} below XALIGN_REAL_ENCODERS")
    return Path(root) / name


def randomized(model: torch.nn.Module, seed: int = 1) -> torch.nn.Module:
    """The model with no weight left at 0 or 1, so that none can be mistaken for another."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.normal_(1.0 if name.endswith("LayerNorm.weight") else 0.0, 0.1, generator=draw)
    return model.eval()


def rows_of_tokenizer(folder: Path) -> int:
    """One more than the largest id of a folder's tokenizer."""
    tokenizer = Tokenizer.adopted(folder)
    return max(i for i in tokenizer.to_foreign(range(len(tokenizer))) if i is not None) + 1


def write_bert(
    folder: Path, cls: Any = transformers.BertForPreTraining, words: str = "wordpiece", more: int = 0
) -> Path:
    """A folder with BERT's layout; ``more`` rows of the embedding belong to no token."""
    folder.mkdir(parents=True, exist_ok=True)
    if words == "wordpiece":
        make_wordpiece(folder)
        (folder / "tokenizer_config.json").write_text('{"do_lower_case": true, "tokenizer_class": "BertTokenizer"}')
    else:
        make_xlmr(folder)
        (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "XLMRobertaTokenizer"}')
    config = transformers.BertConfig(
        vocab_size=rows_of_tokenizer(folder) + more, max_position_embeddings=64, attn_implementation="eager", **SHAPE
    )
    randomized(cls(config)).save_pretrained(folder)
    return folder


def write_xlmr(folder: Path, cls: Any = transformers.XLMRobertaForMaskedLM, **changes: Any) -> Path:
    """A folder with XLM-R's layout."""
    folder.mkdir(parents=True, exist_ok=True)
    make_xlmr(folder)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    config = transformers.XLMRobertaConfig(
        **{
            "vocab_size": rows_of_tokenizer(folder),
            "max_position_embeddings": 66,
            "type_vocab_size": 1,
            "layer_norm_eps": 1e-5,
            "attn_implementation": "eager",
            **SHAPE,
            **changes,
        }
    )
    randomized(cls(config)).save_pretrained(folder)
    return folder


def change_config(folder: Path, **changes: Any) -> None:
    """Change settings in ``config.json``."""
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


class Opened:
    """A folder as :func:`open_folder` reads it: the encoder in evaluation mode and what maps it to theirs."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.state = open_folder(folder, **options)
        self.task = self.state["task_state"]
        self.layout: Layout = LAYOUTS[self.task["foreign"]["layout"]]
        self.config = EncoderConfig.from_dict(self.task["encoder"])
        self.encoder = Encoder(self.config)
        self.encoder.load_state_dict(with_prefix(self.state["model"], "encoder."))
        self.encoder.eval()
        self.kept = with_prefix(self.state["model"], "foreign.")
        self.tokenizer = Tokenizer.from_state(self.task["tokenizer"])
        self.rows = rows_of(self.task)

    def theirs(self, prefixed: bool = True) -> dict[str, torch.Tensor]:
        """Their weights, made of ours: without those that the folder did not have."""
        fresh = self.task["foreign"]["fresh"]
        ours = {name: value for name, value in self.encoder.state_dict().items() if name not in fresh}
        return self.layout.theirs(ours, self.kept, self.config, self.rows, prefixed)

    def gradients(self) -> dict[str, torch.Tensor]:
        """The gradients of our weights under their names."""
        found = {n: p.grad for n, p in self.encoder.named_parameters() if p.grad is not None}
        kept = {name: torch.zeros_like(value) for name, value in self.kept.items()}
        return self.layout.theirs(found, kept, self.config, self.rows)

    def sequences(self, seed: int = 1) -> list[list[int]]:
        """Ids of sequences of several lengths, each between ``<s>`` and ``</s>``."""
        draw = torch.Generator().manual_seed(seed)
        high = self.tokenizer.natural_ids.stop
        return [
            [BOS, *torch.randint(FIRST_PIECE, high, (length,), generator=draw).tolist(), EOS]
            for length in (9, 3, 17, 1)
        ]


def batches(opened: Opened, sequences: Sequence[list[int]], two: bool) -> tuple[PackedBatch, dict[str, torch.Tensor]]:
    """The same sequences as a packed batch and as a padded one; with ``two``, the second half of each is segment 1."""
    ours = pack(list(sequences))
    pad = opened.task["foreign"]["config"]["pad_token_id"]
    longest = max(map(len, sequences))
    ids = torch.full((len(sequences), longest), pad)
    mask, types = torch.zeros_like(ids), torch.zeros_like(ids)
    segments = []
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor([opened.rows[i] for i in sequence])
        mask[row, : len(sequence)] = 1
        types[row, : len(sequence)] = (torch.arange(len(sequence)) >= len(sequence) // 2).long() * two
        segments.append(types[row, : len(sequence)])
    ours.segments = torch.cat(segments) if two else None
    return ours, {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
