"""The warnings that hydra 1.3 gives about fairseq 0.12.3."""

from __future__ import annotations

import logging
import warnings

from fairseq_xalign.compat.patching import workaround

HYDRA_WARNINGS = (
    (r"hydra\.experimental\.initialize\(\) is no longer experimental", r"hydra\.experimental\.initialize"),
    (r"\nThe version_base parameter is not specified", r"hydra\.experimental\.initialize"),
    (r"hydra\.experimental\.compose\(\) is no longer experimental", r"hydra\.experimental\.compose"),
    (
        r"In 'config': Usage of deprecated keyword in package header",
        r"hydra\.core\.default_element",
    ),
    (r"\n'config' is validated against ConfigStore schema with the same name", ""),
    (r"\nThe strict flag in the compose API is deprecated", r"hydra\.compose"),
)
"""How each warning begins, and the module it names (the fifth: whatever called fairseq, so any)."""


COMPOSING = "Error when composing. Overrides"
COMPOSED_BY = "fairseq.dataclass.utils"


def _other(record: logging.LogRecord) -> bool:
    return COMPOSING not in str(record.msg)


@workaround
def silence_composition() -> None:
    """Hide the list of all settings that comes before an error about one of them.

    Reason: fairseq logs some 200 settings where a single one cannot be used, and raises the error that names it
    (``errors.explain`` makes one line of it).
    """
    logging.getLogger(COMPOSED_BY).addFilter(_other)


@workaround
def silence_hydra() -> None:
    """Hide what hydra 1.3 says about how fairseq 0.12.3 calls hydra; ``python -W always`` shows it again.

    Reason: fairseq was written for hydra 1.0. Every command begins with these twenty lines, which a user can do
    nothing about and which bury the one line that matters. Warnings of other origin stay.
    """
    for message, module in HYDRA_WARNINGS:
        warnings.filterwarnings("ignore", message, UserWarning, module, append=True)
