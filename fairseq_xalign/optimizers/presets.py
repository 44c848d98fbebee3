"""Papers' settings of optimizer, schedule and head by name, as options of ``fairseq-train``.

MMTE writes a schedule as (3.0, 40k): "a learning rate of 3.0, with 40k warm-up steps", then "decayed with the inverse
square root of the number of training steps" (Siddhant et al. 2020, section 2.1). In Lingvo, the framework of MMTE,
these two numbers are the documented values of its Transformer schedule, where the first is a factor and not a rate:

    rate(t) = 3.0 · D^-0.5 · min((t + 1) · 40000^-1.5, (t + 1)^-0.5)

with t updates done and width D. fairseq's ``inverse_sqrt`` takes the peak, 3.0 · (40000 · D)^-0.5, which is 4.6875e-4
for D = 1024, as ``--lr``; the update that it calls n is t + 1, so that all rates are equal.

The other papers fine-tune with AdamW for a number of epochs. The rate rises and then falls in straight lines, to 0 at
the end of the last epoch, which is fairseq's ``polynomial_decay``. How many updates these are depends on the number of
training examples. What a paper does not say is taken from its released code or its framework, and ``described`` says
so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fairseq_xalign.errors import UserError, unknown_name
from fairseq_xalign.options import at_least

TRANSFORMER, SQRT_DECAY, LITERAL_PEAK = LR_READINGS = ("transformer", "sqrt-decay", "literal-peak")
"""How to read (3.0, 40k): Lingvo's ``TransformerSchedule``, its ``SqrtDecay`` (3.0 / sqrt(max(t, 40k)), which is
constant in warm-up and does not depend on the width), or 3.0 as the highest rate."""
WIDTH = 1024
"""D of MMTE: with it, the encoder has the paper's 190M parameters."""
OPTIMIZER = "--optimizer adafactor --clip-mode per-tensor --clip-norm 1.0 --fp16-no-flatten-grads"
"""MMTE, section 2.1: Adafactor, and "a per-parameter norm clipping threshold of 1.0". Adafactor needs the shapes of
parameters, so under ``--fp16`` gradients must not be flattened; without ``--fp16`` the last option does nothing."""


ADAMW = "--optimizer adamw"
"""With its defaults, betas of (0.9, 0.999) and an epsilon of 1e-8, which are torch's and transformers', too."""
UNKNOWN = "UPDATES"
"""What the list of presets shows for the number of updates, which depends on the number of examples."""


@dataclass(frozen=True)
class Preset:
    """A setting of MMTE.

    Attributes:
        scale, warmup: the schedule as the paper writes it, (3.0, 40k).
        options: what is added to optimizer and schedule.
        described: which setting this is, and where the paper describes it.
    """

    scale: float
    warmup: int
    options: str
    described: str

    def line(self, width: int, reading: str, examples: int | None) -> str:
        """The options, for an encoder of ``width``, in one of ``LR_READINGS``."""
        rate = f"{peak(self.scale, self.warmup, width, reading):.10g}"
        schedule = f"--lr-scheduler inverse_sqrt --lr {rate} --warmup-updates {self.warmup}"
        if reading == SQRT_DECAY:
            schedule += f" --warmup-init-lr {rate}"
        return " ".join(part for part in (OPTIMIZER, schedule, self.options) if part)


@dataclass(frozen=True)
class Epochs:
    """A setting of fine-tuning with AdamW for a number of epochs.

    Attributes:
        rate: the highest learning rate.
        epochs, batch: passes over the training examples, and examples per update.
        length: of the longest sequence in subwords, special tokens included.
        warmup: updates in which the rate rises.
        weight_decay: AdamW's.
        options: what is added: clipping of the gradient's norm.
        described: as in :class:`Preset`.
    """

    rate: float
    epochs: int
    batch: int
    length: int
    warmup: int
    weight_decay: float
    options: str
    described: str

    def updates(self, examples: int) -> int:
        """The number of updates on so many training examples; the last batch of an epoch may be smaller."""
        return self.epochs * math.ceil(examples / self.batch)

    def line(self, width: int, reading: str, examples: int | None) -> str:
        """The options, where ``examples`` is the number of training examples; without it, of unknown length.

        Raises:
            UserError: the training would be over before the rate is at its highest.
        """
        total = UNKNOWN if examples is None else str(self.updates(examples))
        if examples is not None and self.updates(examples) <= self.warmup:
            raise UserError(
                f"--examples {examples}: {total} updates in {self.epochs} epochs, and the rate rises for {self.warmup}",
                remedy="Use more examples, or set --warmup-updates and --total-num-update after the preset",
            )
        schedule = f"--lr-scheduler polynomial_decay --lr {self.rate:g} --warmup-updates {self.warmup}"
        data = f"--batch-size {self.batch} --max-epoch {self.epochs} --max-length {self.length}"
        decay = f"--weight-decay {self.weight_decay:g}"
        parts = (ADAMW, decay, schedule, f"--total-num-update {total}", data, self.options)
        return " ".join(part for part in parts if part)


