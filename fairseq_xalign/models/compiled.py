"""Parts of a training step as one kernel each: functions compiled by ``torch.compile``.

Between the matrix products of a layer lie residuals, biases, dropout, layer norms and activations. Run one by one, each
reads and writes all features, and under autocast many are cast in between; compiled, those between two products are one
kernel. Attention stays outside, so that every kind of plan works and no part has a graph break. Parts are compiled for
any number of tokens, and once for all layers. Training alone is compiled: validation and decoding are not.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

import torch

from fairseq_xalign.errors import UserError, unknown_name

COMPILE = AUTO, ON, OFF = "auto", "on", "off"
"""Whether training is compiled: where it pays (a GPU with a compiler), always, or never."""
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Runner(Protocol):
    """How a part is run."""

    def __call__(self, part: Callable[Arguments, Result], /) -> Callable[Arguments, Result]: ...


MOST_GRAPHS = 64
"""How many functions a part may be compiled to; torch raises an error where it would be more."""
MADE: dict[Callable[..., object], Callable[..., object]] = {}
"""Parts and what they were compiled to: a part is compiled once per process."""


def compiled(part: Callable[Arguments, Result], /) -> Callable[Arguments, Result]:
    """``part``, compiled at its first call, without graph breaks."""
    if part not in MADE:
        # Rates of dropout and epsilons are constants of a run. Taken for variables, as `dynamic` has it otherwise, most
        # parts are traced a second time when it turns out that a kernel needs them: a quarter of a warm start.
        # A process that trains at many rates makes a function for each, for which torch's own limit of 8 is too low.
        torch._dynamo.config.specialize_float = True
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, MOST_GRAPHS)
        MADE[part] = torch.compile(part, dynamic=True, fullgraph=True)
    return MADE[part]  # type: ignore[return-value]


def eager(part: Callable[Arguments, Result], /) -> Callable[Arguments, Result]:
    """``part`` as it is."""
    return part


def runner(wanted: str, device: torch.device) -> Runner:
    """How the parts of a training step are run on a device: :func:`compiled` or :func:`eager`.

    Args:
        wanted: ``auto``, ``on`` or ``off``.

    Raises:
        UserError: for another name, and for ``on`` where nothing can be compiled.
    """
    if wanted not in COMPILE:
        raise unknown_name("compile", wanted, COMPILE)
    if wanted == OFF or (wanted == AUTO and device.type != "cuda"):
        return eager
    missing = missing_compiler(device.type)
    if missing and wanted == ON:
        raise UserError(f"--compile on: {missing}", remedy="Install it, or use --compile off")
    return eager if missing else compiled


@functools.cache
def missing_compiler(kind: str) -> str:
    """What ``torch.compile`` lacks on devices of this kind, '' if nothing."""
    variable, names = ("CC", ("gcc", "clang", "cc")) if kind == "cuda" else ("CXX", ("g++", "clang++", "c++"))
    if kind == "cuda" and importlib.util.find_spec("triton") is None:
        return "torch.compile needs the package triton on a GPU"
    own = os.environ.get(variable)
    if not any(shutil.which(name) for name in ((own,) if own else names)):
        return f"torch.compile needs a compiler, but there is none of {', '.join((own,) if own else names)} on PATH"
    return ""
