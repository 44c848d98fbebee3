"""The options of fairseq models that encoders and translation models share."""

from dataclasses import dataclass, field
from typing import Optional

from fairseq.dataclass import ChoiceEnum, FairseqDataclass

from fairseq_xalign.models.compiled import AUTO, COMPILE
from fairseq_xalign.models.config import ATTENTION, POSITIONS


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
    attention: ChoiceEnum(ATTENTION) = field(  # type: ignore[valid-type]
        default="fused",
        metadata={
            "help": "how attention is computed: by the fastest kernel (fused, the default), or over padded sequences "
            "(plain), a slow reference with equal results"
        },
    )
    compile: ChoiceEnum(COMPILE) = field(  # type: ignore[valid-type]
        default=AUTO,
        metadata={
            "help": "compile the parts of layers between attention, and the loss, with torch.compile in training: auto "
            "(the default: on a GPU, where there is a compiler), on, or off; the first updates wait for the compiler"
        },
    )
