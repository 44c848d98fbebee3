"""The encoder as a fairseq model: ``--arch xalign_tiny`` and the other presets."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Optional

import torch
from fairseq.models import BaseFairseqModel, register_model, register_model_architecture
from torch import Tensor, nn

from fairseq_xalign.errors import UserError
from fairseq_xalign.models.archs import fitting_arch
from fairseq_xalign.models.attention import HALF
from fairseq_xalign.models.compiled import OFF
from fairseq_xalign.models.config import Config, EncoderConfig, same_value
from fairseq_xalign.models.encoder import Encoder
from fairseq_xalign.models.presets import PRESETS, preset
from fairseq_xalign.models.xalign_options import TransformerOptions, computed_as
from fairseq_xalign.options import at_least, flag


@dataclass
class XAlignEncoderConfig(TransformerOptions):
    """Changes to the shape that ``--arch`` names; what is left out stays as it is there."""

    encoder_layers: Optional[int] = field(default=None, metadata={"help": "number of layers (default: that of --arch)"})
    encoder_embed_dim: Optional[int] = field(
        default=None, metadata={"help": "width of embeddings and layers (default: that of --arch)"}
    )
    encoder_ffn_embed_dim: Optional[int] = field(
        default=None, metadata={"help": "width inside feed-forward blocks (default: that of --arch)"}
    )
    encoder_attention_heads: Optional[int] = field(
        default=None, metadata={"help": "number of attention heads (default: that of --arch)"}
    )
    embedding_std: Optional[float] = field(
        default=None, metadata={"help": "standard deviation of the initial token embeddings (default: that of --arch)"}
    )
    language_embeddings: bool = field(
        default=False,
        metadata={
            "help": "add a learned language embedding to each token, as XLM and DICT-MLM have in ALIGN-MLM, Appendix G "
            "(default: none, as ALIGN-MLM and MLM have; --criterion align_mlm refuses them); "
            "with --finetune-from-model, a checkpoint that has none gets them, zeros at first"
        },
    )


FIELDS = {
    "encoder_layers": "layers",
    "encoder_embed_dim": "width",
    "encoder_ffn_embed_dim": "ffn_width",
    "encoder_attention_heads": "heads",
    "max_positions": "max_positions",
    "positions": "positions",
    "dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
    "embedding_std": "embedding_std",
}
"""Options and the fields of EncoderConfig that they set."""
LANGUAGES = "encoder.embed_languages.weight"
TOKENS = "encoder.embed_tokens.weight"
POOLER, FOREIGN_POOLER = ".pooler.", "foreign.pooler.dense."
"""Part of the names of an objective's pooler, and how those of a published BERT begin in a converted checkpoint."""
SHAPE_FREE = (
    "dropout",
    "attention_dropout",
    "activation_dropout",
    "embedding_std",
    "initializer",
    "initializer_std",
)
"""Fields that may differ from a checkpoint's: no weight depends on them."""


def chosen_fields(cfg: Any) -> dict[str, Any]:
    """Return the fields of EncoderConfig that options set by hand."""
    values = {name: getattr(cfg, option, None) for option, name in FIELDS.items()}
    return {k: str(v) if k == "positions" else v for k, v in values.items() if v is not None and str(v) != "preset"}


