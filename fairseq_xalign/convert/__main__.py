"""``xalign-convert``: checkpoints made of other checkpoints."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fairseq_xalign import cli

COMMANDS = {
    "from-hf": "fairseq_xalign.convert.commands.from_hf",
    "to-hf": "fairseq_xalign.convert.commands.to_hf",
    "from-mnmt": "fairseq_xalign.convert.commands.from_mnmt",
    "average": "fairseq_xalign.convert.commands.average",
    "to-ctranslate2": "fairseq_xalign.convert.commands.to_ctranslate2",
    "add-language": "fairseq_xalign.convert.commands.add_language",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``xalign-convert``; returns the exit status (0 done, 1 failed, 2 wrong usage)."""
    description = "Convert checkpoints to other forms, average them, or add a language."
    return cli.main("xalign-convert", description, COMMANDS, argv)


if __name__ == "__main__":
    sys.exit(main())
