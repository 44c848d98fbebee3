"""The options of fairseq models that encoders and translation models share."""

from dataclasses import dataclass, field
from typing import Any, Optional, TypeVar

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from torch import nn

from fairseq_xalign.models.compiled import COMPILE
from fairseq_xalign.models.config import ATTENTION, AUTO, FULL, POSITIONS, RESIDUAL
from fairseq_xalign.models.transformer import Stack

Model = TypeVar("Model", bound=nn.Module)


@dataclass
class TransformerOptions(FairseqDataclass):
    """Changes to the shape that ``--arch`` names, and how it is computed."""

    max_positions: Optional[int] = field(
        default=None, metadata={"help": "longest sequence that has positions (default: that of --arch)"}
    )
    positions: ChoiceEnum(("preset", *POSITIONS)) = field(  # type: ignore[valid-type]
        default="preset",
        metadata={
            "help": "kind of positions: learned (BERT, ALIGN-MLM), sinusoidal (Vaswani et al. 2017), or rotary, which "
            "learns faster in small models (default: that of --arch)"
        },
    )
    dropout: Optional[float] = field(default=None, metadata={"help": "dropout probability (default: that of --arch)"})
    attention_dropout: Optional[float] = field(
        default=None, metadata={"help": "dropout probability of attention weights (default: that of --arch)"}
    )
    activation_dropout: Optional[float] = field(
        default=None, metadata={"help": "dropout probability inside feed-forward blocks (default: that of --arch)"}
    )
    attention_kernel: ChoiceEnum(ATTENTION) = field(  # type: ignore[valid-type]
        default=AUTO,
        metadata={
            "help": "how attention is computed, always with equal results: by flash attention over packed sequences "
            "(varlen: on a GPU, in half precision), over sequences of similar length that are padded together "
            "(buckets), or over one padded block, a slow reference (plain); auto, the default, is varlen where that "
            "works, else buckets"
        },
    )
    residual_precision: ChoiceEnum(RESIDUAL) = field(  # type: ignore[valid-type]
        default=FULL,
        metadata={
            "help": "precision of the residual stream under --autocast bf16 or --amp: float32 (full, the default), or "
            "that of matrix products (half), which moves half as many bytes between them; layer norms compute in "
            "float32 either way"
        },
    )
    compile: ChoiceEnum(COMPILE) = field(  # type: ignore[valid-type]
        default=AUTO,
        metadata={
            "help": "compile the parts of layers between attention, and the loss, with torch.compile in training: auto "
            "(the default: on a GPU with a compiler, but not in fine-tuning), on, or off; the first update waits for "
            "the compiler, half a minute or more, before which many fine-tuning runs end"
        },
    )


def computed_as(model: Model, cfg: Any) -> Model:
    """``model``, computed as options say; one that a checkpoint of before an option does not have keeps its default."""
    for stack in model.modules():
        if isinstance(stack, Stack):
            stack.attention = str(getattr(cfg, "attention_kernel", AUTO))
            stack.compiling = str(getattr(cfg, "compile", AUTO))
            stack.residual = str(getattr(cfg, "residual_precision", FULL))
    return model
