"""Our translation models as fairseq's ``SequenceGenerator`` and ``SequenceScorer`` want to see them.

Everything they offer goes through two calls, encoding padded sources and reading one more token per hypothesis, so beam
search, sampling, diverse beams, constraints, prefixes, length penalties and ensembles are fairseq's own code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from fairseq.models import FairseqIncrementalDecoder
from torch import Tensor, nn

from fairseq_xalign.constants import PAD
from fairseq_xalign.models.compiled import OFF
from fairseq_xalign.models.translation import TranslationModel
from fairseq_xalign.objectives.batch import pad, unpad
from fairseq_xalign.objectives.translation import TranslationBatch


def for_generation(
    models: Sequence[TranslationModel], alignment: bool = False, retain_dropout: bool = False
) -> list[GenerationModel]:
    """What to give to fairseq's generator instead of ``models``.

    Args:
        alignment: whether to return the attention to source tokens (``--print-alignment``), which costs time.
        retain_dropout: whether to keep the dropout of training (``--retain-dropout``).
    """
    return [GenerationModel(model, alignment, retain_dropout) for model in models]


def net_input(batch: TranslationBatch) -> dict[str, Tensor]:
    """A batch as the ``net_input`` of fairseq's generator and scorer: padded on the right.

    Returns: ``src_tokens`` [B, S], ``src_lengths`` [B], ``prev_output_tokens`` [B, S'] and, with tags apart from the
    source, ``tags`` [B].
    """
    source, target = batch.source, batch.target
    values = {
        "src_tokens": pad(source.tokens, source.starts, source.longest, PAD),
        "src_lengths": source.lengths,
        "prev_output_tokens": pad(target.tokens, target.starts, target.longest, PAD),
    }
    return values if batch.tags is None else {**values, "tags": batch.tags.tokens}


class GenerationModel(nn.Module):
    """One model of an ensemble: ``.encoder`` and ``.decoder`` with fairseq's methods.

    Called with a ``net_input``, it returns the scores [B, S', V] of all target positions, zeros past the ends.
    """

    def __init__(self, model: TranslationModel, alignment: bool = False, retain_dropout: bool = False) -> None:
        super().__init__()
        self.encoder = SourceEncoder(model)
        self.decoder = StepDecoder(model, alignment)
        self.retain_dropout = retain_dropout
        if retain_dropout:
            model.encoder.compiling = model.decoder.compiling = OFF  # compiling would pay in training alone

    def train(self, mode: bool = True) -> GenerationModel:
        """Set the mode; where dropout is kept, the model stays in that of training.

        fairseq's generators put their models into evaluation mode, and its models refuse that of training by then.
        """
        super().train(mode)
        if self.retain_dropout:
            for module in self.decoder.model.modules():
                module.training = True
        return self

    def forward(self, prev_output_tokens: Tensor, **source: Tensor) -> tuple[Tensor, dict[str, Any]]:
        memory, target = self.encoder.forward_torchscript(source)["memory"], unpad(prev_output_tokens, PAD)
        model = self.decoder.model
        logits = model.logits(model.decoder(target, memory))
        return pad(logits, target.starts, prev_output_tokens.shape[1], 0), {"attn": [None]}

    def max_decoder_positions(self) -> int:
        return self.decoder.max_positions()

    def get_normalized_probs(self, net_output: Any, log_probs: bool, sample: Any = None) -> Tensor:
        return self.decoder.get_normalized_probs(net_output, log_probs, sample)


class SourceEncoder(nn.Module):
    """Encodes padded sources."""

    def __init__(self, model: TranslationModel) -> None:
        super().__init__()
        self.model = model

    def forward_torchscript(self, net_input: dict[str, Tensor]) -> dict[str, Any]:
        """Return the memory of ``src_tokens`` [B, S], and of ``tags`` [B] if they are apart, as ``memory``."""
        source, tags = unpad(net_input["src_tokens"], PAD), net_input.get("tags")
        apart = None if tags is None else unpad(tags[:, None], PAD)
        return {"memory": self.model.encode(source, apart), "tags": int(tags is not None)}

    def reorder_encoder_out(self, encoder_out: dict[str, Any], new_order: Tensor) -> dict[str, Any]:
        """Change nothing: the rows of a sentence share its memory, and the cache follows sentences that are done."""
        return encoder_out


class StepDecoder(FairseqIncrementalDecoder):
    """Reads one more token per hypothesis; fairseq's incremental state holds our cache."""

    def __init__(self, model: TranslationModel, alignment: bool = False) -> None:
        super().__init__(None)
        self.model, self.alignment = model, alignment

    def max_positions(self) -> int:
        return self.model.decoder.config.longest

    def forward(
        self, prev_output_tokens: Tensor, encoder_out: Any = None, incremental_state: Any = None, **_: Any
    ) -> tuple[Tensor, dict[str, Any]]:
        """Scores [R, 1, V] of what follows ``prev_output_tokens`` [R, S]; the rows of a sentence are neighbours."""
        decoder = self.model.decoder
        if "cache" not in incremental_state:
            incremental_state["cache"] = decoder.begin(encoder_out["memory"])
        cache = incremental_state["cache"]
        cache.keep_weights = self.alignment
        for tokens in prev_output_tokens[:, cache.length :].unbind(1):
            features = decoder.step(tokens, cache)
        weights = None if cache.weights is None else cache.weights[:, None, encoder_out["tags"] :]
        return self.model.logits(features)[:, None], {"attn": [weights]}

    def reorder_incremental_state_scripting(self, incremental_state: dict[str, Any], new_order: Tensor) -> None:
        """Let new row i continue old row ``new_order[i]``; sentences that no row continues are done."""
        cache = incremental_state["cache"]
        beam = cache.rows // cache.sentences
        sentences = torch.div(new_order[::beam], beam, rounding_mode="floor")
        cache.reorder(new_order, sentences if len(sentences) < cache.sentences else None)

    def get_normalized_probs(self, net_output: Any, log_probs: bool, sample: Any = None) -> Tensor:
        scores = net_output[0].float()
        return F.log_softmax(scores, -1) if log_probs else F.softmax(scores, -1)