_CLIPPED = "--clip-norm 1.0"
_PPA = "AdamW and linear decay as the paper has them; its betas and clipping are not given"
_TPP = (
    "500 updates of warm-up and weight decay as in appendix A; rate, decay, clipping and length are the released code's"
)
_ALIGN = "the paper's Table 11; optimizer, decay and clipping are the released code's"
_XTREME = "as the benchmark's scripts have it"

PRESETS: dict[str, Preset | Epochs] = {
    "mmte": Preset(3.0, 40_000, "", "translation in all directions (MMTE, section 2.1), for --task mnmt"),
    "mmte-xnli": Preset(0.2, 90_000, "--head mmte", "pairs (MMTE, section 3.1), for --task xling_classification"),
    "mmte-mldoc": Preset(
        0.2,
        5_000,
        "--head mmte --max-length 201",
        "documents, the first 200 pieces and </s> (MMTE, section 3.2), for --task xling_classification",
    ),
    "mmte-intent": Preset(0.1, 100_000, "--head mmte", "intents (MMTE, section 3.3), for --task xling_classification"),
    "mmte-tagging": Preset(
        0.1, 40_000, "--head mmte", "parts of speech and entities (MMTE, sections 3.4, 3.5), for --task xling_tagging"
    ),
    "ppa-xnli": Epochs(
        5e-5, 2, 32, 128, 1000, 0.01, "", f"pairs, for --task xling_classification (PPA, section 3.3): {_PPA}"
    ),
    "ppa-mlqa": Epochs(3e-5, 2, 32, 386, 1000, 0.01, "", f"questions, for --task xling_qa (PPA, section 3.3): {_PPA}"),
    "tpp-tagging": Epochs(
        5e-5,
        3,
        16,
        512,
        500,
        0.01,
        _CLIPPED,
        f"entities and parts of speech, for --task xling_tagging (TPP, section 3.1): {_TPP}",
    ),
    "tpp-sentiment": Epochs(
        5e-5, 3, 16, 128, 500, 0.01, _CLIPPED, f"sentiment, for --task xling_classification (TPP, section 3.1): {_TPP}"
    ),
    "align-mlm-xnli": Epochs(
        2e-5, 5, 32, 128, 0, 0.0, _CLIPPED, f"pairs, for --task xling_classification (ALIGN-MLM): {_ALIGN}"
    ),
    "align-mlm-tagging": Epochs(
        2e-5,
        10,
        32,
        128,
        0,
        0.0,
        _CLIPPED,
        f"entities and parts of speech, for --task xling_tagging (ALIGN-MLM): {_ALIGN}",
    ),
    "xtreme-pairs": Epochs(
        2e-5, 5, 32, 128, 0, 0.0, _CLIPPED, f"XNLI and PAWS-X, for --task xling_classification (XTREME): {_XTREME}"
    ),
    "xtreme-tagging": Epochs(
        2e-5, 10, 32, 128, 0, 0.0, _CLIPPED, f"UD-POS and PAN-X, for --task xling_tagging (XTREME): {_XTREME}"
    ),
    "xtreme-qa": Epochs(
        3e-5, 3, 32, 384, 500, 1e-4, f"{_CLIPPED} --stride 128", f"questions, for --task xling_qa (XTREME): {_XTREME}"
    ),
}


def lingvo_rate(scale: float, warmup: int, width: int, done: int) -> float:
    """Return the learning rate of Lingvo's Transformer schedule when ``done`` updates are done."""
    return scale * width**-0.5 * min((done + 1) * warmup**-1.5, (done + 1) ** -0.5)


def peak(scale: float, warmup: int, width: int, reading: str = TRANSFORMER) -> float:
    """Return the highest learning rate of a schedule, reached after the warm-up, in one of ``LR_READINGS``.

    Raises:
        UserError: the reading is unknown.
    """
    if reading not in LR_READINGS:
        raise unknown_name("reading of a schedule", reading, LR_READINGS)
    if reading == LITERAL_PEAK:
        return scale
    return scale / math.sqrt(warmup) / (math.sqrt(width) if reading == TRANSFORMER else 1.0)


def preset_options(name: str, width: int = WIDTH, reading: str = TRANSFORMER, examples: int | None = None) -> str:
    """Return the options of a preset, on one line.

    Args:
        width: D of the encoder, on which MMTE's rates depend.
        reading: one of ``LR_READINGS``, for MMTE.
        examples: how many training examples there are, on which the length of the other papers' schedules depends.

    Raises:
        UserError: the preset or the reading is unknown, the width or the number of examples is not positive, or the
            number is needed and missing.
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, list(PRESETS))
    at_least(1, width=width)
    preset = PRESETS[name]
    if examples is not None:
        at_least(1, examples=examples)
    elif isinstance(preset, Epochs):
        raise UserError(
            f"the learning rate of {name} falls until the end of its {preset.epochs} epochs, and their number of "
            "updates is not known",
            remedy="Give --examples N, the number of training examples: the lines of train.en.jsonl, for instance",
        )
    return preset.line(width, reading, examples)


def listed(width: int = WIDTH, reading: str = TRANSFORMER, examples: int | None = None) -> list[str]:
    """Return two lines for each preset: what it is for, and its options."""
    return [
        line
        for name, preset in PRESETS.items()
        for line in (f"{name}: {preset.described}", f"  {preset.line(width, reading, examples)}")
    ]
