"""fairseq's optimizers of ``--amp``, ``--fp16`` and ``--bf16`` where there is no GPU."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from fairseq.optim.amp_optimizer import AMPOptimizer
from fairseq.optim.fp16_optimizer import FP16Optimizer
from torch.nn import Parameter

from fairseq_xalign.optimizers.adamw import AdamWConfig, FusedAdamW


def half_settings(**changes: Any) -> SimpleNamespace:
    """What fairseq's optimizers of half precision read of a run's settings; ``changes`` are of its ``common`` ones."""
    common = {"bf16": False, "fp16_scale_window": 4, "fp16_init_scale": 8, "fp16_scale_tolerance": 0.0,
              "threshold_loss_scale": None, "min_loss_scale": 1e-4, "model_parallel_size": 1} | changes  # fmt: skip
    return SimpleNamespace(
        optimizer=AdamWConfig(),
        common=SimpleNamespace(**common),
        distributed_training=SimpleNamespace(distributed_world_size=1),
        optimization=SimpleNamespace(update_freq=[1]),
    )


def fp16_on_a_cpu(
    parameters: list[Parameter], make: Callable[[list[Parameter]], Any], flat: bool = False, bf16: bool = False
) -> FP16Optimizer:
    """The optimizer of ``--fp16`` or ``--bf16`` for parameters in half precision.

    Args:
        make: makes the optimizer of the float32 weights.
        flat: whether these are one tensor, as on a GPU without ``--fp16-no-flatten-grads``.
    """
    if flat:  # as FP16Optimizer.build_fp32_params, which asks for the number of the GPU
        master = Parameter(torch.cat([p.detach().float().view(-1) for p in parameters]))
        master.grad = torch.zeros_like(master)
        return FP16Optimizer(half_settings(bf16=bf16), parameters, make([master]), {None: master})
    masters = FP16Optimizer.build_fp32_params(SimpleNamespace(), parameters, flatten=False)
    return FP16Optimizer(half_settings(bf16=bf16), parameters, make(masters), masters)


def amp_on_a_cpu(parameters: list[Parameter], scale: float, lr: float = 0.1) -> AMPOptimizer:
    """AdamW as ``--amp --optimizer adamw`` wraps it, with a loss scale that works on a CPU."""
    settings = AdamWConfig()
    settings.lr = [lr]
    common = SimpleNamespace(fp16_init_scale=scale, min_loss_scale=1e-4)
    with warnings.catch_warnings():  # on a CPU this scaler does nothing, and says so
        warnings.simplefilter("ignore")
        optimizer = AMPOptimizer(SimpleNamespace(optimizer=settings, common=common), parameters,
                                 FusedAdamW(settings, parameters))  # fmt: skip
    optimizer._grad_scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    return optimizer
