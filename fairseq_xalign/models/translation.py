"""An encoder and a decoder that translate, over batches without padding: torch only."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from fairseq_xalign.errors import UserError
from fairseq_xalign.models.compiled import OFF, eager
from fairseq_xalign.models.config import TYINGS, DecoderConfig, EncoderConfig
from fairseq_xalign.models.decoder import Decoder, Memory
from fairseq_xalign.models.encoder import Encoder
from fairseq_xalign.models.output import chunked_losses, is_large, smoothed_losses, training_scores
from fairseq_xalign.objectives.batch import PackedBatch
from fairseq_xalign.objectives.translation import SOURCE, TranslationBatch, translation_loss


class TranslationModel(nn.Module):
    """Encoder and decoder of one vocabulary.

    Args:
        encoder_config, decoder_config: their shapes.
        attention: ``auto`` or ``plain``, for both.

    Attributes:
        encoder: usable without the decoder.
        decoder: uses the encoder's embeddings where ``decoder_config.tying`` is ``all``.
        target_token: where the model was told what language to translate into, one of
            ``objectives.translation.TARGET_TOKENS``.
    """

    target_token: str = SOURCE

    def __init__(
        self,
        encoder_config: EncoderConfig,
        decoder_config: DecoderConfig,
        attention: str = "auto",
        compiling: str = OFF,
    ) -> None:
        super().__init__()
        check_pair(encoder_config, decoder_config)
        self.encoder = Encoder(encoder_config, attention, compiling)
        shared = self.encoder.embed_tokens if decoder_config.tying == "all" else None
        self.decoder = Decoder(decoder_config, encoder_config.width, attention, shared, compiling)

    def forward(self, batch: TranslationBatch) -> Tensor:
        """Return the decoder's features [T, D] at the target positions, in the order of ``batch.target``."""
        return self.decoder(batch.target, self.encode(batch.source, batch.tags))

    def encode(self, source: PackedBatch, tags: PackedBatch | None = None) -> Memory:
        """The memory of each sentence: its encoded tag, if tags are apart, followed by its encoded source."""
        memory = Memory(self.encoder(source), source.starts, source.longest, source.host_lengths)
        if tags is None:
            return memory
        return Memory(self.encoder(tags), tags.starts, tags.longest, tags.host_lengths).followed_by(memory)

    def losses(self, features: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
        """``translation_loss`` at target positions: features [N, D] and ids [N] -> loss and -log p, both [N]."""
        run = self.decoder.runner(features.device)
        if run is eager and is_large(features, self.decoder.output_weight):
            return chunked_losses(features, self.decoder.output_weight, None, targets, label_smoothing)
        if run is eager:
            return translation_loss(self.logits(features), targets, label_smoothing)
        return run(_losses)(features, self.decoder.output_weight, targets, label_smoothing)

    def logits(self, features: Tensor) -> Tensor:
        """Scores of all symbols, features [N, D] -> [N, V]; pass real target positions only."""
        return self.decoder.logits(features)


def _losses(features: Tensor, weight: Tensor, targets: Tensor, label_smoothing: float) -> tuple[Tensor, Tensor]:
    return smoothed_losses(training_scores(features, weight, None), targets, label_smoothing, weight.shape[0])


def check_pair(encoder: EncoderConfig, decoder: DecoderConfig) -> None:
    """Refuse an encoder and a decoder that cannot share what they are to share."""
    if encoder.vocab_size != decoder.vocab_size:
        raise UserError(
            f"the encoder has {encoder.vocab_size} symbols, the decoder {decoder.vocab_size}",
            remedy="Translation has one vocabulary for source and target",
        )
    if decoder.tying == "all" and encoder.width != decoder.width:
        raise UserError(
            f"encoder (width {encoder.width}) and decoder (width {decoder.width}) cannot share their embeddings",
            remedy="Choose equal widths, or --no-share-all-embeddings",
        )


def count_parameters(encoder: EncoderConfig, decoder: DecoderConfig) -> tuple[int, int]:
    """Return the parameters of the whole model and of its encoder, each shared one counted once.

    >>> count_parameters(*translation_preset("mmte_big", 64000))
    (342609920, 191471616)
    """
    with torch.device("meta"):
        model = TranslationModel(encoder, decoder)
    return tuple(sum(p.numel() for p in part.parameters()) for part in (model, model.encoder))  # type: ignore[return-value]


def size_line(name: str, encoder: EncoderConfig, decoder: DecoderConfig) -> str:
    """One line about the model's size: as it is, with the other ways of tying, and beside MMTE's."""
    sizes = {}
    for tying in TYINGS:
        if tying != "all" or encoder.width == decoder.width:
            sizes[tying] = count_parameters(encoder, replace(decoder, tying=tying))
    whole, part = (f"{n / 1e6:.1f}M" for n in sizes[decoder.tying])
    others = "; ".join(
        f"{whole[0] / 1e6:.1f}M with {TYING_NAMES[tying]}" for tying, whole in sizes.items() if tying != decoder.tying
    )
    paper = " MMTE, section 2.1, has 375M, its encoder about 190M." if name == "mmte_big" else ""
    return (
        f"{name} with {encoder.vocab_size:,} symbols: {whole} parameters with {TYING_NAMES[decoder.tying]}, "
        f"of which the encoder has {part} ({others}).{paper}"
    )


TYING_NAMES = {
    "all": "one matrix for source, target and output",
    "decoder": "one matrix for target and output",
    "none": "three matrices",
}