def resolve_config(
    cfg: Any, vocab_size: int, n_languages: int, checkpoint: dict[str, Any] | None, resumed: bool = True
) -> EncoderConfig:
    """Return the encoder's configuration from ``--arch``, options, and the checkpoint it starts from.

    ``--language-embeddings`` adds them to a checkpoint without any, unless its training is ``resumed``.

    Raises:
        UserError: where an option contradicts the checkpoint, naming both values.
    """
    arch = getattr(cfg, "_name", None) or "xalign_small"
    chosen = chosen_fields(cfg)
    at_least(1, encoder_layers=chosen.get("layers"))
    called = {name: flag(option) for option, name in FIELDS.items()}
    if checkpoint is None:
        if getattr(cfg, "language_embeddings", False):
            chosen["n_languages"] = n_languages
        return EncoderConfig.from_dict({**asdict(preset(arch, vocab_size)), **chosen}, called)
    start = EncoderConfig.from_dict(checkpoint)
    if getattr(cfg, "language_embeddings", False) and not start.n_languages:
        if resumed:
            raise UserError(
                "--language-embeddings: the checkpoint has none",
                remedy="Begin with its weights alone (--finetune-from-model), or leave the option out",
            )
        start = replace(start, n_languages=n_languages)
    if 0 < start.n_languages < n_languages:
        raise UserError(
            f"the checkpoint has embeddings for {start.n_languages} languages, but the data has {n_languages}",
            remedy="Name the languages that it knows with --languages",
        )
    return continued(start, PRESETS[arch], chosen, called, arch)


def continued(
    start: Config, preset_fields: dict[str, Any], chosen: dict[str, Any], called: dict[str, str], arch: str
) -> Config:
    """Return the configuration of a checkpoint with what options change of it.

    Args:
        start: the checkpoint's.
        preset_fields: fields that ``arch`` sets.
        chosen: fields that options set.
        called: the options of fields.

    Raises:
        UserError: where a field that weights depend on differs from the checkpoint's.
    """
    for name, value in {**preset_fields, **chosen}.items():
        if name not in SHAPE_FREE and not same_value(getattr(start, name), value):
            by = f"{called[name]} {value}" if name in chosen else f"--arch {arch} has {name} {value}"
            fitting, options = fitting_arch(asdict(start)) if isinstance(start, EncoderConfig) else (None, [])
            fits = ": " + " ".join([f"--arch {fitting}", *options]) if fitting else ""
            raise UserError(
                f"{by}: the checkpoint has {getattr(start, name)}",
                remedy=f"Use the architecture that the checkpoint was trained with{fits}",
            )
    values = {**asdict(start), **{k: v for k, v in chosen.items() if k in SHAPE_FREE}}
    return type(start).from_dict(values, called)


