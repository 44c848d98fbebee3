"""Papers' settings of optimizer, schedule and head by name, as options of ``fairseq-train``.

MMTE writes a schedule as (3.0, 40k): "a learning rate of 3.0, with 40k warm-up steps", then "decayed with the inverse
square root of the number of training steps" (Siddhant et al. 2020, section 2.1). In Lingvo, the framework of MMTE,
these two numbers are the documented values of its Transformer schedule, where the first is a factor and not a rate:

    rate(t) = 3.0 · D^-0.5 · min((t + 1) · 40000^-1.5, (t + 1)^-0.5)

with t updates done and width D. fairseq's ``inverse_sqrt`` takes the peak, 3.0 · (40000 · D)^-0.5, which is 4.6875e-4
for D = 1024, as ``--lr``; the update that it calls n is t + 1, so that all rates are equal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fairseq_xalign.errors import unknown_name
from fairseq_xalign.options import at_least

TRANSFORMER, SQRT_DECAY, LITERAL_PEAK = LR_READINGS = ("transformer", "sqrt-decay", "literal-peak")
"""How to read (3.0, 40k): Lingvo's ``TransformerSchedule``, its ``SqrtDecay`` (3.0 / sqrt(max(t, 40k)), which is
constant in warm-up and does not depend on the width), or 3.0 as the highest rate."""
WIDTH = 1024
"""D of MMTE: with it, the encoder has the paper's 190M parameters."""
OPTIMIZER = "--optimizer adafactor --clip-mode per-tensor --clip-norm 1.0 --fp16-no-flatten-grads"
"""MMTE, section 2.1: Adafactor, and "a per-parameter norm clipping threshold of 1.0". Adafactor needs the shapes of
parameters, so under ``--fp16`` gradients must not be flattened; without ``--fp16`` the last option does nothing."""


@dataclass(frozen=True)
class Preset:
    """A paper's setting.

    Attributes:
        scale, warmup: the schedule as the paper writes it, (3.0, 40k).
        options: what is added to optimizer and schedule.
        described: which setting this is, and where the paper describes it.
    """

    scale: float
    warmup: int
    options: str
    described: str


PRESETS = {
    "mmte": Preset(3.0, 40_000, "", "translation in all directions (MMTE, section 2.1), for --task mnmt"),
    "mmte-xnli": Preset(0.2, 90_000, "--head mmte", "natural language inference (MMTE, section 3.1)"),
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


def preset_options(name: str, width: int = WIDTH, reading: str = TRANSFORMER) -> str:
    """Return the options of a preset, on one line.

    Args:
        width: D of the encoder.
        reading: one of ``LR_READINGS``.

    Raises:
        UserError: the preset or the reading is unknown, or the width is not positive.
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, list(PRESETS))
    at_least(1, width=width)
    preset = PRESETS[name]
    rate = f"{peak(preset.scale, preset.warmup, width, reading):.10g}"
    schedule = f"--lr-scheduler inverse_sqrt --lr {rate} --warmup-updates {preset.warmup}"
    if reading == SQRT_DECAY:
        schedule += f" --warmup-init-lr {rate}"
    return " ".join(part for part in (OPTIMIZER, schedule, preset.options) if part)
