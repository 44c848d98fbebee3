"""Settings that fairseq accepts and then crashes on: each is refused in one line that names what works."""

from __future__ import annotations

from typing import Any

from fairseq_xalign.errors import UserError


def check_precision(cfg: Any) -> None:
    """Refuse fairseq's reduced precision on CPU, naming the option that works.

    Reason: ``--fp16`` and ``--bf16`` crash there in the first update, far from their cause, and
    ``--amp`` is ignored in silence.

    Args:
        cfg: fairseq's whole configuration (``cfg.common`` is read).
    """
    import torch

    common = cfg.common
    if torch.cuda.is_available() and not common.cpu:
        return
    for option in ("fp16", "bf16", "amp"):
        if getattr(common, option, False):
            raise UserError(
                f"--{option} does not work on a CPU", remedy="Use --autocast bf16 instead (or a GPU, without --cpu)"
            )


def check_batch_size(cfg: Any) -> None:
    """Refuse a training without a limit of its batches.

    Reason: fairseq has an assertion for that, which ends in a traceback.

    Args:
        cfg: fairseq's whole configuration (``cfg.dataset`` is read).
    """
    if cfg.dataset.max_tokens is None and cfg.dataset.batch_size is None:
        raise UserError("a batch needs a limit", remedy="Give --max-tokens or --batch-size")
