"""fairseq's Adafactor with ``--scale-parameter``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from fairseq_xalign.compat.patching import workaround, wrap


@workaround
def scale_each_parameter_alone() -> None:
    """Multiply the learning rate by the size of each parameter by itself.

    Reason: fairseq writes the product of the learning rate and a parameter's root mean square back to where the
    learning rate stands, and starts from there for the next parameter. After a few dozen parameters, most of them of a
    size of 0.02, the learning rate is 0. Without ``--scale-parameter`` nothing changes.
    """
    module = sys.modules.get("fairseq.optim.adafactor")
    if module is not None:
        wrap(module.Adafactor, "step", _make_step)
        wrap(module.Adafactor, "_get_lr", _make_get_lr)


def _make_step(original: Callable[..., Any]) -> Callable[..., Any]:
    def step(self: Any, closure: Any = None) -> Any:
        groups = [group for group in self.param_groups if not group["relative_step"]]
        self._given_rates = {id(group): group["lr"] for group in groups}
        result = original(self, closure)
        for group in groups:
            group["lr"] = self._given_rates[id(group)]
        return result

    return step


def _make_get_lr(original: Callable[..., Any]) -> Callable[..., Any]:
    def get_lr(self: Any, param_group: dict[str, Any], param_state: dict[str, Any]) -> Any:
        given = getattr(self, "_given_rates", {}).get(id(param_group), param_group["lr"])
        return original(self, {**param_group, "lr": given}, param_state)

    return get_lr
