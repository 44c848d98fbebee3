"""Presets print rates that fairseq's scheduler turns into the paper's, and lines that ``fairseq-train`` takes."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from fairseq.optim.lr_scheduler.inverse_square_root_schedule import (
    InverseSquareRootLRScheduleConfig,
    InverseSquareRootSchedule,
)
from fairseq.optim.lr_scheduler.polynomial_decay_schedule import (
    PolynomialDecayLRSchedule,
    PolynomialDecayLRScheduleConfig,
)

from fairseq_xalign.errors import UserError
from fairseq_xalign.optimizers.adamw import AdamWConfig, FusedAdamW
from fairseq_xalign.optimizers.presets import PRESETS, Epochs, Preset, lingvo_rate, listed, peak, preset_options

# Lingvo's Transformer schedule (3.0, 40k) after so many updates, computed by hand for two widths.
LINGVO = {
    0: (1.171875e-8, 1.657282e-8),
    999: (1.171875e-5, 1.657282e-5),
    19_999: (2.34375e-4, 3.314563e-4),
    39_999: (4.6875e-4, 6.629126e-4),
    40_000: (4.68744141e-4, 6.629043e-4),
    159_999: (2.34375e-4, 3.314563e-4),
    999_999: (9.375e-5, 1.325825e-4),
}
# Of each schedule for D = 1024: the rate after 2,999 updates, and the highest.
FINE_TUNING = {
    "mmte-xnli": (6.944444e-7, 2.083333e-5),
    "mmte-mldoc": (5.303301e-5, 8.838835e-5),
    "mmte-intent": (2.964635e-7, 9.882118e-6),
    "mmte-tagging": (1.171875e-6, 1.5625e-5),
}


# The other papers: highest rate, epochs, batch, longest sequence, warm-up and weight decay, as they print them. PPA:
# section 3.3; TPP: section 3.1 and appendix A; ALIGN-MLM: Table 11; XTREME: scripts/train_*.sh.
EPOCHS = {
    "ppa-xnli": (5e-5, 2, 32, 128, 1000, 0.01),
    "ppa-mlqa": (3e-5, 2, 32, 386, 1000, 0.01),
    "tpp-tagging": (5e-5, 3, 16, 512, 500, 0.01),
    "tpp-sentiment": (5e-5, 3, 16, 128, 500, 0.01),
    "align-mlm-xnli": (2e-5, 5, 32, 128, 0, 0.0),
    "align-mlm-tagging": (2e-5, 10, 32, 128, 0, 0.0),
    "xtreme-pairs": (2e-5, 5, 32, 128, 0, 0.0),
    "xtreme-tagging": (2e-5, 10, 32, 128, 0, 0.0),
    "xtreme-qa": (3e-5, 3, 32, 384, 500, 1e-4),
}


def option(line: str, name: str) -> str | None:
    """The value of an option in a printed line."""
    words = line.split()
    return words[words.index(name) + 1] if name in words else None


def rates(line: str, updates: list[int]) -> list[float]:
    """What fairseq's scheduler sets at these updates, with the options of a printed line."""
    settings = InverseSquareRootLRScheduleConfig(
        warmup_updates=int(option(line, "--warmup-updates") or 0),
        warmup_init_lr=float(option(line, "--warmup-init-lr") or -1),
    )
    settings.lr = [float(option(line, "--lr") or 0)]
    optimizer = FusedAdamW(AdamWConfig(lr=settings.lr), [torch.nn.Parameter(torch.zeros(1))])
    made = InverseSquareRootSchedule(settings, optimizer)
    return [made.step_update(n) for n in updates]


@pytest.mark.parametrize(("place", "width"), enumerate((1024, 512)))
def test_fairseqs_scheduler_gives_lingvos_rates(place, width):
    line = preset_options("mmte", width)
    found = rates(line, [done + 1 for done in LINGVO])
    assert found == pytest.approx([values[place] for values in LINGVO.values()], rel=1e-6)
    assert found == pytest.approx([lingvo_rate(3.0, 40_000, width, done) for done in LINGVO], rel=1e-9)
    assert rates(line, [0]) == [0.0]


@pytest.mark.parametrize("name", FINE_TUNING)
def test_the_schedules_of_fine_tuning_are_the_papers(name):
    line = preset_options(name)
    assert rates(line, [3000, PRESETS[name].warmup]) == pytest.approx(FINE_TUNING[name], rel=1e-6)
    assert "--optimizer adafactor --clip-mode per-tensor --clip-norm 1.0" in line and line.endswith(
        PRESETS[name].options
    )


