"""``--optimizer muon``: Muon for the matrices of the layers, AdamW for everything else.

Muon (Jordan et al. 2024) replaces the momentum of a matrix by the nearest matrix whose singular values are all 1, found
by the iteration of Newton and Schulz, so that no direction of a matrix dominates its update. The length of an update is
that of AdamW (Liu et al. 2025, "Muon is scalable for LLM training", section 2.2), so one learning rate serves both.
torch's own ``Muon`` computes in bfloat16 whatever the device, which takes ten times as long on a processor without
it, one matrix after the other, and it refuses parameters that are no matrices.
"""

from collections.abc import Callable, Collection
from typing import Any

import torch
from fairseq.optim import register_optimizer
from torch import Tensor

from fairseq_xalign.errors import UserError
from fairseq_xalign.optimizers.adamw import AdamWConfig, FusedAdamW

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the polynomial a x + b x^3 + c x^5 (Jordan et al. 2024), which brings singular values near 1 soon, not close."""
ITERATIONS = 5
MOMENTUM = 0.95
UPDATE_RMS = 0.2
"""Root mean square of an update that AdamW typically makes, in units of the learning rate (Liu et al. 2025)."""


def orthogonalize(matrices: Tensor) -> Tensor:
    """The matrices [K, M, N] with singular values near 1 (0.7 to 1.2) in place of their own; zero stays zero."""
    a, b, c = COEFFICIENTS
    wide = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.mT
    x = wide / wide.norm(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(wide.dtype).tiny)
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x if wide is matrices else x.mT


class MuonAdamW(torch.optim.AdamW):
    """Muon for matrices, ``torch.optim.AdamW`` for other parameters.

    Args:
        matrices: parameters [P * M, N], each of which holds P matrices [M, N] one below the other, with P.
        others: all other parameters.
        settings: of AdamW. Muon has the learning rate and the decoupled weight decay in common with it.
    """

    def __init__(
        self, matrices: Collection[tuple[torch.nn.Parameter, int]], others: Collection[Any], **settings: Any
    ) -> None:
        shapes: dict[tuple[int, ...], list[torch.nn.Parameter]] = {}
        for parameter, parts in matrices:
            shapes.setdefault((parts, *parameter.shape), []).append(parameter)
        groups = [{"params": list(others), "matrices": 0}] if others else []
        groups += [{"params": found, "matrices": shape[0]} for shape, found in shapes.items()]
        super().__init__(groups, fused=True, **settings)
        # With --amp, the scaler would leave it to a fused kernel to skip what overflowed; matrices have none.
        self._step_supports_amp_scaling = False

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One update of all parameters that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        done = []
        for group in self.param_groups:
            if group["matrices"]:
                found = [p for p in group["params"] if p.grad is not None]
                done += [(p, p.grad) for p in found]
                if found:
                    self._move(found, group)
        for parameter, _ in done:
            parameter.grad = None
        super().step()  # of what still has a gradient
        for parameter, gradient in done:
            parameter.grad = gradient
        return loss

    def _move(self, parameters: list[torch.nn.Parameter], group: dict[str, Any]) -> None:
        """Update parameters of one shape, [P * M, N]."""
        momenta = []
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["step"] = torch.zeros(())  # which AdamW expects of every parameter of a checkpoint
                state["momentum"] = torch.zeros_like(parameter)
            state["step"] += 1
            momenta.append(state["momentum"])
        gradients = [p.grad for p in parameters if p.grad is not None]
        torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
        ahead = torch._foreach_lerp(gradients, momenta, MOMENTUM)  # Nesterov's
        height, width = parameters[0].shape[0] // group["matrices"], parameters[0].shape[1]
        moves = orthogonalize(torch.stack(ahead).view(-1, height, width)).reshape(len(parameters), -1, width)
        rate, weights = group["lr"], [p.data for p in parameters]
        torch._foreach_mul_(weights, 1 - rate * group["weight_decay"])
        torch._foreach_add_(weights, list(moves.unbind()), alpha=-rate * UPDATE_RMS * max(height, width) ** 0.5)


@register_optimizer("muon", dataclass=AdamWConfig)
class FusedMuon(FusedAdamW):
    """:class:`MuonAdamW`; its matrices are parameters with an attribute ``matrices`` (``models/transformer.py``).

    Its settings are AdamW's; learning rate and weight decay are those of the matrices too.
    """

    def make(self, params: list[torch.nn.Parameter]) -> torch.optim.AdamW:
        """Return the optimizer of these parameters; raise UserError if no matrices are among them."""
        matrices = [(p, parts) for p in params if (parts := getattr(p, "matrices", 0))]
        if not matrices:
            raise UserError(
                "--optimizer muon finds no matrices of layers to update",
                remedy="Choose --autocast bf16 instead of --fp16 or --bf16, which train on copies of the weights; "
                "with frozen layers or a model of fairseq's own, choose --optimizer adamw",
            )
        others = [p for p in params if not getattr(p, "matrices", 0)]
        return MuonAdamW(matrices, others, **self.optimizer_config)

    @property
    def supports_flat_params(self) -> bool:
        return False
