"""What fairseq 0.12.3 says while it is imported."""

from __future__ import annotations

import logging

from fairseq_xalign.compat.patching import workaround

TENSORBOARD = "Please install tensorboardX"
SAID_BY = "fairseq.tasks.text_to_speech"


def _other(record: logging.LogRecord) -> bool:
    return TENSORBOARD not in str(record.msg)


@workaround
def silence_tensorboard() -> None:
    """Hide that a task of fairseq's for speech would like tensorboardX; to be called before fairseq is imported.

    Reason: it is the first line of what every command prints that imports fairseq, reads like an error, and concerns
    no task of ours. ``fairseq-train`` imports fairseq before it knows of us, so there the line stays.
    """
    logging.getLogger(SAID_BY).addFilter(_other)
