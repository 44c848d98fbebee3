"""What ``--device`` means, the same in every command that has it."""

from __future__ import annotations

import contextlib

import torch

from fairseq_xalign.errors import UserError

DEVICE_HELP = "Device to compute on: cpu, cuda or cuda:N (default: cuda if a GPU is available, otherwise cpu)."


def choose_device(name: str | None = None, called: str = "--device") -> torch.device:
    """The device called ``name``; a GPU where there is one, otherwise the CPU, for None.

    Args:
        called: how messages call the setting.

    Raises:
        UserError: for a name that is not a device's, and for a device that this machine does not have.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"{called} {name} is not a device", remedy="Choose cpu, cuda or cuda:N") from None
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            found = f"this machine has {count} GPUs, numbered from 0" if count else "no GPU is available"
            raise UserError(f"{called} {name}: {found}", remedy=f"Choose another, or leave {called} out")
    elif device.type != "cpu" or device.index is not None:
        raise UserError(f"{called} {name} is not supported", remedy="Choose cpu, cuda or cuda:N")
    return device


def inference_precision(device: torch.device, bf16: bool) -> contextlib.AbstractContextManager[object]:
    """How an encoder computes outside training: in bfloat16, or as it is, which may be in a caller's own autocast."""
    return torch.autocast(device.type, torch.bfloat16) if bf16 else contextlib.nullcontext()
