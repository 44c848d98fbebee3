"""The translation model as a fairseq model: ``--arch mmte_tiny`` and the other presets."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Optional

from fairseq.dataclass import ChoiceEnum
from fairseq.models import BaseFairseqModel, register_model, register_model_architecture
from torch import Tensor

from fairseq_xalign.errors import UserError
from fairseq_xalign.models.compiled import OFF
from fairseq_xalign.models.config import ACTIVATIONS, DecoderConfig, EncoderConfig
from fairseq_xalign.models.presets import BARE_HEAD, TRANSLATION
from fairseq_xalign.models.translation import TranslationModel, size_line
from fairseq_xalign.models.xalign_encoder import Float32Modules, continued, fit_state_dict
from fairseq_xalign.models.xalign_options import TransformerOptions, computed_as
from fairseq_xalign.objectives.translation import TranslationBatch
from fairseq_xalign.options import at_least, flag

logger = logging.getLogger(__name__)


@dataclass
class XAlignTranslationConfig(TransformerOptions):
    """Changes to the shape that ``--arch`` names; what is left out stays as it is there."""

    encoder_layers: Optional[int] = field(
        default=None, metadata={"help": "number of encoder layers (default: that of --arch)"}
    )
    encoder_embed_dim: Optional[int] = field(
        default=None, metadata={"help": "width of the encoder's embeddings and layers (default: that of --arch)"}
    )
    encoder_ffn_embed_dim: Optional[int] = field(
        default=None, metadata={"help": "width inside the encoder's feed-forward blocks (default: that of --arch)"}
    )
    encoder_attention_heads: Optional[int] = field(
        default=None, metadata={"help": "number of the encoder's attention heads (default: that of --arch)"}
    )
    encoder_normalize_before: bool = field(
        default=False,
        metadata={"help": "use pre-norm in the encoder (default: that of --arch, which is pre-norm in all of ours)"},
    )
    decoder_layers: Optional[int] = field(
        default=None, metadata={"help": "number of decoder layers (default: that of --arch)"}
    )
    decoder_embed_dim: Optional[int] = field(
        default=None, metadata={"help": "width of the decoder's embeddings and layers (default: the encoder's)"}
    )
    decoder_ffn_embed_dim: Optional[int] = field(
        default=None, metadata={"help": "width inside the decoder's feed-forward blocks (default: the encoder's)"}
    )
    decoder_attention_heads: Optional[int] = field(
        default=None, metadata={"help": "number of the decoder's attention heads (default: the encoder's)"}
    )
    decoder_normalize_before: bool = field(
        default=False,
        metadata={"help": "use pre-norm in the decoder (default: that of --arch, which is pre-norm in all of ours)"},
    )
    no_normalize_before: bool = field(
        default=False,
        metadata={"help": "use post-norm in encoder and decoder, as Vaswani et al. (2017) print it (default: --arch)"},
    )
    share_all_embeddings: bool = field(
        default=False,
        metadata={"help": "use one matrix for the embeddings of source and target and the output layer (the default)"},
    )
    no_share_all_embeddings: bool = field(
        default=False,
        metadata={
            "help": "give the embeddings of source and target and the output layer a matrix each; with "
            "--share-decoder-input-output-embed, the source one matrix and the target another (default: one for all)"
        },
    )
    share_decoder_input_output_embed: bool = field(
        default=False,
        metadata={
            "help": "use one matrix for the embeddings of the target and the output layer, and another for the source "
            "(default: one for all)"
        },
    )
    activation_fn: ChoiceEnum(("preset", *ACTIVATIONS)) = field(  # type: ignore[valid-type]
        default="preset",
        metadata={"help": "activation inside feed-forward blocks (default: that of --arch, relu in all of ours)"},
    )


SIDES = {"layers": "layers", "embed_dim": "width", "ffn_embed_dim": "ffn_width", "attention_heads": "heads"}
"""Options that encoder and decoder have each, without their prefix, and the fields that they set."""
FOLLOWS_ENCODER = ("width", "ffn_width", "heads")
BOTH = {
    "max_positions": "max_positions",
    "positions": "positions",
    "activation_fn": "activation",
    "dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
}
"""Options for encoder and decoder together, and the fields that they set."""


def chosen_fields(cfg: Any, side: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the fields of the ``encoder`` or ``decoder`` that options set, and how messages call each field."""
    options = {**{f"{side}_{option}": name for option, name in SIDES.items()}, **BOTH}
    given = {name: getattr(cfg, option, None) for option, name in options.items()}
    chosen = {name: getattr(v, "value", v) for name, v in given.items() if v is not None}
    chosen = {name: v for name, v in chosen.items() if str(v) != "preset"}
    called = {name: flag(option) for option, name in options.items()}
    before, after = f"{side}_normalize_before", "no_normalize_before"
    if getattr(cfg, before, False) and getattr(cfg, after, False):
        raise UserError(f"{flag(before)} and {flag(after)} exclude each other", remedy="Leave one of them out")
    for option, value in ((before, True), (after, False)):
        if getattr(cfg, option, False):
            chosen["normalize_before"], called["normalize_before"] = value, flag(option)
    return chosen, called


