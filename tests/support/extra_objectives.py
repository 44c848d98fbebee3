"""Objectives and a paper's criterion that only tests have, and runs of ``fairseq-train`` that know them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from fairseq_xalign.objectives.mlm import MaskedLM
from fairseq_xalign.objectives.objective import NO_MASTERS, Figure, Loss, Objective, option
from fairseq_xalign.objectives.preset import Preset
from fairseq_xalign.objectives.tlm import TranslationLM
from tests.support.running import OPTIONS, ROOT, Run, finish
from tests.support.trainings import command, run_function


class Centre(nn.Module):
    """A trained direction, and a running average of it that no gradient reaches."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.ones(width))
        self.register_buffer("average", torch.zeros(width))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))


class Centring(Objective):
    """Squared distance of each sequence's first feature from a direction that it learns; no token is hidden."""

    name = "centring"
    stream = "bitext"
    figure = Figure("distance")
    further_figures = (Figure("drift"),)

    def module(self, encoder):
        return Centre(encoder.config.width)

    def after_step(self, module, encoder, masters=NO_MASTERS):
        module.average.lerp_(module.direction.detach(), 0.1)
        module.steps += 1

    def loss(self, encoder, reading, context):
        own = context.modules[self.name]
        first = reading.features()[reading.batch.starts[:-1].long()]  # [B, D]
        distance = (first - own.direction).square().sum() + (own.direction - own.average).square().sum() * len(first)
        drift = (own.direction - own.average).detach().abs().sum()
        return Loss(distance, len(first), others={"drift": (drift, 1)})


@dataclass(frozen=True)
class PaperOptions:
    """The weight of TLM in the test's paper."""

    paper_weight: float = option(0.5, "weight of TLM; 0.5 by default")


PAPER = Preset(
    "A paper with settings of its own",
    "PaperCriterion",
    ((MaskedLM, 1.0), (TranslationLM, "paper_weight")),
    {"mask_prob": 0.3, "tlm_positions": "continue", "tlm_packing": "pairs", "sample_break_mode": "complete"},
    Options=PaperOptions,
)


def command_with_extras(module: str, arguments: list[str]) -> None:
    """``command``, after the registry has the line that a new objective has, and the criterions the paper."""
    from fairseq_xalign.objectives.registry import OBJECTIVES

    OBJECTIVES[Centring.name] = Centring
    from fairseq_xalign.criterions.xalign import register_preset

    register_preset("paper", PAPER)
    command(module, arguments)


def pretrain_with_extras(data: Path, folder: Path, updates: int, *options: object) -> Run:
    """As ``running.pretrain``, with the objectives of this module; ``options`` say the criterion."""
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [data, "--user-dir", ROOT / "fairseq_xalign", *OPTIONS, "--max-update", updates, "--save-dir",
                 folder / "checkpoints", *options]  # fmt: skip
    named = [str(a) for a in arguments]
    process = run_function(command_with_extras, "fairseq_cli.train", named, log=folder / "log.0")
    return finish(process, folder)
