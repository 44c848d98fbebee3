"""fairseq's optimizer of ``--amp`` where there is no GPU."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import torch
from fairseq.optim.amp_optimizer import AMPOptimizer

from fairseq_xalign.optimizers.adamw import AdamWConfig, FusedAdamW


def amp_on_a_cpu(parameters: list[torch.nn.Parameter], scale: float, lr: float = 0.1) -> AMPOptimizer:
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