def chosen_tying(cfg: Any) -> str | None:
    """Return what the options say about tying, None for nothing."""
    every, separate, decoder = (
        getattr(cfg, name, False)
        for name in ("share_all_embeddings", "no_share_all_embeddings", "share_decoder_input_output_embed")
    )
    if every and separate:
        raise UserError(
            "--share-all-embeddings and --no-share-all-embeddings exclude each other", remedy="Leave one of them out"
        )
    return "all" if every else "decoder" if decoder else "none" if separate else None


def resolve_configs(
    cfg: Any, vocab_size: int, start: tuple[dict[str, Any], dict[str, Any]] | None = None
) -> tuple[EncoderConfig, DecoderConfig]:
    """Return the shapes of encoder and decoder from ``--arch``, options, and the checkpoint that training starts from.

    Args:
        start: the fields of the checkpoint's encoder and decoder.

    Raises:
        UserError: where an option contradicts another or the checkpoint, naming both values.
    """
    arch = getattr(cfg, "_name", None) or "mmte_base"
    arch = arch if arch in TRANSLATION else "mmte_base"
    at_least(1, encoder_layers=cfg.encoder_layers, decoder_layers=cfg.decoder_layers)
    encoder, encoder_called = chosen_fields(cfg, "encoder")
    decoder, decoder_called = chosen_fields(cfg, "decoder")
    follows = {name: encoder[name] for name in FOLLOWS_ENCODER if name in encoder and name not in decoder}
    tying = chosen_tying(cfg)
    if tying is not None:
        decoder["tying"] = tying
        decoder_called["tying"] = "the options that share embeddings:"
    preset, common = TRANSLATION[arch], {"vocab_size": vocab_size}
    if start is None:
        return (
            EncoderConfig.from_dict({**preset, **BARE_HEAD, **common, **encoder}, encoder_called),
            DecoderConfig.from_dict({**preset, **common, **follows, **decoder}, decoder_called),
        )
    encoder_called, decoder_called = (
        {**c, "vocab_size": "the data's vocabulary"} for c in (encoder_called, decoder_called)
    )
    return (
        continued(EncoderConfig.from_dict(start[0]), preset, {**encoder, **common}, encoder_called, arch),
        continued(
            DecoderConfig.from_dict(start[1]), {**preset, **follows}, {**decoder, **common}, decoder_called, arch
        ),
    )


@register_model("xalign_translation", dataclass=XAlignTranslationConfig)
class XAlignTranslationModel(TranslationModel, BaseFairseqModel):
    """Encoder and decoder, and whatever modules objectives on the encoder bring.

    Attributes:
        objectives: what objectives own, by their names.
    """

    def __init__(
        self,
        encoder_config: EncoderConfig,
        decoder_config: DecoderConfig,
        attention: str = "auto",
        compiling: str = OFF,
    ) -> None:
        super().__init__(encoder_config, decoder_config, attention, compiling)
        self.objectives = Float32Modules()

    @classmethod
    def build_model(cls, cfg: Any, task: Any) -> "XAlignTranslationModel":
        encoder, decoder = getattr(task, "start_encoder", None), getattr(task, "start_decoder", None)
        start = None if encoder is None or decoder is None else (encoder, decoder)
        configs = resolve_configs(cfg, len(task.tokenizer), start)
        logger.info(size_line(getattr(cfg, "_name", None) or "mmte_base", *configs))
        return computed_as(cls(*configs), cfg)

    def forward(self, first: TranslationBatch | Callable[..., Any], *arguments: Any) -> Any:
        """Features [T, D] of a batch, or ``first(self, *arguments)`` for criterions that need more than features.

        Either is one forward pass, as data-parallel wrappers see it.
        """
        if isinstance(first, TranslationBatch):
            return super().forward(first)
        return first(self, *arguments)

    def max_positions(self) -> tuple[int, int]:
        """The longest source and target that the model has positions for."""
        return self.encoder.config.longest, self.decoder.config.longest

    def upgrade_state_dict_named(self, state_dict: dict[str, Tensor], name: str) -> None:
        """Fit a checkpoint to this model: modules of objectives come and go.

        Raises:
            UserError: where a weight that both have differs in shape.
        """
        fit_state_dict(state_dict, self.state_dict(), ("objectives.",))


def _keep(args: Any) -> None:
    """Change nothing: what the options leave out is resolved when the model is built."""


for _arch in TRANSLATION:
    register_model_architecture("xalign_translation", _arch)(_keep)