def linear_rates(line: str, updates: list[int]) -> list[float]:
    """What fairseq's linear decay sets at these updates, with the options of a printed line."""
    settings = PolynomialDecayLRScheduleConfig(
        warmup_updates=int(option(line, "--warmup-updates") or 0),
        total_num_update=int(option(line, "--total-num-update") or 0),
    )
    settings.lr = [float(option(line, "--lr") or 0)]
    optimizer = FusedAdamW(AdamWConfig(lr=settings.lr), [torch.nn.Parameter(torch.zeros(1))])
    made = PolynomialDecayLRSchedule(settings, optimizer)
    return [made.step_update(n) for n in updates]


@pytest.mark.parametrize("name", EPOCHS)
def test_the_settings_of_the_other_papers_are_those_that_they_print(name):
    rate, epochs, batch, length, warmup, decay = EPOCHS[name]
    line = preset_options(name, examples=392_702)
    total = epochs * -(-392_702 // batch)
    assert option(line, "--optimizer") == "adamw" and "'" not in line, "the line can stand in $(...)"
    named = ("--max-epoch", "--batch-size", "--max-length", "--warmup-updates", "--total-num-update")
    assert [int(option(line, name) or -1) for name in named] == [epochs, batch, length, warmup, total]
    assert float(option(line, "--weight-decay") or -1) == decay
    middle = (warmup + total) / 2
    assert linear_rates(line, [warmup, middle, total]) == pytest.approx([rate, rate / 2, 0.0])


def test_tpps_schedule_of_3000_updates():
    line = preset_options("tpp-tagging", examples=16_000)
    assert linear_rates(line, [250, 500, 1750, 3000]) == pytest.approx([2.5e-5, 5e-5, 2.5e-5, 0.0])


def test_every_preset_is_checked_against_its_paper():
    assert {name for name, preset in PRESETS.items() if isinstance(preset, Epochs)} == set(EPOCHS)
    assert {name for name, preset in PRESETS.items() if isinstance(preset, Preset)} == {"mmte", *FINE_TUNING}


def test_the_other_readings_of_the_schedule():
    flat = preset_options("mmte", reading="sqrt-decay")
    assert rates(flat, [0, 1, 40_000, 160_000]) == pytest.approx([0.015, 0.015, 0.015, 0.0075])
    assert preset_options("mmte", 512, "sqrt-decay") == flat, "without the width"
    literal = preset_options("mmte", reading="literal-peak")
    assert rates(literal, [0, 20_000, 40_000, 160_000]) == pytest.approx([0.0, 1.5, 3.0, 1.5])


def test_the_length_of_mldoc_is_200_pieces_and_the_end():
    assert option(preset_options("mmte-mldoc"), "--max-length") == "201"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("mmte-intents",), "unknown preset 'mmte-intents'. Did you mean 'mmte-intent'"),
        (("mmte", 0), "--width 0 is too small"),
        (("mmte", 512, "lingvo"), "unknown reading of a schedule 'lingvo'"),
        (("xtreme-qa",), "end of its 3 epochs, and their number of updates is not known. Give --examples N"),
        (("xtreme-qa", 512, "transformer", 0), "--examples 0 is too small"),
        (
            ("tpp-tagging", 512, "transformer", 2000),
            "--examples 2000: 375 updates in 3 epochs, and the rate rises for 500",
        ),
    ],
)
def test_a_mistake_is_named(arguments, said):
    with pytest.raises(UserError) as error:
        preset_options(*arguments)
    assert said in str(error.value)


def module(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "fairseq_xalign", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_prints_one_line_that_can_be_pasted():
    out = module("--presets", "mmte-intent", "--width", "512")
    assert out.stdout == preset_options("mmte-intent", 512) + "\n" and out.returncode == 0
    unknown = module("--presets", "mmte-nli")
    assert unknown.returncode == 1 and unknown.stdout == "" and unknown.stderr.count("\n") == 1


def test_without_a_name_it_lists_every_preset():
    lines = module("--presets").stdout.splitlines()
    assert [line.split(":")[0] for line in lines[::2]] == list(PRESETS)
    assert lines == listed()
    assert [line.strip() for line in lines[1:10:2]] == [preset_options(name) for name in ("mmte", *FINE_TUNING)]
    assert all("--total-num-update UPDATES" in line for line in lines[11::2])
    counted = module("--presets", "xtreme-tagging", "--examples", "12543").stdout
    assert counted == preset_options("xtreme-tagging", examples=12543) + "\n" and "--total-num-update 3920 " in counted


def test_peaks_are_where_warm_up_ends():
    for preset in (preset for preset in PRESETS.values() if isinstance(preset, Preset)):
        at = lingvo_rate(preset.scale, preset.warmup, 1024, preset.warmup - 1)
        assert peak(preset.scale, preset.warmup, 1024) == pytest.approx(at, rel=1e-12)
