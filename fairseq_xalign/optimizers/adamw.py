"""``--optimizer adamw``: torch's fused AdamW, which updates all parameters in one kernel on CPU and GPU.

fairseq's own ``adam`` loops over parameters unless apex is installed. Decoupled weight decay
(Loshchilov and Hutter 2019) as in fairseq's.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, List

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.optim import FairseqOptimizer, register_optimizer
from omegaconf import II


@dataclass
class AdamWConfig(FairseqDataclass):
    """Settings of AdamW; defaults are ALIGN-MLM's released ones (torch's own)."""

    adam_betas: str = field(
        default="(0.9, 0.999)", metadata={"help": "betas of Adam, as a pair (RoBERTa: (0.9, 0.98))"}
    )
    adam_eps: float = field(
        default=1e-8, metadata={"help": "epsilon of Adam, added to the denominator (RoBERTa: 1e-6)"}
    )
    weight_decay: float = field(
        default=0.0,
        metadata={"help": "decoupled weight decay; 0 by default, as in ALIGN-MLM (RoBERTa, PPA, TPP: 0.01)"},
    )
    lr: List[float] = II("optimization.lr")


@register_optimizer("adamw", dataclass=AdamWConfig)
class FusedAdamW(FairseqOptimizer):
    """torch.optim.AdamW with ``fused=True``."""

    def __init__(self, cfg: Any, params: Collection[torch.nn.Parameter]) -> None:
        super().__init__(cfg)
        self._optimizer = self.make(list(params))

    def make(self, params: list[torch.nn.Parameter]) -> torch.optim.AdamW:
        """Return torch's optimizer of these parameters."""
        return torch.optim.AdamW(params, fused=True, **self.optimizer_config)

    @property
    def optimizer_config(self) -> dict[str, Any]:
        """Settings of torch's optimizer; a resumed run takes the checkpoint's, but for ``--optimizer-overrides``."""
        import ast

        lr = next(iter(self.cfg.lr)) if isinstance(self.cfg.lr, Collection) else self.cfg.lr
        betas = ast.literal_eval(self.cfg.adam_betas)
        return {"lr": lr, "betas": betas, "eps": self.cfg.adam_eps, "weight_decay": self.cfg.weight_decay}

    @property
    def supports_flat_params(self) -> bool:
        return True
