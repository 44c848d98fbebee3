"""Small translation models and batches for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from fairseq_xalign.constants import BOS, EOS, PAD, UNK
from fairseq_xalign.models.config import DecoderConfig, EncoderConfig
from fairseq_xalign.models.presets import BARE_HEAD
from fairseq_xalign.models.translation import TranslationModel
from fairseq_xalign.objectives.batch import pack
from fairseq_xalign.objectives.translation import TranslationBatch

V = 40
SOURCES = (3, 1, 7, 2, 9, 9, 4, 12)
TARGETS = (2, 4, 1, 2, 8, 1, 12, 5)


def small_configs(tying: str = "all", **changes: Any) -> tuple[EncoderConfig, DecoderConfig]:
    """Two layers of width 16, without dropout, and with weights large enough that positions and words matter."""
    shape = {"vocab_size": V, "layers": 2, "heads": 4, "width": 16, "ffn_width": 24, "max_positions": 20}
    values = {
        "dropout": 0.0,
        "attention_dropout": 0.0,
        "embedding_std": 0.3,
        "initializer_std": 0.3,
        **shape,
        **changes,
    }
    return EncoderConfig(**values, **BARE_HEAD), DecoderConfig(**values, tying=tying)


def small_model(tying: str = "all", attention: str = "auto", seed: int = 0, **changes: Any) -> TranslationModel:
    """A model of ``small_configs`` in float64."""
    torch.manual_seed(seed)
    return TranslationModel(*small_configs(tying, **changes), attention).double()


def sharp_model(seed: int = 0, **changes) -> TranslationModel:
    """A model whose outputs depend on what was written, so that searches differ, and end at different lengths."""
    model = small_model("none", seed=seed, positions="rotary", normalize_before=True, **changes).eval()
    with torch.no_grad():
        model.decoder.output.weight.mul_(2)
        model.decoder.output.weight[EOS] = 2 * torch.randn(16)
    return model


@torch.no_grad()
def never_pad(model: TranslationModel, end: float = 0.0) -> TranslationModel:
    """Make ``<pad>`` impossible, as training nearly does, and ``</s>`` more likely by ``end`` nats; return the model.

    Dimension 0 of the last features is made 1 everywhere, and that of the output layer 0 but for those two symbols.
    """
    decoder = model.decoder
    last = decoder.layers[-1].ffn_norm if decoder.final_norm is None else decoder.final_norm
    last.weight[0], last.bias[0] = 0.0, 1.0
    rows = decoder.embedding.weight if decoder.output is None else decoder.output.weight
    rows[:, 0] = 0.0
    rows[PAD, 0], rows[EOS, 0] = -100.0, end
    return model


def translation_batch(
    sources: Sequence[int] = SOURCES, targets: Sequence[int] = TARGETS, apart: bool = False, seed: int = 0
) -> TranslationBatch:
    """Random sentences with these numbers of words, all tagged with one of two tags."""
    draw = torch.Generator().manual_seed(seed)
    rows = [torch.randint(7, V, (n,), generator=draw).tolist() for n in sources]
    outs = [torch.randint(7, V, (n,), generator=draw).tolist() for n in targets]
    tags = torch.randint(5, 7, (len(rows),), generator=draw).tolist()
    source = pack([[*row, EOS] if apart else [tag, *row, EOS] for tag, row in zip(tags, rows)])
    target = pack([[EOS, *row] for row in outs])
    target.targets = torch.tensor([i for row in outs for i in (*row, EOS)])
    direction = torch.tensor(tags) - 5
    return TranslationBatch(source, target, pack([[tag] for tag in tags]) if apart else None, direction)


class FairseqDictionary:
    """What fairseq's generator and searches ask of a dictionary of ``size`` symbols."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def bos(self) -> int:
        return BOS

    def pad(self) -> int:
        return PAD

    def eos(self) -> int:
        return EOS

    def unk(self) -> int:
        return UNK