class Float32Modules(nn.ModuleDict):
    """Modules that stay in float32 when the model around them is converted to half precision.

    Running averages need it: 0.999 * 1.0 + 0.001 * 1.25 is 1.0 again in half precision.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Float32Modules":
        def keep(tensor: Tensor) -> Tensor:
            changed = fn(tensor)
            lowered = tensor.is_floating_point() and changed.dtype in HALF and tensor.dtype not in HALF
            return changed if not lowered else tensor.to(changed.device)

        return super()._apply(keep, recurse)


@register_model("xalign_encoder", dataclass=XAlignEncoderConfig)
class XAlignModel(BaseFairseqModel):
    """An encoder, the heads of downstream tasks, and whatever modules objectives bring.

    Attributes:
        encoder: the Transformer.
        heads: by task name; empty in pre-training.
        objectives: what objectives own, by their names; empty in fine-tuning.
        frozen: whether the encoder is a fixed feature extractor: no gradients, and never in training mode.
        own_start: weights that begin as this model has them, whatever a checkpoint says.
        new_rows: rows of the embedding of tokens that do.
        unclaimed: what a checkpoint holds of objectives that come later, where they do (fairseq-validate loads the
            weights before it makes the criterion); None where they do not.
    """

    def __init__(self, config: EncoderConfig, attention: str = "auto", compiling: str = OFF) -> None:
        super().__init__()
        self.encoder = Encoder(config, attention, compiling)
        self.heads = nn.ModuleDict()
        self.objectives = Float32Modules()
        self.frozen = False
        self.own_start: frozenset[str] = frozenset()
        self.new_rows: tuple[int, ...] = ()
        self.unclaimed: dict[str, Tensor] | None = None

    def freeze_encoder(self) -> None:
        """Make the encoder a fixed feature extractor: without gradients, and without dropout in training too."""
        self.frozen = True
        self.encoder.requires_grad_(False)
        self.encoder.eval()

    def train(self, mode: bool = True) -> "XAlignModel":
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    @classmethod
    def build_model(cls, cfg: Any, task: Any) -> "XAlignModel":
        resumed = bool((task.start or {}).get("resumed", True))
        config = resolve_config(cfg, len(task.tokenizer), len(task.languages), task.start_encoder, resumed)
        return computed_as(cls(config), cfg)

    def forward(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """``function(self, *arguments)``: one forward pass as data-parallel wrappers see it."""
        return function(self, *arguments)

    def max_positions(self) -> float:
        config = self.encoder.config
        return config.max_positions if config.positions == "learned" else math.inf

    def upgrade_state_dict_named(self, state_dict: dict[str, Tensor], name: str) -> None:
        """Fit a checkpoint to this model: what this model does not have is dropped, heads and modules of objectives
        that the checkpoint does not have keep their initial values.

        Raises:
            UserError: where a weight that both have differs in shape.
        """
        own = self.state_dict()
        if self.unclaimed is not None:
            self.unclaimed = {k: v for k, v in state_dict.items() if k.startswith("objectives.") and k not in own}
        state_dict.update((key, own[key]) for key in self.own_start)
        if self.new_rows and TOKENS in state_dict:
            rows = list(self.new_rows)
            state_dict[TOKENS] = state_dict[TOKENS].clone()
            state_dict[TOKENS][rows] = own[TOKENS][rows].to(state_dict[TOKENS])
        if LANGUAGES in own and LANGUAGES not in state_dict:  # at first they change nothing
            state_dict[LANGUAGES] = torch.zeros_like(own[LANGUAGES])
        for key in own:  # a pooler begins as the one that the encoder was published with
            published = FOREIGN_POOLER + key.rpartition(".")[2]
            if published in state_dict and self._is_pooler(key, own[key].shape == state_dict[published].shape):
                state_dict.setdefault(key, state_dict[published])
        fit_state_dict(state_dict, own, ("heads.", "objectives.", "decoder.", "foreign."))

    def _is_pooler(self, key: str, fits: bool) -> bool:
        """Whether a weight is a pooler's: an objective's, or the layer that BERT puts between ``<s>`` and the labels.

        Args:
            fits: whether it has the shape of the published one; a head may have a layer of another width.
        """
        if POOLER in key and key.startswith("objectives."):
            return True
        kind, _, layer = key.removeprefix("heads.").partition(".")
        if not (key.startswith("heads.") and layer.startswith("dense.")):
            return False
        return fits and getattr(self.heads[kind], "pooling", "") == "cls"


def fit_state_dict(state_dict: dict[str, Tensor], own: dict[str, Tensor], optional: tuple[str, ...]) -> None:
    """Fit the weights of a checkpoint to a model's own, in place.

    Args:
        optional: prefixes of what may come and go: it is dropped where the model does not have it, and keeps its
            initial values where the checkpoint does not.

    Raises:
        UserError: where a weight that both have differs in shape.
    """
    for key in [k for k in state_dict if k.startswith(optional) and k not in own]:
        del state_dict[key]
    for key, value in own.items():
        if key not in state_dict and key.startswith(optional):
            state_dict[key] = value
    for key in own:  # in their order, so that the same one is named every time
        if key in state_dict and state_dict[key].shape != own[key].shape:
            ours = key.startswith("objectives.")
            raise UserError(
                f"{key} has shape {tuple(state_dict[key].shape)} in the checkpoint, {tuple(own[key].shape)} here",
                remedy="Give the objective the options that the checkpoint was trained with"
                if ours
                else "The data folder's vocabulary or --arch is not that of the checkpoint",
            )


def _keep(args: Any) -> None:
    """Change nothing: what the options leave out is resolved when the model is built."""


for _arch in PRESETS:
    register_model_architecture("xalign_encoder", _arch)(_keep)
