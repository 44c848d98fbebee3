"""``xalign-evaluate``: predictions, scores, alignment, retrieval, tables and plots."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fairseq_xalign import cli

NAMES = (
    "predict",
    "score",
    "xtreme",
    "encode",
    "align",
    "links",
    "retrieve",
    "bleu",
    "result",
    "compare",
    "plot",
    "report",
    "papers",
    "info",
)
COMMANDS = {name: f"fairseq_xalign.evaluate.commands.{name}" for name in NAMES}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``xalign-evaluate``; returns the exit status (0 done, 1 failed, 2 wrong usage)."""
    return cli.main(
        "xalign-evaluate", "Predict, encode, translate, score, measure alignment and compare runs.", COMMANDS, argv
    )


if __name__ == "__main__":
    sys.exit(main())
